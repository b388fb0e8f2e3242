"""The rooms of one connection: whose entries come next, and what goes before them."""

import asyncio
from types import SimpleNamespace

import pytest
from memory_log import read_by_feeds

from django_rooms import get_room
from django_rooms.connection.place import Place
from django_rooms.connection.places import Places
from django_rooms.connection.pulse import Pulse
from django_rooms.connection.sending import Sending
from django_rooms.feeds.hub import hub
from django_rooms.protocol.entries import Position


class Alone:
    """Who is in no room's presence."""

    def leave(self, room, after):
        pass


class Logged:
    """A place whose log is read when it is let, and then has ``found``."""

    lags = behind = True

    def __init__(self, *found):
        self.found = list(found)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    def tail(self):
        return None

    presence = tail

    async def read(self):
        self.asked.set()
        await self.let.wait()
        return self.found.pop(0) if self.found else None


class Live:
    """A place that has the same frame again and again."""

    lags, behind = False, True

    def __init__(self, frame):
        self.frame = frame

    def tail(self):
        return self.frame

    def presence(self):
        return None


class Once(Live):
    def tail(self):
        frame, self.frame = self.frame, None
        return frame


class Wakes:
    """What ``Places`` tells that something was found."""

    def __init__(self, wake=lambda: None):
        self.told, self.wake = asyncio.Event(), wake

    def read_on(self):
        self.told.set()
        self.wake()

    async def wait(self):
        await asyncio.wait_for(self.told.wait(), 10)
        self.told.clear()


async def settled():
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_while_one_log_is_read_the_other_rooms_go_on():
    wakes, slow = Wakes(), Logged("from the log")
    places = Places(wakes, Alone())
    places.enter("slow", slow)
    places.note_news("slow")
    assert places.entries() is None
    await slow.asked.wait()

    places.enter("lobby", Once("from the tail"))
    places.note_news("lobby")
    places.note_news("slow")  # What is told of it meanwhile comes behind what is being read.
    assert [places.entries(), places.entries()] == ["from the tail", None]

    slow.let.set()
    await wakes.wait()
    assert places.entries() == "from the log"


async def test_logs_are_read_one_at_a_time_and_none_before_what_was_read_is_taken():
    wakes, one, two = Wakes(), Logged("one", "one again"), Logged("two")
    places = Places(wakes, Alone())
    for name, place in {"one": one, "two": two}.items():
        places.enter(name, place)
        places.note_news(name)
    assert places.entries() is None
    await one.asked.wait()
    one.let.set()
    two.let.set()
    await wakes.wait()
    assert not two.asked.is_set()

    assert places.entries() == "one"
    await settled()
    assert not two.asked.is_set()
    assert places.entries() is None
    await wakes.wait()
    assert places.entries() == "two"


@pytest.mark.parametrize("again", [False, True], ids=["left", "joined again"])
async def test_what_was_read_for_a_place_that_is_no_more_is_not_written(again):
    wakes, slow = Wakes(), Logged("too late")
    places = Places(wakes, Alone())
    places.enter("slow", slow)
    places.note_news("slow")
    assert places.entries() is None
    await slow.asked.wait()
    places._places.pop("slow")
    if again:
        places.enter("slow", Once("anew"))
        places.note_news("slow")
        assert places.entries() == "anew"
    slow.let.set()
    await wakes.wait()

    assert places.entries() is None


async def test_a_log_in_which_nothing_is_found_is_not_read_again_before_there_are_news():
    wakes, slow = Wakes(), Logged()
    places = Places(wakes, Alone())
    places.enter("slow", slow)
    places.note_news("slow")
    assert places.entries() is None
    slow.let.set()
    await wakes.wait()
    slow.asked.clear()

    assert places.entries() is None
    await settled()
    assert not slow.asked.is_set()
    places.note_news("slow")
    assert places.entries() is None
    await asyncio.wait_for(slow.asked.wait(), 10)


async def test_who_leaves_a_room_whose_log_is_being_read_is_answered_and_goes_on_elsewhere(monkeypatch):
    """Nobody else is in that room, so its feed is closed while its log is read."""
    log = read_by_feeds(monkeypatch)
    sent, written = [], asyncio.Event()

    class Socket:
        async def send_text(self, text):
            sent.extend(text[1:-1].split(",") if text.startswith("[") else [text])
            written.set()

    sending = Sending(Socket(), Pulse(lambda: 0.0), SimpleNamespace(entries=lambda: places.entries()))
    places = Places(Wakes(lambda: sending.wake()), Alone())
    log.fill("k3Zp", 300)
    feed = await hub().feed("lobby")
    places.enter("lobby", Place(get_room("lobby"), feed, position=Position("k3Zp", 20)))
    log.asked.clear()
    log.open.clear()
    places.note_news("lobby")
    sending.wake()
    await log.asked.wait()

    places.leave("lobby")
    places.enter("two", Once("entries"))
    places.note_news("two")
    sending.put("left")
    async with asyncio.timeout(10):
        while sent != ["left", "entries"]:
            await written.wait()
            written.clear()
    log.open.set()
    await places._reading
    await settled()
    assert sent == ["left", "entries"]


async def test_who_is_at_the_end_of_a_feed_is_asked_once_a_frame():
    """The fan-out's cost: all who are live in a room are there after each frame, and the next news is told them."""
    places, place = Places(Wakes(), Alone()), Once("entries")
    place.behind = False
    places.enter("lobby", place)
    places.note_news("lobby")

    assert places.entries() == "entries"
    place.frame = "more"
    assert places.entries() is None
    places.note_news("lobby")
    assert places.entries() == "more"


async def test_rooms_take_turns():
    places = Places(Wakes(), Alone())
    for name in ("one", "two"):
        places.enter(name, Live(name))
        places.note_news(name)

    assert [places.entries() for _ in range(4)] == ["one", "two", "one", "two"]
