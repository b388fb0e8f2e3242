"""Databases and layers that servers share, and sockets to talk to them."""

import uuid
from contextlib import AsyncExitStack

import pytest
import serving
from databases import database
from django.db.utils import ConnectionHandler
from servers.client import connected

POSTGRESQL = pytest.mark.postgresql
MARIADB = pytest.mark.mariadb
REDIS = pytest.mark.redis

# Each database with each of its companions somewhere; all with all would show no more and take long.
PROGRAMS_AND_DATABASES = (
    pytest.param(("uvicorn", "sqlite")),
    pytest.param(("daphne", "sqlite")),
    pytest.param(("uvicorn", "postgresql"), marks=POSTGRESQL),
    pytest.param(("daphne", "mariadb"), marks=MARIADB),
)
DATABASES_AND_LAYERS = (
    pytest.param(("sqlite", "core"), marks=REDIS),
    pytest.param(("sqlite", "pubsub"), marks=REDIS),
    pytest.param(("postgresql", "pubsub"), marks=[POSTGRESQL, REDIS]),
    pytest.param(("mariadb", "core"), marks=[MARIADB, REDIS]),
)


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_url, django_db_blocker):
    yield from made(postgresql_url, django_db_blocker, "CREATE DATABASE {}", "DROP DATABASE {} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_url, django_db_blocker):
    yield from made(mariadb_url, django_db_blocker, "CREATE DATABASE {} CHARACTER SET utf8mb4", "DROP DATABASE {}")


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
    server = shared_servers(program) if database == "sqlite" else shared_servers(program, database_url(database))
    yield server
    server.check()


@pytest.fixture(params=[pytest.param(layer, marks=REDIS) for layer in ("core", "pubsub")])
def any_shared_layer(request, redis_url):
    """The options of a server whose layer reaches other processes."""
    return {"layer": request.param, "redis": redis_url}


@pytest.fixture(params=DATABASES_AND_LAYERS, ids="-".join)
def any_site(request, database_url, redis_url):
    """The options of servers that share a database and a layer."""
    database, layer = request.param
    return {"database": database_url(database), "layer": layer, "redis": redis_url}


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


def made(url, blocker, create, drop):
    """A database beside the one of ``url``, whose content is nobody's business here."""
    name = f"servers_{uuid.uuid4().hex[:12]}"
    handler = ConnectionHandler({"default": database(url)})

    def execute(statement):
        with blocker.unblock(), handler["default"].cursor() as cursor:
            cursor.execute(statement.format(name))
        handler["default"].close()

    execute(create)
    try:
        yield migrated(other_database(url, name))
    finally:
        execute(drop)


def migrated(url):
    serving.manage(serving.environment(url), "migrate", "--verbosity=0")
    return url


def other_database(url, name):
    address, question, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{question}{query}"
