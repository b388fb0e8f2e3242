"""The wire and the feed as values: no Django, no asyncio, no clock, no I/O."""
