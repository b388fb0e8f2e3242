"""Looks at every connection of an event loop now and then: by one timer, and not by one for each of ten thousand."""

import asyncio
from typing import Protocol

from django_rooms.once import OncePerLoop

# Seconds between two looks at the same connection; and the parts into which all of them are divided, so that no look
# holds the loop for long.
TICK = 5.0
PARTS = 50


class Watched(Protocol):
    def tick(self) -> None:
        """Look at what your peer is at."""


class Watch:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts: list[set[Watched]] = [set() for _ in range(PARTS)]
        self._of: dict[Watched, int] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watched: Watched) -> None:
        """It is looked at first when ``TICK`` seconds have passed, or nearly."""
        self._of[watched] = part = (self._next - 1) % PARTS
        self._parts[part].add(watched)
        if self._timer is None:
            self._wait()

    def discard(self, watched: Watched) -> None:
        if (part := self._of.pop(watched, None)) is not None:
            self._parts[part].discard(watched)

    def _wait(self) -> None:
        self._timer = self._loop.call_later(TICK / PARTS, self._look)

    def _look(self) -> None:
        part, self._next = self._parts[self._next], (self._next + 1) % PARTS
        if self._of:
            self._wait()
        else:
            self._timer = None
        for watched in tuple(part):
            watched.tick()


# The running loop's.
watch = OncePerLoop(Watch)
