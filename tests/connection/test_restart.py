"""What a connection does when its server ends, and when its peer does not read: without a server, to every step."""

import asyncio

import pytest
from channels.routing import URLRouter
from communicating import client, heard, one_loop
from django.urls import path

from django_rooms import get_room
from django_rooms.connection import conversation, pulse, sending, watch
from django_rooms.connection.drain import drain
from django_rooms.consumers import RoomConsumer
from django_rooms.feeds.hub import hub
from django_rooms.log import writer
from django_rooms.log.receipt import Receipt
from django_rooms.protocol.entries import Author, Entry
from django_rooms.rooms import Room

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(monkeypatch):
    """Publishes that are stored when the test says so."""
    receipts = []

    def submit(item, after=None):
        receipts.append(Receipt())
        return receipts[-1]

    monkeypatch.setattr(writer, "submit", submit)
    return receipts


def stored(offset):
    return Entry(offset, "message", "id", Author("gx", "X"), "2026-01-01T00:00:00.000Z", "{}", offset)


async def under_way(ann, count):
    for n in range(count):
        await ann.send({"type": "publish", "ref": f"p{n}", "room": "lobby", "id": f"{n}", "body": {}})
    await heard(ann)


async def closing(ann):
    frame = await ann.receive("closing")
    assert (frame["code"], frame["reconnect"]) == (4001, True)
    assert await ann.closed() == 4001
    return frame["after"]


@one_loop
async def test_who_has_nothing_under_way_is_told_at_once():
    async with client() as ann, client() as bob:
        await ann.ask("join", room="lobby")
        await bob.receive("welcome")
        drain().begin()
        afters = [await closing(ann), await closing(bob)]
        assert 0 < min(afters) < max(afters) <= 1
        assert hub().feeds == {}


@one_loop
async def test_what_is_under_way_is_answered_before_the_end(held):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await under_way(ann, 3)
        drain().begin()
        assert await heard(ann) == []
        for n, receipt in enumerate(reversed(held)):  # In whatever order they are stored.
            receipt.stored(stored(n + 1))
        await closing(ann)
        answers = [frame for frame in ann.seen if frame.get("ref") in ("p0", "p1", "p2")]
        assert [answer["type"] for answer in answers] == ["ok"] * 3


@one_loop
async def test_meanwhile_nothing_more_is_taken(held):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await under_way(ann, 1)
        drain().begin()
        refusals = [
            await ann.ask("publish", room="lobby", id="late", body={}),
            await ann.ask("join", room="notes/late"),
            await ann.ask("event", room="lobby", event="late"),
        ]
        assert [(refusal["code"], refusal["retry_after"]) for refusal in refusals] == [("unavailable", 1.0)] * 3
        assert (await ann.ask("leave", room="notes/late"))["type"] == "left"
        assert len(held) == 1
        held[0].stored(stored(1))
        await closing(ann)


@one_loop
async def test_a_publish_whose_policy_is_being_asked_is_stored_and_answered(monkeypatch):
    asked, answer = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(conversation, "VERDICT_AGE", -1)

    async def allows(room, action, *args):
        asked.set()
        await answer.wait()
        return True

    async with client() as ann:
        await ann.ask("join", room="lobby")
        monkeypatch.setattr(Room, "aallows", allows)
        await ann.send({"type": "publish", "ref": 9, "room": "lobby", "id": "1", "body": {}})
        await asked.wait()
        drain().begin()
        answer.set()
        assert (await ann._first(lambda frame: frame.get("ref") == 9))["type"] == "ok"
        await closing(ann)


@one_loop
async def test_a_database_that_never_answers_is_waited_for_no_longer_than_the_bound(held, monkeypatch):
    monkeypatch.setattr(conversation, "SETTLING", 0)
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await under_way(ann, 1)
        drain().begin()
        await closing(ann)
    held[0].stored(stored(1))


@pytest.mark.parametrize("address", ["/ws/rooms/", "/ws/rooms/lobby/"])
@one_loop
async def test_who_comes_meanwhile_is_let_in_and_sent_away(address):
    drain().begin()
    async with client(address) as ann:
        assert (await ann.receive("welcome"))["version"] == 1
        assert 0 < await closing(ann) <= 1
        assert [frame["type"] for frame in ann.seen] == ["welcome", "closing"]


# A peer that does not read.


@pytest.fixture
def small_bounds(monkeypatch):
    monkeypatch.setattr(pulse, "UNANSWERED", 8_000)
    monkeypatch.setattr(pulse, "STEP", 1_000)


async def arrived(communicator):
    """The offsets that have come by now, and the last ping's number."""
    while not communicator.output_queue.empty():
        await communicator._keep(await communicator.receive_output(0))
    offsets = [entry["offset"] for frame in communicator.kept for entry in frame.get("entries", ())]
    return offsets, [frame["n"] for frame in communicator.kept if frame["type"] == "ping"][-1]


@one_loop
async def test_entries_wait_in_the_log_until_a_ping_is_answered(small_bounds):
    async with client("/ws/rooms/notes/slow/") as ann, client() as bob:
        ann.answers_pings = False
        await ann.receive("joined")
        await bob.ask("join", room="notes/slow")
        for n in range(30):
            await bob.ask("publish", room="notes/slow", id=f"{n}", body={"text": f"{n:0500}"})
        await get_room("notes/slow").asend_event("dropped")
        assert await bob.receive("event")

        offsets, number = await arrived(ann)
        assert offsets == list(range(1, len(offsets) + 1))
        assert 5 < len(offsets) < 15
        # An answer to no ping lets nothing go, and what is asked now waits.
        await ann.send({"type": "pong", "n": 1}, {"type": "pong", "n": {}}, {"type": "ping", "n": "asked"})
        await heard(bob)
        assert await arrived(ann) == (offsets, number)

        while len(offsets) < 30:
            await ann.send({"type": "pong", "n": number})
            await heard(bob)
            offsets, number = await arrived(ann)
        assert offsets == list(range(1, 31))
        assert await ann.receive("pong") == {"type": "pong", "n": "asked"}
        assert "event" not in [frame["type"] for frame in ann.seen]


@one_loop
async def test_who_answers_no_ping_at_the_bound_is_closed_and_may_come_back(small_bounds, monkeypatch):
    monkeypatch.setattr(watch, "TICK", 0)
    async with client() as ann:
        await ann.receive("welcome")
        ann.answers_pings = False
        monkeypatch.setattr(pulse, "PONG", -1)
        for n in range(10):
            await ann.send({"type": "ping", "n": f"{n:01000}"})
        assert await ann.closed() == 4002
        assert (ann.seen[-1]["type"], ann.seen[-1]["reconnect"]) == ("closing", True)
        assert "after" not in ann.seen[-1]


@one_loop
async def test_a_socket_that_takes_nothing_is_closed_where_it_lets_us(monkeypatch):
    monkeypatch.setattr(watch, "TICK", 0)
    stuck = asyncio.Event()

    class Stuck(RoomConsumer):
        async def send_text(self, text):
            if "joined" in text:
                stuck.set()
                monkeypatch.setattr(sending, "WRITE_TIMEOUT", -1)
                await asyncio.Event().wait()
            await super().send_text(text)

    async with client(application=URLRouter([path("ws/rooms/", Stuck.as_asgi())])) as ann:
        await ann.receive("welcome")
        await ann.send({"type": "join", "ref": 1, "room": "lobby"})
        await stuck.wait()
        assert await ann.closed() == 4002
        assert hub().feeds == {}
