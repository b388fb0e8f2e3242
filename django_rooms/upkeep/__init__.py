"""What is done to logs from outside of the conversation: the oldest go, a person goes."""
