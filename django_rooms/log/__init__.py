"""The database is the log: what is to be stored, where it gets its offset, and how it is read."""
