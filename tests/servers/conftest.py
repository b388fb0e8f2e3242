"""Servers to ask for, on the database and the layer that a test wants."""

import uuid
from contextlib import AsyncExitStack, ExitStack

import pytest
import serving
from databases import database
from django.db.utils import ConnectionHandler
from servers.client import connected

DATABASES = (
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
)
SHARED_LAYERS = (pytest.param("core", marks=pytest.mark.redis), pytest.param("pubsub", marks=pytest.mark.redis))
FIXTURES = {"sqlite": "sqlite_url", "postgresql": "migrated_postgresql", "mariadb": "migrated_mariadb"}
# Each database and each layer in some company; all of them in all would show no more.
SITES = (
    pytest.param(("sqlite", "core"), marks=pytest.mark.redis),
    pytest.param(("postgresql", "pubsub"), marks=[pytest.mark.postgresql, pytest.mark.redis]),
    pytest.param(("mariadb", "core"), marks=[pytest.mark.mariadb, pytest.mark.redis]),
    pytest.param(("sqlite", "pubsub"), marks=pytest.mark.redis),
)


@pytest.fixture
def room():
    """A room that no other test was in: tests share databases and a Redis."""
    return f"notes/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def empty_sqlite():
    with serving.migrated_sqlite() as path:
        yield path


@pytest.fixture
def sqlite_url(empty_sqlite, tmp_path):
    return serving.copy_of(empty_sqlite, tmp_path)


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_url, django_db_blocker):
    yield from made(postgresql_url, django_db_blocker, "CREATE DATABASE {}", "DROP DATABASE {} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_url, django_db_blocker):
    yield from made(mariadb_url, django_db_blocker, "CREATE DATABASE {} CHARACTER SET utf8mb4", "DROP DATABASE {}")


@pytest.fixture(params=DATABASES)
def any_database(request):
    """The URL of a migrated database: SQLite in a file, PostgreSQL, MariaDB."""
    return request.getfixturevalue(FIXTURES[request.param])


@pytest.fixture(params=SHARED_LAYERS)
def any_shared_layer(request, redis_url):
    """The options of a server whose layer reaches other processes."""
    return {"layer": request.param, "redis": redis_url}


@pytest.fixture(params=SITES, ids="-".join)
def any_site(request, redis_url):
    """The options of a server with a database and a layer that are shared with other processes."""
    database, layer = request.param
    return {"database": request.getfixturevalue(FIXTURES[database]), "layer": layer, "redis": redis_url}


@pytest.fixture
def serve(sqlite_url):
    """``serve()`` starts a server, with the keywords of ``serving.environment``; all end with the test."""
    with ExitStack() as stack:

        def start(program="uvicorn", database=sqlite_url, **options):
            return stack.enter_context(serving.Server(program, serving.environment(database, **options)))

        yield start


@pytest.fixture
def own_redis(redis_server):
    with serving.own_redis(redis_server) as redis:
        yield redis


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
