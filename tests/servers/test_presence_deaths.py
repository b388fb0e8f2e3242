"""Who is here, when processes end, are killed, are stopped; when Redis is, and when the database is away."""

import asyncio
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from servers.members import assert_told_once, moves, pass_the_grace, together, told, until, visitors
from servers.sites import LEASE, LOCKING_DATABASES
from serving import EXITS

pytestmark = [pytest.mark.servers, pytest.mark.redis]

PEOPLE, STAYING = 200, 40

# Seconds.
LONG, AWAY = 8.0, 9.0


def on(*databases):
    """Not on every database."""
    return pytest.mark.parametrize("quiet", databases, indirect=True)


@pytest.fixture
def hall(room):
    """A room that tells more names than others."""
    return f"halls/{room}"


async def fill(server, room, connect, people):
    return await together(connect(server, room, **who) for who in people)


class TestADeploy:
    @pytest.mark.parametrize(
        ("quiet", "program"),
        [("sqlite", "daphne"), pytest.param("postgresql", "uvicorn", marks=pytest.mark.postgresql)],
        indirect=["quiet"],
    )
    async def test_nobody_leaves_who_comes_back_in_time(self, site, connect, hall, program):
        # As many as these need a while for coming back, on a busy machine.
        self.late = []
        old, new = site(program, grace=LONG), site(grace=LONG)
        watchers = [await connect(new, hall) for _ in range(3)]
        people = await visitors(old, PEOPLE)
        clients = await fill(old, hall, connect, people)
        for watcher in watchers:
            await watcher.counts(hall, PEOPLE + 3)
        await until(lambda: len(told(hall, old, new)) == PEOPLE + 3, "all joins are told")
        before = [len(watcher.presence_frames(hall)) for watcher in watchers]

        old.terminate()

        staying = zip(clients[:-STAYING], people, strict=False)
        again = await asyncio.gather(*(self._come_back(client, new, hall, connect, who) for client, who in staying))
        ended = time.monotonic()
        assert max(self.late) < LONG - 2, "The machine is too busy for this."
        gone = {client.key for client in clients[-STAYING:]}
        for watcher in watchers:
            await watcher.counts(hall, PEOPLE + 3 - STAYING)
        assert time.monotonic() - ended < LONG + 4
        await until(lambda: len(told(hall, old, new)) >= PEOPLE + 3 + STAYING, "the leaves are told")

        assert {client.key for client in again} == {client.key for client in clients} - gone
        for watcher, start in zip(watchers, before, strict=True):
            frames = watcher.presence_frames(hall)[start:]
            assert {key for frame in frames for key in frame["left"]} == gone
            assert not any(frame["joined"] for frame in frames)
        everybody = [client.key for client in (*watchers, *clients)]
        assert_told_once(hall, everybody, gone, old, new)
        assert await asyncio.to_thread(old.exit_code) == EXITS[program]

    async def _come_back(self, client, server, room, connect, who):
        """After as long as the server said, as every client does."""
        last = await client.frame("closing")
        assert last["code"] == 4001
        told_at = time.monotonic()
        await asyncio.sleep(last["after"])
        again = await connect(server, room, **who)
        self.late.append(time.monotonic() - told_at - last["after"])
        return again


class TestAKilledProcess:
    async def test_its_people_are_gone_after_its_lease_each_told_once(self, site, connect, hall):
        dying, *others = site(), site(), site("daphne")
        watchers = [await connect(server, hall) for server in others]
        clients = await fill(dying, hall, connect, [{}] * PEOPLE)
        for watcher in watchers:
            await watcher.counts(hall, PEOPLE + 2)
        await until(lambda: len(told(hall, dying, *others)) == PEOPLE + 2, "all joins are told")

        dying.kill()
        began = time.monotonic()
        await watchers[0].until(lambda: ("left", clients[0].key) in watchers[0].moves(hall), "the first leave")
        took = time.monotonic() - began
        for watcher in watchers:
            await watcher.counts(hall, 2)
        await until(lambda: len(told(hall, dying, *others)) == 2 * PEOPLE + 2, "all leaves are told")

        # Its last sign of life was up to a third of a lease ago.
        assert 2 / 3 * LEASE - 0.2 < took < LEASE + 4
        gone = {client.key for client in clients}
        for watcher in watchers:
            assert Counter(move for move in watcher.moves(hall) if move[0] == "left") == Counter(
                ("left", key) for key in gone
            )
        assert {key for kind, key in moves(hall, dying) if kind == "left"} == set()
        everybody = gone | {watcher.key for watcher in watchers}
        assert_told_once(hall, everybody, gone, dying, *others)

    @on(*LOCKING_DATABASES[:1])
    async def test_the_next_process_takes_them_out_if_there_was_no_other(self, site, connect, hall, host, quiet):
        dying = site(layer="none")
        clients = await fill(dying, hall, connect, [{}] * PEOPLE)
        await clients[0].counts(hall, PEOPLE)
        await until(lambda: len(told(hall, dying)) == PEOPLE, "all joins are told")
        dying.kill()
        database = host(quiet)
        await until(lambda: not database("alive", hall), "its lease has run out")

        new = site(layer="none")
        ann = await connect(new, hall)
        assert ann.present[hall].count == 1
        await until(lambda: len(told(hall, dying, new)) == 2 * PEOPLE + 1, "all leaves are told")

        gone = {client.key for client in clients}
        assert_told_once(hall, gone | {ann.key}, gone, dying, new)
        assert not ann.moves(hall)

    @on("sqlite")
    async def test_they_are_there_for_who_comes_before_the_lease_is_over(self, site, connect, hall):
        dying = site(layer="none")
        clients = await fill(dying, hall, connect, [{}] * 5)
        await until(lambda: len(told(hall, dying)) == 5, "all joins are told")
        dying.kill()
        new = site(layer="none")
        ann = await connect(new, hall)
        assert ann.present[hall].count == 6
        await ann.sees(hall, ann)
        assert Counter(ann.moves(hall)) == Counter(("left", client.key) for client in clients)


class TestAStoppedProcess:
    """Beyond its lease: the others bury its people, and it does not know."""

    @on("sqlite", *LOCKING_DATABASES[:1])
    async def test_only_who_proves_to_be_there_is_there_again(self, site, connect, room):
        stopped, other = site(), site()
        cem = await connect(other, room)
        ann, bob = await connect(stopped, room), await connect(stopped, room)
        await cem.sees(room, ann, bob, cem)
        await until(lambda: len(told(room, stopped, other)) == 3, "the joins are told")

        ann.answers_pings = bob.answers_pings = False
        stopped.pause()
        await cem.sees(room, cem)
        stopped.go_on()

        ping = await ann.frame("ping")
        await bob.frame("ping")
        await pass_the_grace(other, connect, room, cem)
        assert set(cem.present[room].members) == {cem.key}
        await ann.send({"type": "pong", "n": ping["n"]})
        await bob.send({"type": "pong", "n": "guessed"})
        await cem.sees(room, ann, cem)
        await ann.sees(room, ann, cem)
        assert ann.closed is bob.closed is None
        # It still serves them both, and whoever is new.
        dan = await connect(stopped, room)
        await cem.sees(room, ann, cem, dan)

        await until(lambda: len(told(room, stopped, other)) == 9, "all is told")
        found = told(room, stopped, other)
        assert len({one.id for one in found}) == len(found)
        mine = Counter((one.kind, one.key) for one in found if one.key in (ann.key, bob.key))
        assert mine == {("joined", ann.key): 2, ("left", ann.key): 1, ("joined", bob.key): 1, ("left", bob.key): 1}


async def test_with_redis_stopped_joins_and_leaves_come_by_the_look(serve, attended, own_redis, connect, room):
    one, two = (serve(program, **attended(redis=own_redis.url)) for program in ("uvicorn", "daphne"))
    ann, bob = await connect(one, room), await connect(two, room)
    await ann.sees(room, ann, bob)

    own_redis.pause()

    cem = await connect(two, room)
    await ann.sees(room, ann, bob, cem)
    await pass_the_grace(two, connect, room, ann)
    await bob.socket.close()
    await cem.ask("leave", room=room)
    await ann.sees(room, ann)


class TestADatabaseThatIsAway:
    """For longer than all leases: nobody has died, and nobody shall hear that they had."""

    async def test_nobody_is_buried(self, site, connect, room, away):
        # What was lost is tried again after a second, which is to be little to a lease, as it is to that of hosts.
        servers = [site(lease=AWAY), site("daphne", lease=AWAY)]
        clients = [await connect(server, room) for server in (*servers, *servers)]
        for client in clients:
            await client.sees(room, *clients)
        await until(lambda: len(told(room, *servers)) == len(clients), "the joins are told")
        before = [len(client.presence_frames(room)) for client in clients]

        with away() as database:
            await until(lambda: not database("alive", room), "all leases have run out")
        # Once each process has a lease again and its clients have answered, somebody can come and go as ever.
        for client in clients:
            await client.frame("ping")
        for server in servers:
            await pass_the_grace(server, connect, room, clients[0])

        passing = [key for kind, key in clients[0].moves(room)[-4:] if kind == "left"]
        for client, start in zip(clients, before, strict=True):
            frames = client.presence_frames(room)[start:]
            assert {key for frame in frames for key in frame["left"]} <= set(passing)
            assert {member["key"] for frame in frames for member in frame["joined"]} <= set(passing)
        await until(lambda: len(told(room, *servers)) == len(clients) + 4, "it is all told")
        assert_told_once(room, [*(client.key for client in clients), *passing], passing, *servers)


@pytest.fixture
def away(request, quiet, host):
    """``with away():`` no server process can write in the database. Yields a process of the host's that can."""
    insider, kind = host(quiet), quiet.partition(":")[0]
    # PostgreSQL refuses connections to a database if it is told so in another one.
    outsider = host(request.getfixturevalue("postgresql_url")) if kind == "postgresql" else insider
    name = quiet.partition("?")[0].rpartition("/")[2]
    others = f"FROM pg_stat_activity WHERE datname = '{name}' AND pid <> {insider('backend')}"
    tables = ", ".join(f"django_rooms_{table} WRITE" for table in ("lease", "presence", "member", "occupied"))
    statements = {
        "sqlite": (["BEGIN IMMEDIATE"], ["ROLLBACK"]),
        "postgresql": (
            [f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", f"SELECT pg_terminate_backend(pid) {others}"],
            [f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"],
        ),
        "mysql": ([f"LOCK TABLES {tables}"], ["UNLOCK TABLES"]),
    }

    @contextmanager
    def take_away():
        before, after = statements[kind]
        for statement in before:
            outsider("execute", statement)
        yield insider
        for statement in after:
            outsider("execute", statement)

    return take_away
