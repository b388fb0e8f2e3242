"""The look at every connection of a loop: by one timer, at a few at a time, and at each about once in a ``TICK``."""

import asyncio
from types import SimpleNamespace

import pytest

from django_rooms.connection import watch as watch_module
from django_rooms.connection.watch import PARTS, TICK, Watch, watch


class Loop:
    """Its timers, of which there is one at most; the test lets their time come."""

    def __init__(self):
        self.timer = None
        self.time = 0.0

    def call_later(self, delay, callback):
        assert self.timer is None
        self.timer = (delay, callback)
        return callback

    def turn(self):
        (delay, callback), self.timer = self.timer, None
        self.time += delay
        callback()


class Watched:
    """At some place in memory."""

    def __init__(self, place):
        self.place, self.ticks = place, []
        self.meanwhile = lambda: None

    def __hash__(self):
        return self.place

    def tick(self):
        self.ticks.append(True)
        self.meanwhile()


@pytest.fixture
def loop(monkeypatch):
    loop = Loop()
    stand_in = SimpleNamespace(get_running_loop=lambda: loop, TimerHandle=asyncio.TimerHandle)
    monkeypatch.setattr(watch_module, "asyncio", stand_in)
    return loop


@pytest.fixture
def watched(loop):
    """``watched(place, …)``: a watch that looks at so many."""

    def make(*places):
        there, all_of_them = Watch(), [Watched(place) for place in places]
        for each in all_of_them:
            there.add(each)
        return there, all_of_them

    return make


def look_at_all(loop):
    """For one ``TICK``."""
    for _ in range(PARTS):
        loop.turn()


def counts(all_of_them):
    return {len(each.ticks) for each in all_of_them}


@pytest.mark.parametrize("step", [1, 16, 48, 1024], ids="every {} bytes".format)
def test_each_is_looked_at_once_in_a_tick_and_a_few_at_a_time(loop, watched, step):
    """Objects are not anywhere in memory: their places are multiples of something, and it is not a multiple of ours."""
    _, all_of_them = watched(*range(0, 1000 * step, step))
    for times in (1, 2, 3):
        for _ in range(PARTS):
            before = sum(len(each.ticks) for each in all_of_them)
            loop.turn()
            assert sum(len(each.ticks) for each in all_of_them) - before <= 1000 / PARTS + 1
        assert counts(all_of_them) == {times}
        assert loop.time == pytest.approx(times * TICK)


def test_there_is_one_timer_however_many_there_are(loop, watched):
    watched(*range(1000))
    assert loop.timer[0] == TICK / PARTS


def test_who_is_gone_is_looked_at_no_more(loop, watched):
    there, (gone, other) = watched(1, 2)
    there.discard(gone)
    there.discard(gone)  # A socket may end twice.
    look_at_all(loop)
    assert (len(gone.ticks), len(other.ticks)) == (0, 1)


def test_who_was_never_there_can_go(loop, watched):
    there, (one,) = watched(1)
    there.discard(Watched(1))
    look_at_all(loop)
    assert len(one.ticks) == 1


def test_when_nobody_is_left_nobody_looks_any_more(loop, watched):
    there, (one,) = watched(1)
    look_at_all(loop)
    there.discard(one)
    loop.turn()
    assert loop.timer is None
    assert len(one.ticks) == 1


def test_who_comes_then_is_looked_at_again(loop, watched):
    there, (one,) = watched(1)
    there.discard(one)
    loop.turn()
    for place in (7, 8):
        there.add(one := Watched(place))
    look_at_all(loop)
    assert len(one.ticks) == 1
    assert loop.timer is not None


def test_who_comes_before_it_has_stopped_needs_no_other_timer(loop, watched):
    there, (one,) = watched(1)
    there.discard(one)
    there.add(other := Watched(2))
    look_at_all(loop)
    assert len(other.ticks) == 1


def test_a_look_by_which_somebody_goes_reaches_the_others(loop, watched):
    there, all_of_them = watched(1, 1 + PARTS, 1 + 2 * PARTS)
    for each in all_of_them:
        each.meanwhile = lambda each=each: there.discard(each)
    while loop.timer is not None:
        loop.turn()
    assert counts(all_of_them) == {1}


def test_a_look_that_fails_is_not_the_last(loop, watched):
    _, (one,) = watched(0)
    one.meanwhile = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        loop.turn()
    one.meanwhile = lambda: None
    look_at_all(loop)
    assert len(one.ticks) == 2


async def test_a_loop_has_one_of_its_own(monkeypatch):
    monkeypatch.setattr(watch_module, "TICK", 0)
    looked = asyncio.Event()
    one = Watched(5)
    one.meanwhile = looked.set
    watch().add(one)
    await asyncio.wait_for(looked.wait(), 10)
    assert watch() is watch()
    watch().discard(one)
