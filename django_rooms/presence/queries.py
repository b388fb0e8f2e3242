"""What reads who is here: a few statements for any number of rooms, on the current thread's connection."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, Sum

from django_rooms import models
from django_rooms.models import Occupied, rows
from django_rooms.names import member_key, room_key
from django_rooms.presence import clock, leases
from django_rooms.protocol.presence import Member


@dataclass(frozen=True)
class Snapshot:
    """Who is in a room. ``members`` is ``None`` where they are more than were wanted by name."""

    stamp: UUID | None
    count: int
    members: list[Member] | None


def members(name: str) -> list[Member]:
    """Everybody who is in the room, in the order in which they came."""
    return [_member(row, row.connections) for row in _with_connections(_members([name], sure=True))]


def everybody() -> QuerySet[Any]:
    """The members of all rooms, each with their ``connections``: 0 where they have just lost the last one."""
    return _with_connections(_really_here(rows(models.Member)))


def is_present(name: str, person: str) -> bool:
    return leases.counting().filter(member=member_key(room_key(name), person)).exists()


def counts(names: Iterable[str]) -> dict[str, int]:
    """How many are in each of the rooms, in one query."""
    names = list(names)
    found = _counts(names, sure=True)
    return {name: found.get(room_key(name), 0) for name in names}


def stamps(names: Iterable[str]) -> dict[str, UUID]:
    """What changes with each change of a room's members; none where nobody is."""
    keys = {room_key(name): name for name in names}
    return {keys[key]: stamp for key, stamp in rows(Occupied).filter(key__in=keys).values_list("key", "stamp")}


def snapshots(wanted: Mapping[str, int], sure: bool) -> dict[str, Snapshot]:
    """Who is in each room, by name where there are no more than so many.

    Whoever is not ``sure`` to be alive for the others takes nobody for gone by the clock: only claims count.
    """
    before = stamps(wanted)  # First: what changes between the statements is seen by another stamp.
    found = _counts(wanted, sure=sure)
    small = [name for name, limit in wanted.items() if found.get(room_key(name), 0) <= limit]
    named: dict[str, list[Member]] = {name: [] for name in small}
    for row in _members(small, sure=sure) if small else ():
        named[row.room_name].append(_member(row))
    return {name: Snapshot(before.get(name), found.get(room_key(name), 0), named.get(name)) for name in wanted}


def _counts(names: Iterable[str], *, sure: bool) -> dict[UUID, int]:
    found = _members(names, sure=sure).order_by().values_list("room").annotate(Count("key"))
    return dict(found)


def _members(names: Iterable[str], *, sure: bool) -> QuerySet[models.Member]:
    found = rows(models.Member).filter(room__in=[room_key(name) for name in names]).order_by("since", "key")
    return _really_here(found) if sure else found


def _really_here(members: QuerySet[models.Member]) -> QuerySet[models.Member]:
    return members.filter(Exists(leases.counting().filter(member=OuterRef("key"))))


def _with_connections(members: QuerySet[models.Member]) -> QuerySet[Any]:
    counted = (
        leases.counting().filter(member=OuterRef("key")).order_by().values("member").annotate(sum=Sum("connections"))
    )
    return members.annotate(connections=Subquery(counted.values("sum")))


def _member(row: models.Member, connections: int | None = None) -> Member:
    return Member(*row.author, row.info, clock.moment(row.since), connections or 0)
