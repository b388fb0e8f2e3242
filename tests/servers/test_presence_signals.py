"""A host's handlers are told of each who joins and leaves; of whom a process could not tell, another does."""

import pytest
from servers.members import assert_told_once, told, until
from servers.sites import LOCKING_DATABASES

pytestmark = pytest.mark.servers

PEOPLE = 5


@pytest.mark.parametrize("quiet", LOCKING_DATABASES[:1], indirect=True)
@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_what_was_claimed_and_not_told_is_told_by_another_process(site, connect, room, how):
    """The handler never gets further than the first; so of the others nothing was told."""
    dying, other = site("daphne", layer="none", tells="hang"), site(layer="none")
    clients = [await connect(dying, room) for _ in range(PEOPLE)]
    watcher = await connect(other, room)
    await watcher.sees(room, watcher, *clients)
    await until(lambda: len(told(room, dying)) == 1, "the first is being told")

    getattr(dying, how)()

    await watcher.sees(room, watcher)
    keys = [client.key for client in clients]
    await until(lambda: len(told(room, other)) >= 2 * PEOPLE + 1, "the other process tells all")
    assert_told_once(room, [*keys, watcher.key], keys, other)
    assert told(room, dying)[0] in told(room, other)
    if how == "pause":
        # What it claims from now on nobody tells, for its handler hangs still; it tells nothing twice.
        dying.go_on()
        await watcher.sees(room, watcher, *clients)
        assert len(told(room, dying)) == 1
    dying.kill()  # It would wait for its handler.


@pytest.mark.parametrize("quiet", ["sqlite"], indirect=True)
async def test_a_handler_that_hangs_delays_nobody(site, connect, room):
    hanging = site(layer="none", tells="hang")
    clients = [await connect(hanging, room) for _ in range(3)]
    await until(lambda: len(told(room, hanging)) == 1, "the first is being told")
    for client in clients:
        await client.sees(room, *clients)
    await clients[0].socket.close()
    await clients[1].sees(room, *clients[1:])
    await clients[1].publish(room, "served")
    await clients[2].texts(room, count=1)
    hanging.kill()
