"""How long somebody is shown who is not there any more, with the lease and the grace that hosts have by default."""

import asyncio
import time

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.postgresql, pytest.mark.redis]

# Seconds, as they are promised.
CLOSED, SILENT, KILLED = 15.0, 50.0, 35.0

PATIENCE = 60.0


@pytest.mark.parametrize("quiet", ["postgresql"], indirect=True)
async def test_nobody_is_shown_for_longer_than_is_promised(site, connect, room):
    """All at once, so that it takes as long as the longest."""
    servers = {name: site(program, lease=None, grace=None) for name, program in PROGRAMS.items()}
    watcher = await connect(servers["watching"], room)
    people = {
        "killed": (KILLED, await connect(servers["killed"], room)),
        "closed": (CLOSED, await connect(servers["watching"], room)),
        "unanswering, uvicorn": (SILENT, await connect(servers["watching"], room)),
        "unanswering, daphne": (SILENT, await connect(servers["daphne"], room)),
        "unreading, uvicorn": (SILENT, await connect(servers["watching"], room)),
        "unreading, daphne": (SILENT, await connect(servers["daphne"], room)),
    }
    await watcher.sees(room, watcher, *(client for _, client in people.values()))

    for how, (_, client) in people.items():
        if how.startswith("unanswering"):
            client.answers_pings = False
        elif how.startswith("unreading"):
            client.stop_reading()
    await people["closed"][1].socket.close()
    servers["killed"].kill()
    began = time.monotonic()

    async def is_gone(how, bound, client):
        await watcher.until(lambda: ("left", client.key) in watcher.moves(room), f"the leave of {how}", PATIENCE)
        took = time.monotonic() - began
        print(f"{how}: gone after {took:.1f} s")
        return took < bound

    gone = await asyncio.gather(*(is_gone(how, *who) for how, who in people.items()))
    assert all(gone)
    assert watcher.closed is None
    for _, client in people.values():
        client.socket.transport.abort()


PROGRAMS = {"watching": "uvicorn", "killed": "uvicorn", "daphne": "daphne"}
