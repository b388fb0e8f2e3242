"""The main job over real sockets: two people, one room, and what was said is kept."""

import asyncio
from urllib.parse import quote

import pytest
import serving

pytestmark = pytest.mark.servers


async def test_two_people_chat_and_a_third_reads_it_later(any_served_database, connect, room):
    server = any_served_database
    ann, bob = await connect(server, room), await connect(server)
    await bob.join(room)

    offsets = [await who.publish(room, text) for who, text in ((ann, "one"), (bob, "two"), (ann, "three"))]
    assert offsets == [1, 2, 3]

    assert await ann.texts(room, count=3) == await bob.texts(room, count=3) == ["one", "two", "three"]
    late = await connect(server, room)
    assert late.said(room) == ["one", "two", "three"]
    assert late.position(room).as_dict() == ann.position(room).as_dict()


async def test_many_talk_at_once_and_all_see_one_order(any_served_database, connect, room):
    server = any_served_database
    people = [await connect(server, room) for _ in range(5)]

    await asyncio.gather(*(ann.publish(room, f"{me}.{n}") for me, ann in enumerate(people) for n in range(20)))

    first = await people[0].texts(room, count=100)
    assert sorted(first) == sorted(f"{me}.{n}" for me in range(5) for n in range(20))
    for other in people[1:]:
        assert await other.texts(room, count=100) == first


async def test_what_one_person_says_keeps_its_order(server, connect, room):
    ann = await connect(server, room)
    said = [f"{n}" for n in range(200)]

    for text in said:
        await ann.send({"type": "publish", "room": room, "id": text, "body": {"text": text}})

    assert await ann.texts(room, count=200) == said


async def test_one_socket_is_in_many_rooms(server, connect, room):
    ann, bob = await connect(server), await connect(server, f"{room}/7")
    names = [f"{room}/{n}" for n in range(100)]
    for name in names:
        await ann.join(name)

    for name in names:
        await ann.publish(name, name)

    for name in names:
        assert await ann.texts(name, count=1) == [name]
    assert await bob.texts(f"{room}/7", count=1) == [f"{room}/7"]
    refused = await ann.ask("join", room=f"{room}/one too many")
    assert refused["code"] == "too_many_rooms"


async def test_who_left_a_room_hears_no_more_of_it(server, connect, room):
    ann, bob = await connect(server), await connect(server)
    for name in ("stays", "goes"):
        await ann.join(f"{room}/{name}")
        await bob.join(f"{room}/{name}")

    await ann.ask("leave", room=f"{room}/goes")
    await bob.publish(f"{room}/goes", "unheard")
    await bob.publish(f"{room}/stays", "heard")

    assert await ann.texts(f"{room}/stays", last="heard") == ["heard"]
    assert ann.said(f"{room}/goes") == []


async def test_the_same_publish_twice_is_stored_once(server, connect, room):
    ann = await connect(server, room)

    assert await ann.publish(room, "hi", id="a") == await ann.publish(room, "hi", id="a") == 1

    assert await ann.publish(room, "and on") == 2
    assert await ann.texts(room, last="and on") == ["hi", "and on"]


# Prints the cookie of somebody who has signed in.
SIGN_IN = """
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_user({name!r}, first_name="Ann", last_name="Lee"))
print(client.cookies.output(header="", attrs=()))
"""


async def test_who_has_signed_in_is_known_on_the_socket(server, connect, room):
    name = room.replace("/", "-")
    shell = ("shell", "--verbosity=0", "-c", SIGN_IN.format(name=name))
    cookie = await asyncio.to_thread(serving.manage, server.variables, *shell)
    club = f"members/{name}"

    ann = await connect(server, club, additional_headers={"Cookie": cookie.strip()})
    guest = await connect(server)

    user = ann.frames[0]["user"]
    assert (user["name"], user["key"][0]) == ("Ann Lee", "u")
    await ann.publish(club, "members only")
    await ann.texts(club, count=1)
    assert ann.rooms[club].entries[0]["author"] == user
    assert (await guest.ask("join", room=club))["code"] == "forbidden"


async def test_rooms_nested_under_a_prefix_of_the_host(any_server, connect, room):
    plain, nested = await connect(any_server, room), await connect(any_server, room, path="nested/ws/rooms/")

    await nested.publish(room, "from below")

    assert await plain.texts(room, count=1) == ["from below"]


@pytest.mark.parametrize("script", ["кухня", "会議室", "a b&c?d#e%f"])
async def test_a_room_of_any_script_has_an_address(any_server, connect, room, script):
    name = f"{room}/{script}"
    ann = await connect(any_server)
    await ann.join(name)

    await ann.publish(name, "да")

    alone = await connect(any_server, quote(name))
    assert alone.said(name) == ["да"]


async def test_the_sub_protocol_is_agreed_upon(any_server, connect):
    ann = await connect(any_server, subprotocols=["chat", "rooms.v1"])
    bob = await connect(any_server)

    assert ann.socket.subprotocol == "rooms.v1"
    assert bob.socket.subprotocol is None
    future = await connect(any_server, subprotocols=["rooms.v9"])
    assert await future.close_code() == 4500
