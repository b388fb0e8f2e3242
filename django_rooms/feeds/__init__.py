"""All rooms that this process follows: each one's feed, and what was read of its log for all who come for it."""
