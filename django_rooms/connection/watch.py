"""Looks at every connection of an event loop now and then: by one timer, and not by one for each of ten thousand."""

import asyncio
from typing import Protocol

from django_rooms.once import OncePerLoop

# Seconds between two looks at the same connection; and the parts into which all of them are divided, so that no look
# holds the loop for long: a prime, for the places of objects are multiples of their size.
TICK = 5.0
PARTS = 53


class Watched(Protocol):
    def tick(self) -> None:
        """Look at what your peer is at."""


class Watch:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts: list[set[Watched]] = [set() for _ in range(PARTS)]
        self._count = 0
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watched: Watched) -> None:
        self._part(watched).add(watched)
        self._count += 1
        if self._timer is None:
            self._wait()

    def discard(self, watched: Watched) -> None:
        part = self._part(watched)
        if watched in part:
            part.discard(watched)
            self._count -= 1

    def _part(self, watched: Watched) -> set[Watched]:
        """Always the same, so that nobody has to remember it."""
        return self._parts[hash(watched) % PARTS]

    def _wait(self) -> None:
        self._timer = self._loop.call_later(TICK / PARTS, self._look)

    def _look(self) -> None:
        part, self._next = self._parts[self._next], (self._next + 1) % PARTS
        if self._count:
            self._wait()
        else:
            self._timer = None
        for watched in tuple(part):
            watched.tick()


# The running loop's.
watch = OncePerLoop(Watch)
