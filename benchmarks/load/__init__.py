"""The load: many clients in one process, as cheap as Python can be, and the proof of how much they can take."""
