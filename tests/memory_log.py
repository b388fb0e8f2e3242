"""A room's log in memory, for tests of what reads it: it can be held back, restored and read without a database."""

import asyncio
from datetime import UTC, datetime

from django_rooms.feeds import feed, hub
from django_rooms.log.pages import EXTRACT, Extract, Head, Page
from django_rooms.protocol.entries import Entry, Position


def entry(offset):
    return Entry(offset, "message", f"id-{offset}", None, datetime.fromtimestamp(0, UTC), "{}", offset)


def read_by_feeds(monkeypatch):
    """A log that all feeds of the test read, without a wait for doorbells that close a gap."""
    log = MemoryLog()
    monkeypatch.setattr(hub, "reading", log)
    monkeypatch.setattr(feed, "reading", log)
    monkeypatch.setattr(feed, "GAP_WAIT", 0)
    return log


class MemoryLog:
    """Stands in for ``threads.reading``. ``reads`` notes each read; a read goes on when ``open`` is set."""

    def __init__(self):
        self.epoch, self.floor, self.entries, self.reads = "", 0, [], []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.failure = None
        # The look would find everything in the end; most tests are about what is found without it.
        self.look = asyncio.Event()

    def fill(self, epoch, last):
        """The log has the entries up to ``last`` now, and rings no doorbell."""
        self.epoch, self.entries = epoch, [entry(offset) for offset in range(1, last + 1)]

    async def run(self, function, *args):
        if function.__name__ == "heads":
            await self.look.wait()
            return {room: Head(self.epoch, len(self.entries), self.floor) for room in args[0] if self.epoch}
        self.reads.append((function.__name__, *args[1:]))
        self.asked.set()
        await self.open.wait()
        if self.failure:
            raise self.failure
        return getattr(self, function.__name__)(*args)

    def after(self, room, offset, limit=EXTRACT):
        start = max(offset, self.floor)
        texts = [entry.text for entry in self.entries[start : offset + limit]]
        return Extract(self.epoch, self.floor, len(self.entries), start, texts)

    def renew(self, room, epoch, below):
        if self.epoch == epoch and len(self.entries) < below:
            self.epoch = f"{epoch}'"

    def newest(self, room, limit):
        return self.after(room, max(0, len(self.entries) - limit))

    def page(self, room, limit, before=None):
        found = self.entries[self.floor :] if before is None else self.entries[self.floor : before - 1]
        taken = found[max(0, len(found) - limit) :]
        return Page(Position(self.epoch, taken[-1].offset if taken else 0), taken, len(taken) < len(found))
