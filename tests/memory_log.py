"""A room's log in memory, for tests of what reads it: it can be held back, restored and read without a database."""

import asyncio
from datetime import UTC, datetime

from django_rooms.pages import Extract, Page
from django_rooms.protocol.entries import Entry, Position


def entry(offset):
    return Entry(offset, "message", f"id-{offset}", None, datetime.fromtimestamp(0, UTC), "{}", offset)


class MemoryLog:
    """Stands in for ``threads.reading``. ``reads`` notes each read; a read goes on when ``open`` is set."""

    def __init__(self):
        self.epoch, self.entries, self.reads = "", [], []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.failure = None
        # The look would find everything in the end; most tests are about what is found without it.
        self.seen_by_look = False

    def fill(self, epoch, last):
        """The log has the entries up to ``last`` now, and rings no doorbell."""
        self.epoch, self.entries = epoch, [entry(offset) for offset in range(1, last + 1)]

    async def run(self, function, *args):
        if function.__name__ == "heads":
            return {room: Position(self.epoch, len(self.entries)) for room in args[0] if self.seen_by_look}
        self.reads.append((function.__name__, *args[1:]))
        self.asked.set()
        await self.open.wait()
        if self.failure:
            raise self.failure
        return getattr(self, function.__name__)(*args)

    def after(self, room, offset):
        return Extract(self.epoch, 0, len(self.entries), self.entries[offset:])

    def newest(self, room, limit):
        return self.after(room, max(0, len(self.entries) - limit))

    def page(self, room, limit, before=None):
        found = self.entries if before is None else self.entries[: before - 1]
        taken = found[max(0, len(found) - limit) :]
        return Page(Position(self.epoch, taken[-1].offset if taken else 0), taken, len(taken) < len(found))
