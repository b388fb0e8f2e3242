"""A Django project: the chat of the Channels tutorial, and the two that a team makes of it."""
