"""Publishing from a host's own code, seen by sockets of real servers."""

import asyncio

import pytest
import serving

pytestmark = pytest.mark.servers


async def test_what_a_view_publishes_reaches_the_sockets(any_served_database, connect, room):
    server = any_served_database
    ann = await connect(server, room)

    assert await asyncio.to_thread(server.post, f"publish/{room}/", text="from a view") == {"offset": 1}

    assert await ann.texts(room, count=1) == ["from a view"]


async def test_in_an_atomic_request_it_is_seen_if_and_only_if_the_request_commits(serve, connect, room, any_program):
    server = serve(**any_program, atomic_requests=1)
    ann = await connect(server, room)

    assert await asyncio.to_thread(server.post, f"publish/{room}/", text="kept") == {"offset": None}
    await asyncio.to_thread(server.post, f"publish/{room}/", text="rolled back", fail="1")
    await ann.publish(room, "after")

    assert await ann.texts(room, count=2) == ["kept", "after"]
    assert (await connect(server, room)).said(room) == ["kept", "after"]


async def test_many_atomic_requests_at_once_keep_everything_once(any_site, connect, room):
    one, two = any_site
    ann = await connect(one, room)

    texts = [f"{n}" for n in range(20)]
    views = [(one, two)[n % 2].post for n in range(20)]
    await asyncio.gather(
        *(asyncio.to_thread(view, f"publish/{room}/", text=text) for view, text in zip(views, texts, strict=True))
    )

    assert sorted(await ann.texts(room, count=20)) == sorted(texts)


async def test_what_is_said_before_anybody_came_is_there(server, connect, room):
    await asyncio.to_thread(serving.manage, server.variables, "say", room, "early")

    ann = await connect(server, room)

    assert ann.said(room) == ["early"]
