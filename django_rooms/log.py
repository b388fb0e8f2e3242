"""The log: the only giver of offsets.

Synchronous, on the current thread's connection to the database that holds the rooms. It knows nothing of feeds,
layers or sockets; who wants to hear of what was committed adds a callable to ``listeners``.
"""

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F, Max, QuerySet

from django_rooms import models, pending
from django_rooms.appends import Append, Held, Number
from django_rooms.conf import settings
from django_rooms.models import RoomLog, rows
from django_rooms.protocol.entries import Entry

logger = logging.getLogger("django_rooms")


@dataclass(frozen=True)
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


def append(batch: Sequence[Append | Number]) -> list[Entry | Held | None]:
    """Store ``batch`` in one transaction, after what is pending in its rooms, and tell the listeners.

    For each item its entry: the first one where the same thing was stored before, ``None`` for a :class:`Number`.
    The statements are the same few for any number of rooms: lock the rooms in one order, fetch what is pending, look
    up repeats, and only then count offsets, so that there is never a hole.
    """
    names = {item.room_key: item.room for item in batch}
    with transaction.atomic(using=settings.DATABASE):
        logs = _lock(names)
        earlier, unfinished = pending.oldest(logs)
        free = logs.keys() - unfinished
        appends = [row.append() for row in earlier]
        appends += [item for item in batch if isinstance(item, Append) and item.room_key in free]
        stored, added = _number(appends, logs)
        if earlier:
            rows(models.Pending).filter(pk__in=[row.pk for row in earlier]).delete()
    _tell([News(names[key], logs[key].epoch, entries) for key, entries in added.items()])
    return [
        Held.HELD if item.room_key not in free else stored[item.key] if isinstance(item, Append) else None
        for item in batch
    ]


def _number(appends: list[Append], logs: dict[UUID, RoomLog]) -> tuple[dict[UUID, Entry], dict[UUID, list[Entry]]]:
    """Store what is not there yet. Return all entries by their keys, and the new ones by their rooms."""
    stored = {row.key: row.value() for row in rows(models.Entry).filter(key__in=[item.key for item in appends])}
    now = models.now()
    added: dict[UUID, list[Entry]] = {}
    new: list[models.Entry] = []
    for item in appends:
        if item.key not in stored:
            room = logs[item.room_key]
            room.last_offset += 1
            room.last_at = now
            place = {"offset": room.last_offset, "changed": room.last_offset}
            new.append(models.Entry(key=item.key, at=now, **place, **item.columns()))
            stored[item.key] = entry = new[-1].value()
            added.setdefault(room.key, []).append(entry)
    if new:
        rows(RoomLog).bulk_update([logs[key] for key in added], ["last_offset", "last_at"])
        rows(models.Entry).bulk_create(new)
    return stored, added


def _lock(names: dict[UUID, str]) -> dict[UUID, RoomLog]:
    """Lock the rooms in the order of their keys, making missing ones and leaving out those that somebody holds."""
    logs = rows(RoomLog).filter(key__in=names).order_by("key")
    if not connections[settings.DATABASE].features.has_select_for_update_skip_locked:
        # SQLite: the first statement of the transaction must be a write. One that reads and then writes finds the
        # database locked, and waiting does not help it.
        logs.order_by().update(last_offset=F("last_offset"))
    locked = _locked(logs)
    if missing := names.keys() - locked.keys():
        held = rows(RoomLog).filter(key__in=missing).values_list("key", flat=True)
        if new := missing - set(held):
            rows(RoomLog).bulk_create(_new_logs(new, names), ignore_conflicts=True)
            locked |= _locked(logs.filter(key__in=new))
    return locked


def _locked(logs: QuerySet[RoomLog]) -> dict[UUID, RoomLog]:
    features = connections[settings.DATABASE].features
    if features.has_select_for_update_skip_locked:
        logs = logs.select_for_update(skip_locked=True, no_key=features.has_select_for_no_key_update)
    return {log.key: log for log in logs}


def _new_logs(keys: Iterable[UUID], names: dict[UUID, str]) -> list[RoomLog]:
    """Rows for new rooms. A row that a host deleted comes back with another epoch, and after the entries it left."""
    left = rows(models.Entry).filter(room__in=keys).values_list("room").annotate(Max("offset"))
    ends, now = dict(left), models.now()
    times = {"created_at": now, "last_at": now}
    return [
        RoomLog(key=key, name=names[key], epoch=secrets.token_urlsafe(6), last_offset=ends.get(key, 0), **times)
        for key in sorted(keys)
    ]


def _tell(news: list[News]) -> None:
    """It is committed: what goes wrong here is found by the look, and is no failure of the publish."""
    if news:
        for listener in listeners:
            try:
                listener(news)
            except Exception:
                logger.exception("What was committed could not be told: %.300r", news)
