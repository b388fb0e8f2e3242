"""The log: the only giver of offsets.

Synchronous, on the current thread's connection to the database that holds the rooms. It knows nothing of feeds,
layers or sockets; who wants to hear of what was committed adds a callable to ``listeners``.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet

from django_rooms import models
from django_rooms.conf import settings
from django_rooms.log import pending, statements
from django_rooms.log.appends import Append, Held, Number, UnknownTarget
from django_rooms.log.changes import Changes
from django_rooms.models import RoomLog, aware, rows
from django_rooms.names import room_key
from django_rooms.protocol.entries import Entry

logger = logging.getLogger("django_rooms")


@dataclass
class News:
    """What a transaction added to a room's log."""

    room: str
    epoch: str
    entries: list[Entry]

    @property
    def texts(self) -> list[str]:
        return [entry.text for entry in self.entries]

    @property
    def first(self) -> int:
        return self.entries[0].offset or 0

    @property
    def head(self) -> int:
        return self.entries[-1].offset or 0


listeners: list[Callable[[list[News]], None]] = []


@dataclass(slots=True)
class Log:
    """A room's row, locked."""

    room: str
    epoch: str
    last_offset: int
    floor: int


def append(batch: Sequence[Append | Number]) -> list[Entry | Held | UnknownTarget | None]:
    """Store ``batch`` in one transaction, after what is pending in its rooms, and tell the listeners.

    For each item its entry: the first one where the same thing was stored before, ``None`` for a :class:`Number`.
    The statements are the same few for any number of rooms: lock the rooms in one order, look up what is pending and
    what is repeated, then what is to be changed, and only then count offsets, so that there is never a hole.
    """
    names = {item.room_key: item.room for item in batch}
    stored = None
    while stored is None:
        with transaction.atomic(using=settings.DATABASE):
            logs = lock(names)
            absent = _absent(names.keys() - logs.keys())
            new = _to_make(batch, absent) if absent else ()
            stored = None if new else _store(batch, logs, absent)
        if new:
            # Not in the batch's transaction. Others who make the same room wait for whoever has not committed it yet,
            # and a process may be stopped in the middle of a batch; rooms that it merely holds are passed over.
            rows(RoomLog).bulk_create(_new_logs(new, names), ignore_conflicts=True)
    outcomes, news = stored
    tell(news)
    return outcomes


def _absent(keys: Collection[UUID]) -> set[UUID]:
    """Those that have no log; the others are held by somebody."""
    return set(keys).difference(rows(RoomLog).filter(key__in=keys).values_list("key", flat=True)) if keys else set()


def _to_make(batch: Sequence[Append | Number], absent: set[UUID]) -> set[UUID]:
    """Of those without a log the ones that get one: a change makes none."""
    return {item.room_key for item in batch if isinstance(item, Number) or item.target is None} & absent


def _store(
    batch: Sequence[Append | Number], logs: dict[UUID, Log], absent: set[UUID]
) -> tuple[list[Entry | Held | UnknownTarget | None], list[News]]:
    asked = [item for item in batch if isinstance(item, Append) and item.room_key in logs]
    waiting, known = statements.unsettled(logs, [item.key for item in asked]) if logs else (set(), set())
    earlier, unfinished = pending.oldest(waiting)
    committed = [pending.as_append(row) for row in earlier]
    if committed:
        asked = [item for item in asked if item.room_key not in unfinished]
        known |= statements.stored(item.key for item in committed)
    stored, news = number([*committed, *asked], logs, known)
    if earlier:
        models.delete(models.Pending, [row.pk for row in earlier])
    for item in committed:
        if isinstance(refused := stored[item.key], UnknownTarget):
            logger.warning("What a committed transaction was to change is no more: %s", refused)

    def outcome(item: Append | Number) -> Entry | Held | UnknownTarget | None:
        if item.room_key in absent:
            assert isinstance(item, Append)  # Where something is pending, and nothing to be changed, a log is made.
            return UnknownTarget(item)
        if item.room_key not in logs or item.room_key in unfinished:
            return Held.HELD
        return stored[item.key] if isinstance(item, Append) else None

    return [outcome(item) for item in batch], news


def number(
    appends: list[Append], logs: dict[UUID, Log], known: set[UUID]
) -> tuple[dict[UUID, Entry | UnknownTarget], list[News]]:
    """Store what is not there yet in ``logs``, which are locked. Return what became of all, by key, and what is new.

    The keys that are ``known`` have an entry. The caller tells the news, after the commit.
    """
    stored = _stored(appends, logs, known)
    refused: dict[UUID, UnknownTarget] = {}
    changes = Changes(item for item in appends if item.key not in stored)
    now = models.now()
    at, new = aware(now), dict[UUID, list[Append]]()
    for item in appends:
        if item.key in stored or item.key in refused:
            logger.debug("A repeated id was answered: %r of %s in the room %r.", item.id, item.sender, item.room)
        elif not changes.takes(item):
            refused[item.key] = UnknownTarget(item)
        else:
            log = logs[item.room_key]
            log.last_offset += 1
            stored[item.key] = _entry(item, log.last_offset, at)
            new.setdefault(item.room_key, []).append(item)
            changes.add(item, log.last_offset)
    changes.blank(stored)
    if new:
        statements.write([item.row(stored[item.key]) for items in new.values() for item in items], now)
        changes.save()
    news = [News(logs[key].room, logs[key].epoch, [stored[item.key] for item in new[key]]) for key in new]
    return {**stored, **refused}, news


def _entry(item: Append, offset: int, at: datetime) -> Entry:
    return Entry(offset, item.kind, item.id, item.author, at, item.body_text, offset, item.target)


def _stored(appends: list[Append], logs: dict[UUID, Log], known: set[UUID]) -> dict[UUID, Entry]:
    """What of ``appends`` was stored before; of what was pruned since, no more than its offset is known."""
    found = {row.key: row.value() for row in rows(models.Entry).filter(key__in=known)} if known else {}
    by_key = {item.key: item for item in appends if logs[item.room_key].floor and item.key not in found}
    pruned = statements.pruned(by_key) if by_key else ()
    for row in rows(models.PrunedId).filter(key__in=pruned) if pruned else ():
        found[row.key] = _entry(by_key[row.key], row.offset, aware(row.pruned_at))
    return found


def has(item: Append) -> bool:
    """Whether it was stored before, as far as the current transaction can see."""
    return any(rows(model).filter(key=item.key).exists() for model in (models.Entry, models.PrunedId))


def lock(keys: Collection[UUID]) -> dict[UUID, Log]:
    """Lock rooms that have a log, in the order of their keys; leave out those that somebody holds."""
    return {room_key(row[0]): Log(*row) for row in statements.lock(keys)} if keys else {}


def _new_logs(keys: Iterable[UUID], names: dict[UUID, str]) -> list[RoomLog]:
    """Rows for new rooms. A row that a host deleted comes back with another epoch, and after the entries it left."""
    left = rows(models.Entry).filter(room__in=keys).values_list("room").annotate(Max("offset"))
    ends, now = dict(left), models.now()
    times = {"created_at": now, "last_at": now}
    return [
        RoomLog(key=key, name=names[key], epoch=_new_epoch(), last_offset=ends.get(key, 0), **times)
        for key in sorted(keys)
    ]


def renew_all(logs: QuerySet[RoomLog]) -> int:
    """Give them another epoch, so that whoever was there starts over; return how many there are."""
    return logs.order_by().update(epoch=_new_epoch())


def renew(name: str, epoch: str, below: int) -> None:
    """Give the room another epoch, if ``epoch`` is still its own and its log ends below an offset that was seen.

    Then the database was restored, or failed over with a loss, and offsets would be given a second time.
    """
    rows(RoomLog).filter(key=room_key(name), epoch=epoch, last_offset__lt=below).update(epoch=_new_epoch())


def _new_epoch() -> str:
    return secrets.token_urlsafe(6)


def tell(news: list[News]) -> None:
    """It is committed: what goes wrong here is found by the look, and is no failure of the publish."""
    if news:
        for listener in listeners:
            try:
                listener(news)
            except Exception:
                logger.exception("What was committed could not be told: %.300r", news)
