"""What is given for an item: it ends once, in whichever thread, for all who wait."""

import asyncio
import threading

import pytest

from django_rooms.log.receipt import Receipt

PATIENCE = 10


@pytest.fixture
def receipt():
    return Receipt()


def in_a_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def test_it_has_what_was_stored(receipt):
    receipt.stored("entry")
    assert (receipt.done, receipt.error, receipt.result()) == (True, None, "entry")


def test_it_raises_why_nothing_was(receipt):
    receipt.failed(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        receipt.result()
    receipt.wait()


def test_who_waits_goes_on_when_another_thread_ends_it(receipt):
    receipt.then(lambda receipt: begun.release())
    begun = threading.Semaphore(0)
    thread = in_a_thread(receipt.stored, "entry")
    assert receipt.result(PATIENCE) == "entry"
    assert begun.acquire(timeout=PATIENCE)
    thread.join()


def test_who_waits_for_too_long_is_told(receipt):
    with pytest.raises(TimeoutError):
        receipt.result(0)
    receipt.stored("entry")
    assert receipt.result(0) == "entry"


def test_callbacks_are_called_once_each_in_their_order_and_the_late_ones_at_once(receipt):
    called = []
    for n in range(3):
        receipt.then(lambda receipt, n=n: called.append((n, receipt.result())))
    receipt.stored("entry")
    receipt.then(lambda receipt: called.append("late"))
    assert called == [(0, "entry"), (1, "entry"), (2, "entry"), "late"]


def test_each_callback_is_called_once_whoever_is_first():
    for _ in range(200):
        receipt, called = Receipt(), []
        thread = in_a_thread(receipt.stored, None)
        for n in range(20):
            receipt.then(lambda receipt, n=n, called=called: called.append(n))
        thread.join()
        assert sorted(called) == list(range(20))


def test_a_callback_that_fails_keeps_no_other_from_being_called(receipt, caplog):
    called = []
    receipt.then(lambda receipt: 1 / 0)
    receipt.then(called.append)
    receipt.stored("entry")
    assert called == [receipt]
    assert "ZeroDivisionError" in caplog.text


async def test_it_is_awaited(receipt):
    waiting = asyncio.ensure_future(awaited(receipt))
    await asyncio.sleep(0)
    thread = in_a_thread(receipt.stored, "entry")
    assert await asyncio.wait_for(waiting, PATIENCE) == "entry"
    assert await receipt == "entry"
    thread.join()


async def test_an_awaited_one_raises_why_nothing_was_stored(receipt):
    receipt.failed(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await receipt


async def test_who_gives_up_waiting_disturbs_nobody(receipt):
    gone, there = (asyncio.ensure_future(awaited(receipt)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    receipt.stored("entry")
    assert await asyncio.wait_for(there, PATIENCE) == "entry"
    assert gone.cancelled()


async def awaited(receipt):
    return await receipt
