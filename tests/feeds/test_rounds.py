"""When feeds tell: at once, and after a long round not before the loop has rested for as long as the round took."""

import asyncio
from types import SimpleNamespace

import pytest
from clocks import Clock

from django_rooms.feeds import rounds as rounds_module
from django_rooms.feeds.rounds import SHORT, Rounds


class Loop:
    """What it was asked to call, and after how many seconds; it calls when told."""

    def __init__(self):
        self.waiting = []

    def call_soon(self, callback):
        self.waiting.append((0, callback))
        return callback

    def call_later(self, delay, callback):
        self.waiting.append((delay, callback))
        return callback

    def delay(self):
        ((delay, _),) = self.waiting
        return delay

    def turn(self):
        ((_, callback),) = self.waiting
        self.waiting.clear()
        callback()


class Feed:
    """Takes so many seconds to tell, and has ``meanwhile`` called while it does."""

    def __init__(self, name, clock, takes=0.0):
        self.name, self.clock, self.takes = name, clock, takes
        self.meanwhile = lambda: None

    def tell(self):
        told.append(self.name)
        self.clock.now += self.takes
        self.meanwhile()


told = []


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rounds_module, "time", SimpleNamespace(perf_counter=clock))
    return clock


@pytest.fixture
def loop(monkeypatch):
    loop = Loop()
    monkeypatch.setattr(rounds_module, "asyncio", SimpleNamespace(get_running_loop=lambda: loop, Handle=asyncio.Handle))
    return loop


@pytest.fixture
def rounds(loop, clock):
    told.clear()
    return Rounds()


@pytest.fixture
def quick(clock):
    return Feed("quick", clock)


@pytest.fixture
def slow(clock):
    """Half a second is what telling a very large room takes."""
    return Feed("slow", clock, takes=0.5)


def test_who_comes_first_waits_for_nothing(rounds, loop, quick):
    rounds.want(quick)
    assert loop.delay() == 0
    loop.turn()
    assert told == ["quick"]
    assert loop.waiting == []


def test_what_comes_before_the_round_is_one_round_in_the_order_in_which_it_came(rounds, loop, quick, slow):
    for feed in (slow, quick, slow, quick):
        rounds.want(feed)
    loop.turn()
    assert told == ["slow", "quick"]


def test_after_a_round_that_took_long_the_loop_rests_for_as_long(rounds, loop, slow):
    rounds.want(slow)
    loop.turn()
    rounds.want(slow)
    assert loop.delay() == 0.5


def test_who_comes_later_in_the_rest_waits_for_what_is_left_of_it(rounds, loop, clock, slow):
    rounds.want(slow)
    loop.turn()
    clock.now += 0.375
    rounds.want(slow)
    assert loop.delay() == 0.125


def test_who_comes_after_the_rest_waits_for_nothing(rounds, loop, clock, slow):
    rounds.want(slow)
    loop.turn()
    clock.now += 0.5
    rounds.want(slow)
    assert loop.delay() == 0


def test_what_comes_while_the_loop_rests_gathers_into_one_round(rounds, loop, quick, slow):
    rounds.want(slow)
    loop.turn()
    told.clear()
    for feed in (quick, slow, quick):
        rounds.want(feed)
    loop.turn()
    assert told == ["quick", "slow"]
    assert loop.waiting == []


def test_what_comes_while_a_round_runs_is_in_the_next_one(rounds, loop, quick, slow):
    slow.meanwhile = lambda: [rounds.want(feed) for feed in (quick, slow, quick)]
    rounds.want(slow)
    loop.turn()
    assert told == ["slow"]
    slow.meanwhile = lambda: None
    loop.turn()
    assert told == ["slow", "quick", "slow"]
    assert loop.waiting == []


def test_all_feeds_of_a_round_make_its_length(rounds, loop, clock):
    for name in "abcd":
        rounds.want(Feed(name, clock, takes=0.125))
    loop.turn()
    rounds.want(Feed("e", clock))
    assert loop.delay() == 0.5


def test_after_short_rounds_nothing_rests(rounds, loop, clock, slow):
    clock.now = 0.0
    short = Feed("short", clock, takes=SHORT)
    for _ in range(3):
        rounds.want(short)
        assert loop.delay() == 0
        loop.turn()
        clock.now = 0.0  # A timer would cost more than it gathers.


def test_a_short_round_ends_the_rest_after_a_long_one(rounds, loop, clock, quick, slow):
    rounds.want(slow)
    loop.turn()
    clock.now += 0.25
    rounds.want(quick)
    loop.turn()  # Timers may be early.
    rounds.want(quick)
    assert loop.delay() == 0


def test_a_feed_that_is_forgotten_tells_no_more(rounds, loop, quick, slow):
    rounds.want(slow)
    rounds.want(quick)
    rounds.forget(slow)
    rounds.forget(slow)
    loop.turn()
    assert told == ["quick"]


def test_a_round_of_which_all_were_forgotten_is_none(rounds, loop, quick):
    rounds.want(quick)
    rounds.forget(quick)
    loop.turn()
    assert told == []
    rounds.want(quick)
    assert loop.delay() == 0
    loop.turn()
    assert told == ["quick"]


async def test_a_round_is_in_the_next_turn_of_a_real_loop(clock, quick):
    told.clear()
    Rounds().want(quick)
    assert told == []
    await asyncio.sleep(0)
    assert told == ["quick"]


def test_a_feed_that_fails_keeps_no_other_from_telling(rounds, loop, quick, slow, caplog):
    slow.meanwhile = lambda: 1 / 0
    for feed in (slow, quick):
        rounds.want(feed)
    loop.turn()
    assert told == ["slow", "quick"]
    assert "could not be told" in caplog.text
