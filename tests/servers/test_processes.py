"""Two server processes, one room: the layer makes it fast, the log makes it true."""

import asyncio

import pytest
import serving
from servers.sites import NEVER, any_layer

pytestmark = pytest.mark.servers


async def test_what_one_process_stores_reaches_the_other_in_order(any_site, connect, room):
    one, two = any_site
    ann, bob = await connect(one, room), await connect(two, room)

    for n in range(10):
        await ann.publish(room, f"ann {n}")
    people = [("ann", ann), ("bob", bob)]
    await asyncio.gather(*(who.publish(room, f"{name} and all: {n}") for n in range(30) for name, who in people))

    # What came over from the other process came by doorbell, for a look would take an hour.
    assert await ann.texts(room, count=70) == await bob.texts(room, count=70)


@any_layer
async def test_large_entries_reach_the_other_process_too(any_site, connect, room):
    one, two = any_site
    ann, bob = await connect(one, room), await connect(two, room)
    large = "я" * 15_000

    await asyncio.gather(*(ann.publish(room, f"{n} {large}", id=f"{n}") for n in range(8)))

    assert await bob.texts(room, count=8) == await ann.texts(room, count=8)


@pytest.mark.parametrize("layer", ["none", "memory"])
async def test_without_a_shared_layer_the_look_finds_it(serve, connect, room, layer):
    one, two = (serve(layer=layer, look=0.3) for _ in range(2))
    ann, bob = await connect(one, room), await connect(two, room)

    await ann.publish(room, "over there?")
    assert await bob.texts(room, count=1) == ["over there?"]
    await bob.publish(room, "over here")

    assert await ann.texts(room, count=2) == ["over there?", "over here"]


async def test_one_process_needs_no_layer_at_all(serve, connect, room):
    server = serve(layer="none", look=NEVER)
    ann, bob = await connect(server, room), await connect(server, room)

    await ann.publish(room, "hi")
    await ann.send({"type": "event", "room": room, "event": "typing"})

    assert await bob.texts(room, count=1) == ["hi"]
    assert await bob.frame("event", event="typing")


@any_layer
async def test_an_event_reaches_everybody_but_its_sender(any_site, connect, room):
    one, two = any_site
    ann, bob, cem = await connect(one, room), await connect(one, room), await connect(two, room)
    # A process listens a moment after the join: once an entry has come over, it does.
    await ann.publish(room, "there?")
    await cem.texts(room, count=1)
    await cem.publish(room, "here!")
    await ann.texts(room, count=2)

    await ann.send({"type": "event", "room": room, "event": "typing", "body": {"n": 1}})

    for client in (bob, cem):
        event = await client.frame("event", event="typing")
        assert (event["room"], event["author"], event["body"]) == (room, ann.frames[0]["user"], {"n": 1})
    await cem.send({"type": "event", "room": room, "event": "end"})
    await ann.frame("event", event="end")
    assert not [frame for frame in ann.frames if frame.get("event") == "typing"]


async def test_a_management_command_is_heard(any_site, connect, room):
    server, _ = any_site
    ann = await connect(server, room)
    await ann.publish(room, "hello?")

    await asyncio.to_thread(serving.manage, server.variables, "say", room, "one", "two", "three")

    assert await ann.texts(room, count=4) == ["hello?", "one", "two", "three"]


async def test_a_management_command_is_heard_without_a_shared_layer(serve, connect, room):
    server = serve(look=0.3)
    ann = await connect(server, room)

    await asyncio.to_thread(serving.manage, server.variables, "say", room, "one", "two")

    assert await ann.texts(room, count=2) == ["one", "two"]
