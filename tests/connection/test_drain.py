"""The end of a process: who is told, when to come back, and what the server's own handler hears of it."""

import asyncio
import os
import signal
import threading

import pytest

from django_rooms.connection import drain as drain_module
from django_rooms.connection.drain import MAX_SPREAD, REPEAT, RETURNS, Drain, Sigterm, delays, drain, span


class Connection:
    """Ends at once when it is told, or where ``waits``, when the test says so."""

    def __init__(self, drain, waits=False):
        self.drain, self.waits, self.after = drain, waits, None
        drain.add(self)

    def restart(self, after):
        self.after = after
        if not self.waits:
            self.drain.discard(self)


def one_in_each_share(given):
    """Of the span. Not that all differ: two at the ends of neighbouring shares may be told the same millisecond."""
    share = span(len(given)) / len(given)
    return all(abs(delay - (n + 0.5) * share) <= share / 2 + 0.001 for n, delay in enumerate(sorted(given)))


@pytest.mark.parametrize("count", [1, 2, 199, 200, 201, 1000, 20_000])
def test_delays_fill_the_span_evenly(count):
    given = delays(count)
    assert len(given) == count
    assert min(given) > 0
    assert max(given) <= span(count) <= MAX_SPREAD
    assert one_in_each_share(given)


def test_delays_are_in_no_order():
    given = delays(100)
    assert given != sorted(given)


@pytest.mark.parametrize("count", [200, 1000, 6000])
def test_no_more_come_back_in_a_second_than_a_server_can_greet(count):
    given = delays(count)
    assert all(len([1 for delay in given if second <= delay < second + 1]) <= RETURNS + 1 for second in range(30))


def test_nobody_waits_for_longer_than_the_longest_delay():
    assert max(delays(50_000)) <= MAX_SPREAD


async def test_everybody_is_told_the_delay_of_another_share():
    ending = Drain()
    connections = [Connection(ending) for _ in range(50)]
    assert ending.after() is None
    ending.begin()
    assert one_in_each_share([connection.after for connection in connections])
    await ending.ended()


async def test_who_comes_meanwhile_is_told_a_delay_too():
    ending = Drain()
    ending.begin()
    assert 0 < ending.after() <= span(0)


async def test_the_end_is_when_the_last_has_gone():
    ending = Drain()
    slow = [Connection(ending, waits=True) for _ in range(2)]
    Connection(ending)
    ending.begin()
    ended = asyncio.ensure_future(ending.ended())
    for connection in slow:
        await asyncio.sleep(0)
        assert not ended.done()
        ending.discard(connection)
    await ended


async def test_who_never_goes_holds_nothing_up_for_ever(monkeypatch, caplog):
    monkeypatch.setattr(drain_module, "ENDING", 0)
    ending = Drain()
    Connection(ending, waits=True)
    ending.begin()
    await ending.ended()
    assert [record.message for record in caplog.records] == ["1 connections did not end in 0 s."]


# The signal.


class Server:
    """What heard SIGTERM before us."""

    def __init__(self):
        self.heard = []
        self.told = asyncio.Event()

    def __call__(self, number, frame):
        self.heard.append(number)
        self.told.set()


@pytest.fixture
async def chained():
    """A handler, chained before a server's, with a drain and a clock; the process's own handler comes back."""
    before = signal.getsignal(signal.SIGTERM)
    server, ending, clock = Server(), Drain(), iter([0.0, REPEAT - 0.1, REPEAT + 0.1])
    handler = Sigterm(ending, server, lambda: next(clock))
    signal.signal(signal.SIGTERM, handler)
    try:
        yield handler, ending, server
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_the_server_hears_the_signal_when_all_have_gone(chained):
    _, ending, server = chained
    connection = Connection(ending, waits=True)
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (connection.after is not None, server.heard) == (True, [])
    ending.discard(connection)
    await asyncio.wait_for(server.told.wait(), 10)
    assert server.heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is server


async def test_connections_are_told_in_the_loops_next_round(chained):
    """Before a server that listens by loop.add_signal_handler closes their sockets."""
    handler, ending, _ = chained
    connection = Connection(ending)
    handler(signal.SIGTERM, None)
    assert connection.after is None
    told = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: told.set_result(connection.after))
    assert await told is not None


async def test_a_second_signal_at_once_is_the_same(chained):
    _, ending, server = chained
    Connection(ending, waits=True)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
    assert server.heard == []


async def test_a_second_signal_later_is_the_servers(chained):
    _, ending, server = chained
    connection = Connection(ending, waits=True)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
    assert server.heard == [signal.SIGTERM]
    ending.discard(connection)
    await asyncio.sleep(0)
    assert server.heard == [signal.SIGTERM]  # And once is enough.


async def test_a_connection_that_fails_does_not_keep_the_signal_from_the_server(chained, monkeypatch):
    monkeypatch.setattr(drain_module, "ENDING", 0)
    handler, ending, server = chained
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    Connection(ending).restart = None
    handler(signal.SIGTERM, None)
    await asyncio.wait_for(server.told.wait(), 10)
    assert [type(error) for error in errors] == [TypeError]


async def test_without_a_handler_before_ours_the_signal_does_what_it_always_does(chained, monkeypatch):
    handler, _, _ = chained
    handler.previous = signal.SIG_DFL
    raised = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    handler._pass_on()
    assert (raised, signal.getsignal(signal.SIGTERM)) == ([signal.SIGTERM], signal.SIG_DFL)


def test_a_loop_that_is_closed_has_nobody_to_tell():
    before = signal.getsignal(signal.SIGTERM)
    heard = []

    async def chain():
        return Sigterm(Drain(), lambda number, frame: heard.append(number))

    try:
        signal.signal(signal.SIGTERM, asyncio.run(chain()))
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


# Where it listens.


@pytest.fixture
def not_under_test(monkeypatch):
    monkeypatch.setattr(drain_module, "under_test", lambda: False)
    before = signal.getsignal(signal.SIGTERM)
    yield before
    signal.signal(signal.SIGTERM, before)


async def test_a_loop_has_one_drain_and_tests_hear_their_own_signals():
    before = signal.getsignal(signal.SIGTERM)
    assert drain() is drain()
    assert signal.getsignal(signal.SIGTERM) is before


async def test_the_first_connection_of_the_main_thread_has_the_signal_heard(not_under_test):
    drain()
    handler = signal.getsignal(signal.SIGTERM)
    assert isinstance(handler, Sigterm)
    assert handler.previous is not_under_test


async def test_an_ignored_signal_stays_ignored(not_under_test):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    drain()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_another_thread_may_not_listen(not_under_test):
    async def ask():
        return drain()

    thread = threading.Thread(target=lambda: asyncio.run(ask()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is not_under_test


async def test_a_forked_child_answers_as_it_would_without_us(not_under_test):
    drain()
    drain_module._stop_listening()
    assert signal.getsignal(signal.SIGTERM) is not_under_test
