"""Work on one room's log from outside of the conversation: pruning, erasing.

Each piece is a short transaction under the room's lock, on a thread and connection of its own, so that publishes wait
for milliseconds. Nothing of it runs by itself: management commands do it.
"""

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

from django_rooms import models
from django_rooms.conf import settings
from django_rooms.models import RoomLog
from django_rooms.names import room_key
from django_rooms.threads import apart_patiently

T = TypeVar("T")

# Rows that one piece takes.
BATCH = 500


def on_log(name: str, work: Callable[[RoomLog], T]) -> T | None:
    """Do ``work`` on the room's locked row; ``None`` where the room has no log."""
    return apart_patiently(_locked, name, work)


def _locked(name: str, work: Callable[[RoomLog], T]) -> T | None:
    key = room_key(name)
    with transaction.atomic(using=settings.DATABASE):
        room = models.lock(RoomLog, key, "last_offset")
        return work(room) if room is not None else None
