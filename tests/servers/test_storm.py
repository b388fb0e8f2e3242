"""Many come back at once, each from somewhere else: that costs reads per room, not per client."""

import asyncio

import pytest
from servers.client import Log

pytestmark = pytest.mark.servers

PEOPLE, ENTRIES, FAR = 200, 320, 140


async def test_two_hundred_who_were_cut_cost_as_many_reads_as_there_are_blocks(serve, connect, room):
    server = serve(layer="none", look=3600, reads=1)
    ann = await connect(server, room)
    text = "x" * 6_000
    for first in range(0, ENTRIES, 40):
        await asyncio.gather(*(ann.publish(room, f"{n} {text}", id=f"{n}") for n in range(first, first + 40)))
    said = await ann.texts(room, count=ENTRIES)
    epoch, entries = ann.position(room).epoch, ann.position(room).entries

    async def come_back(client, offset):
        client.rooms[room] = Log({"epoch": epoch, "offset": offset}, entries[:offset])
        joined = await client.join(room, client.position(room))
        assert joined["recovered"] is True
        assert await client.texts(room, count=ENTRIES) == said

    people = [await connect(server) for _ in range(PEOPLE)]
    reads = server.output.count("READ of entries")
    await asyncio.gather(*(come_back(client, n * FAR // PEOPLE) for n, client in enumerate(people)))
    reads = server.output.count("READ of entries") - reads

    # A read takes 256 KiB: some forty of these entries. So blocks of 32, of those that are not in the tail.
    assert 0 < reads <= 1 + ENTRIES // 32
