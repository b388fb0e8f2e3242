"""One room in one process: follows the room's log as a replica does.

A feed knows the offset that it has delivered and keeps a bounded tail of encoded entries. What it hears may be lost,
doubled, delayed or out of order; what it delivers is not. Connections hold no entries: each is an offset into this
feed, and asks for what comes after it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple

from django_rooms.protocol import frames
from django_rooms.protocol.entries import blank, blanking, is_edit
from django_rooms.protocol.text import size_of

# Entries held back behind a gap, and their characters. Beyond it they are let go: the log has them.
MAX_HELD = 256
MAX_HELD_CHARACTERS = 256 * 1024

# What one frame takes from the tail, and how many such frames are kept for others at the same offset.
RUN_ENTRIES = 256
RUN_CHARACTERS = 64 * 1024
KEPT_RUNS = 16


class Heard(Enum):
    """What a piece of news did to the feed."""

    NOTHING = auto()
    DELIVERED = auto()
    GAP = auto()
    RESET = auto()


class Run(NamedTuple):
    """A contiguous run of entries, as the frame that every connection at its start is sent."""

    frame: str
    # Its bytes in UTF-8.
    size: int
    last: int


def fitting(texts: Iterable[str], characters: float) -> list[str]:
    """As many of ``texts`` as go together into ``characters``, and the first in any case."""
    taken: list[str] = []
    for text in texts:
        characters -= len(text)
        if taken and characters < 0:
            break
        taken.append(text)
    return taken


class Feed:
    def __init__(self, room: str, *, max_characters: int) -> None:
        self.room = room
        self.epoch = ""
        self.delivered = 0
        self.head = 0
        self.characters = 0
        self.max_characters = max_characters
        # How often something that was delivered was to be blanked: who keeps copies lets go of them then.
        self.blanked = 0
        self._tail: deque[str] = deque()
        self._held: dict[int, str] = {}
        self._runs: dict[int, Run] = {}

    @property
    def behind(self) -> bool:
        """The log is known to reach further than what was delivered."""
        return self.delivered < self.head

    @property
    def tail_start(self) -> int:
        """The offset after which the tail holds everything."""
        return self.delivered - len(self._tail)

    def open(self, epoch: str, delivered: int, texts: Sequence[str]) -> None:
        """Start, or start over, at ``delivered``, of which ``texts`` are the last entries."""
        self.epoch, self.delivered, self.head = epoch, delivered, delivered
        self._forget_tail()
        self._held.clear()
        self._runs.clear()
        for text in texts:
            self._append(text)

    def hear(self, epoch: str, first: int, texts: Iterable[str], head: int) -> Heard:
        """News of the log: it reaches ``head``, and ``texts`` are its entries from ``first`` on."""
        if epoch != self.epoch:
            if self.epoch:
                return Heard.RESET
            self.epoch = epoch
        self.head = max(self.head, head)
        before = self.delivered
        for offset, text in enumerate(texts, first):
            if offset == self.delivered + 1:
                self._deliver(text)
            elif offset > self.delivered and self._may_hold(text):
                self._held[offset] = text
        while (text_held := self._held.pop(self.delivered + 1, None)) is not None:
            self._deliver(text_held)
        if self.delivered != before:
            if self._held:
                self._held = {offset: text for offset, text in self._held.items() if offset > self.delivered}
            self._runs.clear()
            return Heard.GAP if self.behind else Heard.DELIVERED
        return Heard.GAP if self.behind else Heard.NOTHING

    def after(self, offset: int) -> Run | None:
        """What was delivered after ``offset``, encoded once for all who are there; ``None``: read the log."""
        if offset >= self.delivered or offset < self.tail_start:
            return None
        run = self._runs.get(offset)
        if run is None:
            texts = self.texts_after(offset)
            frame = frames.entries(self.room, texts, epoch=self.epoch if offset == 0 else None)
            if len(self._runs) >= KEPT_RUNS:
                del self._runs[next(iter(self._runs))]
            run = self._runs[offset] = Run(frame, size_of(frame), offset + len(texts))
        return run

    def texts_after(self, offset: int) -> list[str]:
        """The entries after ``offset`` that one frame takes; the tail must reach back so far."""
        if offset == self.delivered - 1:
            return [self._tail[-1]]
        start = offset - self.tail_start
        return fitting(islice(self._tail, start, start + RUN_ENTRIES), RUN_CHARACTERS)

    def newest(self, count: int) -> list[str] | None:
        """The last ``count`` entries, or as many as one frame takes; ``None``: read the log."""
        if self.delivered - count < self.tail_start and self.characters < RUN_CHARACTERS:
            return None
        return fitting(islice(reversed(self._tail), count), RUN_CHARACTERS)[::-1]

    def trim(self, max_characters: int) -> None:
        """Let go of the oldest entries beyond ``max_characters``; who needs them reads the log.

        Frames are made again when they are asked for: nobody may come for them any more.
        """
        self._runs.clear()
        self.max_characters = max_characters
        while self.characters > max_characters and self._tail:
            self.characters -= len(self._tail.popleft())

    def _may_hold(self, text: str) -> bool:
        characters = sum(map(len, self._held.values()))
        return len(self._held) < MAX_HELD and characters + len(text) <= MAX_HELD_CHARACTERS

    def _deliver(self, text: str) -> None:
        if (target := blanking(text)) is not None:
            self._blank(target)
        self.delivered += 1
        self.head = max(self.head, self.delivered)
        self._append(text)

    def _blank(self, target: int) -> None:
        """What is removed leaves the memory too. An erasure may be about all that is here: the log has the rest."""
        self.blanked += 1
        if target == 0:
            self._forget_tail()
            return
        for index, text in enumerate(self._tail):
            if self.tail_start + index + 1 == target or is_edit(text, target):
                self._tail[index] = blank(text)
                self.characters += len(self._tail[index]) - len(text)

    def _forget_tail(self) -> None:
        self._tail.clear()
        self.characters = 0

    def _append(self, text: str) -> None:
        self._tail.append(text)
        self.characters += len(text)
        if self.characters > self.max_characters:
            self.trim(self.max_characters)
