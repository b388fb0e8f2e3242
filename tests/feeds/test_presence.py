"""Who is in a room for those who follow it: read seldom, local people at once, and none of them flickers."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, nullcontext
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError

from django_rooms.feeds import presence as presence_module
from django_rooms.feeds.presence import GATHER, Reader, RoomPresence
from django_rooms.names import member_key, room_key
from django_rooms.presence.attendance import attendance
from django_rooms.presence.queries import Seen, Snapshot
from django_rooms.protocol.presence import Member

pytestmark = pytest.mark.usefixtures("nobody_here")

ANN, BOB, DEE = Member("u1", "Ann"), Member("u2", "Bob"), Member("u4", "Dee")
LEASE = UUID(int=7)


class Database:
    """Stands in for ``threads.reading``: what is recorded, each read of it, and failures."""

    def __init__(self):
        self.rooms, self.stamps, self.reads = {}, {}, []
        self.open, self.asked = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.failure, self.expelled, self.asked_whom = None, set(), 0

    def record(self, room, *members, count=None):
        self.rooms[room] = Snapshot(uuid4(), count or len(members), None if count else list(members))
        return self.rooms[room].stamp

    @asynccontextmanager
    async def reading(self, room):
        """What changed in the room is being read, until the block ends."""
        self.open.clear()
        self.asked.clear()
        room.changed()
        await self.asked.wait()
        yield
        self.open.set()

    async def run(self, function, *args):
        if function.__name__ == "expelled":
            self.asked_whom += 1
            expelled, self.expelled = self.expelled, set()
            return expelled
        self.reads.append((sorted(args[0]), args[2]))
        self.asked.set()
        await self.open.wait()
        if self.failure:
            raise self.failure
        return Seen({room: self.rooms.get(room, Snapshot(None, 0, [])) for room in args[0]}, bool(self.expelled))


class Pauses:
    """Each gathering begins, and ends when told."""

    def __init__(self):
        self._began, self._end = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self.expected = GATHER

    async def __call__(self, seconds):
        assert seconds == self.expected
        self._began.release()
        await self._end.acquire()

    async def began(self):
        await asyncio.wait_for(self._began.acquire(), 10)

    def end(self):
        self._end.release()


class Tab:
    def __init__(self):
        self.expelled = []

    def prove(self):
        pass

    def expel(self, room):
        self.expelled.append(room)


TAB = Tab()


@pytest.fixture
async def database(monkeypatch):
    database = Database()
    monkeypatch.setattr(presence_module, "reading", database)
    monkeypatch.setattr(presence_module.recorder, "own_lease", lambda: LEASE)
    return database


@pytest.fixture
async def pauses():
    return Pauses()


@pytest.fixture
async def reader(database, pauses):
    return Reader(pauses)


class Room(RoomPresence):
    """With a clock that the test moves, and a count of what it had to tell."""

    def __init__(self, reader, name="lobby", limit=3):
        self.woken = 0
        super().__init__(name, limit, self.wake, reader)
        self._loop = SimpleNamespace(time=lambda: self.now)
        self.now = 100.0

    def wake(self):
        self.woken += 1

    @property
    def keys(self):
        return sorted(self.present.members)


async def opened(reader, *args):
    room = Room(reader, *args)
    await asyncio.wait_for(room.opening, 10)
    return room


async def read_again(room, pauses):
    """What was recorded is heard of, and read."""
    room.changed()
    await pauses.began()
    pauses.end()
    await asyncio.sleep(0)


def enter(member, room="lobby"):
    attendance().enter(room, member, TAB)


def record():
    attendance().recorded(attendance().take(10))


async def test_rooms_that_open_together_are_read_together(reader, database):
    database.record("lobby", ANN)
    rooms = [Room(reader, name) for name in ("lobby", "notes/1", "notes/2")]
    await asyncio.gather(*(room.opening for room in rooms))
    assert database.reads == [(["lobby", "notes/1", "notes/2"], True)]
    assert [room.keys for room in rooms] == [["u1"], [], []]


async def test_those_that_open_while_others_are_read_are_the_next_read_together(reader, database):
    database.open.clear()
    first = Room(reader)
    await database.asked.wait()
    others = [Room(reader, name) for name in ("notes/1", "notes/2")]
    database.open.set()
    await asyncio.gather(first.opening, *(room.opening for room in others))
    assert [names for names, _ in database.reads] == [["lobby"], ["notes/1", "notes/2"]]


async def test_a_room_opens_where_the_database_is_away_with_those_who_are_here(reader, database, caplog):
    database.failure = OperationalError("away")
    enter(ANN)
    room = await opened(reader)
    assert room.keys == ["u1"]
    assert "could not be read" in caplog.text
    database.failure = None
    room.look(database.record("lobby", ANN, BOB))
    await reader._pause.began()
    assert room.keys == ["u1", "u2"]


async def test_what_changes_within_a_while_is_read_once(reader, database, pauses):
    room = await opened(reader)
    room.changed()
    await pauses.began()
    for member in (ANN, BOB):
        database.record("lobby", member)
        room.changed()
    assert len(database.reads) == 2
    pauses.end()
    await pauses.began()
    assert len(database.reads) == 3
    assert (room.keys, room.woken) == (["u2"], 1)


async def test_all_rooms_together_are_read_once_in_a_while(reader, database, pauses):
    rooms = [await opened(reader, f"notes/{number}") for number in range(5)]
    database.reads.clear()
    for room in rooms:
        room.changed()
    await pauses.began()
    assert [len(names) for names, _ in database.reads] == [5]


async def test_when_nothing_changes_nothing_is_read(reader, database, pauses):
    room = await opened(reader)
    await read_again(room, pauses)
    room.look(None)
    await asyncio.sleep(0)
    assert len(database.reads) == 2
    assert room.woken == 0


async def test_a_look_reads_a_room_that_has_another_stamp(reader, database, pauses):
    stamp = database.record("lobby", ANN)
    room = await opened(reader)
    room.look(stamp)
    await asyncio.sleep(0)
    assert len(database.reads) == 1
    room.look(database.record("lobby", ANN, BOB))
    await pauses.began()
    assert room.keys == ["u1", "u2"]


async def test_what_could_not_be_read_is_found_by_the_next_look(reader, database, pauses):
    room = await opened(reader)
    stamp = database.record("lobby", ANN)
    database.failure = OperationalError("away")
    await read_again(room, pauses)
    assert room.keys == []
    database.failure = None
    room.look(stamp)
    await pauses.began()
    assert room.keys == ["u1"]


async def test_who_comes_by_this_process_is_shown_at_once(reader, database):
    room = await opened(reader)
    enter(ANN)
    room.come()
    assert (room.keys, room.woken, len(database.reads)) == (["u1"], 1, 1)


async def test_in_a_crowd_people_are_shown_together_a_while_later(reader, database, pauses):
    room = await opened(reader)
    for member in (ANN, BOB, DEE):
        enter(member)
        room.come()
    assert (room.keys, room.woken) == (["u1"], 1)
    database.record("lobby", ANN, BOB, DEE)
    await read_again(room, pauses)
    assert (room.keys, room.woken) == (["u1", "u2", "u4"], 2)
    room.now += GATHER
    attendance().leave("lobby", "u4", TAB, 0)
    enter(BOB, "elsewhere")
    room.come()
    assert room.woken == 2


async def test_whoever_finds_the_room_open_for_them_is_no_crowd(reader, database):
    database.record("lobby", BOB)
    room = await opened(reader)
    enter(ANN)
    room.come()
    assert room.keys == ["u1", "u2"]


async def test_who_is_here_and_not_recorded_yet_stays_when_the_others_are_read(reader, database, pauses):
    room = await opened(reader)
    enter(ANN)
    room.come()
    database.record("lobby", BOB)
    await read_again(room, pauses)
    assert room.keys == ["u1", "u2"]
    database.record("lobby", BOB, ANN)
    record()
    await read_again(room, pauses)
    assert (room.keys, room.present.revision) == (["u1", "u2"], 2)


async def test_who_comes_while_the_others_are_read_stays(reader, database, pauses):
    room = await opened(reader)
    async with database.reading(room):
        enter(ANN)
        room.come()
    await pauses.began()
    assert (room.keys, room.woken) == (["u1"], 1)


async def test_who_leaves_is_shown_until_that_is_recorded_and_through_the_grace(reader, database, pauses):
    database.record("lobby", ANN)
    enter(ANN)
    record()
    room = await opened(reader)
    attendance().leave("lobby", "u1", TAB, 10.0)
    await read_again(room, pauses)
    record()
    await read_again(room, pauses)
    assert (room.keys, room.present.revision) == (["u1"], 1)
    database.record("lobby")
    await read_again(room, pauses)
    assert (room.keys, room.present.revision) == ([], 2)


async def test_who_left_and_was_taken_out_while_that_was_read_does_not_stay(reader, database, pauses):
    database.record("lobby", ANN)
    enter(ANN)
    record()
    room = await opened(reader)
    async with database.reading(room):
        attendance().leave("lobby", "u1", TAB, 0.0)
        record()
        database.record("lobby")
    await pauses.began()
    pauses.end()
    await pauses.began()
    assert room.keys == []


async def test_a_reload_in_this_process_changes_nothing(reader, database, pauses):
    database.record("lobby", ANN)
    enter(ANN)
    record()
    room = await opened(reader)
    attendance().leave("lobby", "u1", TAB, 10.0)
    record()
    enter(ANN)
    room.come()
    await read_again(room, pauses)
    assert (room.keys, room.present.revision) == (["u1"], 1)


async def test_who_has_another_name_here_than_is_recorded_yet_has_it_at_once(reader, database, pauses):
    database.record("lobby", ANN)
    room = await opened(reader)
    enter(Member("u1", "Ann B."))
    room.come()
    await read_again(room, pauses)
    assert room.present.members["u1"].name == "Ann B."
    assert room.present.revision == 2


async def test_who_has_joined_elsewhere_since_is_known_as_they_are_there(reader, database, pauses):
    enter(ANN)
    record()
    database.record("lobby", ANN)
    room = await opened(reader)
    database.record("lobby", Member("u1", "Ann B."))
    await read_again(room, pauses)
    assert room.present.members["u1"].name == "Ann B."

    enter(BOB)
    room.come()
    assert room.present.members["u1"].name == "Ann B."


async def test_a_room_that_is_too_large_to_name_is_counted(reader, database, pauses):
    database.record("lobby", count=50)
    room = await opened(reader)
    assert (room.present.members, room.present.count) == (None, 50)
    enter(ANN)
    room.come()
    assert room.woken == 1
    database.record("lobby", count=51)
    await read_again(room, pauses)
    assert (room.present.count, room.woken) == (51, 2)


async def test_a_room_that_is_closed_is_not_read_any_more(reader, database, pauses):
    room, other = await opened(reader), await opened(reader, "notes/1")
    database.reads.clear()
    room.changed()
    other.changed()
    room.close()
    await pauses.began()
    assert [names for names, _ in database.reads] == [["notes/1"]]


async def test_whoever_is_expelled_is_told_by_the_next_read(reader, database, pauses):
    enter(ANN)
    enter(BOB)
    room = await opened(reader)
    database.expelled = {member_key(room_key("lobby"), "u1")}
    await read_again(room, pauses)
    assert TAB.expelled == ["lobby"]
    TAB.expelled.clear()
    await read_again(room, pauses)
    assert (TAB.expelled, database.asked_whom) == ([], 1)


async def test_whoever_is_not_sure_any_more_when_it_was_read_reads_it_otherwise(reader, database, monkeypatch):
    sure = iter([True, False])
    monkeypatch.setattr(presence_module, "_sure", lambda: next(sure))
    await opened(reader)
    assert [how for _, how in database.reads] == [True, False]


async def test_whoever_is_not_sure_reads_what_is_claimed_alone(reader, database, monkeypatch):
    monkeypatch.setattr(presence_module, "_sure", lambda: False)
    await opened(reader)
    assert [how for _, how in database.reads] == [False]


async def test_who_comes_in_the_same_moment_as_others_is_shown_though_nothing_can_be_recorded(monkeypatch, database):
    monkeypatch.setattr(presence_module, "GATHER", 0.05)
    database.failure = OperationalError("away")
    woken = asyncio.Event()
    room = RoomPresence("lobby", 100, woken.set, Reader())
    await room.opening
    attendance().enter("lobby", ANN, TAB)
    room.come()
    assert list(room.present.members) == ["u1"]
    woken.clear()

    attendance().enter("lobby", BOB, TAB)
    room.come()
    assert list(room.present.members) == ["u1"]

    async with asyncio.timeout(10):
        await woken.wait()
    assert list(room.present.members) == ["u1", "u2"]


class Spent:
    """A budget that needs so many seconds of rest."""

    spending = staticmethod(nullcontext)

    def __init__(self, rest):
        self.rest = rest


async def test_where_telling_takes_long_who_comes_is_gathered_for_longer(reader, database, pauses):
    room = await opened(reader)
    pauses.expected = 2.5
    reader.budget = Spent(2.5)
    enter(ANN)
    room.come()
    assert (room.keys, room.woken) == (["u1"], 1)
    room.now += GATHER
    enter(BOB)
    room.come()
    assert (room.keys, room.woken) == (["u1"], 1)
    await pauses.began()
    assert (room.keys, room.woken) == (["u1", "u2"], 2)


async def test_the_first_of_all_is_there_though_telling_takes_long(reader, database):
    reader.budget = Spent(2.5)
    room = await opened(reader)
    enter(ANN)
    room.come()
    assert (room.keys, room.present.revision) == (["u1"], 1)


async def test_what_telling_takes_is_counted(reader, database):
    counted = []

    @contextmanager
    def spending():
        counted.append("before")
        yield
        counted.append(room.woken)

    room = await opened(reader)
    reader.budget.spending = spending
    enter(ANN)
    room.come()
    assert counted == ["before", 1]
