"""How often what is costly is done: counts, which no machine changes, beside what they are stated to be.

A limit for times is too wide to find anything, or fails by itself where a machine is busy. What makes the rooms fast
is that some things are done once for a batch, a round or a loop, and not once for each who is in it. That can be
counted. Whoever changes one of these numbers has made the rooms faster or slower, and says so here.
"""

import asyncio
import json
import sys
import threading
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cached_property

import pytest
from asgiref.sync import sync_to_async
from communicating import client, one_loop
from django.db import connection
from memory_log import MemoryLog, entry
from registering import replace_registrations

from django_rooms import get_room, registry
from django_rooms.connection.conversation import Connection
from django_rooms.connection.publishing import Publishing
from django_rooms.connection.watch import PARTS, TICK
from django_rooms.doorbell import bell
from django_rooms.doorbell.bell import FEW
from django_rooms.feeds import feed as feed_module
from django_rooms.feeds import hub as hub_module
from django_rooms.feeds import rounds
from django_rooms.feeds.feed import RoomFeed
from django_rooms.feeds.hub import hub, tell
from django_rooms.log import store
from django_rooms.log import writer as writer_module
from django_rooms.log.appends import Append
from django_rooms.log.store import News
from django_rooms.log.writer import Writer
from django_rooms.models import Entry as EntryRow
from django_rooms.people import Guest, show
from django_rooms.protocol import frames
from django_rooms.protocol.entries import Entry
from django_rooms.protocol.frames import Publish
from django_rooms.rooms import PublicRoom

pytestmark = pytest.mark.django_db

# A row that is locked by being read is locked by one statement; SQLite updates it first. PostgreSQL takes two writes in
# one statement.
VENDOR = connection.vendor
A_BATCH = {"postgresql": 3, "mysql": 4, "sqlite": 5}[VENDOR]
NEW_ROOMS = {"postgresql": 4, "mysql": 4, "sqlite": 5}[VENDOR]

# From Python 3.12 on a task that waits for nothing is done at once.
EAGER = sys.version_info >= (3, 12)

STATED = {
    # Statements of the database, without BEGIN and COMMIT.
    "one publish": A_BATCH,  # Lock the room; look for what is pending or repeated; move the head; insert.
    "a batch": A_BATCH,  # The same, with keys and rows in one parameter, for any number of publishes and rooms.
    "a batch in new rooms": A_BATCH + NEW_ROOMS,  # Nothing is locked; which are absent; what was left; insert; again.
    "a look": 2,  # The ends of all logs that are followed, and the stamps of who is there.
    "the first join": 3,  # What is pending; the room's row; its newest entries, for all who come at once.
    "a join": 0,  # The room's feed has it all in memory.
    # Messages to the channel layer.
    "rung for 1 room": 1,  # To those who follow it.
    "rung for a few rooms": 8,  # A message a room, up to so many.
    "rung for 500 rooms": 2,  # To all processes, of 256 rooms at once.
    # For what was said, with 1 member or 100 of them.
    "an entry is encoded": 1,  # When it was stored; feeds, doorbells and frames have that text.
    "a frame of entries is made": 1,  # For a round, and not for each who is told it.
    # What is told at once, for each of 100 members.
    "messages for 50 entries": 1,  # What came before the round goes as one frame.
    "messages for 20 events": 1,  # As one array.
    "messages for entries among events": 3 if EAGER else 2,  # What came before them, they, and what came after that.
    "tasks": 0 if EAGER else 1,  # A write that waits for nothing is over before a task of its own would have begun.
    # For 100 publishes that are committed together.
    "wake-ups of the loop": 1,  # News and 100 answers are handed over in one.
    # For each of 100 connections on which nothing is said.
    "pings in 30 s": 1,  # After 25 s of silence, by a look that comes each 5 s.
    "messages in 30 s": 1,  # That ping, and no heartbeat beside it.
    # For all of them together.
    "timers as they come": 1,  # The first of them begins to be looked at, and the others with it.
    "timers in 5 s": 53,  # One after the other, each for a part of them.
}

MEMBERS = 100
PATIENCE = 10


class Quiet(PublicRoom):
    """Does not tell who is there: what that costs is counted where it is recorded."""

    presence_names = None


@pytest.fixture(autouse=True)
def quiet_rooms(monkeypatch, settings):
    """And no looks but those that are asked for; and rounds without a rest: how long one took is no count."""
    monkeypatch.setattr(rounds, "SHORT", PATIENCE)
    monkeypatch.setattr(hub_module, "GATHER", 3600)
    settings.DJANGO_ROOMS = {"LOOK": 3600}
    replace_registrations(monkeypatch, registry._registrations)
    registry.register("quiet/<path:name>", Quiet)


def said(n, room="quiet/0"):
    return Append(room, "u:1", f"{n}", "{}", show(Guest("g1", "Ann")))


def batch(size, rooms, round_=0):
    """So many publishes, over so many rooms."""
    return [said(f"{round_}/{n}", f"quiet/{n % rooms}") for n in range(size)]


@pytest.fixture
def asked(db):
    """What the database is asked on the test's connection, but for SAVEPOINT, in whose place servers have BEGIN."""
    asked = []

    def note(execute, sql, params, many, context):
        if "SAVEPOINT" not in sql:
            asked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield asked


@asynccontextmanager
async def crowd(count):
    """So many are in a room with an entry, each with a consumer of their own, and have read what came until then."""
    await in_the_database(store.append, batch(1, 1, "before"))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client()) for _ in range(count)]
        for each in clients:
            assert (await each.ask("join", room="quiet/0"))["type"] == "joined"
        await settled()
        yield clients


def say(offset):
    """As the hub hears it."""
    feed = hub().feeds["quiet/0"]
    feed.hear(feed.feed.epoch, offset, [entry(offset).text], offset)


def typing(n):
    return frames.event("quiet/0", "typing", None, {"n": n})


async def settled():
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def in_the_database(function, *args):
    return sync_to_async(function, thread_sensitive=True)(*args)


def messages(each):
    """What a member was sent and has not read: a list of frames for each ASGI message."""
    queue, found = each.output_queue, []
    while not queue.empty():
        value = json.loads(queue.get_nowait()["text"])
        found.append(value if isinstance(value, list) else [value])
    return found


class Calls:
    """Counts the calls of a function, and makes them."""

    def __init__(self, function):
        self.count, self._function = 0, function

    def __call__(self, *args, **options):
        self.count += 1
        return self._function(*args, **options)


@contextmanager
def tasks():
    """Counts those that the running loop is asked for, which are begun in another turn."""
    made = Calls(lambda loop, work, **options: asyncio.Task(work, loop=loop, **options))
    loop = asyncio.get_running_loop()
    loop.set_task_factory(made)
    yield made
    loop.set_task_factory(None)


# The database.


def test_the_statements_of_one_publish(asked):
    store.append(batch(1, 1))
    asked.clear()
    store.append([said("another")])
    assert len(asked) == STATED["one publish"], asked


@pytest.mark.parametrize(("size", "rooms"), [(1, 1), (50, 1), (50, 50), (500, 1), (500, 50)])
def test_the_statements_of_a_batch_are_the_same_for_any_number_of_publishes_and_rooms(asked, size, rooms):
    store.append(batch(rooms, rooms))
    asked.clear()
    store.append(batch(size, rooms, 1))
    assert len(asked) == STATED["a batch"], asked
    assert EntryRow.objects.count() == size + rooms


@pytest.mark.parametrize("rooms", [1, 50])
def test_the_statements_of_a_batch_in_new_rooms(asked, rooms):
    store.append(batch(50, rooms))
    assert len(asked) == STATED["a batch in new rooms"], asked


@pytest.mark.parametrize("rooms", [1, 1000])
@one_loop
async def test_the_statements_of_a_look(asked, rooms, monkeypatch):
    looks, looked, found = [], asyncio.Event(), {}

    class Reading:
        async def run(self, function, *args):
            result = await in_the_database(function, *args)
            if function.__name__ == "heads":
                found.update(result)
            if function.__name__ == "stamps":  # The last of a look. All that was asked since that of the one before.
                looks.append(list(asked))
                asked.clear()
                looked.set()
            return result

    monkeypatch.setattr(hub_module, "GATHER", 0)
    monkeypatch.setattr(hub_module, "reading", Reading())
    monkeypatch.setattr(feed_module, "reading", MemoryLog())
    await in_the_database(store.append, [said(1, "lobby")])
    feeds = await asyncio.gather(*[hub().feed(name, 100) for name in ["lobby", *map(str, range(rooms - 1))]])
    looks.clear()
    async with asyncio.timeout(PATIENCE):
        while len(looks) < 3:
            hub()._soon.set()
            await looked.wait()
            looked.clear()
    assert {name: head.offset for name, head in found.items()} == {"lobby": 1}
    assert [len(look) for look in looks[1:]] == [STATED["a look"]] * len(looks[1:]), looks[1:]
    for feed in feeds:
        hub().let_go(feed)


@one_loop
async def test_the_statements_of_joins(asked):
    await in_the_database(store.append, batch(64, 1))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client()) for _ in range(MEMBERS)]
        some, others = clients[: MEMBERS // 2], clients[MEMBERS // 2 :]
        asked.clear()
        joined = await asyncio.gather(*[each.ask("join", room="quiet/0") for each in some])
        assert {len(frame["entries"]) for frame in joined} == {frames.DEFAULT_HISTORY}
        assert len(asked) == STATED["the first join"], asked
        asked.clear()
        joined = await asyncio.gather(*[each.ask("join", room="quiet/0") for each in others])
        assert {len(frame["entries"]) for frame in joined} == {frames.DEFAULT_HISTORY}
        assert len(asked) == STATED["a join"], asked


# The channel layer.


@pytest.fixture
def layer(monkeypatch):
    """One that reaches other processes, and notes what it is asked to send."""

    class Layer:
        sent = ()

        async def group_send(self, group, message):
            self.sent = (*self.sent, message)

    layer = Layer()
    monkeypatch.setattr(bell, "layer", lambda: layer)
    monkeypatch.setattr(bell, "reaches_other_processes", lambda: True)
    monkeypatch.setattr(bell, "TIMEOUT", PATIENCE)
    monkeypatch.setattr(bell._doorbell, "made", bell.Doorbell())
    return layer


@pytest.mark.parametrize(("rooms", "stated"), [(1, "rung for 1 room"), (FEW, "rung for a few rooms")])
def test_the_messages_to_the_layer_of_a_batch_in_few_rooms(layer, rooms, stated):
    store.append(batch(500, rooms))
    bell._doorbell().flush()
    assert len(layer.sent) == STATED[stated]


def test_the_messages_to_the_layer_of_a_batch_in_many_rooms(layer):
    store.append(batch(500, 500))
    bell._doorbell().flush()
    assert len(layer.sent) == STATED["rung for 500 rooms"]


# The fan-out.


@pytest.fixture
def encodings(monkeypatch):
    """How often the text of an entry is made."""
    calls = Calls(Entry.text.func)
    text = cached_property(calls)
    text.__set_name__(Entry, "text")
    monkeypatch.setattr(Entry, "text", text)
    return calls


@pytest.fixture
def made(monkeypatch):
    """How often a frame of entries is made."""
    calls = Calls(frames.entries)
    monkeypatch.setattr(frames, "entries", calls)
    return calls


@pytest.mark.parametrize("members", [1, MEMBERS])
def test_the_encodings_of_one_publish(members, layer, encodings, made):
    @one_loop
    async def run():
        async with crowd(members) as clients:
            encodings.count = made.count = 0
            await in_the_database(get_room("quiet/0").publish, {"text": "hi"})
            await settled()
            assert [[frame["type"] for frame in message] for message in messages(clients[-1])] == [["entries"]]

    run()
    bell._doorbell().flush()
    assert layer.sent
    assert encodings.count == STATED["an entry is encoded"]
    assert made.count == STATED["a frame of entries is made"]


@one_loop
async def test_the_frames_of_what_all_have_to_ask_for(made):
    """The first entry of a room comes with its epoch, which nobody has yet who waits for it."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client()) for _ in range(MEMBERS)]
        for each in clients:
            await each.ask("join", room="quiet/0")
        await in_the_database(store.append, batch(1, 1))
        await settled()
        assert {len(messages(each)) for each in clients} == {1}
    assert made.count == STATED["a frame of entries is made"]


@one_loop
async def test_the_messages_of_what_is_said_at_once(made):
    async with crowd(MEMBERS) as clients:
        made.count = 0
        await in_the_database(store.append, batch(50, 1))
        await settled()
        sent = [messages(each) for each in clients]
    assert {sum(len(frame["entries"]) for message in each for frame in message) for each in sent} == {50}
    assert {len(each) for each in sent} == {STATED["messages for 50 entries"]}
    assert made.count == STATED["a frame of entries is made"]


@one_loop
async def test_the_messages_of_what_is_stored_one_by_one_before_anybody_is_told():
    """As by a database that is quick, while the loop is busy."""
    async with crowd(MEMBERS) as clients:
        for offset in range(2, 52):
            say(offset)
        await settled()
        sent = [messages(each) for each in clients]
    assert {sum(len(frame["entries"]) for message in each for frame in message) for each in sent} == {50}
    assert {len(each) for each in sent} == {STATED["messages for 50 entries"]}


@one_loop
async def test_the_messages_of_events():
    async with crowd(MEMBERS) as clients:
        for n in range(20):
            tell("quiet/0", typing(n))
        await settled()
        sent = [messages(each) for each in clients]
    assert {sum(map(len, each)) for each in sent} == {20}
    assert {len(each) for each in sent} == {STATED["messages for 20 events"]}


@one_loop
async def test_the_messages_of_entries_among_events():
    async with crowd(MEMBERS) as clients:
        for n in range(20):
            hub().hear_event("quiet/0", typing(n))
            say(2 + n)
        await settled()
        sent = [messages(each) for each in clients]
    assert {sum(map(len, each)) for each in sent} == {20 + 1}
    assert {len(each) for each in sent} == {STATED["messages for entries among events"]}


@one_loop
async def test_the_tasks_of_a_delivery(monkeypatch):
    left, tell = [], RoomFeed.tell

    def told(feed):
        before = asyncio.all_tasks()
        tell(feed)
        left.append(len(asyncio.all_tasks() - before))

    monkeypatch.setattr(RoomFeed, "tell", told)
    async with crowd(MEMBERS) as clients:
        with tasks() as made:
            say(2)
            await settled()
        assert {len(messages(each)) for each in clients} == {1}
    assert left == [0 if EAGER else MEMBERS]
    assert made.count == STATED["tasks"] * MEMBERS


# The loop.


async def test_the_wake_ups_of_a_batch(monkeypatch):
    """While the loop is busy, as it is in a crowd."""
    entered, opened, stored = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)

    class Noting(Writer):
        def _store(self, jobs):
            held = super()._store(jobs)
            stored.release()
            return held

    def append(items):
        entered.release()
        opened.wait(PATIENCE)
        found = [entry(n) for n, _ in enumerate(items, 1)]
        store.tell([News("quiet/0", "k3Zp", found)])
        return found

    monkeypatch.setattr(writer_module, "under_test", lambda: False)
    monkeypatch.setattr(writer_module, "use_own_connection", lambda: None)
    monkeypatch.setattr(writer_module.writer, "made", Noting(append))
    loop, answers = asyncio.get_running_loop(), []
    hub()
    publishing = [Publishing("quiet/0", f"u:{n}", show(Guest("g1", "Ann")), answers.append) for n in range(101)]
    wakes = Calls(loop.call_soon_threadsafe)
    monkeypatch.setattr(loop, "call_soon_threadsafe", wakes)

    publishing[0].submit(Publish(0, "quiet/0", "1", "{}"))
    assert entered.acquire(timeout=PATIENCE)
    for n, each in enumerate(publishing[1:], 1):
        each.submit(Publish(n, "quiet/0", "1", "{}"))
    opened.set()
    assert stored.acquire(timeout=PATIENCE)
    assert stored.acquire(timeout=PATIENCE)
    await settled()
    assert len(answers) == 101
    assert wakes.count == STATED["wake-ups of the loop"]


class Idle:
    """A connection of which nothing is heard but answers to pings."""

    def __init__(self):
        self.sent = []
        guest = Guest("g1", "Ann")
        self.connection = Connection(self, guest, show(guest))

    async def send_text(self, text):
        self.sent.append(json.loads(text))


async def test_what_an_idle_connection_is_sent_and_the_timers_of_all(monkeypatch):
    loop = asyncio.get_running_loop()
    now, timers = loop.time(), Calls(loop.call_at)
    monkeypatch.setattr(loop, "time", lambda: now)
    monkeypatch.setattr(loop, "call_at", timers)
    idle = [Idle() for _ in range(MEMBERS)]
    assert timers.count == STATED["timers as they come"]
    with tasks() as made:
        for _ in range(6):
            before = timers.count
            for _ in range(round(5 / TICK) * PARTS):
                now += TICK / PARTS
                for _ in range(2):  # One turn finds that it is time, and in the next one it is over.
                    await asyncio.sleep(0)
            assert timers.count - before == STATED["timers in 5 s"]
        await settled()
    pings = [[frame for frame in each.sent if frame["type"] == "ping"] for each in idle]
    assert {len(each) for each in pings} == {STATED["pings in 30 s"]}
    assert {len(each.sent) for each in idle} == {STATED["messages in 30 s"]}
    assert made.count == STATED["tasks"] * MEMBERS
    for each in idle:
        each.connection.closed()
