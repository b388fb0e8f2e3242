"""The peers that are ASGI applications: all under the same command line."""

import json
import os
import subprocess
from contextlib import contextmanager
from functools import cache, partial

from benchmarks import pythons
from benchmarks.peers.peer import HOST, Peer
from benchmarks.site import PEERS, variables

# What uvicorn takes by itself where uvloop, httptools and websockets are installed, named so that it cannot change
# unseen. Its pings stay as they are by default, one every 20 s, unless a choice says otherwise. Compression it would
# agree to; no client of the bench offers it.
UVICORN = ["uvicorn", "--http=httptools", "--ws=websockets-sansio", "--lifespan=off", "--log-level=warning"]
DAPHNE = ["daphne", "--verbosity=0", f"--bind={HOST}"]


def command(application, choice, port):
    python = pythons.path(choice.python)
    if choice.program == "daphne":
        return [python, "-m", *DAPHNE, f"--port={port}", application]
    options = [f"--loop={choice.loop}", f"--host={HOST}", f"--port={port}", "--no-access-log"]
    pings = [] if choice.pings else ["--ws-ping-interval=0"]
    return [python, "-m", *UVICORN, *options, *pings, application]


def django(name, dialect, application, settings):
    """`application` is named as uvicorn has it, of a Django project beside this file."""
    project = f"{application.partition('.')[0]}.settings"
    return Peer(
        name,
        dialect,
        partial(command, application),
        partial(ground_of_django, project),
        partial(versions, ("Django", "channels", "channels-redis", "redis")),
        partial(described, settings),
    )


@contextmanager
def ground_of_django(project, site, choice):
    with site.database(choice.database, project) as database:
        layers = site.layers(choice.layer, choice.shards)
        yield {**variables(project, database, layers), **choice.environment}, database


def plain(name, dialect, application, settings, *packages):
    return Peer(
        name,
        dialect,
        partial(command, application),
        ground_of_plain,
        partial(versions, packages),
        partial(described, settings),
    )


@contextmanager
def ground_of_plain(site, choice):
    """BENCH_REDIS_URL where the layer is pub/sub: python-socketio's own way between processes is that too."""
    redis = {"BENCH_REDIS_URL": site.redis_urls[0]} if choice.layer == "pubsub" else {}
    yield {**os.environ, "PYTHONPATH": str(PEERS), **redis, **choice.environment}, None


def described(settings, choice):
    if (choice.layer, choice.shards) != ("pubsub", 1):
        settings += f"; the layer is {choice.layer}, over {choice.shards} Redis"
    if choice.program == "daphne":
        return f"{settings}; daphne, no compression offered"
    pings = "pings by default" if choice.pings else "no pings of uvicorn's"
    return f"{settings}; uvicorn, {choice.loop}, httptools, websockets-sansio, {pings}, no compression offered"


ASK = """
import json, platform, sys
from importlib.metadata import version
print(json.dumps({"Python": platform.python_version(), **{name: version(name) for name in sys.argv[1:]}}))
"""


def versions(packages, choice):
    uvicorn = ("uvicorn", "httptools", "websockets", *(["uvloop"] if choice.loop == "uvloop" else []))
    server = ("daphne", "Twisted") if choice.program == "daphne" else uvicorn
    python = pythons.path(choice.python)
    return ", ".join(f"{name} {version}" for name, version in installed(python, (*packages, *server)).items())


@cache
def installed(python, packages):
    """Of that Python itself, and of its packages."""
    return json.loads(subprocess.run([python, "-c", ASK, *packages], capture_output=True, check=True).stdout)
