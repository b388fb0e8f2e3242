"""SIGTERM: no more joins, what was accepted is stored and acknowledged, and each client is told when to come back."""

import asyncio
import sqlite3
from contextlib import closing, contextmanager

import pytest
from servers.client import Lost
from serving import EXITS

pytestmark = pytest.mark.servers

CLIENTS = 20

programs = pytest.mark.parametrize("program", ["uvicorn", "daphne"])


@contextmanager
def no_writes(url):
    """SQLite's one lock, taken by somebody else: what is published waits meanwhile."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


class Author:
    """Somebody who goes on publishing, each message until it is acknowledged, whatever happens to the server."""

    def __init__(self, name, client, headers):
        self.name, self.client, self.headers = name, client, headers
        self.said = 0
        self.offsets = {}

    async def talk(self, room):
        """Until the server says goodbye; returns what has no answer."""
        try:
            while True:
                self.said += 1
                await self.say(room, f"{self.name} {self.said}")
        except (Lost, AssertionError):
            return f"{self.name} {self.said}"

    async def say(self, room, text):
        self.offsets[text] = await self.client.publish(room, text)


async def goodbye(client):
    """The last word: what it says of coming back."""
    last = await client.frame("closing")
    assert (last["code"], last["reconnect"]) == (4001, True)
    # No server closes with this by itself.
    assert await client.close_code() == 4001
    return last["after"]


@programs
async def test_everybody_is_told_when_to_come_back_and_nothing_is_lost(serve, connect, room, program):
    old, new = serve(program), serve(look=0.3)
    people = {name: {"Cookie": await asyncio.to_thread(old.visit, "rooms/lobby/")} for name in ("ann", "bob", "cem")}
    authors = [Author(who, await connect(old, room, additional_headers=it), it) for who, it in people.items()]
    readers = [await connect(old, room) for _ in range(CLIENTS)]
    talking = [asyncio.create_task(author.talk(room)) for author in authors]
    await readers[0].texts(room, count=30)

    old.terminate()

    unanswered = await asyncio.gather(*talking)
    afters = [await goodbye(client) for client in (*readers, *(author.client for author in authors))]
    assert await asyncio.to_thread(old.exit_code) == EXITS[program]
    old.check()
    assert min(afters) > 0
    # Evenly over the second that even a few are spread over; a delay is told in milliseconds.
    share = 1 / len(afters)
    assert all(abs(after - (n + 0.5) * share) <= share / 2 + 0.001 for n, after in enumerate(sorted(afters)))

    for author, text in zip(authors, unanswered, strict=True):
        author.client = await connect(new, room, additional_headers=author.headers)
        await author.say(room, text)
    everything = sum(author.said for author in authors)
    again = await connect(new)
    again.resume(readers[0], room)
    assert (await again.join(room, again.position(room)))["recovered"] is True
    said = await again.texts(room, count=everything)
    assert len(said) == everything
    for author in authors:
        mine = [text for text in said if text.startswith(author.name)]
        assert mine == [f"{author.name} {n}" for n in range(1, author.said + 1)]
        assert all(said[offset - 1] == text for text, offset in author.offsets.items())


async def test_each_worker_of_a_server_tells_its_own(serve, connect, room):
    server = serve("workers")
    clients = [await connect(server, room) for _ in range(CLIENTS)]

    server.terminate()

    afters = [await goodbye(client) for client in clients]
    assert await asyncio.to_thread(server.exit_code) == EXITS["workers"]
    assert all(0 < after <= 1 for after in afters)


@programs
async def test_what_is_under_way_is_acknowledged_and_nothing_more_is_taken(serve, connect, room, program, sqlite_url):
    server = serve(program)
    ann, bob = await connect(server, room), await connect(server, room)
    publish = {"type": "publish", "room": room, "body": {"text": "hi"}}
    with no_writes(sqlite_url):
        await ann.send({**publish, "ref": "first", "id": "first"})
        await ann.send({"type": "ping", "n": "taken"})
        await ann.frame("pong", n="taken")

        server.terminate()

        # Who has nothing under way is sent away at once, and so is who comes now.
        await goodbye(bob)
        late = await connect(server)
        await goodbye(late)
        await ann.send({**publish, "ref": "second", "id": "second"})
        refusals = [await ann.frame("error", ref="second"), await ann.ask("join", room="lobby")]
        assert [refusal["code"] for refusal in refusals] == ["unavailable", "unavailable"]
        assert all(refusal["retry_after"] > 0 for refusal in refusals)
        assert ann.closed is None

    assert (await ann.frame("ok", ref="first"))["offset"] == 1
    await goodbye(ann)
    assert await asyncio.to_thread(server.exit_code) == EXITS[program]


@programs
async def test_a_database_that_does_not_answer_holds_the_end_up_for_a_moment_only(
    serve, connect, room, program, sqlite_url
):
    server = serve(program)
    ann = await connect(server, room)
    with no_writes(sqlite_url):
        await ann.send(
            {"type": "publish", "room": room, "ref": 1, "id": "1", "body": {}}, {"type": "ping", "n": "taken"}
        )
        await ann.frame("pong", n="taken")
        server.terminate()
        await goodbye(ann)
        assert await asyncio.to_thread(server.exit_code) == EXITS[program]


@programs
async def test_who_is_told_to_go_may_be_nobody(serve, program):
    server = serve(program)
    await asyncio.to_thread(server.visit, "rooms/lobby/")
    server.terminate()
    assert await asyncio.to_thread(server.exit_code) == EXITS[program]
