"""Let go of the oldest entries of a log: a prefix by offset, in small batches. Offsets are never given again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from django.db.models import Q
from django.utils import timezone

from django_rooms.models import Entry, PrunedId, RoomLog, rows
from django_rooms.names import room_key
from django_rooms.rooms import Room
from django_rooms.threads import apart
from django_rooms.upkeep.logs import BATCH, on_log

# How long an id is remembered after its entry was pruned.
IDS_KEPT = timedelta(days=30)


def expired(room: Room, now: datetime | None = None) -> tuple[int, int]:
    """The floor of the room's log, and where it would be without what the room's class no longer keeps."""
    found = rows(RoomLog).filter(key=room_key(room.name)).first()
    if found is None:
        return 0, 0
    floor = found.floor
    if room.retention_entries is not None:
        floor = max(floor, found.last_offset - room.retention_entries)
    if room.retention is not None:
        young = Q(offset__gt=floor, at__gte=(now or timezone.now()) - room.retention)
        first = rows(Entry).filter(young, room=found.key).order_by("offset").values_list("offset", flat=True).first()
        floor = found.last_offset if first is None else first - 1
    return found.floor, floor


def prune(name: str, floor: int) -> Iterator[int]:
    """Delete the room's entries up to ``floor``; yield after each batch how many offsets it took.

    What is left of an entry is its id, for :data:`IDS_KEPT`.
    """
    while taken := on_log(name, partial(_prune, floor=floor)):
        yield taken


def _prune(room: RoomLog, floor: int) -> int:
    end = min(floor, room.last_offset, room.floor + BATCH)
    if end <= room.floor:
        return 0
    going = rows(Entry).filter(room=room.key, offset__lte=end)
    now = timezone.now()
    ids = [PrunedId(key=key, offset=offset, pruned_at=now) for key, offset in going.values_list("key", "offset")]
    rows(PrunedId).bulk_create(ids, ignore_conflicts=True)
    going.delete()
    rows(RoomLog).filter(key=room.key).update(floor=end)
    return end - room.floor


def forget_ids(now: datetime | None = None) -> int:
    """Forget the ids of what was pruned :data:`IDS_KEPT` ago; return how many. Sent again, it is stored again."""
    before = (now or timezone.now()) - IDS_KEPT
    forgotten = 0
    while taken := apart(_forget_ids, before):
        forgotten += taken
    return forgotten


def _forget_ids(before: datetime) -> int:
    old = rows(PrunedId).filter(pruned_at__lt=before).values_list("key", flat=True)[:BATCH]
    return rows(PrunedId).filter(key__in=list(old)).delete()[0]
