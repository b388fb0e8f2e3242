"""The conversation on one socket, and where it is in each of its rooms."""
