"""Kept, and once: ``kill -9`` in the middle of it all, and everybody goes on where they were."""

import asyncio
from contextlib import suppress

import pytest
from servers.client import Lost
from servers.sites import NEVER

pytestmark = pytest.mark.servers


class Writer:
    """One person who counts aloud, as fast as acknowledgements come."""

    def __init__(self, name, client):
        self.name, self.client = name, client
        self.counted = 0
        self.acknowledged = {}

    async def count(self, room):
        """Until the socket breaks; the last number may or may not have been stored then."""
        with suppress(Lost):
            while True:
                self.counted += 1
                await self.say(self.counted, room)

    async def say(self, number, room):
        text = f"{self.name} {number}"
        self.acknowledged[text] = await self.client.publish(room, text)


async def test_nothing_acknowledged_is_lost_and_nothing_is_doubled(serve, connect, room, any_program):
    server = serve(**any_program)
    people = {name: {"Cookie": await asyncio.to_thread(server.visit, "rooms/lobby/")} for name in ("ann", "bob")}
    watcher = await connect(server, room)
    writers = [Writer(who, await connect(server, room, additional_headers=headers)) for who, headers in people.items()]
    counting = [asyncio.create_task(writer.count(room)) for writer in writers]
    await watcher.texts(room, count=50)

    server.kill()
    await asyncio.gather(*counting)
    await watcher.close_code()
    server.start()

    again = await connect(server)
    again.resume(watcher, room)
    assert (await again.join(room, again.position(room)))["recovered"] is True
    for writer in writers:
        writer.client = await connect(server, room, additional_headers=people[writer.name])
        # Nobody told whether the last one was stored; it is sent once more, and some of which that is known too.
        for number in range(max(1, writer.counted - 9), writer.counted + 1):
            await writer.say(number, room)
    said = await again.texts(room, count=sum(writer.counted for writer in writers))
    for writer in writers:
        everything = [f"{writer.name} {number}" for number in range(1, writer.counted + 1)]
        assert [text for text in said if text.startswith(writer.name)] == everything
        assert all(said[offset - 1] == text for text, offset in writer.acknowledged.items())


@pytest.mark.redis
async def test_a_second_process_takes_over(serve, connect, room, redis_url):
    one, two = (serve(program, layer="pubsub", redis=redis_url, look=NEVER) for program in ("uvicorn", "daphne"))
    ann, bob = await connect(one, room), await connect(two, room)
    await ann.publish(room, "first")
    await bob.texts(room, count=1)

    one.kill()
    await ann.close_code()
    await bob.publish(room, "second")
    again = await connect(two)
    again.resume(ann, room)
    await again.join(room, again.position(room))
    await again.publish(room, "third")

    assert again.said(room) == await bob.texts(room, count=3) == ["first", "second", "third"]


async def test_a_socket_of_one_room_resumes_by_its_url(server, connect, room):
    ann = await connect(server, room)
    await say_numbers(ann, room, 300)

    bob = await connect(server, path=f"ws/rooms/{room}/?epoch={ann.position(room).epoch}&offset=10")

    joined = await bob.frame("joined")
    assert joined["recovered"] is True
    assert joined["entries"][0]["offset"] == 11
    assert await bob.texts(room, count=290) == ann.said(room)[10:]


async def test_people_who_come_back_a_long_way_behind_get_it_all_in_order(any_served_database, connect, room):
    server = any_served_database
    ann, bob = await connect(server, room), await connect(server, room)
    await ann.publish(room, "start")
    await bob.texts(room, count=1)
    await bob.socket.close()
    await say_numbers(ann, room, 600)

    again = await connect(server)
    again.resume(bob, room)
    await again.join(room, bob.position(room))

    assert await again.texts(room, count=601) == await ann.texts(room, count=601)


async def say_numbers(client, room, count):
    """No more at once than a connection may have unanswered."""
    for first in range(0, count, 100):
        await asyncio.gather(*(client.publish(room, f"{n}") for n in range(first, first + 100)))
    await client.texts(room, count=count)
