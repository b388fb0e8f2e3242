"""The claims: who is recorded as being in a room, who has joined, who has left. The only one that writes them.

Synchronous, on the current thread's connection. What is told of a room is changed only by whoever has locked it
(``Occupied``), for milliseconds, so each join and each leave is found by one process. The claim, and the announcement
from which the host's handlers will be called, are one transaction.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from django.db import connections, transaction
from django.db.models import F, Min, Q

from django_rooms import models
from django_rooms.conf import settings
from django_rooms.models import Announcement, Occupied, Presence, rows
from django_rooms.names import member_key, presence_key, room_key
from django_rooms.presence import clock, leases
from django_rooms.protocol.presence import Member

logger = logging.getLogger("django_rooms")

# Presences that one sweep takes.
BATCH = 500

# Called after a commit with the names of rooms in which somebody has come, gone or changed.
listeners: list[Callable[[Collection[str]], None]] = []


class Kind(StrEnum):
    JOINED = "joined"
    LEFT = "left"


class LeaseLost(Exception):
    """The lease has run out: what was to be recorded under it would be the people of a dead process."""


@dataclass(frozen=True)
class Stay:
    """What is to be recorded: somebody with so many connections in a room here. With none they have left in ``grace``
    seconds.

    ``known``: it was recorded before. Who came and went meanwhile has joined and left all the same. ``introduced``: a
    join has said how they are known; else that stays as another process may have heard since.
    """

    room: str
    member: Member
    connections: int
    grace: float = 0.0
    known: bool = False
    introduced: bool = True

    @cached_property
    def room_key(self) -> UUID:
        return room_key(self.room)

    @cached_property
    def key(self) -> UUID:
        return member_key(self.room_key, self.member.key)

    def columns(self) -> dict[str, Any]:
        """As the columns of ``models.Person``."""
        return {
            "room": self.room_key,
            "room_name": self.room,
            "person_key": self.member.key,
            "person_name": self.member.name,
            "info": self.member.info_text,
        }


def record(lease: UUID, wanted: Sequence[Stay], *, announce: bool) -> list[Stay]:
    """Record ``wanted`` in one transaction; return those whose room somebody else holds just now.

    The statements are the same few for any number of people and rooms. To record the same again changes nothing. Raises
    :class:`LeaseLost`.
    """
    names = {item.room_key: item.room for item in wanted}
    _occupy(names)
    with transaction.atomic(using=settings.DATABASE):
        held = names.keys() - _lock(names)
        now = clock.read()
        if not leases.is_alive(lease):
            raise LeaseLost(f"The lease {lease} has run out.")
        changed = _record(lease, [item for item in wanted if item.room_key not in held], now, announce)
        _stamp(changed)
    _tell(names[key] for key in changed)
    return [item for item in wanted if item.room_key in held]


def sweep(lease: UUID, *, announce: bool, steady: Callable[[], bool]) -> int:
    """Take out whoever's time is over, or whose process is dead; return how many connections' rows there were.

    Called again until it returns 0. Whoever calls it has a lease that was renewed unbroken for a while. It is asked
    once more whether it is ``steady`` when the dead are known: the database may have been away in between.
    """
    due = list(_due().values_list("room", flat=True).distinct()[:BATCH])
    if not due:
        return 0
    _occupy(due)  # There is one, unless somebody has deleted it by hand.
    with transaction.atomic(using=settings.DATABASE):
        locked = _lock(due)
        now = clock.read()
        over = list(_due().filter(room__in=locked).values_list("key", "member")[:BATCH])
        # A machine that was suspended with all its processes and the database: their clocks stood still, its did not.
        if not steady() or not leases.is_alive(lease):
            return 0
        left = _remove(over)
        _announce(Kind.LEFT, left, lease, now, announce)
        changed = {member.room for member in left}
        _stamp(changed - _vacate(changed))
    _tell(member.room_name for member in left)
    return len(over)


def soonest() -> int | None:
    """Milliseconds until somebody's time is over, as far as anybody knows now."""
    leaving = rows(Presence).aggregate(at=Min("leaving"))["at"]
    times = [leases.remaining(), None if leaving is None else leaving - clock.read()]
    return min((time for time in times if time is not None), default=None)


def hasten(seconds: float) -> None:
    """Let whoever is leaving leave so many seconds earlier: for a host's tests, which do not wait for that."""
    rows(Presence).exclude(leaving=None).update(leaving=F("leaving") - clock.milliseconds(seconds))


def adopt(lease: UUID) -> int:
    """Take over what dead processes have claimed and perhaps not told; return how many announcements there are."""
    dead = list(leases.expired().values_list("id", flat=True))
    left = rows(Announcement).filter(lease__in=dead)
    return left.update(lease=lease) if dead and left.exists() else 0


def expel(room: str, person: str) -> bool:
    """Have every process end the connections of somebody in the room; whether there are any.

    Those of a process that seems dead too: it may only have been stopped, and nobody is there by it.
    """
    key = room_key(room)
    with transaction.atomic(using=settings.DATABASE):
        _lock([key], wait=True)
        theirs = {"member": member_key(key, person), "connections__gt": 0}
        there = leases.counting().filter(**theirs).exists()
        found = rows(Presence).filter(**theirs).update(expelled=True)
        _stamp([key] if found else [])
    _tell([room] if found else [])
    return there


def expelled(lease: UUID, rooms: Iterable[str]) -> set[UUID]:
    """The members whose connections to this process are to be ended, in ``rooms``; each is told once."""
    found = rows(Presence).filter(lease=lease, expelled=True, room__in=[room_key(name) for name in rooms])
    members = dict(found.values_list("key", "member"))
    if members:
        rows(Presence).filter(key__in=members).update(expelled=False)
    return set(members.values())


def forget() -> None:
    """Delete what is left of rooms that nobody is in: of a batch that failed after it had made them."""
    empty = rows(Occupied).exclude(key__in=rows(models.Member).values("room"))
    keys = list(empty.values_list("key", flat=True)[:BATCH])
    with transaction.atomic(using=settings.DATABASE):
        _vacate(_lock(keys))


def _occupy(keys: Iterable[UUID]) -> None:
    """Have a row for each room. Not in the batch's transaction: whoever makes the same one waits for it."""
    wanted = set(keys)
    if missing := sorted(wanted.difference(rows(Occupied).filter(key__in=wanted).values_list("key", flat=True))):
        rows(Occupied).bulk_create([Occupied(key=key) for key in missing], ignore_conflicts=True)


def _lock(keys: Iterable[UUID], *, wait: bool = False) -> set[UUID]:
    """Lock rooms in the order of their keys; leave out those that somebody holds, or ``wait``, and those not there."""
    found = models.lock(Occupied, keys, "stamp", wait=wait)
    return set(found.values_list("key", flat=True))


def _record(lease: UUID, wanted: list[Stay], now: int, announce: bool) -> set[UUID]:
    """Write who attends; return the rooms in which that can be seen."""
    before = {member.key: member for member in rows(models.Member).filter(key__in=[item.key for item in wanted])}
    # Whoever was out by the clock, and whose leave nobody has claimed yet, was not shown.
    shown = set(leases.counting().filter(member__in=before).values_list("member", flat=True)) if before else set()
    fresh = [item for item in wanted if item.connections or not item.known]
    _save(fresh, lease, now)
    _let_leave([item for item in wanted if item.known and not item.connections], lease, now)
    joined = [models.Member(key=item.key, since=now, **item.columns()) for item in fresh if item.key not in before]
    rows(models.Member).bulk_create(joined)
    _announce(Kind.JOINED, joined, lease, now, announce)
    renamed = [item for item in fresh if item.introduced and item.key in before and _differs(before[item.key], item)]
    if renamed:
        changed = [models.Member(key=item.key, **item.columns()) for item in renamed]
        rows(models.Member).bulk_update(changed, ["person_name", "info"])
    seen = [item for item in wanted if item.key not in shown]
    return {item.room_key for item in [*seen, *renamed]}


def _save(stays: list[Stay], lease: UUID, now: int) -> None:
    found = [_presence(item, lease, now) for item in stays]
    target = connections[settings.DATABASE].features.supports_update_conflicts_with_target
    rows(Presence).bulk_create(
        found,
        update_conflicts=True,
        unique_fields=["key"] if target else None,
        update_fields=["connections", "leaving"],
    )


def _let_leave(leaving: list[Stay], lease: UUID, now: int) -> None:
    """Those who were swept meanwhile are not brought back."""
    if leaving:
        found = [_presence(item, lease, now) for item in leaving]
        rows(Presence).bulk_update(found, ["connections", "leaving"])


def _presence(item: Stay, lease: UUID, now: int) -> Presence:
    leaving = None if item.connections else now + clock.milliseconds(item.grace)
    of = {"key": presence_key(item.key, lease), "room": item.room_key, "member": item.key, "lease": lease}
    return Presence(connections=item.connections, leaving=leaving, **of)


def _differs(member: models.Member, item: Stay) -> bool:
    return (member.person_name, member.info) != (item.member.name, item.member.info_text)


def _due() -> Any:
    """Of those whose time is over, or whose process gave no sign of life for too long."""
    dead = list(leases.expired().values_list("id", flat=True))
    return rows(Presence).filter(Q(leaving__lte=clock.now()) | Q(lease__in=dead))


def _remove(over: list[tuple[UUID, UUID]]) -> list[models.Member]:
    """Delete the presences, and the members that have none left; return those."""
    members = {member for _, member in over}
    models.delete(Presence, [key for key, _ in over])
    here = set(rows(Presence).filter(member__in=members).values_list("member", flat=True))
    left = list(rows(models.Member).filter(key__in=members - here))
    models.delete(models.Member, [member.key for member in left])
    return left


def _vacate(keys: Collection[UUID]) -> set[UUID]:
    """Delete the rows of those rooms that nobody is in any more; return these."""
    empty = set(keys) - set(rows(models.Member).filter(room__in=keys).values_list("room", flat=True).distinct())
    models.delete(Occupied, list(empty))
    return empty


def _announce(kind: Kind, members: list[models.Member], lease: UUID, now: int, wanted: bool) -> None:
    if wanted:
        columns = ("room", "room_name", "person_key", "person_name", "info", "since")
        rows(Announcement).bulk_create(
            Announcement(
                event_id=uuid4(), kind=kind, at=now, lease=lease, **{name: getattr(member, name) for name in columns}
            )
            for member in members
        )


def _stamp(keys: Collection[UUID]) -> None:
    """Say that a room is another than before, to those who look."""
    if keys:
        rows(Occupied).filter(key__in=list(keys)).update(stamp=uuid4())


def _tell(rooms: Iterable[str]) -> None:
    """It is committed: what goes wrong here is found by the look."""
    if names := set(rooms):
        for listener in listeners:
            try:
                listener(names)
            except Exception:
                logger.exception("Who came and went could not be told: %.300r", names)
