"""What was published inside a host's own transaction, until it has its place.

It is inserted there without an offset and without touching any row that others share, so that no view, however slow,
stalls a room. After the commit it is numbered by the first of: this process at once, the next batch of the room, any
read of the room's head, another process's look.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import connections

from django_rooms.conf import settings
from django_rooms.log import statements
from django_rooms.log.appends import Append
from django_rooms.models import Pending, now, rows
from django_rooms.protocol.entries import Entry

# How much of it one transaction numbers.
MAX_ROWS = 500
MAX_CHARACTERS = 1024 * 1024


def in_host_transaction() -> bool:
    """Whether the current thread is in a transaction of somebody else's.

    An atomic block that only ``TestCase`` opened counts as none: its ``on_commit`` never runs. Django's own
    ``durable`` atomics see it in the same way.
    """
    connection = connections[settings.DATABASE]
    if connection.in_atomic_block:
        return not connection.atomic_blocks[-1]._from_testcase  # type: ignore[attr-defined]
    # What is not open yet will be opened as its settings say.
    return not (connection.settings_dict["AUTOCOMMIT"] if connection.connection is None else connection.autocommit)


def insert(item: Append) -> Entry:
    """Publish inside the caller's transaction: one insert that no other transaction waits for."""
    row = rows(Pending).create(name=item.room, at=now(), **item.columns())
    return row.as_entry()


def as_append(row: Pending) -> Append:
    return Append(row.name, row.sender, row.entry_id, row.body, row.author, row.kind, row.target)


def waiting(rooms: Iterable[UUID]) -> set[str]:
    """The names of those rooms in which something is pending."""
    return statements.waiting(rooms)


def oldest(rooms: Collection[UUID]) -> tuple[list[Pending], set[UUID]]:
    """What is pending in ``rooms``, in the order of insertion, and the rooms that have more than is taken at once."""
    if not rooms:
        return [], set()
    found = list(rows(Pending).filter(room__in=rooms).order_by("id")[: MAX_ROWS + 1])
    characters, taken = 0, 0
    while taken < min(len(found), MAX_ROWS) and characters < MAX_CHARACTERS:
        characters += len(found[taken].body)
        taken += 1
    if taken == len(found):
        return found, set()
    rest = rows(Pending).filter(room__in=rooms, id__gte=found[taken].pk)
    return found[:taken], set(rest.values_list("room", flat=True))
