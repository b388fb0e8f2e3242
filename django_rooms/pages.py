"""What reads the log: pages for people, extracts for feeds, and heads for the look.

Synchronous, on the current thread's connection to the database that is written. Each read first numbers what is
pending in its rooms, unless it runs inside a transaction of the host's.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DatabaseError

from django_rooms import log, pending
from django_rooms.appends import Number
from django_rooms.models import Entry, RoomLog, rows
from django_rooms.names import room_key
from django_rooms.protocol import entries
from django_rooms.protocol.entries import Position, gone
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
    """A contiguous run of the log after some offset, and how far the log reaches on both sides."""

    epoch: str
    floor: int
    head: int
    entries: list[entries.Entry]

    @property
    def texts(self) -> list[str]:
        return [entry.text for entry in self.entries]

    def recovers(self, position: Position) -> bool:
        """Whether a client at ``position`` misses nothing that it cannot be given. Before the log began, all can."""
        same = position.epoch == self.epoch or position == ("", 0)
        return same and self.floor <= position.offset <= self.head


def page(name: str, limit: int, before: int | None = None, characters: float = CHARACTERS) -> Page:
    """The newest ``limit`` messages, or those before an offset, oldest first, as far as ``characters`` go.

    The position is the last offset that *one* statement read. A column read by another statement may be ahead of
    the entries, and a client that went on from there would miss some.
    """
    number_pending([name])
    room = _log(name)
    if room is None:
        return Page(Position("", 0), [], False)
    found = rows(Entry).filter(room=room.key).order_by("-offset")
    if before is not None:
        found = found.filter(offset__lt=before)
    newest_first = [row.value() for row in found[: limit + 1]]
    # An empty log was read after its row, so that the row's offset is not ahead of it.
    last = newest_first[0].offset if newest_first else room.last_offset
    taken = _fitting(newest_first[:limit], characters)
    return Page(Position(room.epoch, last or 0), taken[::-1], len(taken) < len(newest_first))


def after(name: str, offset: int, limit: int = EXTRACT) -> Extract:
    """The entries after ``offset``, contiguous: a row that the host deleted is an entry of kind ``gone``."""
    number_pending([name])
    return _extract(_log(name), offset, limit)


def newest(name: str, limit: int) -> Extract:
    """The last ``limit`` entries, contiguous: where a feed begins."""
    number_pending([name])
    room = _log(name)
    return _extract(room, max(0, room.last_offset - limit) if room else 0, limit)


def heads(names: Sequence[str]) -> dict[str, Position]:
    """Where the logs of ``names`` end, in one query; rooms without a log are left out."""
    number_pending(names)
    found = rows(RoomLog).filter(key__in=[room_key(name) for name in names])
    return {name: Position(epoch, last) for name, epoch, last in found.values_list("name", "epoch", "last_offset")}


def number_pending(names: Sequence[str]) -> None:
    """Give what was committed in other transactions its place. What fails is tried again by the next read."""
    if pending.in_host_transaction():
        return
    if waiting := pending.waiting([room_key(name) for name in names]):
        try:
            log.append([Number(name) for name in waiting])
        except DatabaseError as error:
            logger.warning("What is pending in %d rooms could not be numbered yet: %s", len(waiting), error)


def _log(name: str) -> RoomLog | None:
    return rows(RoomLog).filter(key=room_key(name)).first()


def _extract(room: RoomLog | None, offset: int, limit: int) -> Extract:
    if room is None:
        return Extract("", 0, 0, [])
    last = min(room.last_offset, offset + limit)
    found = rows(Entry).filter(room=room.key, offset__gt=offset, offset__lte=last).order_by("offset")
    by_offset = {row.offset: row.value() for row in found}
    wanted = range(max(offset, room.floor) + 1, last + 1)
    run = _fitting([by_offset.get(place) or gone(place) for place in wanted], CHARACTERS)
    return Extract(room.epoch, room.floor, room.last_offset, run)


def _fitting(found: list[entries.Entry], characters: float) -> list[entries.Entry]:
    return found[: len(fitting((entry.text for entry in found), characters))]
