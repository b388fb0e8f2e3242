"""What reads the log: pages for people, extracts for feeds, and heads for the look.

Synchronous, on the current thread's connection to the database that is written. Each read first numbers what is
pending in its rooms, unless it runs inside a transaction of the host's.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import DatabaseError
from django.db.models import OuterRef, Subquery

from django_rooms.log import pending, statements, store
from django_rooms.log.appends import Number
from django_rooms.models import Entry, RoomLog, rows
from django_rooms.names import room_key
from django_rooms.protocol import entries
from django_rooms.protocol.entries import BLANK, Kind, Position, gone
from django_rooms.protocol.feed import fitting

logger = logging.getLogger("django_rooms")

# The entries that one extract has at most, and the characters of a page or an extract beyond its first entry.
EXTRACT = 256
CHARACTERS = 256 * 1024


@dataclass(frozen=True)
class Page:
    """The newest messages of a room, or those before an offset; ``position`` is where a client goes on from."""

    position: Position
    entries: list[entries.Entry]
    more: bool

    @property
    def texts(self) -> list[str]:
        return [entry.text for entry in self.entries]


@dataclass(frozen=True)
class Extract:
    """A contiguous run of the log after the offset ``start``, encoded, and how far the log reaches on both sides."""

    epoch: str
    floor: int
    head: int
    start: int = 0
    texts: Sequence[str] = ()

    @property
    def last(self) -> int:
        """The offset that it reaches."""
        return self.start + len(self.texts)

    def recovers(self, position: Position) -> bool:
        """Whether a client at ``position`` misses nothing that it cannot be given. Before the log began, all can."""
        same = position.epoch == self.epoch or position == ("", 0)
        return same and self.floor <= position.offset <= self.head


class Head(NamedTuple):
    """How far a log reaches on both sides."""

    epoch: str
    offset: int
    floor: int


def page(name: str, limit: int, before: int | None = None, characters: float = CHARACTERS) -> Page:
    """The newest ``limit`` messages, or those before an offset, oldest first, as far as ``characters`` go.

    Messages are as they are today: edited ones have their newest body, removed ones none. The position is the last
    offset, of a change too, that *the same* statement read. What another statement read may be ahead of the messages,
    and a client that went on from there would miss some.
    """
    number_pending([name])
    room = _log(name)
    if room is None:
        return Page(Position("", 0), [], False)
    last = Subquery(rows(Entry).filter(room=OuterRef("room")).order_by("-offset").values("offset")[:1])
    messages = rows(Entry).filter(room=room.key, kind=Kind.MESSAGE).order_by("-offset").annotate(last=last)
    if before is not None:
        messages = messages.filter(offset__lt=before)
    found = list(messages[: limit + 1])
    # No messages were found after the room's row was read, so that the row's offset is not ahead of them.
    position = Position(room.epoch, found[0].last if found else room.last_offset)
    newest_first = [row.value() for row in found]
    taken = _fitting(newest_first[:limit], characters)
    return Page(position, taken[::-1], len(taken) < len(found))


def message(name: str, offset: int) -> entries.Entry | None:
    """The message at ``offset`` as it is today, unless it was removed: what somebody may want to change."""
    found = rows(Entry).filter(room=room_key(name), offset=offset, kind=Kind.MESSAGE).exclude(body=BLANK).first()
    return found.value() if found else None


def after(name: str, offset: int, limit: int = EXTRACT) -> Extract:
    """The entries after ``offset``, contiguous: a row that the host deleted is an entry of kind ``gone``."""
    number_pending([name])
    return _extract(name, _log(name), offset, limit)


def newest(name: str, limit: int) -> Extract:
    """The last ``limit`` entries, contiguous: where a feed begins."""
    number_pending([name])
    room = _log(name)
    return _extract(name, room, max(0, room.last_offset - limit) if room else 0, limit)


def heads(names: Sequence[str]) -> dict[str, Head]:
    """Where the logs of ``names`` end, in one query where nothing is pending; rooms without a log are left out."""
    keys = [room_key(name) for name in names]
    ends, waiting = statements.heads(keys)
    if waiting and not pending.in_host_transaction():
        number_pending(names)
        ends, _ = statements.heads(keys)
    return {name: Head(epoch, last, floor) for name, epoch, last, floor in ends}


def number_pending(names: Sequence[str]) -> None:
    """Give what was committed in other transactions its place. What fails is tried again by the next read."""
    if pending.in_host_transaction():
        return
    if waiting := pending.waiting([room_key(name) for name in names]):
        try:
            store.append([Number(name) for name in waiting])
        except DatabaseError as error:
            logger.warning("What is pending in %d rooms could not be numbered yet: %s", len(waiting), error)


def _log(name: str) -> RoomLog | None:
    return rows(RoomLog).filter(key=room_key(name)).first()


def _extract(name: str, room: RoomLog | None, offset: int, limit: int) -> Extract:
    """The row and the entries are two statements: what was pruned between them is not what the host deleted."""
    while room is not None:
        start = max(offset, room.floor)
        wanted = range(start + 1, min(offset + limit, room.last_offset) + 1)
        found = _entries(room, wanted)
        again = room if len(found) == len(wanted) else _log(name)
        if again is not None and (again.epoch, again.floor) == (room.epoch, room.floor):
            texts = fitting(((found.get(place) or gone(place)).text for place in wanted), CHARACTERS)
            return Extract(room.epoch, room.floor, room.last_offset, start, texts)
        room = again
    return Extract("", 0, 0)


def _entries(room: RoomLog, wanted: range) -> dict[int, entries.Entry]:
    found = rows(Entry).filter(room=room.key, offset__gte=wanted.start, offset__lt=wanted.stop).order_by("offset")
    return {row.offset: row.value() for row in found} if wanted else {}


def _fitting(found: list[entries.Entry], characters: float) -> list[entries.Entry]:
    return found[: len(fitting((entry.text for entry in found), characters))]
