"""Erase a person: their words and their name leave every log, its order stays."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import F, Q, QuerySet

from django_rooms import people
from django_rooms.log import pages, writer
from django_rooms.log.appends import Append
from django_rooms.models import Entry, Member, Pending, RoomLog, rows
from django_rooms.names import room_key
from django_rooms.presence import claims
from django_rooms.protocol.entries import BLANK, Author, Kind
from django_rooms.threads import apart, apart_patiently
from django_rooms.upkeep.logs import BATCH, on_log


@dataclass(frozen=True)
class Person:
    """Somebody as logs know them: by the key that others see, and by what marks what they sent themselves."""

    key: str
    sender: str

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("An empty key is nobody's: what the host itself says has none.")

    @property
    def perhaps_theirs(self) -> Q:
        """What the database takes for theirs. MariaDB's collations take ``uAb`` for ``uaB``."""
        return Q(author_key=self.key) | Q(sender=self.sender)

    def said(self, author_key: str, sender: str) -> bool:
        return author_key == self.key or sender == self.sender


def rooms_of(person: Person) -> list[str]:
    """The names of the rooms in which they ever said something. Reads every entry once: no index is kept for it."""
    found = _distinct(rows(Entry).exclude(kind=Kind.ERASURE), "room", person)
    named = rows(RoomLog).filter(key__in=found).values_list("name", flat=True)
    return sorted(_distinct(rows(Pending), "name", person).union(named))


def disconnect(person: Person) -> int:
    """Have them leave the rooms that they are in, where others are told their name; return how many these are."""
    found = rows(Member).filter(person_key=person.key).values_list("room_name", flat=True)
    return sum(apart_patiently(claims.expel, name, person.key) for name in found)


def _distinct(said: QuerySet[Any], column: str, person: Person) -> set[Any]:
    found = said.filter(person.perhaps_theirs).values_list(column, "author_key", "sender").distinct()
    return {value for value, author_key, sender in found if person.said(author_key, sender)}


def erase(name: str, person: Person) -> Iterator[int]:
    """Blank what they said in the room, every edit of that, and their name; yield how many entries each batch took.

    At the end, and each time anew, an erasure is added to the log, from which everybody's memory and pages learn of it.
    What came into the log while the rest was blanked, from them or out of a transaction, is blanked after it, and said.
    """
    apart(pages.number_pending, [name])
    last, told = 0, False
    while (offsets := apart(_next, name, person, last)) or not told:
        if offsets:
            last, told = offsets[-1], False
            yield on_log(name, partial(_blank, offsets=offsets)) or 0
        else:
            author = Author(person.key, "")
            writer.write(Append(name, people.SERVER, secrets.token_urlsafe(12), BLANK, author, Kind.ERASURE))
            told = True


def _next(name: str, person: Person, last: int) -> list[int]:
    """The offsets of what they said after ``last`` and can still be read: a batch, searched for without the lock."""
    legible = ~Q(author_name="") | Q(kind=Kind.MESSAGE) & ~Q(body=BLANK)
    said = rows(Entry).filter(person.perhaps_theirs & legible, room=room_key(name)).order_by("offset")
    columns = said.values_list("offset", "author_key", "sender")
    while found := list(columns.filter(offset__gt=last)[:BATCH]):
        if offsets := [offset for offset, author_key, sender in found if person.said(author_key, sender)]:
            return offsets
        last = found[-1][0]
    return []


def _blank(room: RoomLog, offsets: list[int]) -> int:
    everything = rows(Entry).filter(room=room.key)
    theirs = everything.filter(offset__in=offsets)
    messages = theirs.filter(kind=Kind.MESSAGE)
    # A message's edits are between it and its last change.
    changed = dict(messages.filter(changed__gt=F("offset")).values_list("offset", "changed"))
    if changed:
        between = Q(offset__gt=min(changed), offset__lte=max(changed.values()))
        everything.filter(between, kind=Kind.EDIT, target__in=list(changed)).update(body=BLANK)
    messages.update(body=BLANK)
    return theirs.update(author_name="")
