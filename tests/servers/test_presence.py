"""Who is here, by person, as people of two processes see each other on each database, with a layer and without one."""

import asyncio
import json

import pytest
from servers.members import assert_told_once, moves, pass_the_grace, until, visitors
from servers.sites import GRACE, NEVER
from serving import get

from django_rooms.connection.throttle import BURST, RATE

pytestmark = pytest.mark.servers


async def test_people_of_two_processes_see_each_other_come_and_go(attended_site, connect, room):
    one, two = attended_site
    ann, bob = await connect(one, room), await connect(two, room)
    await ann.sees(room, ann, bob)
    await bob.sees(room, ann, bob)
    cem = await connect(two, room)
    await ann.sees(room, ann, bob, cem)

    await cem.socket.close()
    await bob.ask("leave", room=room)
    await ann.sees(room, ann)

    assert ann.moves(room)[-3:-2] == [("joined", cem.key)]
    assert set(ann.moves(room)[-2:]) == {("left", cem.key), ("left", bob.key)}
    await until(lambda: len(moves(room, one, two)) == 5, "the handlers were told of three joins and two leaves")
    keys = [ann.key, bob.key, cem.key]
    assert_told_once(room, keys, keys[1:], one, two)


@pytest.mark.redis
@pytest.mark.parametrize("layer", ["core", "pubsub"])
async def test_the_doorbell_alone_tells_who_comes_and_goes(serve, attended, connect, room, layer):
    one, two = (serve(program, **attended(layer, look=NEVER)) for program in ("uvicorn", "daphne"))
    ann = await connect(one, room)
    await pass_the_grace(two, connect, room, ann)


async def test_three_tabs_are_one_member_who_leaves_with_the_last(attended_site, outsider, connect, room):
    one, two = attended_site
    watcher = await connect(one, room)
    who = (await visitors(one, 1))[0]
    tabs = [await connect(server, room, **who) for server in (one, two, two)]
    ann = tabs[0]
    await watcher.sees(room, watcher, ann)

    def recorded():
        return outsider("present", room) == {watcher.key: 1, ann.key: 3}

    await until(recorded, "a process without connections knows of three tabs")
    assert outsider("count_present", room, "lobby")[room] == 2
    assert outsider("is_present", room, ann.key) is True
    for server in (one, two):
        seen = json.loads(await asyncio.to_thread(get, f"{server.url}/present/{room}/"))
        assert seen == {"members": {watcher.key: 1, ann.key: 3}, "count": 2}

    for tab in tabs[:2]:
        await tab.socket.close()
    await until(lambda: outsider("present", room)[ann.key] == 1, "one tab is left")
    await pass_the_grace(two, connect, room, watcher)
    assert ("left", ann.key) not in watcher.moves(room)
    await tabs[2].socket.close()
    await watcher.sees(room, watcher)

    assert [move for move in watcher.moves(room) if move[1] == ann.key] == [("joined", ann.key), ("left", ann.key)]
    assert outsider("count_present", room) == {room: 1}
    assert outsider("is_present", room, ann.key) is False


async def test_a_reload_is_told_to_nobody(attended_site, connect, room):
    one, two = attended_site
    watcher, other = await connect(one, room), await connect(two, room)
    who = (await visitors(one, 1))[0]
    ann = await connect(two, room, **who)
    for client in (watcher, other):
        await client.sees(room, watcher, other, ann)
    await until(lambda: len(moves(room, one, two)) == 3, "three have joined")
    told = [len(client.presence_frames(room)) for client in (watcher, other)]

    for server in (two, one):
        await ann.socket.close()
        ann = await connect(server, room, **who)
    await pass_the_grace(two, connect, room, watcher)

    # What was told is of the one who came after the reloads, and has left since.
    for client, before in zip((watcher, other), told, strict=True):
        assert all(ann.key not in json.dumps(frame) for frame in client.presence_frames(room)[before:])
    assert [move for move in moves(room, one, two) if move[1] == ann.key] == [("joined", ann.key)]


async def test_who_leaves_is_shown_for_the_grace_and_not_for_long(attended_site, connect, room):
    one, two = attended_site
    ann, bob = await connect(one, room), await connect(two, room)
    await bob.sees(room, ann, bob)
    clock = asyncio.get_running_loop()

    await ann.socket.close()
    closed = clock.time()
    await bob.sees(room, bob)

    assert GRACE - 0.1 < clock.time() - closed < GRACE + 3


async def test_somebody_is_disconnected_in_every_process(attended_site, outsider, connect, room):
    one, two = attended_site
    watcher = await connect(one, room)
    who = (await visitors(one, 1))[0]
    tabs = [await connect(server, room, **who) for server in (one, one, two)]
    elsewhere = f"{room}/elsewhere"
    await tabs[0].join(elsewhere)
    await watcher.sees(room, watcher, tabs[0])
    await until(lambda: outsider("present", room).get(tabs[0].key) == 3, "three tabs are known")

    assert outsider("disconnect", room, tabs[0].key) is True

    for tab in tabs:
        left = await tab.frame("left", room=room)
        assert (left["code"], left["rejoin"]) == ("disconnected", False)
        assert (await tab.ask("publish", room=room, id="x", body={}))["code"] == "not_joined"
    await watcher.sees(room, watcher)
    # By now, if they had been put out of other rooms, that would be known.
    await until(lambda: outsider("present", room) == {watcher.key: 1}, "they are gone")
    assert outsider("present", elsewhere) == {tabs[0].key: 1}
    assert outsider("disconnect", room, tabs[0].key) is False
    # Whom the policy lets in may come back by hand.
    await tabs[2].join(room)
    await watcher.sees(room, watcher, tabs[0])


async def test_a_flood_of_what_is_passing_is_bounded_and_stops_nobody(attended_site, connect, room):
    ann, bob, cem = [await connect(attended_site[0], room) for _ in range(3)]
    event = {"type": "event", "room": room, "event": "typing"}
    clock = asyncio.get_running_loop()
    began = clock.time()

    for _ in range(20):
        await ann.send(*[{**event, "body": {}} for _ in range(50)])
    await ann.send(*[{**event, "ref": n, "body": {}} for n in range(50)])
    refused = await ann.frame("error")
    took = clock.time() - began
    await cem.send({**event, "event": "wave", "body": {}})
    await bob.frame("event", event="wave")
    await cem.publish(room, "served")
    await bob.texts(room, count=1)

    assert (refused["code"], refused["retry_after"] > 0) == ("rate_limited", True)
    # Only what has a number is answered.
    assert all("ref" in frame for frame in ann.frames if frame["type"] == "error")
    heard = [frame for frame in bob.frames if frame["type"] == "event" and frame["event"] == "typing"]
    assert BURST <= len(heard) <= BURST + RATE * took + 1
