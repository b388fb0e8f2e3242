"""The log: the only giver of offsets, and what reads them back.

Everything here is synchronous and runs on the current thread's connection to the database that holds the rooms, which
is the writing one: a replica is behind. It knows nothing of feeds, layers or sockets; who wants to hear of what was
committed adds a callable to ``listeners``.
"""

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F, Max, Model, QuerySet
from django.utils import timezone

from django_rooms import models
from django_rooms.conf import settings
from django_rooms.names import entry_key, room_key
from django_rooms.protocol.entries import Author, Entry, Position, gone
from django_rooms.protocol.feed import fitting

logger = logging.getLogger("django_rooms")

BLOCK = 256

# What one page or extract holds at most, beyond its first entry.
PAGE_CHARACTERS = 256 * 1024

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Append:
    """What is to be stored. The same ``id`` of the same ``sender`` counts once in a room."""

    room: str
    sender: str
    id: str
    body_text: str
    author: Author | None = None
    kind: str = "message"

    @cached_property
    def room_key(self) -> UUID:
        return room_key(self.room)

    @cached_property
    def key(self) -> UUID:
        return entry_key(self.room_key, self.sender, self.id)


@dataclass(frozen=True)
class Number:
    """Give what is pending in ``room`` its place; nothing new is stored."""

    room: str

    @cached_property
    def room_key(self) -> UUID:
        return room_key(self.room)


class Held(Enum):
    """Another process holds the room just now; try that item again."""

    HELD = auto()


@dataclass(frozen=True)
class News:
    """What a transaction added to a room's log."""

    room: str
    epoch: str
    entries: list[Entry]

    @property
    def head(self) -> int:
        return self.entries[-1].offset or 0


@dataclass(frozen=True)
class Page:
    """The newest messages of a room, or those before an offset; ``position`` is where a client goes on from."""

    position: Position
    entries: list[Entry]
    more: bool


@dataclass(frozen=True)
class Extract:
    """A contiguous run of the log after some offset, and how far the log reaches on both sides."""

    epoch: str
    floor: int
    head: int
    entries: list[Entry]

    def recovers(self, position: Position) -> bool:
        """Whether a client at ``position`` misses nothing that it cannot be given. Before the log began, all can."""
        same = position.epoch == self.epoch or position == ("", 0)
        return same and self.floor <= position.offset <= self.head


listeners: list[Callable[[list[News]], None]] = []


def in_host_transaction() -> bool:
    """Whether the current thread is in a transaction of somebody else's.

    An atomic block that only ``TestCase`` opened counts as none: its ``on_commit`` never runs. Django's own
    ``durable`` atomics see it in the same way.
    """
    connection = connections[settings.DATABASE]
    if connection.in_atomic_block:
        return not connection.atomic_blocks[-1]._from_testcase  # type: ignore[attr-defined]
    return connection.connection is not None and not connection.autocommit


def append(batch: Sequence[Append | Number]) -> list[Entry | Held | None]:
    """Store ``batch`` in one transaction, after what is pending in its rooms, and tell the listeners.

    For each item its entry: the first one where the same thing was stored before, ``None`` for a :class:`Number`.
    The statements are the same few for any number of rooms: lock the rooms in one order, fetch what is pending, look
    up repeats, and only then count offsets, so that there is never a hole.
    """
    names = {item.room_key: item.room for item in batch}
    with transaction.atomic(using=settings.DATABASE):
        logs = _lock(names)
        pending = list(_rows(models.Pending).filter(room__in=logs).order_by("id"))
        appends = [item for item in batch if isinstance(item, Append) and item.room_key in logs]
        appends = [*map(_append_of, pending), *appends]
        stored = {row.key: _entry(row) for row in _rows(models.Entry).filter(key__in=[item.key for item in appends])}
        now = _now()
        rows: list[models.Entry] = []
        added: dict[UUID, list[Entry]] = {}
        for item in appends:
            if item.key not in stored:
                room = logs[item.room_key]
                room.last_offset += 1
                room.last_at = now
                rows.append(row := _row(item, room.last_offset, now))
                stored[item.key] = entry = _entry(row)
                added.setdefault(room.key, []).append(entry)
        if rows:
            _rows(models.RoomLog).bulk_update([logs[room] for room in added], ["last_offset", "last_at"])
            _rows(models.Entry).bulk_create(rows)
        if pending:
            _rows(models.Pending).filter(pk__in=[row.pk for row in pending]).delete()
    _tell([News(names[key], logs[key].epoch, entries) for key, entries in added.items()])
    return [
        Held.HELD if item.room_key not in logs else stored[item.key] if isinstance(item, Append) else None
        for item in batch
    ]


def insert_pending(item: Append) -> Entry:
    """Publish inside the caller's transaction: one insert that no other transaction waits for.

    It has no offset yet. After the commit the entry is numbered by the first of: this process at once, the next batch
    of the room, any read of the room's head, another process's look.
    """
    row = _rows(models.Pending).create(
        room=item.room_key,
        name=item.room,
        kind=item.kind,
        sender=item.sender,
        entry_id=item.id,
        author_key=item.author.key if item.author else "",
        author_name=item.author.name if item.author else "",
        body=item.body_text,
        at=_now(),
    )
    return Entry(None, row.kind, row.entry_id, item.author, _aware(row.at), row.body, None)


def number_pending(names: Iterable[str]) -> None:
    """Give what was committed in other transactions its place, unless this thread is inside one itself."""
    if in_host_transaction():
        return
    keys = [room_key(name) for name in names]
    waiting = set(_rows(models.Pending).filter(room__in=keys).values_list("name", flat=True))
    if waiting:
        append([Number(name) for name in waiting])


def page(name: str, limit: int, before: int | None = None, characters: float = PAGE_CHARACTERS) -> Page:
    """The newest ``limit`` messages, or those before an offset, oldest first, as far as ``characters`` go.

    The position is the last offset that *one* statement read. A column read by another statement may be ahead of
    the entries, and a client that went on from there would miss some.
    """
    number_pending([name])
    log = _log(name)
    if log is None:
        return Page(Position("", 0), [], False)
    rows = _rows(models.Entry).filter(room=log.key).order_by("-offset")
    if before is not None:
        rows = rows.filter(offset__lt=before)
    newest_first = [_entry(row) for row in rows[: limit + 1]]
    # An empty log was read after its row, so that the row's offset is not ahead of it.
    last = newest_first[0].offset if newest_first else log.last_offset
    taken = _fitting(newest_first[:limit], characters)
    return Page(Position(log.epoch, last or 0), taken[::-1], len(taken) < len(newest_first))


def after(name: str, offset: int, limit: int = BLOCK) -> Extract:
    """The entries after ``offset``, contiguous: a row that the host deleted is an entry of kind ``gone``."""
    number_pending([name])
    log = _log(name)
    if log is None:
        return Extract("", 0, 0, [])
    last = min(log.last_offset, offset + limit)
    rows = _rows(models.Entry).filter(room=log.key, offset__gt=offset, offset__lte=last).order_by("offset")
    found = {row.offset: _entry(row) for row in rows}
    wanted = range(max(offset, log.floor) + 1, last + 1)
    entries = _fitting([found.get(place) or gone(place) for place in wanted], PAGE_CHARACTERS)
    return Extract(log.epoch, log.floor, log.last_offset, entries)


def newest(name: str, limit: int) -> Extract:
    """The last ``limit`` entries, contiguous: where a feed begins."""
    number_pending([name])
    log = _log(name)
    return after(name, max(0, log.last_offset - limit)) if log else Extract("", 0, 0, [])


def heads(names: Sequence[str]) -> dict[str, Position]:
    """Where the logs of ``names`` end, in one query; rooms without a log are left out."""
    number_pending(names)
    logs = _rows(models.RoomLog).filter(key__in=[room_key(name) for name in names])
    return {name: Position(epoch, last) for name, epoch, last in logs.values_list("name", "epoch", "last_offset")}


def _fitting(entries: list[Entry], characters: float) -> list[Entry]:
    return entries[: len(fitting((entry.text for entry in entries), characters))]


def _lock(names: dict[UUID, str]) -> dict[UUID, models.RoomLog]:
    """Lock the rooms in the order of their keys, making missing ones and leaving out those that somebody holds."""
    features = connections[settings.DATABASE].features
    logs = _rows(models.RoomLog).filter(key__in=names).order_by("key")
    if not features.has_select_for_update_skip_locked:
        # SQLite: the first statement of the transaction must be a write. One that reads and then writes finds the
        # database locked, and waiting does not help it.
        logs.order_by().update(last_offset=F("last_offset"))
    held = _locked(logs)
    missing = names.keys() - held.keys()
    if missing:
        there = _rows(models.RoomLog).filter(key__in=missing).values_list("key", flat=True)
        if new := missing - set(there):
            _rows(models.RoomLog).bulk_create(_new_logs(new, names), ignore_conflicts=True)
            held |= _locked(logs.filter(key__in=new))
    return held


def _new_logs(keys: Iterable[UUID], names: dict[UUID, str]) -> list[models.RoomLog]:
    """Rows for new rooms. A row that a host deleted comes back with another epoch, and after the entries it left."""
    left = _rows(models.Entry).filter(room__in=keys).values_list("room").annotate(Max("offset"))
    ends, now = dict(left), _now()
    return [
        models.RoomLog(
            key=key,
            name=names[key],
            epoch=secrets.token_urlsafe(6),
            last_offset=ends.get(key, 0),
            created_at=now,
            last_at=now,
        )
        for key in sorted(keys)
    ]


def _locked(logs: QuerySet[models.RoomLog]) -> dict[UUID, models.RoomLog]:
    features = connections[settings.DATABASE].features
    if features.has_select_for_update_skip_locked:
        logs = logs.select_for_update(skip_locked=True, no_key=features.has_select_for_no_key_update)
    return {log.key: log for log in logs}


def _log(name: str) -> models.RoomLog | None:
    return _rows(models.RoomLog).filter(key=room_key(name)).first()


def _rows(model: type[M]) -> QuerySet[M]:
    return model._base_manager.using(settings.DATABASE)


def _row(item: Append, offset: int, at: datetime) -> models.Entry:
    return models.Entry(
        room=item.room_key,
        offset=offset,
        key=item.key,
        kind=item.kind,
        sender=item.sender,
        entry_id=item.id,
        author_key=item.author.key if item.author else "",
        author_name=item.author.name if item.author else "",
        body=item.body_text,
        at=at,
        changed=offset,
    )


def _entry(row: models.Entry) -> Entry:
    author = Author(row.author_key, row.author_name) if row.author_key else None
    return Entry(row.offset, row.kind, row.entry_id, author, _aware(row.at), row.body, row.changed)


def _append_of(row: models.Pending) -> Append:
    author = Author(row.author_key, row.author_name) if row.author_key else None
    return Append(row.name, row.sender, row.entry_id, row.body, author, row.kind)


def _now() -> datetime:
    """Now, as the project keeps its times, in the milliseconds that the wire has."""
    now = timezone.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _aware(at: datetime) -> datetime:
    return at if timezone.is_aware(at) else timezone.make_aware(at)


def _tell(news: list[News]) -> None:
    """It is committed: what goes wrong here is found by the look, and is no failure of the publish."""
    if news:
        for listener in listeners:
            try:
                listener(news)
            except Exception:
                logger.exception("What was committed could not be told: %.300r", news)
