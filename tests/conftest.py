"""What every test may ask for, and each run's own word on which Django it imported."""

import json
import os
import platform
import time
from pathlib import Path

import django
import pytest
from channels.layers import channel_layers
from django.conf import settings

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
def chromium():
    return needed("TEST_CHROMIUM")


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
