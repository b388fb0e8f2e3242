"""What waits to be stored: in its order within each room, and no room waits for another that is held."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from django_rooms.log.appends import Append, Number
from django_rooms.log.receipt import Receipt

# What one transaction takes. MariaDB refuses a statement of more than 16 MiB, and escapes make texts longer.
MAX_BATCH = 500
MAX_BATCH_CHARACTERS = 1024 * 1024


@dataclass(eq=False, slots=True)
class Job:
    """An item, and what was given for it."""

    item: Append | Number
    since: float = field(default_factory=time.monotonic)
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def room(self) -> str:
        return self.item.room

    @property
    def characters(self) -> int:
        return len(self.item.body_text) if isinstance(self.item, Append) else 0


class Backlog:
    """Not thread-safe: its writer has a lock."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        # The jobs of rooms that were held when they were last tried.
        self._aside: dict[str, deque[Job]] = {}

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._aside.values()))

    @property
    def only_held(self) -> bool:
        """Nothing waits but what was held a moment ago."""
        return not self._waiting

    def add(self, job: Job) -> None:
        self._waiting.append(job)

    def take(self) -> list[Job]:
        """The next batch: one job of each room that was held, to try it again, and then what waits."""
        batch = [self._next_of(room) for room in list(self._aside)[: MAX_BATCH // 2]]
        characters = sum(job.characters for job in batch)
        while self._waiting and len(batch) < MAX_BATCH and characters < MAX_BATCH_CHARACTERS:
            job = self._waiting.popleft()
            if job.room in self._aside:
                self._aside[job.room].append(job)
            else:
                batch.append(job)
                characters += job.characters
        return batch

    def _next_of(self, room: str) -> Job:
        # To the end of the line of rooms: however many are held, each is tried again.
        jobs = self._aside[room] = self._aside.pop(room)
        return jobs.popleft()

    def put_back(self, tried: Iterable[Job], held: Iterable[Job]) -> None:
        """After a batch was tried: put what was held aside, and the rest of each room that was not first in line."""
        held = list(held)
        for job in reversed(held):
            self._aside.setdefault(job.room, deque()).appendleft(job)
        for room in {job.room for job in tried} - {job.room for job in held}:
            self._waiting.extendleft(reversed(self._aside.pop(room, deque())))

    def clear(self, room: str | None = None) -> list[Job]:
        """Take everything out, or all of one room, in order within each room."""
        rooms = list(self._aside) if room is None else [room]
        aside = [job for name in rooms for job in self._aside.pop(name, ())]
        waiting = [job for job in self._waiting if room in (None, job.room)]
        self._waiting = deque() if room is None else deque(job for job in self._waiting if job.room != room)
        return aside + waiting
