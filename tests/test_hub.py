"""A room's feed in one event loop: what its reads teach it, and what its followers hear."""

import asyncio

import pytest
from memory_log import MemoryLog, entry

from django_rooms import hub as hub_module
from django_rooms.hub import hub
from django_rooms.protocol.entries import Position


class Follower:
    def __init__(self):
        self.woken = asyncio.Event()
        self.messages = []

    async def until(self, feed, position):
        """Until the feed is there, as a follower learns of it."""
        async with asyncio.timeout(10):
            while feed.position != position:
                await self.woken.wait()
                self.woken.clear()

    def wake(self, room):
        self.woken.set()

    def hear_event(self, room, frame):
        pass

    def hear_message(self, message):
        self.messages.append(message)
        message["user"] = "mine"
        message["tags"].append("mine")


@pytest.fixture
async def log(monkeypatch):
    log = MemoryLog()
    monkeypatch.setattr(hub_module, "reading", log)
    monkeypatch.setattr(hub_module, "GAP_WAIT", 0)
    return log


@pytest.fixture
async def follower():
    return Follower()


@pytest.fixture
async def feed(log, follower):
    """Of a room that has no log yet, so far as the feed knows."""
    feed = await hub().feed("lobby")
    feed.followers.add(follower)
    log.reads.clear()
    log.asked.clear()
    yield feed
    hub().let_go(feed, follower)


async def test_who_waits_for_the_same_offset_shares_one_read(log, feed):
    log.fill("k3Zp", 3)
    log.open.clear()
    waiting = [asyncio.create_task(feed.extract(1)) for _ in range(20)]
    other = asyncio.create_task(feed.extract(2))
    await log.asked.wait()
    log.open.set()
    extracts = await asyncio.gather(*waiting)
    assert [extract.entries for extract in extracts] == [[entry(2), entry(3)]] * 20
    assert (await other).entries == [entry(3)]
    assert log.reads[:2] == [("after", 1), ("after", 2)]
    assert log.reads.count(("after", 1)) == 1


async def test_a_read_that_has_ended_is_not_taken_for_a_new_one(log, feed):
    log.fill("k3Zp", 1)
    assert len((await feed.extract(0)).entries) == 1
    log.fill("k3Zp", 2)
    assert len((await feed.extract(0)).entries) == 2


async def test_one_who_stops_waiting_takes_the_read_from_nobody(log, feed):
    log.fill("k3Zp", 1)
    log.open.clear()
    one, other = [asyncio.create_task(feed.extract(0)) for _ in range(2)]
    await log.asked.wait()
    one.cancel()
    log.open.set()
    assert (await other).entries == [entry(1)]


async def test_a_read_that_fails_fails_all_who_wait_and_is_forgotten(log, feed):
    log.failure = OSError("gone")
    failed = await asyncio.gather(*[feed.extract(0) for _ in range(2)], return_exceptions=True)
    assert failed == [log.failure] * 2
    log.failure = None
    assert (await feed.extract(0)).entries == []


@pytest.mark.parametrize("read", [lambda feed: feed.extract(2), lambda feed: feed.page(10)], ids=["extract", "page"])
async def test_a_read_teaches_the_feed_how_far_the_log_goes(log, feed, follower, read):
    log.fill("k3Zp", 3)
    await read(feed)
    await follower.until(feed, Position("k3Zp", 3))


async def test_a_page_of_older_messages_teaches_nothing(log, feed):
    log.fill("k3Zp", 3)
    await feed.page(1, before=2)
    assert feed.position == Position("", 0)


async def test_a_read_of_another_epoch_opens_the_feed_anew(log, feed, follower):
    feed.hear("k3Zp", 1, [entry(1).text], 1)
    log.fill("other", 2)
    await feed.extract(1)
    await follower.until(feed, Position("other", 2))


async def test_a_read_that_finds_no_log_any_more_opens_the_feed_anew(log, feed, follower):
    feed.hear("k3Zp", 1, [entry(1).text], 1)
    await feed.extract(1)
    await follower.until(feed, Position("", 0))


async def test_a_read_of_an_empty_log_teaches_nothing(log, feed):
    await feed.extract(0)
    await feed.page(10)
    assert [name for name, *_ in log.reads] == ["after", "page"]
    assert feed.position == Position("", 0)


async def test_a_handler_that_changes_its_message_changes_no_others(feed):
    followers = [Follower() for _ in range(3)]
    feed.followers.update(followers)
    message = {"type": "chat.alert", "user": "ann", "tags": ["red"]}
    feed.hear_layer(message)
    feed.followers.difference_update(followers)
    assert message == {"type": "chat.alert", "user": "ann", "tags": ["red"]}
    assert [follower.messages[0]["tags"] for follower in followers] == [["red", "mine"]] * 3


async def test_a_feed_that_cannot_open_is_let_go_and_tried_again(log, follower):
    log.failure = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await hub().feed("lobby")
    assert hub().feeds == {}
    log.failure = None
    feed = await hub().feed("lobby")
    assert feed.position == Position("", 0)
    hub().let_go(feed)


async def test_the_look_finds_what_no_doorbell_told(log, feed, follower):
    log.fill("k3Zp", 2)
    log.seen_by_look = True
    hub()._soon.set()
    await follower.until(feed, Position("k3Zp", 2))
