"""A connection's place in a room: what it is sent from where it was, and that it is sent nothing without end."""

import asyncio
import json

import pytest
from memory_log import MemoryLog, entry

from django_rooms import get_room
from django_rooms import hub as hub_module
from django_rooms.hub import hub
from django_rooms.place import Place
from django_rooms.protocol.entries import Author, Position
from django_rooms.protocol.frames import Join
from django_rooms.publishing import Publishing


class Follower:
    """Reads on after each news, as a connection does; whoever waits is told when nothing is left."""

    def __init__(self, place):
        self.place = place
        self.frames = []
        self.news = asyncio.Event()

    def wake(self, room):
        self.news.set()

    def hear_event(self, room, frame):
        pass

    async def rest(self, most=10):
        """All frames that can be had now, as ``(type, offsets)``."""
        found = []
        while (frame := await self.place.rest()) is not None:
            found.append(summary(frame))
            assert len(found) < most, f"This never ends: {found}"
        return found

    async def until(self, position):
        """All frames until the place is there and nothing is left."""
        found = await self.rest()
        async with asyncio.timeout(10):
            while self.place.position != position:
                await self.news.wait()
                self.news.clear()
                found += await self.rest()
        return found


def summary(frame):
    value = json.loads(frame)
    return value["type"], [item["offset"] for item in value["entries"]]


@pytest.fixture
async def log(monkeypatch):
    log = MemoryLog()
    monkeypatch.setattr(hub_module, "reading", log)
    monkeypatch.setattr(hub_module, "GAP_WAIT", 0)
    return log


@pytest.fixture
async def arrive(log):
    """``arrive()``: a place in the room, and one who reads there."""
    followers = []

    async def arrive():
        feed = await hub().feed("lobby")
        publishing = Publishing("lobby", "u:1", Author("u1", "Ann"), list)
        follower = Follower(Place(get_room("lobby"), feed, publishing))
        feed.followers.add(follower)
        followers.append(follower)
        return follower.place, follower

    yield arrive
    for follower in followers:
        hub().let_go(follower.place.feed, follower)


async def test_a_first_epoch_that_the_feed_did_not_hear_of_makes_no_resets(log, arrive):
    place, follower = await arrive()
    log.fill("k3Zp", 3)
    joined = await place.join(Join(1, "lobby", Position("k3Zp", 1)))
    assert summary(joined) == ("joined", [2, 3])
    assert json.loads(joined)["recovered"] is True
    assert await follower.until(Position("k3Zp", 3)) == []
    await hub().feeds["lobby"].opening
    assert await follower.rest() == []


async def test_who_joined_an_empty_room_gets_its_first_entries_with_their_epoch(log, arrive):
    place, follower = await arrive()
    await place.join(Join(1, "lobby"))
    assert place.position == Position("", 0)
    place.feed.hear("k3Zp", 1, [entry(1).text], 1)
    frame = await place.rest()
    assert (summary(frame), json.loads(frame)["epoch"]) == (("entries", [1]), "k3Zp")
    assert await follower.rest() == []


async def test_a_first_entry_that_only_another_client_brings_to_light_comes_as_entries(log, arrive):
    place, follower = await arrive()
    await place.join(Join(1, "lobby"))
    other, _ = await arrive()
    log.fill("k3Zp", 2)
    await other.join(Join(1, "lobby", Position("k3Zp", 1)))
    assert await follower.until(Position("k3Zp", 2)) == [("entries", [1, 2])]


async def test_a_restored_log_is_one_reset_for_who_is_there_and_none_for_who_resumes_in_it(log, arrive):
    log.fill("old", 3)
    place, follower = await arrive()
    await place.join(Join(1, "lobby"))
    log.fill("new", 2)
    other, reader = await arrive()
    joined = await other.join(Join(1, "lobby", Position("new", 1)))
    assert (summary(joined), json.loads(joined)["recovered"]) == (("joined", [2]), True)
    assert await other.rest() is None  # The feed is being opened anew.
    assert await follower.until(Position("new", 2)) == [("reset", [1, 2])]
    assert await reader.until(Position("new", 2)) == []
    assert await follower.rest() == await reader.rest() == []


async def test_an_epoch_that_changes_while_a_client_resumes_is_no_recovery(log, arrive):
    log.fill("old", 3)
    place, follower = await arrive()
    place.feed.feed.trim(0)
    log.open.clear()
    joining = asyncio.create_task(place.join(Join(1, "lobby", Position("old", 1))))
    log.asked.clear()
    await log.asked.wait()
    log.fill("new", 2)
    log.open.set()
    joined = json.loads(await joining)
    assert (joined["recovered"], summary(json.dumps(joined))) == (False, ("joined", [1, 2]))
    assert place.position == Position("new", 2)
    await place.feed.opening
    assert await follower.rest() == []


async def test_an_epoch_that_changes_while_the_rest_is_read_resets(log, arrive):
    log.fill("old", 3)
    place, follower = await arrive()
    place.position = Position("old", 1)
    place.feed.feed.trim(0)
    log.open.clear()
    reading = asyncio.create_task(place.rest())
    log.asked.clear()
    await log.asked.wait()
    log.fill("new", 2)
    log.open.set()
    assert summary(await reading) == ("reset", [1, 2])
    await place.feed.opening
    assert await follower.rest() == []


async def test_twenty_at_one_old_position_cost_one_read(log, arrive):
    log.fill("k3Zp", 3)
    arrived = [await arrive() for _ in range(20)]
    arrived[0][0].feed.feed.trim(0)
    log.reads.clear()
    frames = await asyncio.gather(*[place.join(Join(1, "lobby", Position("k3Zp", 1))) for place, _ in arrived])
    assert {summary(frame)[1][0] for frame in frames} == {2}
    assert log.reads == [("after", 1)]


async def test_twenty_who_fell_behind_at_one_offset_cost_one_read(log, arrive):
    log.fill("k3Zp", 3)
    arrived = [await arrive() for _ in range(20)]
    arrived[0][0].feed.feed.trim(0)
    for place, _ in arrived:
        place.position = Position("k3Zp", 1)
    log.reads.clear()
    frames = await asyncio.gather(*[place.rest() for place, _ in arrived])
    assert {summary(frame) == ("entries", [2, 3]) for frame in frames} == {True}
    assert log.reads == [("after", 1)]


async def test_a_log_that_was_deleted_makes_no_resets_without_end(log, arrive):
    log.fill("k3Zp", 3)
    place, follower = await arrive()
    place.position = Position("k3Zp", 1)
    place.feed.feed.trim(0)
    log.fill("", 0)
    assert await follower.until(Position("", 0)) == [("reset", [])]
    await place.feed.opening
    assert await follower.rest() == []
    log.fill("new", 1)
    place.feed.hear("new", 1, [entry(1).text], 1)
    assert await follower.rest() == [("entries", [1])]


async def test_who_joins_a_log_that_was_deleted_is_at_its_beginning(log, arrive):
    log.fill("k3Zp", 3)
    place, follower = await arrive()
    place.feed.feed.trim(0)
    log.fill("", 0)
    joined = await place.join(Join(1, "lobby", Position("k3Zp", 1)))
    assert (summary(joined), place.position) == (("joined", []), Position("", 0))
    await place.feed.opening
    assert await follower.rest() == []
