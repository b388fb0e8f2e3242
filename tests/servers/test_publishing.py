"""Publishing from a host's own code, seen by sockets of real servers."""

import asyncio

import pytest
import serving
from servers.http import post

pytestmark = pytest.mark.servers


async def test_what_a_view_publishes_reaches_the_sockets(serve, connect, room, any_database):
    server = serve(database=any_database)
    ann = await connect(server, room)

    assert await post(server, f"publish/{room}/", text="from a view") == {"offset": 1}

    assert await ann.texts(room, count=1) == ["from a view"]


@pytest.mark.parametrize("program", ["uvicorn", "daphne"])
async def test_in_an_atomic_request_it_is_seen_if_and_only_if_the_request_commits(
    serve, connect, room, any_database, program
):
    server = serve(program, any_database, atomic_requests=1)
    ann = await connect(server, room)

    assert await post(server, f"publish/{room}/", text="kept") == {"offset": None}
    await post(server, f"publish/{room}/", text="rolled back", fail="1")
    await ann.publish(room, "after")

    assert await ann.texts(room, count=2) == ["kept", "after"]
    assert (await connect(server, room)).said(room) == ["kept", "after"]


async def test_many_atomic_requests_at_once_keep_everything_once(serve, connect, room, any_site):
    one, two = (serve(atomic_requests=1, **any_site) for _ in range(2))
    ann = await connect(one, room)

    texts = [f"{n}" for n in range(20)]
    servers = [one, two] * 10
    await asyncio.gather(*(post(server, f"publish/{room}/", text=text) for server, text in zip(servers, texts)))

    assert sorted(await ann.texts(room, count=20)) == sorted(texts)


async def test_what_is_said_before_anybody_came_is_there(serve, connect, room):
    server = serve()
    await asyncio.to_thread(serving.manage, server.variables, "say", room, "early")

    ann = await connect(server, room)

    assert ann.said(room) == ["early"]
