"""Two thousand come at once, by two processes; and what all that costs."""

import asyncio
import re
import time
from contextlib import AsyncExitStack

import pytest
from servers.client import connected
from servers.members import together, told, until
from servers.sites import LEASE as LEASE_OF_TESTS
from servers.sites import LOCKING_DATABASES

from django_rooms.feeds.presence import GATHER
from django_rooms.presence import recorder

pytestmark = [pytest.mark.servers, pytest.mark.redis]

CROWD = 2000
PATIENCE = 60.0

WROTE = re.compile(r"^WROTE (.*)$", re.MULTILINE)
BEAT = re.compile(r"^WROTE UPDATE .django_rooms_lease", re.MULTILINE)
BEATS = 6

# Seconds. Not what this is about, and two cores have much to do.
LEASE = 20.0


@pytest.fixture
async def crowd():
    """``await crowd(servers, count)``: so many sockets, in turn to each server, that are in no room yet."""
    async with AsyncExitStack() as stack:

        async def open_sockets(servers, count):
            opening = (
                stack.enter_async_context(connected(f"{servers[n % len(servers)].url}/ws/rooms/")) for n in range(count)
            )
            clients = await together(opening)
            for client in clients:
                await client.frame("welcome")
            return clients

        yield open_sockets


@pytest.mark.parametrize("quiet", [LOCKING_DATABASES[0]], indirect=True)
async def test_two_thousand_joins_at_once_are_counted_in_few_batches_and_few_frames(site, crowd, room):
    servers = [site(lease=LEASE, records=1) for _ in range(2)]
    clients = await crowd(servers, CROWD)

    began = time.monotonic()
    await asyncio.gather(*(client.join(room) for client in clients))
    joined = time.monotonic() - began
    for client in clients:
        await client.counts(room, CROWD, PATIENCE)
    took = time.monotonic() - began
    await until(lambda: len(told(room, *servers)) >= CROWD, "all are told", PATIENCE)

    frames = [len(client.presence_frames(room)) for client in clients]
    batches = [int(size) for server in servers for size in re.findall(r"^RECORDED (\d+)$", server.output, re.MULTILINE)]
    print(f"{CROWD} joins: answered in {joined:.1f} s, seen by all in {took:.1f} s; {len(batches)} batches;")
    print(f"{sum(frames)} presence frames, {max(frames)} at most to one; all told in {time.monotonic() - began:.1f} s")
    assert max(frames) <= took / GATHER + 2
    # In each process one each tenth of a second, however long a busy machine takes.
    assert len(batches) <= len(servers) * (took / recorder.GATHER + 2)
    # Whoever they were, only the first hundred were told by name.
    named = [frame for client in clients for frame in client.presence_frames(room) if "joined" in frame]
    assert all(frame["count"] <= 100 for frame in named)
    assert {client.present[room].members for client in clients} == {None}
    assert len({one.key for one in told(room, *servers)}) == len(told(room, *servers)) == CROWD


@pytest.mark.parametrize("quiet", [LOCKING_DATABASES[0]], indirect=True)
async def test_a_thousand_idle_connections_cost_a_few_writes_of_their_process(site, crowd, room):
    """Its heartbeats, and nothing for each of them."""
    server = site(layer="none", writes=1)
    clients = await crowd([server], CROWD // 2)
    began = time.monotonic()
    await asyncio.gather(*(client.join(room) for client in clients))
    for client in clients:
        await client.counts(room, CROWD // 2, PATIENCE)
    frames = [len(client.presence_frames(room)) for client in clients]
    print(f"{CROWD // 2} joins by one process: {sum(frames)} presence frames, {max(frames)} at most to one,")
    print(f"{time.monotonic() - began:.1f} s")
    await until(lambda: len(told(room, server)) == CROWD // 2, "all are told", PATIENCE)
    # Until it has taken out whoever an earlier test has left behind, and told of them.
    await calm(server)
    before, began = len(WROTE.findall(server.output)), time.monotonic()

    await heartbeats_of(server, BEATS)

    seconds = time.monotonic() - began
    found = WROTE.findall(server.output)[before:]
    print(f"{len(found)} writes in {seconds:.1f} s, with a lease of {LEASE_OF_TESTS:g} s: {found}")
    assert all("django_rooms_lease" in statement for statement in found)
    assert len(found) <= BEATS + 1


async def heartbeats_of(server, count):
    """Wait for so many heartbeats more."""
    before = len(BEAT.findall(server.output))
    await until(lambda: len(BEAT.findall(server.output)) >= before + count, f"{count} heartbeats", PATIENCE)


async def calm(server):
    await until(
        lambda: all("django_rooms_lease" in wrote for wrote in WROTE.findall(server.output)[-3:]),
        "three heartbeats in a row are all that is written",
        PATIENCE,
    )
