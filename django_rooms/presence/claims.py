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
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F

from django_rooms import models
from django_rooms.conf import settings
from django_rooms.models import Announcement, Occupied, Presence, rows
from django_rooms.names import member_key, presence_key, room_key
from django_rooms.presence import clock, leases, statements
from django_rooms.presence.statements import Known, Left, Row
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


def record(lease: UUID, wanted: Sequence[Stay], *, announce: bool) -> list[Stay]:
    """Record ``wanted`` in one transaction; return those whose room somebody else holds just now.

    The statements are the same few for any number of people and rooms. To record the same again changes nothing. Raises
    :class:`LeaseLost`.
    """
    names = {item.room_key: item.room for item in wanted}
    _occupy(names)
    with transaction.atomic(using=settings.DATABASE):
        locked = _lock(names)
        changed = _record(lease, [item for item in wanted if item.room_key in locked], announce)
        _stamp(changed)
    _tell(names[key] for key in changed)
    return [item for item in wanted if item.room_key not in locked]


def sweep(lease: UUID, *, announce: bool, steady: Callable[[], bool]) -> int:
    """Take out whoever's time is over, or whose process is dead; return how many connections' rows there were.

    Called again until it returns 0. Whoever calls it has a lease that was renewed unbroken for a while. It is asked
    once more whether it is ``steady`` when the dead are known: the database may have been away in between.
    """
    due = statements.due(BATCH)
    if not due:
        return 0
    _occupy(due)  # There is one, unless somebody has deleted it by hand.
    with transaction.atomic(using=settings.DATABASE):
        now, over = statements.over(_lock(due), lease, BATCH)
        # A machine that was suspended with all its processes and the database: their clocks stood still, its did not.
        if now is None or not over or not steady():
            return 0
        left = _remove(over)
        _announce(Kind.LEFT, [member.row() for member in left], lease, now, announce)
        changed = {member.room for member in left}
        _stamp(changed - _vacate(changed))
    _tell(member.room_name for member in left)
    return len(over)


def soonest() -> int | None:
    """Milliseconds until somebody's time is over, as far as anybody knows now."""
    return statements.soonest()


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
        models.lock(Occupied, key, "stamp")
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
    if missing := wanted - statements.occupied(wanted):
        statements.occupy(missing, uuid4())


def _lock(keys: Iterable[UUID]) -> set[UUID]:
    """Lock rooms in the order of their keys; leave out those that somebody holds, and those not there."""
    return statements.lock(keys)


def _record(lease: UUID, wanted: Sequence[Stay], announce: bool) -> set[UUID]:
    """Write who attends, under a lease that is alive; return the rooms in which that can be seen."""
    now, before = statements.before(lease, [item.key for item in wanted])
    if now is None:
        raise LeaseLost(f"The lease {lease} has run out.")
    fresh = [item for item in wanted if item.connections or not item.known]
    statements.save([_presence(item, lease, now) for item in fresh])
    leaving = [item for item in wanted if item.known and not item.connections]
    statements.let_leave([_presence(item, lease, now) for item in leaving])
    joined = [_member(item, now) for item in fresh if item.key not in before]
    statements.join(joined)
    _announce(Kind.JOINED, joined, lease, now, announce)
    renamed = [item for item in fresh if item.introduced and item.key in before and _differs(before[item.key], item)]
    statements.rename([_member(item, now) for item in renamed])
    # Whoever was out by the clock, and whose leave nobody has claimed yet, was not shown.
    seen = [item for item in wanted if item.key not in before or not before[item.key].shown]
    return {item.room_key for item in [*seen, *renamed]}


def _presence(item: Stay, lease: UUID, now: int) -> Row:
    """As the columns of ``models.Presence``."""
    return {
        "key": presence_key(item.key, lease).hex,
        "room": item.room_key.hex,
        "member": item.key.hex,
        "lease": lease.hex,
        "connections": item.connections,
        "leaving": None if item.connections else now + clock.milliseconds(item.grace),
        "expelled": 0,
    }


def _member(item: Stay, now: int) -> Row:
    """As the columns of ``models.Member``."""
    return {
        "key": item.key.hex,
        "room": item.room_key.hex,
        "room_name": item.room,
        "person_key": item.member.key,
        "person_name": item.member.name,
        "info": item.member.info_text,
        "since": now,
    }


def _differs(known: Known, item: Stay) -> bool:
    return (known.name, known.info) != (item.member.name, item.member.info_text)


def _remove(over: list[tuple[UUID, UUID]]) -> list[Left]:
    """Delete the presences, and the members that have none left; return those."""
    statements.remove_presences(key for key, _ in over)
    if left := statements.left({member for _, member in over}):
        statements.remove_members(member.key for member in left)
    return left


def _vacate(keys: Collection[UUID]) -> set[UUID]:
    """Delete the rows of those rooms that nobody is in any more; return these."""
    if empty := statements.vacant(keys):
        statements.remove_rooms(empty)
    return empty


def _announce(kind: Kind, members: Sequence[Row], lease: UUID, now: int, wanted: bool) -> None:
    if wanted:
        claim = {"kind": kind, "at": now, "lease": lease.hex}
        statements.announce([{**member, **claim, "event_id": uuid4().hex} for member in members])


def _stamp(keys: Collection[UUID]) -> None:
    """Say that a room is another than before, to those who look."""
    if keys:
        statements.stamp(keys, uuid4())


def _tell(rooms: Iterable[str]) -> None:
    """It is committed: what goes wrong here is found by the look."""
    if names := set(rooms):
        for listener in listeners:
            try:
                listener(names)
            except Exception:
                logger.exception("Who came and went could not be told: %.300r", names)
