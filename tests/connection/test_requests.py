"""What a client asks, answered in its order; and what happens when it does not read the answers."""

import asyncio
from types import SimpleNamespace

import pytest

from django_rooms.connection import requests
from django_rooms.connection.requests import FRAME, MAX_UNSENT, Requests


class Sending:
    """Lets on while ``open`` is set; ``full`` says that waiting helps nothing."""

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.full = False

    @property
    def crowded(self):
        return self.full or not self.open.is_set()

    async def eased(self):
        if self.full:
            return False
        await self.open.wait()
        return True


@pytest.fixture
async def parts():
    sending, handled, floods = Sending(), [], []

    async def handle(asked):
        handled.append(asked)

    owner = SimpleNamespace(handle=handle, flooded=lambda: floods.append(True))
    return Requests(sending, owner), sending, handled, floods


async def test_requests_are_handled_in_their_order(parts):
    waiting, _, handled, _ = parts
    await waiting.answer([1, 2], 10)
    await waiting.answer([3], 10)
    assert handled == [1, 2, 3]


async def test_a_client_whose_socket_is_full_waits(parts):
    waiting, sending, handled, _ = parts
    sending.open.clear()
    answering = asyncio.ensure_future(waiting.answer([1], 10))
    await asyncio.sleep(0)
    assert (handled, waiting.under_way) == ([], True)
    sending.open.set()
    await answering
    assert (handled, waiting.under_way) == ([1], False)


async def test_what_waits_for_the_peers_own_word_is_handled_before_what_comes_with_it(parts):
    waiting, sending, handled, _ = parts
    sending.full = True
    await waiting.answer([1, 2], 10)
    await waiting.answer([3], 10)
    assert (handled, waiting.under_way) == ([], False)
    sending.full = False
    await waiting.answer([4], 10)
    assert handled == [1, 2, 3, 4]


async def test_who_asks_on_and_on_without_reading_floods(parts, monkeypatch):
    monkeypatch.setattr(requests, "MAX_UNSENT", 100)
    monkeypatch.setattr(requests, "FRAME", 1)
    waiting, sending, _, floods = parts
    sending.full = True
    for _ in range(2):
        await waiting.answer([1], 50)
    assert floods == []
    await waiting.answer([1], 1)
    assert floods == [True]


async def test_what_was_answered_does_not_count(parts, monkeypatch):
    monkeypatch.setattr(requests, "MAX_UNSENT", 100)
    monkeypatch.setattr(requests, "FRAME", 1)
    waiting, _, handled, floods = parts
    for _ in range(5):
        await waiting.answer([1], 80)
    assert (len(handled), floods) == (5, [])


async def test_many_small_frames_are_much(parts):
    """A megabyte of `{}` is 150 MB of errors with their sentences."""
    waiting, sending, _, floods = parts
    sending.full = True
    message = [1] * 64
    while not floods:
        await waiting.answer(message, 2 + 3 * 64)
    assert len(waiting._waiting) <= MAX_UNSENT // FRAME + len(message)


async def test_what_was_answered_does_not_count_while_more_waits(parts, monkeypatch):
    monkeypatch.setattr(requests, "MAX_UNSENT", 100)
    monkeypatch.setattr(requests, "FRAME", 1)
    waiting, sending, handled, floods = parts

    async def one_at_a_time(asked):
        handled.append(asked)
        sending.full = True

    waiting._owner.handle = one_at_a_time
    await waiting.answer([1], 40)
    for n in range(2, 12):
        sending.full = False
        await waiting.answer([n, n], 80) if n == 2 else await waiting.answer([n], 40)
    assert handled == [1, 2, 2, *range(3, 11)]
    assert (len(waiting._waiting), floods) == (1, [])


async def test_a_request_that_fails_leaves_nothing_under_way(parts):
    waiting, _, _, _ = parts

    async def fail(asked):
        raise ZeroDivisionError

    waiting._owner.handle = fail
    with pytest.raises(ZeroDivisionError):
        await waiting.answer([1], 10)
    assert not waiting.under_way
