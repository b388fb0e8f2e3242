"""A sender's order against a machine: the real ``Publishing``, writer and backlog, over a database that fails.

The model is a client that follows the wire's rules: what was refused and may be retried it sends again, and everything
after it, in its order. Both ways of the wire are lines that nothing overtakes, and are cut when the client comes back
on another connection. The writer's thread is not started: each of its batches is a step of the machine.
"""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field

import pytest
from django.db import DataError, OperationalError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from django_rooms.connection import publishing as publishing_module
from django_rooms.connection.publishing import Publishing
from django_rooms.log import backlog as backlog_module
from django_rooms.log import writer as writer_module
from django_rooms.log.appends import Held
from django_rooms.log.writer import Writer
from django_rooms.protocol.entries import Author
from django_rooms.protocol.frames import FrameError, Publish

pytestmark = pytest.mark.slow

# Small enough that a short run comes to each of them.
BOUNDS = [(writer_module, "MAX_WAITING", 6), (publishing_module, "MAX_IN_FLIGHT", 4), (backlog_module, "MAX_BATCH", 4)]

ROOMS = ("one", "two")
ROOM = st.sampled_from(ROOMS)
SOME = st.integers(1, 4)
# What becomes of the first try of a batch and of the second, which is the last.
FATES = st.sampled_from([[]] * 5 + [["lost"], ["answer lost"], ["lost", "lost"], ["answer lost", "lost"]])


@pytest.fixture(autouse=True, scope="module")
def small_bounds():
    with pytest.MonkeyPatch.context() as patch:
        for module, name, bound in BOUNDS:
            patch.setattr(module, name, bound)
        patch.setattr(writer_module, "PAUSES", (0,))
        patch.setattr(writer_module, "use_own_connection", lambda: None)
        patch.setattr(writer_module.logger, "disabled", True)
        patch.setattr(writer_module, "submit", None)  # Each machine sets its own writer's.
        yield


@dataclass
class Client:
    """One person in one room: says 0, 1, 2, … and remembers what became of each."""

    room: str
    said: int = 0
    # The next to be sent: behind it, all was sent since the last refusal that is known here.
    cursor: int = 0
    acknowledged: set[int] = field(default_factory=set)
    refused_for_good: set[int] = field(default_factory=set)
    to_server: deque[int] = field(default_factory=deque)
    to_client: deque[dict] = field(default_factory=deque)
    publishing: Publishing | None = None

    def connect(self):
        """Anew: what was under way on the old connection is, for all that is known here, lost."""
        self.to_server.clear()
        self.to_client = answers = deque()
        self.publishing = Publishing(
            self.room, "u:1", Author("u1", "Ann"), lambda frame: answers.append(json.loads(frame))
        )
        self.cursor = 0

    @property
    def to_send(self):
        return [n for n in range(self.cursor, self.said) if n not in self.acknowledged | self.refused_for_good]

    def send(self):
        for number in self.to_send[:1]:
            self.to_server.append(number)
            self.cursor = number + 1

    def hear(self):
        answer = self.to_client.popleft()
        number = answer["ref"]
        if answer["type"] == "ok":
            self.acknowledged.add(number)
        elif answer["code"] in ("busy", "unavailable"):
            # It has to come again, unless another copy of it was answered meanwhile: then nothing waits for it.
            self.cursor = min(self.cursor, number)
        else:
            self.refused_for_good.add(number)


class PublishingMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.writer = Writer(self.append)
        writer_module.submit = self.writer.submit
        self.writer._thread = self  # It is there, as far as the writer knows.
        self.stored = {room: [] for room in ROOMS}
        self.clients = {room: Client(room) for room in ROOMS}
        # What becomes of the next tries of a batch.
        self.fates = deque()
        self.held = set()
        # What the policy and the database have refused for good, by room and number.
        self.forbidden, self.bad = set(), set()
        for client in self.clients.values():
            client.connect()

    # The client's side.

    @rule(room=ROOM, count=SOME, arrives=st.booleans())
    def say(self, room, count, arrives):
        self.clients[room].said += count
        self.send(room, count, arrives)

    @rule(room=ROOM, count=SOME, arrives=st.booleans())
    @precondition(lambda self: any(client.to_client for client in self.clients.values()))
    def hear(self, room, count, arrives):
        """And send again what was refused, and what was said after it."""
        client = self.clients[room]
        for _ in range(min(2 * count, len(client.to_client))):
            client.hear()
        self.send(room, count, arrives)

    def send(self, room, count, arrives):
        for _ in range(count):
            self.clients[room].send()
        if arrives:
            self.in_the_loop(self._take, self.clients[room], 9, False, turns=False)

    @rule(room=ROOM)
    @precondition(lambda self: any(client.said > 3 for client in self.clients.values()))
    def reconnect(self, room):
        self.clients[room].connect()

    @rule(room=ROOM)
    @precondition(lambda self: any(client.to_server for client in self.clients.values()))
    def say_again(self, room):
        """All that has no answer that is known here, though nothing was refused."""
        self.clients[room].cursor = 0

    # The server's side. What one step does, it does without a turn of the loop in between.

    @rule(room=ROOM, count=SOME, turns=st.booleans(), forbidden=st.sampled_from([False, False, True]))
    @precondition(lambda self: any(client.to_server for client in self.clients.values()))
    def take(self, room, count, turns, forbidden):
        """The connection takes frames, which the policy may refuse."""
        self.in_the_loop(self._take, self.clients[room], count, forbidden, turns=turns)

    @rule(room=ROOM, count=SOME)
    @precondition(lambda self: any(client.to_server for client in self.clients.values()))
    def take_unread(self, room, count):
        """What a change is about cannot be read just now."""
        client = self.clients[room]
        for _ in range(min(count, len(client.to_server))):
            number = client.to_server.popleft()
            client.publishing.hold(str(number))
            client.to_client.append({"type": "error", "code": "unavailable", "ref": number})

    @rule(room=ROOM, fates=FATES)
    def commit_and_take(self, room, fates):
        """A frame comes before the loop was told what became of the batch."""
        self.in_the_loop(self._commit_and_take, self.clients[room], fates, turns=False)

    @rule(fates=FATES, held=st.sampled_from([set(), {ROOMS[0]}, {ROOMS[1]}]), turns=st.booleans())
    @precondition(lambda self: self.writer._backlog)
    def commit(self, fates, held, turns):
        self.in_the_loop(self._commit, fates, held, turns=turns)

    @rule(room=ROOM, ahead=st.integers(0, 2))
    @precondition(lambda self: len(self.bad) < 4)
    def spoil(self, room, ahead):
        """The database will not take one of the next, ever."""
        self.bad.add((room, self.clients[room].said + ahead))

    def in_the_loop(self, work, *args, turns=True):
        async def run():
            work(*args)
            for _ in range(3 if turns else 0):
                await asyncio.sleep(0)

        self.loop.run_until_complete(run())

    def _take(self, client, count, forbidden):
        for _ in range(min(count, len(client.to_server))):
            number = client.to_server.popleft()
            if forbidden and number not in self.stored[client.room] and not self.under_way(client.room, number):
                self.forbidden.add((client.room, number))
            if (client.room, number) in self.forbidden:
                client.publishing.give_up(str(number))
                client.to_client.append({"type": "error", "code": "forbidden", "ref": number})
                continue
            try:
                client.publishing.submit(Publish(number, client.room, str(number), "{}"))
            except FrameError as error:
                client.to_client.append({"type": "error", "code": error.code, "ref": number})

    def _commit_and_take(self, client, fates):
        self._commit(fates, set())
        self._take(client, 1, False)

    def _commit(self, fates, held):
        """One round of the writer's thread."""
        self.fates, self.held = deque(fates), held
        self.writer._taken = self.writer._backlog.take()
        kept_out = self.writer._store(self.writer._taken)
        self.writer._backlog.put_back(self.writer._taken, [job for job in kept_out if not job.receipt.done])
        self.fates, self.held = deque(), set()

    def under_way(self, room, number):
        jobs = [
            *self.writer._backlog._waiting,
            *(job for aside in self.writer._backlog._aside.values() for job in aside),
        ]
        return any((job.room, job.item.id) == (room, str(number)) for job in jobs)

    def append(self, items):
        """Stands in for ``log.append``: all or nothing, each id once, and now and then no answer."""
        fate = self.fates.popleft() if self.fates else "stored"
        if fate == "lost":
            raise OperationalError("gone away")
        taken = [item for item in items if item.room not in self.held]
        if any((item.room, int(item.id)) in self.bad for item in taken):
            raise DataError("too long")
        for item in taken:
            if int(item.id) not in self.stored[item.room]:
                self.stored[item.room].append(int(item.id))
                self.check(item.room)
        if fate == "answer lost":
            raise OperationalError("the answer was lost")
        return [Held.HELD if item.room in self.held else None for item in items]

    def check(self, room):
        """Nothing is stored in front of what was said before it, and nothing that was refused for good."""
        stored = self.stored[room]
        assert stored == sorted(stored)
        missing = set(range(stored[-1])) - set(stored)
        assert {(room, number) for number in missing} <= self.forbidden | self.bad

    def teardown(self):
        try:
            self.end_well()
        finally:
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

    def end_well(self):
        """All goes well from here: what was not refused for good is stored, in its order, and acknowledged."""
        for _ in range(60):
            for client in self.clients.values():
                for _ in range(4):
                    client.send()
                self.in_the_loop(self._take, client, len(client.to_server), False)
                self._commit([], set())
                self.in_the_loop(lambda: None)
                while client.to_client:
                    client.hear()
        for room, client in self.clients.items():
            assert client.acknowledged | client.refused_for_good == set(range(client.said))
            assert client.acknowledged == set(self.stored[room])
            assert {(room, number) for number in client.refused_for_good} <= self.forbidden | self.bad
            assert self.stored[room] == sorted(self.stored[room])


PublishingMachine.TestCase.settings = settings(max_examples=250, stateful_step_count=50)
TestPublishingMachine = PublishingMachine.TestCase
