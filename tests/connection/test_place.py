"""A connection's place in a room: what it is sent from where it was, and that it is sent nothing without end."""

import asyncio
import json

import pytest
from memory_log import entry, read_by_feeds

from django_rooms import get_room
from django_rooms.connection.place import Place
from django_rooms.feeds.hub import hub
from django_rooms.log.pages import Head
from django_rooms.protocol.entries import Position
from django_rooms.protocol.frames import Join


class Follower:
    """Reads on after each news, as a connection does; whoever waits is told when nothing is left."""

    def __init__(self, place):
        self.place = place
        self.frames = []
        self.news = asyncio.Event()

    def wake(self, room):
        self.news.set()

    def hear_presence(self, room):
        self.wake(room)

    def hear(self, told):
        self.news.set()

    async def rest(self, most=10):
        """All frames that can be had now, as ``(type, offsets)``."""
        found = []
        while (frame := await rest(self.place)) is not None:
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


async def rest(place):
    """The next frame of entries, from wherever it is to be had."""
    return place.tail() or await place.read()


def summary(frame):
    value = json.loads(frame)
    return value["type"], [item["offset"] for item in value["entries"]]


@pytest.fixture
async def log(monkeypatch):
    return read_by_feeds(monkeypatch)


@pytest.fixture
async def arrive(log):
    """``arrive()``: a place in the room, and one who reads there."""
    followers = []

    async def arrive():
        feed = await hub().feed("lobby")
        follower = Follower(Place(get_room("lobby"), feed))
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
    frame = await rest(place)
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
    assert await rest(other) is None  # The feed is being opened anew.
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
    reading = asyncio.create_task(rest(place))
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
    assert log.reads == [("after", 0, 256)]


async def test_twenty_who_fell_behind_at_one_offset_cost_one_read(log, arrive):
    log.fill("k3Zp", 3)
    arrived = [await arrive() for _ in range(20)]
    arrived[0][0].feed.feed.trim(0)
    for place, _ in arrived:
        place.position = Position("k3Zp", 1)
    log.reads.clear()
    frames = await asyncio.gather(*[rest(place) for place, _ in arrived])
    assert {summary(frame) == ("entries", [2, 3]) for frame in frames} == {True}
    assert log.reads == [("after", 0, 256)]


async def test_a_storm_from_many_old_positions_costs_a_read_a_block(log, arrive):
    log.fill("k3Zp", 1000)
    arrived = [await arrive() for _ in range(100)]
    arrived[0][0].feed.feed.trim(0)
    log.reads.clear()

    async def come_back(place, follower, offset):
        joined = await place.join(Join(1, "lobby", Position("k3Zp", offset)))
        assert json.loads(joined)["recovered"] is True
        found = [summary(joined), *await follower.rest()]
        assert [offset for _, offsets in found for offset in offsets] == list(range(offset + 1, 1001))
        assert max(len(offsets) for _, offsets in found) <= 256  # No more at once, however much is missed.

    await asyncio.gather(*[come_back(*each, offset * 10) for offset, each in enumerate(arrived)])
    assert log.reads == [("after", start, 256) for start in (0, 256, 512, 768)]


async def test_what_is_pruned_while_somebody_reads_on_is_no_gap_for_them_but_a_new_beginning(log, arrive):
    log.fill("k3Zp", 1000)
    place, follower = await arrive()
    place.feed.feed.trim(0)
    joined = await place.join(Join(1, "lobby", Position("k3Zp", 0)))
    assert summary(joined)[1] == list(range(1, 257))
    log.floor = 990
    assert await follower.until(Position("k3Zp", 1000)) == [("reset", list(range(991, 1001)))]


async def test_what_is_pruned_while_it_is_read_is_no_recovery(log, arrive):
    log.fill("k3Zp", 1000)
    place, follower = await arrive()
    place.feed.feed.trim(0)
    log.open.clear()
    log.asked.clear()
    joining = asyncio.create_task(place.join(Join(1, "lobby", Position("k3Zp", 10))))
    await log.asked.wait()
    log.floor = 990
    log.open.set()
    joined = json.loads(await joining)
    assert (joined["recovered"], joined["position"]["offset"]) == (False, 1000)
    assert [entry["offset"] for entry in joined["entries"]] == list(range(991, 1001))
    assert await follower.rest() == []


async def test_who_resumes_from_what_was_kept_is_told_of_all_there_is(log, arrive):
    log.fill("k3Zp", 100)
    place, follower = await arrive()
    place.feed.feed.trim(0)
    await place.join(Join(1, "lobby", Position("k3Zp", 10)))
    log.fill("k3Zp", 101)
    place.feed.hear("k3Zp", 101, [entry(101).text], 101)
    joined = json.loads(await place.join(Join(1, "lobby", Position("k3Zp", 10))))
    assert (joined["position"]["offset"], joined["more"]) == (100, True)
    assert await follower.rest() == [("entries", [101])]


async def test_who_comes_from_a_newer_log_than_was_kept_recovers_in_it(log, arrive):
    log.fill("old", 3)
    place, _ = await arrive()
    place.feed.feed.trim(0)
    await place.join(Join(1, "lobby", Position("old", 1)))
    log.fill("new", 3)
    joined = await place.join(Join(1, "lobby", Position("new", 1)))
    assert (summary(joined), json.loads(joined)["recovered"]) == (("joined", [2, 3]), True)


async def test_a_position_beyond_the_log_is_never_waited_at(log, arrive, caplog):
    caplog.set_level("DEBUG", "django_rooms")
    log.fill("k3Zp", 3)
    place, follower = await arrive()
    place.position = Position("k3Zp", 5)
    assert await follower.until(Position("k3Zp", 3)) == [("reset", [1, 2, 3])]
    assert "A connection starts over: 'lobby'" in caplog.text


async def test_a_position_ahead_of_the_feed_and_within_the_log_waits_for_the_feed(log, arrive):
    log.fill("k3Zp", 3)
    place, follower = await arrive()
    log.fill("k3Zp", 6)
    place.position = Position("k3Zp", 5)
    assert await follower.until(Position("k3Zp", 6)) == [("entries", [6])]


async def test_a_log_that_lost_its_end_is_one_reset_for_who_is_there(log, arrive):
    log.fill("k3Zp", 3)
    place, follower = await arrive()
    await place.join(Join(1, "lobby"))
    log.fill("k3Zp", 2)
    place.feed.look(place.feed.position, Head("k3Zp", 2, 0))
    assert await follower.until(Position("k3Zp'", 2)) == [("reset", [1, 2])]
    assert await follower.rest() == []


async def test_who_fell_out_of_the_tail_reads_on_and_says_so(log, arrive, caplog):
    caplog.set_level("DEBUG", "django_rooms")
    log.fill("k3Zp", 3)
    place, follower = await arrive()
    place.position = Position("k3Zp", 1)
    assert await follower.rest() == [("entries", [2, 3])]
    assert "reads on from the log" not in caplog.text
    place.position = Position("k3Zp", 1)
    place.feed.feed.trim(0)
    assert await follower.rest() == [("entries", [2, 3])]
    assert "A connection reads on from the log: 'lobby' after 1" in caplog.text


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


async def test_who_cannot_resume_in_a_renewed_log_starts_over_once(log, arrive, monkeypatch):
    log.fill("k3Zp", 5)
    place, follower = await arrive()
    log.fill("new!", 8)
    reopening, run = asyncio.Event(), log.run

    async def run_later(function, *args):
        if function.__name__ == "newest":
            await reopening.wait()
        return await run(function, *args)

    monkeypatch.setattr(log, "run", run_later)
    # This process has not heard of it: the client's own read of the log finds it, and the feed is opened anew.
    joined = await place.join(Join(1, "lobby", Position("older", 3), 50))

    assert json.loads(joined)["recovered"] is False
    assert json.loads(joined)["position"] == {"epoch": "new!", "offset": 8}
    reopening.set()
    await place.feed.opening
    assert await follower.rest() == []


async def test_all_who_start_over_together_cost_one_read(log, arrive):
    log.fill("k3Zp", 60)
    there = [await arrive() for _ in range(20)]
    for place, _ in there:
        await place.join(Join(1, "lobby", None, 50))
    log.reads.clear()
    log.fill("new", 60)
    there[0][0].feed.look(Position("k3Zp", 60), Head("new", 60, 0))
    for _, follower in there:
        assert await follower.until(Position("new", 60)) == [("reset", list(range(11, 61)))]
    assert log.reads == [("newest", 64)]


async def test_a_log_is_not_read_while_its_feed_is_opened_anew_and_what_comes_of_that_is_told(log, arrive):
    log.fill("old", 3)
    place, follower = await arrive()
    place.position = Position("old", 1)
    place.feed.feed.trim(0)
    assert (place.tail(), place.lags) == (None, True)
    log.fill("new", 2)
    place.feed.reopen()
    assert await place.read() is None
    assert await follower.until(Position("new", 2)) == [("reset", [1, 2])]


async def test_nobody_starts_over_in_the_old_log_because_the_new_one_cannot_be_read(log, arrive):
    log.fill("k3Zp", 5)
    place, follower = await arrive()
    log.fill("new", 5)
    place.position, log.failure = Position("new", 5), OSError("gone")
    place.feed.look(Position("k3Zp", 5), Head("new", 5, 0))
    await follower.news.wait()
    with pytest.raises(OSError, match="gone"):
        await rest(place)
    assert place.position == Position("new", 5)
