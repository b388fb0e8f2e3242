"""What edits and removals do to the messages that they are about.

They are entries like others, so that a client that comes back learns of them; and the message's own row is kept as it
is today, for pages. All of it happens under the lock of the rooms, in the transaction that numbers the batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Q

from django_rooms.log.appends import Append
from django_rooms.models import Entry, rows
from django_rooms.protocol import entries
from django_rooms.protocol.entries import BLANK, Kind

Place = tuple[UUID, int | None]

# SQLite refuses an expression of more than 1,000 levels, and each "or" is one.
MAX_CONDITIONS = 400


class Changes:
    """The messages that a batch changes: read once, written once."""

    def __init__(self, items: Iterable[Append]) -> None:
        self._messages = _messages({(item.room_key, item.target) for item in items if item.target is not None})
        self._changed: dict[Place, Entry] = {}
        # The keys of the batch's own edits, and of those among them whose message it removes.
        self._new_edits: dict[Place, list[UUID]] = {}
        self._blanked: list[UUID] = []
        # The edits of removed messages, which are between the message and its last change.
        self._old_edits: list[Q] = []

    def takes(self, item: Append) -> bool:
        """Whether there is something to change: a message that was not removed."""
        if item.target is None:
            return True
        message = self._messages.get((item.room_key, item.target))
        return message is not None and not message.blank

    def add(self, item: Append, offset: int) -> None:
        """``item`` has its place in the log now; if it is a change, make it."""
        if item.target is None:
            return
        place = (item.room_key, item.target)
        message = self._changed[place] = self._messages[place]
        if item.kind == Kind.EDIT:
            self._new_edits.setdefault(place, []).append(item.key)
        else:
            self._blank_edits(message)
        message.body, message.changed = item.body_text, offset

    def blank(self, stored: dict[UUID, entries.Entry]) -> None:
        """Of what is about to be stored and told, the edits of messages that are removed by now."""
        for key in self._blanked:
            stored[key] = replace(stored[key], body_text=BLANK)

    def save(self) -> None:
        """Two statements, and one more for every 400 removals of messages that were edited."""
        if self._changed:
            rows(Entry).bulk_update(self._changed.values(), ["body", "changed"])
        for edits in _any_of(self._old_edits):
            rows(Entry).filter(edits).update(body=BLANK)

    def _blank_edits(self, message: Entry) -> None:
        if message.changed > message.offset:
            between = Q(offset__gt=message.offset, offset__lte=message.changed)
            self._old_edits.append(between & Q(room=message.room, kind=Kind.EDIT, target=message.offset))
        self._blanked += self._new_edits.get((message.room, message.offset), ())


def _messages(places: set[Place]) -> dict[Place, Entry]:
    by_room: dict[UUID, list[int | None]] = {}
    for room, target in places:
        by_room.setdefault(room, []).append(target)
    wanted = _any_of([Q(room=room, offset__in=targets) for room, targets in by_room.items()])
    found = (row for some in wanted for row in rows(Entry).filter(some, kind=Kind.MESSAGE))
    return {(row.room, row.offset): row for row in found}


def _any_of(conditions: list[Q]) -> Iterator[Q]:
    for start in range(0, len(conditions), MAX_CONDITIONS):
        yield reduce(or_, conditions[start : start + MAX_CONDITIONS])
