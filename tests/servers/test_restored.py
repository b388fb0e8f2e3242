"""A database that was restored, or has lost its end, while people are there: all start over, and nobody hangs."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from django_rooms.names import room_key

pytestmark = pytest.mark.servers


@pytest.fixture
def restore(sqlite_url):
    """``restore(room, 3)``: the log ends there, as it did when the backup was made; ``None``: there was none yet."""

    def restore(room, last):
        key = room_key(room).hex
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=20)) as database, database:
            database.execute("DELETE FROM django_rooms_entry WHERE room = ? AND offset > ?", [key, last or 0])
            if last is None:
                database.execute("DELETE FROM django_rooms_roomlog WHERE key = ?", [key])
            else:
                database.execute("UPDATE django_rooms_roomlog SET last_offset = ? WHERE key = ?", [last, key])

    return restore


@pytest.mark.parametrize("last", [3, 0, None], ids=["restored", "to its beginning", "before its first entry"])
async def test_all_who_are_there_start_over_and_go_on(serve, connect, room, restore, last):
    one, two = (serve(layer="none", look=0.3, log="DEBUG") for _ in range(2))
    ann, bob = await connect(one, room), await connect(two, room)
    for n in range(6):
        await ann.publish(room, f"{n}")
    assert await bob.texts(room, count=6) == await ann.texts(room, count=6)
    old = ann.position(room).epoch

    restore(room, last)
    kept = [f"{n}" for n in range(last or 0)]
    for who in (ann, bob):
        reset = await who.frame("reset", room=room)
        assert [entry["body"]["text"] for entry in reset["entries"]] == kept
        assert reset["position"]["epoch"] != old

    await asyncio.gather(ann.publish(room, "by ann"), bob.publish(room, "by bob"))
    count = len(kept) + 2
    assert await ann.texts(room, count=count) == await bob.texts(room, count=count)
    assert ann.position(room).as_dict() == bob.position(room).as_dict()
    assert ann.position(room).offset == count
    for server in (one, two):
        await asyncio.to_thread(server.wait_for, "A connection starts over")
        assert server.output.count("A connection starts over") == 1


async def test_who_comes_back_with_a_position_that_the_log_has_lost_starts_over(serve, connect, room, restore):
    server = serve(layer="none", look=0.3)
    ann, bob = await connect(server, room), await connect(server, room)
    for n in range(6):
        await ann.publish(room, f"{n}")
    await bob.texts(room, count=6)
    await bob.socket.close()
    restore(room, 2)
    await ann.frame("reset")
    again = await connect(server)
    again.resume(bob, room)

    joined = await again.join(room, bob.position(room))

    assert (joined["recovered"], again.said(room)) == (False, ["0", "1"])
    await ann.publish(room, "on we go")
    assert await again.texts(room, count=3) == await ann.texts(room, count=3) == ["0", "1", "on we go"]
