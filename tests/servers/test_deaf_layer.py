"""A layer that went deaf is noticed by a call through it, said in the log, and joined anew: no look tells."""

import asyncio
import uuid

import pytest
from servers.sites import NEVER

pytestmark = [pytest.mark.servers, pytest.mark.redis]

DEAF, HEARD = "The layer is deaf", "The layer is heard again"
# Seconds between calls; half of it is what an echo may take. Where false alarms count, a busy machine needs more.
CALLS, CALM_CALLS = 1.0, 5.0


async def heard_by(ann, bob, room):
    """Whether an event of ann's comes to bob: by the layer, or not at all. An earlier one may come late."""
    event = f"typing {uuid.uuid4()}"
    await ann.send({"type": "event", "room": room, "event": event})
    try:
        async with asyncio.timeout(1):
            await bob.frame("event", event=event)
    except TimeoutError:
        return False
    return True


async def until_heard_by(ann, bob, room):
    for _ in range(20):
        if await heard_by(ann, bob, room):
            return
    pytest.fail("The layer carries nothing any more.")


@pytest.mark.parametrize("layer", ["deaf-core", "deaf-pubsub"])
async def test_a_process_that_hears_nothing_says_so_and_hears_again(serve, connect, room, redis_url, layer):
    one, two = (serve(layer=layer, redis=redis_url, look=NEVER, calls=CALM_CALLS) for _ in range(2))
    ann, bob = await connect(one, room), await connect(two, room)
    await until_heard_by(ann, bob, room)
    assert DEAF not in two.output

    await asyncio.to_thread(two.post, "deafen/")
    assert not await heard_by(ann, bob, room)
    await ann.publish(room, "Can you hear me?")
    await asyncio.to_thread(two.wait_for, DEAF)
    await asyncio.to_thread(two.wait_for, HEARD)

    await until_heard_by(ann, bob, room)
    await ann.publish(room, "And now?")
    assert await bob.texts(room, count=2) == ["Can you hear me?", "And now?"]
    assert (two.output.count(DEAF), one.output.count(DEAF)) == (1, 0)


@pytest.mark.parametrize("layer", ["core", "pubsub"])
async def test_a_redis_that_was_started_anew_is_noticed_and_carries_again(serve, connect, room, own_redis, layer):
    one, two = (serve(layer=layer, redis=own_redis.url, look=NEVER, calls=CALLS) for _ in range(2))
    ann, bob = await connect(one, room), await connect(two, room)
    await until_heard_by(ann, bob, room)

    own_redis.kill()
    await ann.publish(room, "Is there anybody?")
    for server in (one, two):
        await asyncio.to_thread(server.wait_for, DEAF)
    own_redis.start()
    for server in (one, two):
        await asyncio.to_thread(server.wait_for, HEARD)

    await until_heard_by(ann, bob, room)
    await until_heard_by(bob, ann, room)
    await bob.publish(room, "Here I am")
    assert await ann.texts(room, count=2) == await bob.texts(room, count=2) == ["Is there anybody?", "Here I am"]
