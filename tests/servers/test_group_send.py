"""Plain Channels: what a host sends to a room's group, or to one consumer, arrives as with any consumer."""

import asyncio

import pytest
import serving
from servers.sites import any_layer

pytestmark = pytest.mark.servers

ALERTS = "ws/alerts/"

# What somebody would paste into `manage.py shell`.
TO_GROUP = """
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django_rooms import group_name
async_to_sync(get_channel_layer().group_send)(group_name({room!r}), {{"type": "chat.alert", "text": {text!r}}})
"""
TO_ONE = """
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
async_to_sync(get_channel_layer().send)({channel!r}, {{"type": "chat.alert", "text": {text!r}}})
"""


async def shell(server, code):
    await asyncio.to_thread(serving.manage, server.variables, "shell", "-c", code)


async def channel_of(client):
    """Its consumer's own channel, which a layer that asks Redis names a moment after the connect."""
    while True:
        await client.raw("which channel?")
        if name := (await client.frame("channel"))["name"]:
            return name


@any_layer
async def test_a_shell_alerts_every_consumer_in_the_room_in_every_process(any_site, connect, room):
    one, two = any_site
    inside = [await connect(server, room, path=ALERTS) for server in (one, one, two)]
    outside = await connect(one, f"{room}/other", path=ALERTS)
    for client in [*inside, outside]:
        await channel_of(client)  # The feed of the room, which was opened before, listens too by now.

    await shell(one, TO_GROUP.format(room=room, text="Fire drill"))
    await shell(one, TO_GROUP.format(room=f"{room}/other", text="Only here"))

    for client in inside:
        assert (await client.frame("alert"))["text"] == "Fire drill"
    assert (await outside.frame("alert"))["text"] == "Only here"
    # And its sockets go on.
    await inside[0].publish(room, "still here")
    assert await inside[2].texts(room, count=1) == ["still here"]


async def test_a_view_alerts_everybody_over_the_in_memory_layer(server, connect, room):
    people = [await connect(server, room, path=ALERTS) for _ in range(3)]

    await asyncio.to_thread(server.post, f"alert/{room}/", text="From a view")

    for client in people:
        assert (await client.frame("alert"))["text"] == "From a view"


@any_layer
async def test_a_message_to_one_channel_reaches_that_consumer_alone(any_site, connect, room):
    one, two = any_site
    ann, bob, cem = [await connect(server, room, path=ALERTS) for server in (one, one, two)]
    channels = [await channel_of(client) for client in (ann, bob, cem)]
    assert len(set(channels)) == 3

    await shell(one, TO_ONE.format(channel=channels[1], text="For Bob"))
    await shell(one, TO_GROUP.format(room=room, text="For all"))

    assert (await bob.frame("alert"))["text"] == "For Bob"
    for client in (ann, bob, cem):
        assert (await client.frame("alert"))["text"] == "For all"


async def test_a_message_that_a_consumer_has_no_handler_for_leaves_the_room_alone(server, connect, room):
    plain, host = await connect(server, room), await connect(server, room, path=ALERTS)

    await asyncio.to_thread(server.post, f"alert/{room}/", text="Not for everybody")
    assert (await host.frame("alert"))["text"] == "Not for everybody"
    await host.publish(room, "on we go")

    assert await plain.texts(room, count=1) == ["on we go"]
