"""When the feeds of an event loop tell those who follow them: at once, and under load for half of the time.

*Naively* each entry is told as it is heard. While a thousand sockets are written to, nothing is read; so what is said
meanwhile is stored, and told, one by one, and all the loop does is to write. *Chosen*: what comes while the loop is
busy gathers, and goes to everybody as one message. After a round the loop has as much time for everything else as the
round took. Who comes first after that waits for nothing, so the latency of a room that is quiet does not grow.
"""

import asyncio
import logging
import time
from typing import Protocol

logger = logging.getLogger("django_rooms")

# Seconds. A round that took less is followed by the next at once: a timer would cost more than it gathers.
SHORT = 0.001


class Feed(Protocol):
    def tell(self) -> None:
        """Have everybody who follows hear what has come since the last round."""


class Rounds:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # In the order in which they asked.
        self._due: dict[Feed, None] = {}
        self._next: asyncio.Handle | None = None
        # Not the loop's own clock: uvloop's stands still while callbacks run.
        self._rested_at = 0.0

    def want(self, feed: Feed) -> None:
        """Have the feed in the next round."""
        self._due[feed] = None
        if self._next is None:
            rest = self._rested_at - time.perf_counter()
            self._next = self._loop.call_later(rest, self._round) if rest > 0 else self._loop.call_soon(self._round)

    def forget(self, feed: Feed) -> None:
        self._due.pop(feed, None)

    def _round(self) -> None:
        self._next = None
        due, self._due = self._due, {}
        began = time.perf_counter()
        for feed in due:
            try:
                feed.tell()
            except Exception:  # The other rooms' news must not be lost with it.
                logger.exception("A room's news could not be told to everybody who follows it.")
        took = time.perf_counter() - began
        self._rested_at = began + 2 * took if took > SHORT else 0.0
