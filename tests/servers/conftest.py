"""Databases and layers that servers share, and sockets to talk to them."""

import asyncio
import json
import uuid
from contextlib import AsyncExitStack, closing
from functools import cache

import pytest
import serving
from databases import database
from django.db.utils import ConnectionHandler
from servers.client import connected
from servers.hosts import Host
from servers.sites import (
    ATTENDED_SITES,
    DATABASES,
    DATABASES_AND_LAYERS,
    GRACE,
    ISOLATIONS,
    LEASE,
    LOCKING_DATABASES,
    NEVER,
    PROGRAMS_AND_DATABASES,
    SOON,
)

from django_rooms.names import room_key

# By which a database is made, and dropped.
STATEMENTS = {
    "postgresql": ("CREATE DATABASE {}", "DROP DATABASE {} WITH (FORCE)"),
    "mariadb": ("CREATE DATABASE {} CHARACTER SET utf8mb4", "DROP DATABASE {}"),
}


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_url, django_db_blocker, afterwards):
    return made("postgresql", postgresql_url, django_db_blocker, afterwards)


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_url, django_db_blocker, afterwards):
    return made("mariadb", mariadb_url, django_db_blocker, afterwards)


@pytest.fixture(scope="session")
def apart(request, empty_sqlite, tmp_path_factory, django_db_blocker, afterwards):
    """``apart("mariadb", "quiet")``: a database of this name, where no other test's servers take people out."""

    @cache
    def database(kind, name):
        if kind == "sqlite":
            return serving.copy_of(empty_sqlite, tmp_path_factory.mktemp(name))
        return made(kind, request.getfixturevalue(f"{kind}_url"), django_db_blocker, afterwards)

    return database


@pytest.fixture
def database_url(request):
    """``database_url("mariadb")``: migrated, and shared by all tests but for SQLite's, which is this test's own."""
    fixtures = {"sqlite": "sqlite_url", "postgresql": "migrated_postgresql", "mariadb": "migrated_mariadb"}
    return lambda kind: request.getfixturevalue(fixtures[kind])


@pytest.fixture(params=PROGRAMS_AND_DATABASES, ids="-".join)
def any_program(request, database_url):
    """The options of a server: its program and its database."""
    program, database = request.param
    return {"program": program, "database": database_url(database)}


@pytest.fixture(params=PROGRAMS_AND_DATABASES, ids="-".join)
def any_served_database(request, database_url, shared_servers):
    """A server of either program on a database of any kind, for tests that leave it as it was."""
    program, database = request.param
    server = shared_servers(program, **given(database, database_url))
    yield server
    server.check()


@pytest.fixture(params=DATABASES_AND_LAYERS, ids="-".join)
def any_site(request, database_url, redis_url, shared_servers):
    """Two servers that share a database and a layer, for tests that leave them as they were.

    They do not look at the log, so what comes over comes by doorbell, and requests are atomic there.
    """
    database, layer = request.param
    options = {"layer": layer, "redis": redis_url, "look": NEVER, "atomic_requests": 1}
    servers = [shared_servers(program, **options, **given(database, database_url)) for program in ("uvicorn", "daphne")]
    yield servers
    for server in servers:
        server.check()


@pytest.fixture
def attended(redis_url):
    """``attended("pubsub")``: the options of servers for who is here, whose handlers say what they are told."""

    def options(layer="pubsub", **others):
        look = SOON if layer == "none" else None
        return {"layer": layer, "redis": redis_url, "look": look, "lease": LEASE, "grace": GRACE, "tells": 1, **others}

    return options


@pytest.fixture(params=ATTENDED_SITES, ids="-".join)
def attended_site(request, apart, attended, shared_servers):
    """Two servers with a database of their own, for tests that leave them as they were."""
    database, layer = request.param
    options = attended(layer, database=apart(database, f"attended-{layer}"))
    servers = [shared_servers(program, **options) for program in ("uvicorn", "daphne")]
    yield servers
    for server in servers:
        server.check()


@pytest.fixture(params=DATABASES)
def quiet(request, apart):
    """The URL of a database of any kind that the servers of this test alone use meanwhile."""
    return apart(request.param, "quiet")


@pytest.fixture
def site(serve, attended, quiet):
    """``site()`` starts one more server on it. Servers have a layer unless told otherwise."""
    return lambda program="uvicorn", layer="pubsub", **options: serve(
        program, **attended(layer, database=quiet, **options)
    )


@pytest.fixture
def outsider(attended_site, shared_hosts):
    """A process of the site's that serves nobody."""
    given = {
        key.removeprefix("SERVER_").lower(): value
        for key, value in attended_site[0].variables.items()
        if key.startswith("SERVER_")
    }
    return shared_hosts("outsider", database=given.pop("database_url"), redis=given.pop("redis_url", None), **given)


@pytest.fixture
def host(sqlite_url):
    """``host(database)`` starts a process of the host's that the test may stop, kill and spoil."""
    with serving.starting(lambda variables: closing(Host(variables)), sqlite_url) as start:
        yield lambda database=sqlite_url, **options: start(database=database, **options)


@pytest.fixture(scope="session")
def shared_hosts(afterwards, empty_sqlite, tmp_path_factory):
    """``shared_hosts("ann", …)``: one of each, for all tests that leave it as it was."""
    sqlite = serving.copy_of(empty_sqlite, tmp_path_factory.mktemp("hosts"))
    with serving.starting(lambda name, variables: closing(Host(variables)), sqlite) as start:
        yield cache(start)


@pytest.fixture(params=DATABASES)
def pair(request, database_url, shared_hosts):
    """Two processes of the host's on one database of any kind."""
    return [shared_hosts(name, **given(request.param, database_url)) for name in ("ann", "bob")]


@pytest.fixture(params=LOCKING_DATABASES)
def locking_pair(request, database_url, shared_hosts):
    """The same, where an open transaction locks rows and not the whole database."""
    return [shared_hosts(name, **given(request.param, database_url)) for name in ("ann", "bob")]


@pytest.fixture(params=ISOLATIONS, ids="-".join)
def isolated_pair(request, database_url, shared_hosts):
    """The same, and the first of them keeps its transactions as the database does at its strictest."""
    database, isolation = request.param
    options = given(database, database_url)
    return [shared_hosts("ann", isolation=isolation, **options), shared_hosts("bob", **options)]


@pytest.fixture
def database_of():
    """``database_of(pair)``: its URL."""
    return lambda pair: pair[0].variables["SERVER_DATABASE_URL"]


@pytest.fixture
async def connect():
    """``await connect(server, "lobby")`` opens a socket of that room; without a room, one for many."""
    async with AsyncExitStack() as stack:

        async def open_socket(server, room=None, path="ws/rooms/", **options):
            url = f"{server.url}/{path}{f'{room}/' if room else ''}"
            client = await stack.enter_async_context(connected(url, **options))
            await client.frame("welcome")
            if room:
                await client.frame("joined", ref=None)
            return client

        yield open_socket


@pytest.fixture
def stored(database_url, django_db_blocker):
    """``await stored("sqlite", room)``: what the log says, in its order, asked of the database and of nobody else."""

    def texts(url, room):
        handler = ConnectionHandler({"default": database(url)})
        offset, key = handler["default"].ops.quote_name("offset"), room_key(room)
        sql = f"SELECT body FROM django_rooms_entry WHERE room = %s ORDER BY {offset}"
        with django_db_blocker.unblock(), handler["default"].cursor() as cursor:
            cursor.execute(sql, [key if handler["default"].features.has_native_uuid_field else key.hex])
            found = [json.loads(body)["text"] for (body,) in cursor.fetchall()]
        handler["default"].close()
        return found

    return lambda kind, room: asyncio.to_thread(texts, database_url(kind), room)


def given(database, database_url):
    """SQLite's is the one that all shared servers have."""
    return {} if database == "sqlite" else {"database": database_url(database)}


def made(kind, url, blocker, afterwards):
    """A database beside the one of ``url``, whose content is nobody's business here; dropped ``afterwards``."""
    name = f"servers_{uuid.uuid4().hex[:12]}"
    create, drop = STATEMENTS[kind]
    handler = ConnectionHandler({"default": database(url)})

    def execute(statement):
        with blocker.unblock(), handler["default"].cursor() as cursor:
            cursor.execute(statement.format(name))
        handler["default"].close()

    execute(create)
    afterwards.callback(execute, drop)
    return migrated(other_database(url, name))


def migrated(url):
    serving.manage(serving.environment(url), "migrate", "--verbosity=0")
    return url


def other_database(url, name):
    address, question, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{question}{query}"
