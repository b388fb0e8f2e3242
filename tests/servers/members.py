"""People who come to rooms, and what a host's signals told of them."""

import asyncio
import re
import time
from collections import Counter
from typing import NamedTuple

PATIENCE = 15.0

TOLD = re.compile(r"^TOLD (\w+) (\S+) (\S+) (\S+)$", re.MULTILINE)

# As many sockets are opened at once as a server's backlog takes without a thought.
AT_ONCE = 50


class Told(NamedTuple):
    kind: str
    room: str
    key: str
    id: str


def told(room, *servers):
    """What handlers of these servers (started with ``tells``) were told of ``room``; in the order of each."""
    found = [Told(*match.groups()) for server in servers for match in TOLD.finditer(server.output)]
    return [one for one in found if one.room == room]


def moves(room, *servers):
    """The same, without ids."""
    return [(one.kind, one.key) for one in told(room, *servers)]


def assert_told_once(room, joined, left, *servers):
    """Of each of these keys once, and of nobody else."""
    found = told(room, *servers)
    counted = Counter((one.kind, one.key) for one in found)
    wanted = Counter([*(("joined", key) for key in joined), *(("left", key) for key in left)])
    assert counted == wanted, f"too often: {counted - wanted}; never: {wanted - counted}"
    assert len({one.id for one in found}) == len(found)


async def until(holds, what, patience=PATIENCE):
    """For what nobody announces: asked again and again."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"It never held that {what}"
        await asyncio.sleep(0.02)


async def pass_the_grace(server, connect, room, watcher):
    """Somebody comes and goes again, by this server: who had left before them has left for everybody by now."""
    passing = await connect(server, room)
    await watcher.until(lambda: ("joined", passing.key) in watcher.moves(room), "somebody who comes")
    await passing.socket.close()
    await watcher.until(lambda: ("left", passing.key) in watcher.moves(room), "somebody who goes")


async def visitors(server, count):
    """The headers of so many guests, by which they are the same people on any server of the site."""
    cookies = await asyncio.to_thread(server.post, "visitors/", count=count)
    return [{"additional_headers": {"Cookie": cookie}} for cookie in cookies]


async def together(calls):
    """The outcomes of these, so many at once."""
    calls = list(calls)
    found = []
    for start in range(0, len(calls), AT_ONCE):
        found += await asyncio.gather(*calls[start : start + AT_ONCE])
    return found
