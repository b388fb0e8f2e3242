"""The clocks of server processes differ by minutes: only the database's counts."""

import time
from datetime import datetime, timedelta

import pytest
from servers.members import assert_told_once, pass_the_grace, told, until, visitors
from servers.sites import GRACE, LEASE, LOCKING_DATABASES

pytestmark = [
    pytest.mark.servers,
    pytest.mark.redis,
    pytest.mark.parametrize("quiet", LOCKING_DATABASES[:1], indirect=True),
]


@pytest.fixture
def site_at(faketime, site):
    """``site_at("-5m")``: one more server, whose time of day is another."""

    def start(offset):
        variables = {"LD_PRELOAD": faketime, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return site(preload=variables)

    return start


async def its_time(client, room):
    """As the process of this client has it."""
    offset = await client.publish(room, f"What time is it, {client.key}?")
    await client.until(lambda: client.position(room).offset >= offset, f"the entry {offset}")
    return datetime.fromisoformat(client.position(room).entries[offset - 1]["at"])


async def test_lease_and_grace_hold_as_ever(site_at, connect, room):
    early, late = site_at("-5m"), site_at("+7m")
    ann, bob = await connect(early, room), await connect(late, room)
    apart = await its_time(bob, room) - await its_time(ann, room)
    assert timedelta(minutes=11) < apart < timedelta(minutes=13)

    who = (await visitors(early, 1))[0]
    cem = await connect(early, room, **who)
    for client in (ann, bob):
        await client.sees(room, ann, bob, cem)
    for server in (late, early, late):
        await cem.socket.close()
        cem = await connect(server, room, **who)
    for server, watcher in ((early, bob), (late, ann)):
        await pass_the_grace(server, connect, room, watcher)
    assert ("left", cem.key) not in ann.moves(room) + bob.moves(room)

    await cem.socket.close()
    began = time.monotonic()
    await ann.sees(room, ann, bob)
    assert GRACE - 0.1 < time.monotonic() - began < GRACE + 3

    dan = await connect(early, room)
    await bob.sees(room, ann, bob, dan)
    early.kill()
    began = time.monotonic()
    await bob.sees(room, bob)
    assert 2 / 3 * LEASE - 0.2 < time.monotonic() - began < LEASE + 4

    passing = {key for kind, key in ann.moves(room) if kind == "left"} - {cem.key}
    gone = {ann.key, cem.key, dan.key, *passing}
    await until(lambda: len(told(room, early, late)) >= 2 * len(gone) + 1, "it is all told")
    assert_told_once(room, gone | {bob.key}, gone, early, late)
