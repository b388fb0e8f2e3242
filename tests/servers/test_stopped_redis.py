"""Nothing waits for the layer: Redis may be stopped, gone, or new, and people of one process never notice."""

import asyncio
import time
import uuid
from statistics import median

import pytest
from servers.sites import NEVER

from django_rooms.doorbell import bell

pytestmark = [pytest.mark.servers, pytest.mark.redis]

LAYERS = pytest.mark.parametrize("layer", ["core", "pubsub"])


@pytest.fixture
def serve(own_redis, serve):
    def start(layer):
        return serve(layer=layer, redis=own_redis.url, look=NEVER)

    return start


async def come_together(ann, bob, room):
    """Both say something until each has all that the other has. No look tells them: it would take an hour."""
    for n in range(30):
        await ann.publish(room, f"Anybody? {n}", id=uuid.uuid4().hex)
        await bob.publish(room, f"Here! {n}", id=uuid.uuid4().hex)
        if await ann.catch_up_with(bob, room, patience=1):
            assert ann.said(room) == bob.said(room)
            return
    pytest.fail(f"They never heard each other: {ann.said(room)}, {bob.said(room)}")


@LAYERS
async def test_with_redis_stopped_people_of_one_process_connect_join_and_chat(serve, connect, room, own_redis, layer):
    server = serve(layer)
    ann = await connect(server, room)
    await ann.publish(room, "before")

    own_redis.pause()
    bob = await connect(server, room)
    await bob.publish(room, "from bob")
    await ann.publish(room, "from ann")
    assert await ann.texts(room, count=3) == await bob.texts(room, count=3) == ["before", "from bob", "from ann"]
    await bob.join(f"{room}/other")
    await bob.ask("leave", room=room)
    await bob.join(room)
    cem = await connect(server, f"{room}/other")
    await cem.publish(f"{room}/other", "and elsewhere")

    assert await bob.texts(f"{room}/other", count=1) == ["and elsewhere"]


@LAYERS
async def test_with_redis_stopped_a_view_that_publishes_still_returns(serve, connect, room, own_redis, layer):
    server = serve(layer)
    ann = await connect(server, room)
    await asyncio.to_thread(server.post, f"publish/{room}/", text="warm")

    own_redis.pause()
    took = []
    for n in range(10):
        began = time.monotonic()
        await asyncio.to_thread(server.post, f"publish/{room}/", text=f"{n}")
        took.append(time.monotonic() - began)

    # Whoever waited for the layer would wait at least until it is given up.
    assert median(took) < bell.TIMEOUT
    assert await ann.texts(room, count=11) == ["warm", *map(str, range(10))]


@LAYERS
async def test_when_redis_goes_on_the_processes_hear_each_other_again(serve, connect, room, own_redis, layer):
    one, two = serve(layer), serve(layer)
    ann, bob = await connect(one, room), await connect(two, room)
    await come_together(ann, bob, room)

    own_redis.pause()
    for n in range(5):
        await ann.publish(room, f"ann {n}")
        await bob.publish(room, f"bob {n}")
    own_redis.go_on()

    await come_together(ann, bob, room)


@LAYERS
async def test_after_a_restart_of_redis_the_processes_hear_each_other_again(serve, connect, room, own_redis, layer):
    one, two = serve(layer), serve(layer)
    ann, bob = await connect(one, room), await connect(two, room)
    await come_together(ann, bob, room)

    own_redis.kill()
    for n in range(5):
        await ann.publish(room, f"ann {n}")
        await bob.publish(room, f"bob {n}")
    cem = await connect(two, room)
    own_redis.start()

    await come_together(ann, bob, room)
    # By their number: what was said last may have been said before.
    assert await cem.texts(room, count=len(ann.said(room))) == ann.said(room)


@LAYERS
async def test_without_redis_from_the_start_a_process_serves(serve, connect, room, own_redis, layer):
    own_redis.kill()
    server = serve(layer)
    ann, bob = await connect(server, room), await connect(server, room)

    await ann.publish(room, "hi")

    assert await bob.texts(room, count=1) == ["hi"]
