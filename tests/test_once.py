"""One of a kind in each process and in each loop."""

import asyncio
import os
import threading

import pytest

from django_rooms.once import OncePerLoop, OncePerProcess


def in_a_child(work):
    """What ``work`` says in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def test_all_threads_of_a_process_have_the_same():
    once = OncePerProcess(object)
    assert once.made is None
    found = []
    threads = [threading.Thread(target=lambda: found.append(once())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert {*found} == {once.made}


def test_each_loop_has_its_own_and_lets_go_of_it_when_it_is_closed():
    once = OncePerLoop(object)

    async def ask():
        return once(), once(), once.all()

    first, again, _ = asyncio.run(ask())
    other, _, all_of_them = asyncio.run(ask())
    assert first is again
    assert first is not other
    assert all_of_them == [other]
    assert once.all() == []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_anew_also_where_a_lock_was_taken():
    process, loop = OncePerProcess(object), OncePerLoop(object)
    before = process()

    def ask():
        made = asyncio.new_event_loop().run_until_complete(of_loop())
        return f"{process.made is None} {process() is not before} {loop.all() == [made]}"

    async def of_loop():
        return loop()

    with process._lock, loop._lock:
        assert in_a_child(ask) == "True True True"
    assert process() is before
