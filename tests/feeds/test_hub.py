"""A room's feed in one event loop: what its reads teach it, and what its followers hear."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from channels.layers import get_channel_layer
from django.db import OperationalError
from memory_log import entry, read_by_feeds

from django_rooms.doorbell import bell
from django_rooms.doorbell.listener import Listener
from django_rooms.feeds import feed as feed_module
from django_rooms.feeds import hub as hub_module
from django_rooms.feeds.hub import hub
from django_rooms.log.pages import Extract, Head
from django_rooms.protocol.entries import Author, Entry, Position

NOW = datetime.fromtimestamp(0, UTC)
REMOVAL = Entry(4, "removal", "r", None, NOW, "null", 4, 2)
ERASURE = Entry(4, "erasure", "e", Author("u3f", ""), NOW, "null", 4)


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

    def hear_presence(self, room):
        self.wake(room)

    def hear(self, told):
        self.woken.set()

    def hear_message(self, message):
        self.messages.append(message)
        message["user"] = "mine"
        message["tags"].append("mine")


@pytest.fixture
async def log(monkeypatch):
    return read_by_feeds(monkeypatch)


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


def look(log):
    """From now on looks find what is in the log; the next one is now."""
    log.look.set()
    hub()._soon.set()


class Pauses:
    """The waits for a doorbell: each begins, and ends when told."""

    def __init__(self):
        self._began, self._end = asyncio.Semaphore(0), asyncio.Event()

    async def pause(self, seconds):
        self._end.clear()
        self._began.release()
        await self._end.wait()

    async def began(self):
        await asyncio.wait_for(self._began.acquire(), 10)

    def end(self):
        self._end.set()


@pytest.fixture
def pauses(monkeypatch, feed):
    pauses = Pauses()
    stand_in = SimpleNamespace(create_task=asyncio.create_task, sleep=pauses.pause)
    monkeypatch.setattr(feed_module, "asyncio", stand_in)
    return pauses


async def test_who_waits_for_the_same_block_shares_one_read(log, feed):
    log.fill("k3Zp", 3)
    feed.hear("k3Zp", 1, [entry(n).text for n in (1, 2, 3)], 3)
    log.open.clear()
    waiting = [asyncio.create_task(feed.extract(1)) for _ in range(20)]
    other = asyncio.create_task(feed.extract(2))
    await log.asked.wait()
    log.open.set()
    extracts = await asyncio.gather(*waiting)
    assert [extract.texts for extract in extracts] == [[entry(2).text, entry(3).text]] * 20
    assert (await other).texts == [entry(3).text]
    assert log.reads == [("after", 0, 256)]


async def test_a_read_that_has_ended_is_not_taken_for_a_new_one(log, feed):
    log.fill("k3Zp", 1)
    assert (await feed.extract(0)).last == 1
    log.fill("k3Zp", 2)
    assert (await feed.extract(1)).last == 2


async def test_one_who_stops_waiting_takes_the_read_from_nobody(log, feed):
    log.fill("k3Zp", 1)
    log.open.clear()
    one, other = [asyncio.create_task(feed.extract(0)) for _ in range(2)]
    await log.asked.wait()
    one.cancel()
    log.open.set()
    assert (await other).texts == [entry(1).text]


async def test_a_read_that_fails_fails_all_who_wait_and_is_forgotten(log, feed):
    log.failure = OSError("gone")
    failed = await asyncio.gather(*[feed.extract(0) for _ in range(2)], return_exceptions=True)
    assert failed == [log.failure] * 2
    log.failure = None
    assert not (await feed.extract(0)).texts


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


async def test_an_epoch_that_is_heard_of_while_the_feed_opens_is_the_one_that_it_opens_with(log, feed):
    """The log was read just before its epoch was renewed, and the news of that came before the answer to the read."""
    log.fill("new", 3)
    answers = iter([Extract("old", 0, 3, 0, [entry(1).text, entry(2).text, entry(3).text]), log.newest("lobby", 3)])

    def newest(room, limit):
        answer = next(answers)
        if answer.epoch == "old":
            feed.hear("new", 3, [], 3)
        return answer

    log.newest = newest
    feed.reopen()
    await feed.opening
    assert feed.position == ("new", 3)


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
    look(log)
    await follower.until(feed, Position("k3Zp", 2))


async def test_it_finds_that_also_where_nobody_can_tell_who_is_here(log, feed, follower, caplog):
    feed.presence = SimpleNamespace(close=lambda: None)
    log.fill("k3Zp", 2)
    look(log)
    await follower.until(feed, Position("k3Zp", 2))
    log.fill("k3Zp", 3)
    look(log)
    await follower.until(feed, Position("k3Zp", 3))
    assert "Who is in the rooms could not be looked at" in caplog.text


def delivered(feed, last, epoch="k3Zp"):
    feed.hear(epoch, 1, [entry(n).text for n in range(1, last + 1)], last)


async def test_a_log_that_lost_its_end_gets_another_epoch_and_all_start_over(log, feed, follower, caplog):
    log.fill("k3Zp", 3)
    delivered(feed, 3)
    log.fill("k3Zp", 2)
    look(log)
    await follower.until(feed, Position("k3Zp'", 2))
    assert log.epoch == "k3Zp'"
    assert "ends at 2, before 3" in caplog.text


async def test_a_log_that_somebody_else_renewed_is_not_renewed_again(log, feed, follower):
    log.fill("k3Zp", 3)
    delivered(feed, 3)
    log.open.clear()
    log.fill("k3Zp", 2)
    look(log)
    await log.asked.wait()
    log.fill("other", 2)
    log.open.set()
    await follower.until(feed, Position("other", 2))
    assert log.epoch == "other"


async def test_what_is_heard_while_a_look_runs_is_not_lost_by_the_log(log, feed):
    log.fill("k3Zp", 3)
    delivered(feed, 2)
    known = feed.position
    delivered(feed, 3)
    feed.look(known, Head("k3Zp", 2, 0))
    assert feed.opening.done()
    assert (feed.position, log.epoch, log.reads) == (Position("k3Zp", 3), "k3Zp", [])


async def test_a_first_entry_that_is_heard_while_a_look_runs_opens_nothing_anew(log, feed):
    known = feed.position
    delivered(feed, 1)
    feed.look(known, Head("", 0, 0))
    assert feed.opening.done()
    assert feed.position == Position("k3Zp", 1)


async def test_a_look_that_finds_no_row_any_more_opens_the_feed_at_the_beginning(log, feed, follower):
    delivered(feed, 3)
    look(log)
    await follower.until(feed, Position("", 0))


async def test_a_gap_that_shows_an_older_state_of_the_log_is_a_log_that_lost_its_end(log, feed, follower):
    delivered(feed, 3)
    log.fill("k3Zp", 2)
    feed.hear("k3Zp", 5, [], 5)
    await follower.until(feed, Position("k3Zp'", 2))


async def test_a_log_that_cannot_be_renewed_is_said_and_tried_again_by_the_next_look(log, feed, follower, caplog):
    delivered(feed, 3)
    log.fill("k3Zp", 2)
    log.failure = OSError("gone")
    look(log)
    async with asyncio.timeout(10):
        while not feed.failed:
            await follower.woken.wait()
            follower.woken.clear()
    assert "could not be read: gone" in caplog.text
    log.failure = None
    hub()._soon.set()
    await follower.until(feed, Position("k3Zp'", 2))


async def test_a_look_says_what_it_found(log, feed, follower, caplog):
    caplog.set_level("DEBUG", "django_rooms")
    log.fill("k3Zp", 2)
    delivered(feed, 2)
    feed.look(feed.position, Head("k3Zp", 2, 0))
    assert "A look found what no doorbell told" not in caplog.text
    log.fill("k3Zp", 3)
    feed.look(feed.position, Head("k3Zp", 3, 0))
    await follower.until(feed, Position("k3Zp", 3))
    assert "A look found what no doorbell told: 'lobby' reaches 3" in caplog.text
    assert "A gap was read from the log: 'lobby' after 2" in caplog.text


async def test_a_gap_that_closes_in_time_costs_no_read_though_others_open(log, feed, pauses):
    feed.hear("k3Zp", 2, [entry(2).text], 2)
    for n in range(3, 40, 2):
        await pauses.began()
        feed.hear("k3Zp", n + 1, [entry(n + 1).text], n + 1)  # another gap opens
        feed.hear("k3Zp", n - 2, [entry(n - 2).text], n - 2)  # the older one closes
        pauses.end()
    await pauses.began()
    feed.hear("k3Zp", 39, [entry(39).text], 39)
    pauses.end()
    await feed._healing
    assert feed.position == Position("k3Zp", 40)
    assert log.reads == []


async def test_a_gap_that_stays_is_read_once_for_all_that_was_missing(log, feed, pauses):
    log.fill("k3Zp", 40)
    for n in range(2, 41, 2):
        feed.hear("k3Zp", n, [entry(n).text], n)
    await pauses.began()
    pauses.end()
    await feed._healing
    assert feed.position == Position("k3Zp", 40)
    assert log.reads == [("after", 0, 256)]


async def test_a_gap_of_many_pages_is_waited_for_once(log, feed, pauses):
    log.fill("k3Zp", 1000)
    feed.hear("k3Zp", 1001, [], 1000)
    await pauses.began()
    pauses.end()
    await feed._healing
    assert feed.position == Position("k3Zp", 1000)
    assert [offset for _, offset, _ in log.reads] == [0, 256, 512, 768]


async def test_what_was_pruned_is_given_to_nobody_any_more(log, feed):
    log.fill("k3Zp", 3)
    delivered(feed, 3)
    await feed.extract(0)
    feed.look(feed.position, Head("k3Zp", 3, 2))
    assert feed.floor == 2
    log.reads.clear()
    await feed.extract(0)
    assert log.reads == [("after", 0, 256)]


async def test_a_feed_that_is_closed_keeps_nothing(log, feed):
    log.fill("k3Zp", 3)
    delivered(feed, 3)
    await feed.extract(0)
    assert hub()._shelf.characters > 0
    feed.close()
    assert hub()._shelf.characters == 0


async def test_who_waits_for_a_read_of_a_feed_that_is_closed_is_given_it(log, feed, follower):
    log.fill("k3Zp", 3)
    log.open.clear()
    waiting = asyncio.create_task(feed.extract(0))
    await log.asked.wait()
    hub().let_go(feed, follower)
    log.open.set()
    assert (await waiting).last == 3
    # Neither is what it tells begun in a feed that nobody would end, nor is it kept.
    assert (feed.position, feed.feed.behind) == (Position("", 0), False)
    await feed.extract(0)
    assert hub()._shelf.characters == 0


async def test_who_comes_when_the_last_one_goes_has_the_layer_called(monkeypatch, log, follower):
    calling = asyncio.Semaphore(0)

    class Echo:
        def __init__(self, deaf):
            pass

        async def run(self):
            calling.release()
            await asyncio.Event().wait()

    monkeypatch.setattr(hub_module, "Echo", Echo)
    monkeypatch.setattr(hub_module, "reaches_other_processes", lambda: True)
    for room in ("lobby", "notes/1"):
        feed = await hub().feed(room)
        await asyncio.wait_for(calling.acquire(), 10)
        hub().let_go(feed)


async def test_the_newest_page_is_read_once_for_all_who_wait_for_it(log, feed):
    log.fill("k3Zp", 3)
    log.open.clear()
    waiting = [asyncio.ensure_future(feed.page(10)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    log.open.set()
    pages = await asyncio.gather(*waiting[1:])
    assert [name for name, *_ in log.reads].count("page") == 1
    assert {page.position for page in pages} == {Position("k3Zp", 3)}
    await feed.page(10)
    assert [name for name, *_ in log.reads].count("page") == 2


async def test_a_page_that_cannot_be_read_fails_for_all_and_is_read_again(log, feed):
    log.failure = OperationalError()
    found = await asyncio.gather(feed.page(10), feed.page(10), return_exceptions=True)
    assert [type(error) for error in found] == [OperationalError, OperationalError]
    log.failure = None
    assert (await feed.page(10)).position == Position("", 0)


async def test_a_peal_is_heard_in_each_room_that_is_followed_here(log, feed, follower):
    message = {"from": "another", "news": [["elsewhere", "k3Zp", 1, 1, ["{}"]], ["lobby", "k3Zp", 1, 1, ["{}"]]]}
    hub().hear_peal({**message, "present": []})
    await follower.until(feed, Position("k3Zp", 1))
    assert set(hub().feeds) == {"lobby"}


async def test_what_this_process_pealed_itself_is_not_heard_again(log, feed):
    news = [["lobby", "k3Zp", 1, 1, ["{}"]]]
    hub().hear_peal({"from": bell.process(), "news": news, "present": ["lobby"]})
    assert feed.position == Position("", 0)


async def test_who_peals_is_heard_through_the_layer(monkeypatch, log, feed, follower):
    """In-memory, for once taken for one that reaches other processes."""
    joined = asyncio.Event()

    class Told(Listener):
        def __init__(self, groups, hear, named):
            super().__init__(groups, hear, lambda channel: joined.set())

    monkeypatch.setattr(hub_module, "Listener", Told)
    monkeypatch.setattr(hub_module, "reaches_other_processes", lambda: True)
    other = await hub().feed("notes/1")
    other.followers.add(follower)
    await asyncio.wait_for(joined.wait(), 10)
    (group,) = bell.peal_groups(get_channel_layer())
    message = {"type": bell.PEAL, "from": "another", "news": [["lobby", "k3Zp", 1, 1, ["{}"]]], "present": []}
    await get_channel_layer().group_send(group, message)
    await follower.until(feed, Position("k3Zp", 1))


async def test_a_feed_that_opens_anew_keeps_nothing_of_the_old_log(log, feed, follower):
    log.fill("k3Zp", 3)
    delivered(feed, 3)
    await feed.extract(0)
    log.fill("other", 2)
    feed.hear("other", 3, [], 2)
    await follower.until(feed, Position("other", 2))
    assert (await feed.extract(0)).epoch == "other"


@pytest.mark.parametrize("change", [REMOVAL, ERASURE], ids=["removal", "erasure"])
async def test_what_was_blanked_is_not_given_from_what_was_kept(log, feed, change):
    log.fill("k3Zp", 3)
    delivered(feed, 3)
    await feed.extract(0)
    log.reads.clear()
    await feed.extract(0)
    assert log.reads == []
    feed.hear("k3Zp", 4, [change.text], 4)
    await feed.extract(0)
    assert log.reads == [("after", 0, 256)]
