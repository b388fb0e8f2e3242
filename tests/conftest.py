"""What every test may ask for, and each run's own word on which Django it imported."""

import json
import os
import platform
import time
import uuid
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import django
import pytest
import serving
from channels.layers import channel_layers
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# That a machine is slow, or busy with something else for a moment, is no fault of what is tested.
UNHURRIED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
hypothesis_settings.register_profile("unhurried", hypothesis_settings.default, **UNHURRIED)
hypothesis_settings.load_profile("unhurried")

HEAVY = ("servers", "browser", "redis", "postgresql", "mariadb")


def pytest_collection_modifyitems(items):
    for item in items:
        if any(item.get_closest_marker(name) for name in HEAVY):
            item.add_marker(pytest.mark.heavy)


def needed(variable):
    """A heavy test without its service fails: skipped, it would look as if it had held."""
    if variable not in os.environ:
        pytest.fail(f"{variable} is not set; `make test` starts what it names.")
    return os.environ[variable]


@pytest.fixture(scope="session")
def redis_url():
    return needed("TEST_REDIS_URL")


@pytest.fixture(scope="session")
def redis_server():
    """The program, for tests that stop or kill a Redis of their own."""
    return needed("TEST_REDIS_SERVER")


@pytest.fixture(scope="session")
def postgresql_url():
    return needed("TEST_POSTGRESQL_URL")


@pytest.fixture(scope="session")
def mariadb_url():
    return needed("TEST_MARIADB_URL")


@pytest.fixture(scope="session")
def faketime():
    """The library by which a process has another time of day."""
    return needed("TEST_FAKETIME")


@pytest.fixture(scope="session")
def chromium():
    return needed("TEST_CHROMIUM")


@pytest.fixture
def room():
    """A room that no other test was in: tests share databases and a Redis."""
    return f"notes/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def afterwards():
    """What is to be undone once the servers that tests share have ended: in the end they still need their databases."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def empty_sqlite():
    with serving.migrated_sqlite() as path:
        yield path


@pytest.fixture
def sqlite_url(empty_sqlite, tmp_path):
    return serving.copy_of(empty_sqlite, tmp_path)


@pytest.fixture
def serve(sqlite_url):
    """``serve()`` starts a server, with the keywords of ``serving.environment``; all end with the test."""
    with serving.starting(serving.Server, sqlite_url) as start:
        yield lambda program="uvicorn", **options: start(program, **options)


@pytest.fixture(scope="session")
def shared_servers(afterwards, empty_sqlite, tmp_path_factory):
    """``shared_servers("daphne", layer="none")``: one of each, for all tests that leave it as it was."""
    sqlite = serving.copy_of(empty_sqlite, tmp_path_factory.mktemp("shared"))
    with serving.starting(serving.Server, sqlite) as start:
        yield cache(start)


@pytest.fixture
def server(shared_servers):
    server = shared_servers("uvicorn")
    yield server
    server.check()


@pytest.fixture(params=["uvicorn", "daphne"])
def any_server(request, shared_servers):
    server = shared_servers(request.param)
    yield server
    server.check()


@pytest.fixture
def own_redis(redis_server):
    with serving.own_redis(redis_server) as redis:
        yield redis


@pytest.fixture
def enter(db, nobody_here):
    """``enter("lobby", ann)``: she is there, and only for this test."""
    from communicating import Stay

    return Stay


@pytest.fixture
def nobody_here():
    """By this process, before the test and after it."""
    from django_rooms.presence.attendance import attendance

    attendance.forget()
    yield
    attendance.forget()


@pytest.fixture(autouse=True)
def fresh_layer():
    """Each test has an event loop of its own; a layer that outlived it would hold queues of a closed loop."""
    channel_layers.backends.clear()


def pytest_sessionstart(session):
    session.config.stash[BEGAN] = time.monotonic()


def pytest_sessionfinish(session):
    """Adds a line to this cell's report, which .ci/cells.py reads."""
    if "CELL_REPORTS" not in os.environ or session.config.option.collectonly:
        return
    stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
    report = {
        "cell": os.environ["CELL"],
        "python": platform.python_version(),
        "django": ".".join(map(str, django.VERSION[:2])),
        "database": settings.DATABASES["default"]["ENGINE"].rpartition(".")[2],
        "passed": len(stats.get("passed", ())),
        "failed": len(stats.get("failed", ())) + len(stats.get("error", ())),
        "skipped": len(stats.get("skipped", ())) + len(stats.get("xfailed", ())),
        "seconds": time.monotonic() - session.config.stash[BEGAN],
    }
    folder = Path(os.environ["CELL_REPORTS"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{report['cell']}.jsonl").open("a") as file:
        file.write(json.dumps(report) + "\n")


BEGAN = pytest.StashKey[float]()
