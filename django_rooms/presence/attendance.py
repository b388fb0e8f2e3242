"""Who is in which room by a connection to this process: in memory, and not yet what others know of.

Each change is noted, and recorded soon (``recorder.py``) as it is *then*: what comes to the same in between costs no
statement, and what failed is simply recorded later. So what waits is bounded by who is here.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple, Protocol
from uuid import UUID

from django_rooms.names import member_key, room_key
from django_rooms.once import OncePerProcess
from django_rooms.presence.claims import Stay
from django_rooms.protocol.presence import Member


class Connection(Protocol):
    """Its methods are called from any thread."""

    def prove(self) -> None:
        """Ask the peer for a sign of life, and enter all rooms again when it comes."""

    def expel(self, room: str) -> None:
        """Leave the room, told to the peer."""


class Recorded(Enum):
    """Whether others know of somebody, under the lease that this process has now.

    Who leaves after it was tried has to be recorded as leaving: it may have been done. And who leaves before it was
    done has still to be told of.
    """

    NO = auto()
    TRIED = auto()
    DONE = auto()


Connections = tuple[Connection, ...]


@dataclass(eq=False, slots=True)
class Person:
    """Somebody in one room. ``doubted`` connections count for nothing until their peers have answered.

    Most have one connection: a set of it would take four times as much memory.
    """

    member: Member
    here: Connections = ()
    doubted: Connections = ()
    # Until when they are in any case, by this process's clock, once nobody is ``here``.
    until: float = 0.0
    recorded: Recorded = Recorded.NO
    # A join has said how they are known, which is to be recorded.
    introduced: bool = False
    # They are being recorded, and whether that with them.
    taken: bool | None = None

    @property
    def counts(self) -> bool:
        return bool(self.here) or not self.doubted

    @property
    def to_tell(self) -> bool:
        """That a last tab has left is to be recorded, also where another one is still doubted."""
        return self.counts or self.recorded is not Recorded.NO


class Here(NamedTuple):
    """Who is in a room by this process, by key; and those of them whose join said how they are known, which others do
    not know yet.
    """

    members: dict[str, Member]
    introduced: dict[str, Member]


Key = tuple[str, str]


class Attendance:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # By room and person's key.
        self._rooms: dict[str, dict[str, Person]] = {}
        self._changed: dict[Key, None] = {}

    def enter(self, room: str, member: Member, connection: Connection) -> None:
        """Be there with one more connection, known as ``member``; again with the same one changes nothing."""
        with self._lock:
            people = self._rooms.setdefault(room, {})
            if (person := people.get(member.key)) is None:
                person = people[member.key] = Person(member)
            if connection not in person.here or person.member != member:
                person.member, person.introduced = member, True
                _prove(person, connection)
                self._changed[room, member.key] = None

    def confirm(self, room: str, key: str, connection: Connection) -> None:
        """A doubted connection is there after all. It does not say anew how they are known: another one may have."""
        with self._lock:
            person = self._person(room, key)
            if person is not None and connection in person.doubted:
                _prove(person, connection)
                self._changed[room, key] = None

    def leave(self, room: str, key: str, connection: Connection, grace: float) -> None:
        """Be there with one connection less; with the last one, for so many seconds more."""
        with self._lock:
            person = self._person(room, key)
            if person is None:
                return
            if connection in person.here:
                person.here = _without(person.here, connection)
                person.until = max(person.until, self._clock() + grace)
                self._changed[room, key] = None
            person.doubted = _without(person.doubted, connection)
            self._forget_if_gone(room, key)

    def leave_all(self, grace: float) -> None:
        """The process ends: nobody can be here by it."""
        with self._lock:
            for room, people in self._rooms.items():
                for key, person in people.items():
                    if person.here:
                        person.here = ()
                        person.until = self._clock() + grace
                        self._changed[room, key] = None

    def take(self, most: int) -> list[Stay]:
        """What changed, as it is now."""
        with self._lock:
            keys = list(islice(self._changed, most))
            for key in keys:
                del self._changed[key]
            found = [(room, self._person(room, key)) for room, key in keys]
            return [self._stay(room, person) for room, person in found if person is not None and person.to_tell]

    def put_back(self, stays: Iterable[Stay]) -> None:
        """They could not be recorded yet."""
        with self._lock:
            for stay in stays:
                if (person := self._untaken(stay)) is not None:
                    person.introduced |= stay.introduced
                    if person.to_tell:
                        self._changed[stay.room, stay.member.key] = None

    def recorded(self, stays: Iterable[Stay]) -> None:
        """They are known to others. Who has left, and has not come back meanwhile, is forgotten here."""
        with self._lock:
            for stay in stays:
                person = self._untaken(stay)
                if person is not None and person.recorded is Recorded.TRIED:  # Not if it was doubted meanwhile.
                    person.recorded = Recorded.DONE
                self._forget_if_gone(stay.room, stay.member.key)

    @property
    def waiting(self) -> bool:
        return bool(self._changed)

    def here(self, room: str) -> Here:
        """Also who was until a moment ago and is not recorded as leaving yet."""
        with self._lock:
            people = self._rooms.get(room, {})
            members = {key: one.member for key, one in people.items() if one.here or not one.doubted}
            introduced = {key: one.member for key, one in people.items() if one.introduced or one.taken}
            return Here(members, {key: member for key, member in introduced.items() if key in members})

    def beside(self, room: str, known: Collection[str]) -> list[Member]:
        """Of those who are here whom nobody knew, and those who have just said how they are known.

        What is known of the others is newer than what this process knows of them: they may have joined elsewhere.
        """
        with self._lock:
            people = self._rooms.get(room, {}).items()
            return [
                one.member for key, one in people if one.counts and (key not in known or one.introduced or one.taken)
            ]

    def doubt(self) -> set[Connection]:
        """Others may have taken us for dead: nobody counts before they have proved to be there. Return who has to."""
        with self._lock:
            self._changed.clear()
            for room, people in list(self._rooms.items()):
                for key, person in list(people.items()):
                    person.doubted, person.here = person.doubted + person.here, ()
                    person.recorded, person.taken = Recorded.NO, None
                    if not person.doubted:
                        self._forget(room, key)
            return {
                connection for people in self._rooms.values() for one in people.values() for connection in one.doubted
            }

    def expel(self, members: set[UUID], rooms: Iterable[str]) -> list[tuple[str, Connection]]:
        """The connections of these members of ``rooms``, who get no grace."""
        with self._lock:
            found = []
            for room in rooms:
                for key, person in self._rooms.get(room, {}).items():
                    if member_key(room_key(room), key) in members:
                        person.until = 0.0
                        found += [(room, connection) for connection in person.here + person.doubted]
            return found

    def _person(self, room: str, key: str) -> Person | None:
        return self._rooms.get(room, {}).get(key)

    def _untaken(self, stay: Stay) -> Person | None:
        """Whose ``stay`` is not being recorded any more."""
        person = self._person(stay.room, stay.member.key)
        if person is not None:
            person.taken = None
        return person

    def _stay(self, room: str, person: Person) -> Stay:
        if person.recorded is Recorded.NO:
            person.recorded = Recorded.TRIED
        grace, introduced = max(0.0, person.until - self._clock()), person.introduced
        person.introduced, person.taken = False, introduced
        return Stay(room, person.member, len(person.here), grace, person.recorded is Recorded.DONE, introduced)

    def _forget_if_gone(self, room: str, key: str) -> None:
        """Who was never recorded, and has nothing to be recorded, is forgotten as who has left is.

        Not while that is being recorded: it may have to be recorded once more.
        """
        person = self._person(room, key)
        if person is None or person.here or person.doubted or person.taken is not None:
            return
        if (room, key) not in self._changed:
            self._forget(room, key)

    def _forget(self, room: str, key: str) -> None:
        del self._rooms[room][key]
        if not self._rooms[room]:
            del self._rooms[room]


def _prove(person: Person, connection: Connection) -> None:
    person.doubted = _without(person.doubted, connection)
    if connection not in person.here:
        person.here += (connection,)


def _without(connections: Connections, connection: Connection) -> Connections:
    if connection not in connections:
        return connections
    place = connections.index(connection)
    return connections[:place] + connections[place + 1 :]


attendance = OncePerProcess(Attendance)
