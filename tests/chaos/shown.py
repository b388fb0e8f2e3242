"""What messages were and are: as a client shows them, by the rule of docs/wire.md, and as the log tells of them.

Pure. The two know nothing of each other, so that they can be compared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chaos.evidence import EDIT, MESSAGE, REMOVAL, Log, Run, Said, Seen


@dataclass
class Screen:
    """What a client shows after ``take``: the text of each message that it has, and the version that it has of it."""

    texts: dict[int, str | None] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    # The changes that had come with their message already.
    known: int = 0

    @classmethod
    def of(cls, run: Run) -> "Screen":
        screen = cls()
        for seen in (*run.page, *run.seen):
            screen.take(seen)
        return screen

    def take(self, seen: Seen) -> None:
        if seen.kind == MESSAGE:
            self._show(seen.offset, seen.text, seen.version)
        elif seen.kind in (EDIT, REMOVAL) and seen.target in self.versions:
            if seen.offset > self.versions[seen.target]:
                self._show(seen.target, seen.text, seen.offset)
            else:
                self.known += 1

    def _show(self, offset: int, text: str | None, version: int) -> None:
        self.texts[offset], self.versions[offset] = text, version


class Past:
    """Every version that each message of a log has had. The log has today's alone, so the words are those sent."""

    def __init__(self, log: Log, sent: Mapping[str, Said]) -> None:
        # By the message's offset the text of each version, by the offset of the change that made it.
        self.versions: dict[int, dict[int, str | None]] = {}
        self.removed: dict[int, int] = {}
        # Changes that have nothing to be about.
        self.idle: list[Seen] = []
        self._words = {row.offset: sent[row.id].text if row.id in sent else row.text for row in log.rows}
        for row in sorted(log.rows, key=lambda row: row.offset):
            self._add(row)

    def _add(self, row: Seen) -> None:
        if row.kind == MESSAGE:
            self.versions[row.offset] = {row.offset: self._words[row.offset]}
        elif row.target not in self.versions or row.target in self.removed:
            self.idle.append(row)
        else:
            self.versions[row.target][row.offset] = self._words[row.offset] if row.kind == EDIT else None
            if row.kind == REMOVAL:
                self.removed[row.target] = row.offset

    def is_removed(self, row: Seen) -> bool:
        """Whether ``row`` is, or is about, a message that was removed: then nobody is to find its words."""
        return row.kind == REMOVAL or (row.offset if row.target is None else row.target) in self.removed

    def texts(self, row: Seen, version: int) -> Iterable[str | None]:
        """What ``row`` could be given with, in a ``version`` of it."""
        if self.is_removed(row):
            yield None
        if row.kind == MESSAGE:
            yield from [text for offset, text in self.versions[row.offset].items() if offset == version]
        elif row.kind != REMOVAL:
            yield self._words[row.offset]

    def today(self, row: Seen) -> tuple[str | None, int]:
        """The text and the version that ``row`` is to have in the end."""
        version = max(self.versions[row.offset]) if row.kind == MESSAGE else row.offset
        return None if self.is_removed(row) else list(self.texts(row, version))[-1], version
