"""What other threads have for a loop: all of it in its order, by one wake-up."""

import asyncio
import threading

import pytest

from django_rooms.handover import Handover, handover

PATIENCE = 10


class Wakes:
    """Counts the loop's wake-ups."""

    def __init__(self, loop):
        self.count, self._wake = 0, loop.call_soon_threadsafe

    def __call__(self, *args, **options):
        self.count += 1
        return self._wake(*args, **options)


@pytest.fixture
async def wakes(monkeypatch):
    loop = asyncio.get_running_loop()
    wakes = Wakes(loop)
    monkeypatch.setattr(loop, "call_soon_threadsafe", wakes)
    return wakes


@pytest.fixture
async def failures():
    """What the loop's handler is told."""
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    return failures


def in_threads(*works):
    """Run all of them beside each other, while the loop does nothing."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


async def test_many_calls_are_one_wake_up(wakes):
    heard, hand = [], Handover()
    in_threads(lambda: [hand.call(heard.append, n) for n in range(100)])
    assert heard == []
    await asyncio.sleep(0)
    assert (heard, wakes.count) == (list(range(100)), 1)


async def test_what_comes_after_that_wakes_it_again(wakes):
    heard, hand = [], Handover()
    for n in range(3):
        hand.call(heard.append, n)
        await asyncio.sleep(0)
        assert (heard[-1], wakes.count) == (n, n + 1)


async def test_a_thread_wakes_a_loop_that_sleeps():
    heard, hand = asyncio.Event(), Handover()
    thread = threading.Thread(target=hand.call, args=[heard.set])
    asyncio.get_running_loop().call_soon(thread.start)
    await asyncio.wait_for(heard.wait(), PATIENCE)
    thread.join(PATIENCE)


async def test_what_each_of_several_threads_hands_over_keeps_its_order():
    heard, hand = [], Handover()

    def work(name):
        for n in range(500):
            hand.call(heard.append, (name, n))

    in_threads(*[lambda name=name: work(name) for name in "abcd"])
    await asyncio.sleep(0)
    for name in "abcd":
        assert [n for of, n in heard if of == name] == list(range(500))


async def test_nothing_is_forgotten_while_the_loop_takes_what_was_handed_over():
    """Whoever looks whether the loop was woken does so after their call is there to be found."""
    hand, done, left = Handover(), asyncio.Event(), set(range(2000))

    def hear(n):
        left.remove(n)
        if not left:
            done.set()

    thread = threading.Thread(target=lambda: [hand.call(hear, n) for n in range(2000)])
    thread.start()
    await asyncio.wait_for(done.wait(), PATIENCE)
    thread.join(PATIENCE)


async def test_what_is_handed_over_by_a_call_comes_after_everything_that_waits(wakes):
    heard, hand = [], Handover()

    def call_again():
        heard.append("first")
        hand.call(heard.append, "third")

    hand.call(call_again)
    hand.call(heard.append, "second")
    await asyncio.sleep(0)
    assert heard == ["first", "second"]
    await asyncio.sleep(0)
    assert (heard, wakes.count) == (["first", "second", "third"], 2)


async def test_a_call_that_fails_stops_no_other_and_is_told_to_the_loop(failures):
    heard, hand, error = [], Handover(), ValueError("gone")

    def fail():
        raise error

    hand.call(heard.append, 1)
    hand.call(fail)
    hand.call(heard.append, 2)
    await asyncio.sleep(0)
    assert heard == [1, 2]
    (context,) = failures
    assert context["exception"] is error
    assert "What was handed over failed" in context["message"]
    assert "fail" in context["message"]


async def test_a_loop_that_is_closed_has_nobody_left_to_tell():
    hand = None

    async def make():
        nonlocal hand
        hand = handover()

    await asyncio.to_thread(asyncio.run, make())
    heard = []
    hand.call(heard.append, 1)
    hand.call(heard.append, 2)
    assert heard == []


async def test_a_loop_has_one_of_its_own():
    assert handover() is handover()

    async def other():
        return handover()

    assert await asyncio.to_thread(asyncio.run, other()) is not handover()
