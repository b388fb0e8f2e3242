"""What reads who is here: a few statements for any number of rooms, on the current thread's connection."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, Sum

from django_rooms import models
from django_rooms.models import rows
from django_rooms.names import member_key, room_key
from django_rooms.presence import clock, leases, statements
from django_rooms.presence.statements import Stamp
from django_rooms.protocol.presence import Member


@dataclass(frozen=True)
class Snapshot:
    """Who is in a room. ``members`` is ``None`` where they are more than were wanted by name."""

    stamp: Stamp | None
    count: int
    members: list[Member] | None


@dataclass(frozen=True)
class Wanted:
    """Up to how many members are wanted by name; and those that are known by key, who are not made anew."""

    names: int
    known: Mapping[str, Member] = field(default_factory=dict)


class Seen(NamedTuple):
    """Rooms by name; and whether somebody is to be put out by the process that has the lease (``claims.expelled``)."""

    rooms: dict[str, Snapshot]
    expelled: bool


def members(name: str) -> list[Member]:
    """Everybody who is in the room, in the order in which they came."""
    return [_member(row, row.connections) for row in _with_connections(_members([name]))]


def everybody() -> QuerySet[Any]:
    """The members of all rooms, each with their ``connections``: 0 where they have just lost the last one."""
    return _with_connections(_really_here(rows(models.Member)))


def is_present(name: str, person: str) -> bool:
    return leases.counting().filter(member=member_key(room_key(name), person)).exists()


def counts(names: Iterable[str]) -> dict[str, int]:
    """How many are in each of the rooms, in one query."""
    names = list(names)
    found = dict(_members(names).order_by().values_list("room").annotate(Count("key")))
    return {name: found.get(room_key(name), 0) for name in names}


def stamps(names: Iterable[str]) -> dict[str, Stamp]:
    """What changes with each change of a room's members; none where nobody is."""
    names = list(names)
    return {names[number - 1]: stamp for number, stamp in statements.stamps(map(room_key, names))}


def snapshots(wanted: Mapping[str, Wanted], lease: UUID | None, sure: bool) -> Seen:
    """Who is in each room, in two statements. What changes between them is seen by another stamp the next time.

    Whoever is not ``sure`` to be alive for the others takes nobody for gone by the clock: only claims count.
    """
    keys = {name: room_key(name) for name in wanted}
    stamps, counts, expelled = statements.rooms(list(keys.values()), lease, sure=sure)
    small = [name for name, one in wanted.items() if counts.get(keys[name], 0) <= one.names]
    named: dict[str, list[Member]] = {name: [] for name in small}
    for number, *how in statements.members([keys[name] for name in small], sure=sure) if small else ():
        room = small[number - 1]
        named[room].append(_known(wanted[room].known, *how))
    rooms = {name: Snapshot(stamps.get(key), counts.get(key, 0), named.get(name)) for name, key in keys.items()}
    return Seen(rooms, expelled)


def _known(members: Mapping[str, Member], key: str, name: str, info: str) -> Member:
    known = members.get(key)
    return known if known and known.name == name and known.info_text == info else Member(key, name, info)


def _members(names: Iterable[str]) -> QuerySet[models.Member]:
    found = rows(models.Member).filter(room__in=[room_key(name) for name in names])
    return _really_here(found.order_by("since", "key"))


def _really_here(members: QuerySet[models.Member]) -> QuerySet[models.Member]:
    return members.filter(Exists(leases.counting().filter(member=OuterRef("key"))))


def _with_connections(members: QuerySet[models.Member]) -> QuerySet[Any]:
    counted = (
        leases.counting().filter(member=OuterRef("key")).order_by().values("member").annotate(sum=Sum("connections"))
    )
    return members.annotate(connections=Subquery(counted.values("sum")))


def _member(row: models.Member, connections: int | None = None) -> Member:
    return Member(*row.author, row.info, clock.moment(row.since), connections or 0)
