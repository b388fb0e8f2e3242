"""The statements of each batch, each read and each look, by hand.

The ORM makes an instance of each row and a parameter of each value, and compiles that anew each time: 200 µs of our CPU
for each of thirty who come together, and 400 for each who goes, where these take 70 and 50. A list of keys is one
parameter here, and so are the rows of a batch, which PostgreSQL and MariaDB unfold. SQLite is but a function call away
and is handed row by row. What happens seldom stays with the ORM. This module does not know what a claim is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_rooms.conf import settings
from django_rooms.presence import texts

# What changes with each change of a room's members, as its database says it: to be compared, and for nothing else.
Stamp = str

# By column. A UUID is said by its hexadecimal digits, which every database takes, however it keeps them.
Row = Mapping[str, Any]


class Known(NamedTuple):
    """How a member is known; ``shown``: and not out by the clock."""

    name: str
    info: str
    shown: bool


class Left(NamedTuple):
    """A member, by the columns of ``models.Member``."""

    key: UUID
    room: UUID
    room_name: str
    person_key: str
    person_name: str
    info: str
    since: int

    def row(self) -> Row:
        return {**self._asdict(), "key": self.key.hex, "room": self.room.hex}


def occupied(rooms: Iterable[UUID]) -> set[UUID]:
    """Those of ``rooms`` that have a row."""
    return _those(list(rooms), "occupied")


def occupy(rooms: Iterable[UUID], stamp: UUID) -> None:
    """Have a row for each room, made in the order of their keys."""
    _execute("occupy", keys=_list(sorted(rooms, key=_number)), stamp=stamp.hex)


def lock(rooms: Iterable[UUID]) -> set[UUID]:
    """Lock the rooms that there are, in the order of their keys, but for those that somebody holds.

    Inside a transaction, as its first statement.
    """
    if not texts.words().locking:
        # SQLite: a transaction that reads and then writes finds the database locked, and waiting does not help it.
        _execute("begin")
    return _those(sorted(rooms, key=_number), "lock")


def before(lease: UUID, members: Sequence[UUID]) -> tuple[int | None, dict[UUID, Known]]:
    """The present moment, if the lease is alive; and those of ``members`` who are there."""
    now, found = None, {}
    for number, name, info, value in _fetch("before", keys=_list(members), lease=lease.hex):
        if number:
            found[members[number - 1]] = Known(name, info, bool(value))
        else:
            now = value
    return now, found


def save(presences: Sequence[Row]) -> None:
    """Those who are here, with as many connections as are said, whether they were before or not."""
    _write("save", presences)


def let_leave(presences: Sequence[Row]) -> None:
    """Those who are leaving. Who is not there any more does not come back."""
    _write("let leave", presences)


def join(members: Sequence[Row]) -> None:
    _write("join", members)


def rename(members: Sequence[Row]) -> None:
    _write("rename", members)


def announce(announcements: Sequence[Row]) -> None:
    _write("announce", announcements)


def stamp(rooms: Iterable[UUID], stamp: UUID) -> None:
    _execute("stamp", keys=_list(rooms), stamp=stamp.hex)


def due(most: int) -> list[UUID]:
    """Rooms with somebody whose time is over, or whose process is dead."""
    return [_uuid(room) for (room,) in _fetch("due", most=most)]


def over(rooms: Iterable[UUID], lease: UUID, most: int) -> tuple[int | None, list[tuple[UUID, UUID]]]:
    """The present moment, if the lease is alive; and presences in ``rooms`` whose time is over, with their members."""
    found = _fetch("over", keys=_list(rooms), lease=lease.hex, most=most)
    now = next((moment for key, _, moment in found if key is None), None)
    return now, [(_uuid(key), _uuid(member)) for key, member, _ in found if key is not None]


def left(members: Iterable[UUID]) -> list[Left]:
    """Those of ``members`` who have no presence any more."""
    return [Left(_uuid(key), _uuid(room), *rest) for key, room, *rest in _fetch("left", keys=_list(members))]


def vacant(rooms: Iterable[UUID]) -> set[UUID]:
    """Those of ``rooms`` that nobody is in."""
    return _those(list(rooms), "vacant")


def remove_presences(keys: Iterable[UUID]) -> None:
    _execute("remove presences", keys=_list(keys))


def remove_members(keys: Iterable[UUID]) -> None:
    _execute("remove members", keys=_list(keys))


def remove_rooms(keys: Iterable[UUID]) -> None:
    _execute("remove rooms", keys=_list(keys))


def soonest() -> int | None:
    """Milliseconds until the next one's time is over, or the next lease, as far as anybody knows now."""
    (times,) = _fetch("soonest")
    return min((time for time in times if time is not None), default=None)


def stamps(rooms: Iterable[UUID]) -> list[tuple[int, Stamp]]:
    """Of those rooms that somebody is in the place in ``rooms``, from 1, and the stamp."""
    return _fetch("stamps", keys=_list(rooms))


class Rooms(NamedTuple):
    stamps: dict[UUID, Stamp]
    counts: dict[UUID, int]
    # Somebody is to be put out by the process that has the lease.
    expelled: bool


def rooms(wanted: Sequence[UUID], lease: UUID | None, *, sure: bool) -> Rooms:
    """``sure``: whoever is out by the clock is not counted. All are of one moment."""
    found = Rooms({}, {}, False)
    rows = _fetch("rooms, surely" if sure else "rooms", keys=_list(wanted), lease=lease.hex if lease else None)
    for number, stamp, count in rows:
        if stamp is not None:
            found.stamps[wanted[number - 1]] = stamp
        elif number:
            found.counts[wanted[number - 1]] = count
        else:
            found = found._replace(expelled=True)
    return found


def members(wanted: Sequence[UUID], *, sure: bool) -> list[tuple[int, str, str, str]]:
    """Of everybody, in the order in which they came, the room's place in ``wanted``, from 1, key, name and info."""
    return _fetch("members, surely" if sure else "members", keys=_list(wanted))


_number = attrgetter("int")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _those(keys: list[UUID], what: str) -> set[UUID]:
    return {keys[number - 1] for (number,) in _fetch(what, keys=_list(keys))}


def _write(what: str, rows: Sequence[Row]) -> None:
    if rows and texts.words().column:
        _execute(what, rows=_encode(rows))
    elif rows:
        with _connection().cursor() as cursor:
            cursor.executemany(texts.text(what), rows)


def _execute(what: str, **given: Any) -> None:
    with _connection().cursor() as cursor:
        cursor.execute(texts.text(what), given)


def _fetch(what: str, **given: Any) -> list[Any]:
    with _connection().cursor() as cursor:
        cursor.execute(texts.text(what), given)
        return cursor.fetchall()


def _list(keys: Iterable[UUID]) -> str:
    opening, closing = texts.words().brackets
    digits = '","'.join([key.hex for key in keys])
    return f'{opening}"{digits}"{closing}' if digits else opening + closing


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _connection() -> BaseDatabaseWrapper:
    return connections[settings.DATABASE]
