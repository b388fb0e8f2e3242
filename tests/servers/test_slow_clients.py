"""A reader that stops reading, with a real socket: it slows nobody, costs few bytes and misses nothing."""

import time
import uuid
from contextlib import suppress

import pytest
from servers.client import Lost, narrow_socket

pytestmark = pytest.mark.servers

READERS = 3
# As large as a body may be, nearly: 13 MiB in a round for each reader.
SIZE = 32_000
MESSAGES = 430
# A machine that is busy with something else makes others wait too: each round is measured against itself, and one that
# is good enough counts.
ROUNDS = 3

# A reader that has stopped may have a mebibyte under way; the rest is what a process's memory does by itself.
MEMORY = 10 * 1024 * 1024
# How much longer than without it others may wait, and what that is at least measured against, in seconds.
FACTOR = 3
LEAST = 0.02

# What a reader may leave without an answer, messages that are more, and the seconds until it is given up for sure.
UNANSWERED = 1024 * 1024
ENOUGH = 80
GIVEN_UP = 20


class Reader:
    """Notes how long after it was said each message came."""

    def __init__(self, client, said_at):
        self.client, self.delays, self._said_at = client, [], said_at
        note = client._note

        def timed(frame):
            now = time.perf_counter()
            note(frame)
            if frame["type"] == "entries":
                self.delays += [now - said_at[entry["id"]] for entry in frame["entries"] if entry["id"] in said_at]

        client._note = timed


class Run:
    """One after another many large messages, and what the readers and the server make of them."""

    def __init__(self, server, connect, room):
        self.server, self.connect, self.room = server, connect, room
        self.said_at = {}

    async def __aenter__(self):
        self.author = await self.connect(self.server, self.room)
        self.readers = [Reader(await self.connect(self.server, self.room), self.said_at) for _ in range(READERS)]
        return self

    async def __aexit__(self, *error):
        for client in (self.author, *(reader.client for reader in self.readers)):
            await client.socket.close()

    async def speak(self):
        """Returns how long all but a hundredth waited at most, and the memory that the server had at its most."""
        text = "x" * SIZE
        most = 0
        for n in range(MESSAGES):
            name = uuid.uuid4().hex
            self.said_at[name] = time.perf_counter()
            await self.author.publish(self.room, text, id=name)
            if n % 20 == 0:
                most = max(most, self.server.memory())
        for reader in self.readers:
            await reader.client.catch_up_with(self.author, self.room, 15)
        return self.p99(), most

    def p99(self):
        delays = sorted(delay for reader in self.readers for delay in reader.delays)
        assert len(delays) == MESSAGES * READERS
        return delays[int(len(delays) * 0.99)]


@pytest.mark.parametrize("program", ["uvicorn", "daphne"])
async def test_a_reader_that_stops_slows_nobody_and_costs_little(serve, connect, room, program):
    server = serve(program)
    slowed = []
    for n in range(ROUNDS):
        (waited_before, memory_before), (waited, memory) = await a_round(server, connect, f"{room}/{n}")
        assert memory - memory_before < MEMORY
        slowed.append(waited / max(waited_before, LEAST))
        if slowed[-1] < FACTOR:
            return
    pytest.fail(f"Others waited {slowed} times as long.")


async def a_round(server, connect, room):
    """What many messages cost others without a reader that has stopped, and with one. It misses nothing."""
    async with Run(server, connect, f"{room}/before") as run:
        before = await run.speak()
    stopped = await connect(server, room, sock=narrow_socket(server.url), ping_interval=None)
    stopped.stop_reading()
    async with Run(server, connect, room) as run:
        meanwhile = await run.speak()

    stopped.read_on()
    # The client sees to the order, and that nothing comes twice.
    with suppress(Lost):
        await stopped.texts(room, count=MESSAGES)
    if stopped.position(room).offset < MESSAGES:
        await come_back(stopped, connect, server, room, MESSAGES)
    await stopped.socket.close()
    return before, meanwhile


async def test_a_reader_that_never_says_that_it_reads_is_closed_and_may_come_back(serve, connect, room):
    """One that reads and one that has stopped, on each server at once, because this takes its time."""
    servers = [serve(program, look=0.3) for program in ("uvicorn", "daphne")]
    mute = [await connect(server, room) for server in servers]
    stopped = [await connect(server, room, sock=narrow_socket(server.url), ping_interval=None) for server in servers]
    for client in (*mute, *stopped):
        client.answers_pings = False
    for client in stopped:
        client.stop_reading()
    author = await connect(servers[0], room)

    for n in range(ENOUGH):
        await author.publish(room, "x" * SIZE, id=f"{n}")

    for server, client in zip(servers, mute, strict=True):
        assert await client.close_code(GIVEN_UP) == 4002
        closing = await client.frame("closing")
        assert (closing["code"], closing["reconnect"]) == (4002, True)
        sent = sum(len(entry["body"]["text"]) for entry in client.rooms[room].entries)
        assert UNANSWERED - 2 * SIZE < sent < UNANSWERED + 256 * 1024
        await come_back(client, connect, server, room, ENOUGH)
    for server, client in zip(servers, stopped, strict=True):
        client.read_on()
        # What a server still had in memory may be lost with the word that comes after it; the position is not.
        assert await client.close_code(GIVEN_UP) in (4002, 1006)
        await come_back(client, connect, server, room, ENOUGH)


async def come_back(client, connect, server, room, everything):
    """Go on from where ``client`` was, and miss nothing."""
    again = await connect(server)
    again.resume(client, room)
    assert (await again.join(room, again.position(room)))["recovered"] is True
    await again.texts(room, count=everything)
    assert again.position(room).offset == everything
