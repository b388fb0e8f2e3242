"""What the verdict is made of: rows of the log, what each client was given, what each publisher sent and was told.

Values. They know nothing of the package: rows come by SQL, records by the wire. What clients drop in silence, such as
an entry that comes twice, is here as it came.
"""

from dataclasses import dataclass, field

# As docs/wire.md names them.
MESSAGE, EDIT, REMOVAL = "message", "edit", "removal"


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry as a client was given it, or a row of the log. Without a ``text`` it is a removal, or was removed."""

    offset: int
    id: str
    text: str | None
    sender: str = ""
    kind: str = MESSAGE
    # The offset of the message that it changes.
    target: int | None = None
    # The offset of the last change to it; 0: its own.
    changed: int = 0

    @property
    def version(self) -> int:
        return self.changed or self.offset


@dataclass
class Log:
    room: str
    head: int
    rows: list[Seen]
    # The epochs that the log has had, the first one first. More than one: somebody renewed it.
    epochs: list[str]


@dataclass
class Run:
    """What a client was given from one start on: it never gave up its position in between."""

    epoch: str
    # The position that it started at: all that comes after it has to be given.
    start: int
    seen: list[Seen] = field(default_factory=list)
    # What it was shown to begin with, up to ``start``: messages alone, or with the changes among them.
    page: list[Seen] = field(default_factory=list)


@dataclass
class Record:
    """All that a client was given in a room."""

    who: str
    room: str
    runs: list[Run] = field(default_factory=list)
    # It came when all was over and everybody had everything: what was removed, it may not be given any more.
    afterwards: bool = False

    @property
    def position(self) -> tuple[str, int]:
        """As the client sends it: of what came last."""
        run = self.runs[-1]
        return run.epoch, run.seen[-1].offset if run.seen else run.start


@dataclass(frozen=True)
class Said:
    """A message, or a change of the message at ``target``."""

    id: str
    text: str | None
    kind: str = MESSAGE
    target: int | None = None


@dataclass
class Letters:
    """What somebody published in a room, in the order of sending, and what they were told of it."""

    who: str
    room: str
    sent: list[Said] = field(default_factory=list)
    # Each ``ok``, with the offset that it told. Acks of a view tell none: it was not given yet.
    acks: list[tuple[str, int | None]] = field(default_factory=list)
    tells_offsets: bool = True
    # The changes that came to nothing, for what they were about was no more.
    refused: list[str] = field(default_factory=list)
