"""What servers run on: two Redis servers, a PostgreSQL, and a folder of the bench's own.

PostgreSQL flushes nothing to the disk (fsync off, as in the tests), and SQLite runs with the quick start's options: the
same for all who store, so that the disk of the machine is not what is measured. All are on Unix sockets.
"""

import json
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import psycopg
from redis import Redis

from benchmarks import usage
from benchmarks.ci import ROOT, needs, services

# The servers' own modules are found here, so that none of them loads the bench.
PEERS = ROOT / "benchmarks" / "peers"

BACKENDS = {
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
    "memory": "channels.layers.InMemoryChannelLayer",
}

# As the quick start has them.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


class Failed(Exception):
    """The sentence, and what the program said."""


class Site:
    """`with Site() as site:` it runs. A database is migrated once for each project, and copied for each server."""

    def __init__(self):
        self._stack = ExitStack()
        self._numbers = count(1)
        self._models = {}

    def __enter__(self):
        with ExitStack() as stack:
            programs = needs.find_or_install("redis", "postgresql")
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rooms-bench-")))
            self.folder.chmod(0o755)
            homes = {name: services.make_folder(self.folder, name) for name in ("redis-1", "redis-2", "postgresql")}
            redis = [services.redis(homes[name], programs["redis"]) for name in ("redis-1", "redis-2")]
            self.redis_urls = [stack.enter_context(each) for each in redis]
            self.postgresql_url = stack.enter_context(services.postgresql(homes["postgresql"], programs["postgresql"]))
            self._postgresql = homes["postgresql"]
            sockets = {name: homes[name] / "redis.sock" for name in ("redis-1", "redis-2")}
            sockets["postgresql"] = homes["postgresql"] / ".s.PGSQL.5432"
            self._pids = {name: listener(path) for name, path in sockets.items()}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self._stack.close()

    def forget(self):
        """Redis forgets what servers left there: a killed one's members stay in the core layer's groups for a day."""
        for url in self.redis_urls:
            with Redis.from_url(url) as client:
                client.flushall()

    def cpu(self):
        """CPU seconds so far, by name."""
        return {name: usage.cpu(pid) for name, pid in self._pids.items()}

    def redis_calls(self):
        """How often both Redis servers were called so far, by the command; those within a script are counted too."""
        calls = Counter()
        for url in self.redis_urls:
            with Redis.from_url(url) as client:
                for name, told in client.info("commandstats").items():
                    calls[name.removeprefix("cmdstat_")] += told["calls"]
        return calls

    def layers(self, kind, shards=1):
        """CHANNEL_LAYERS: `pubsub` and `core` over the first one or two Redis servers, `memory`, or `none`."""
        if kind == "none":
            return {}
        config = {} if kind == "memory" else {"hosts": self.redis_urls[:shards]}
        return {"default": {"BACKEND": BACKENDS[kind], "CONFIG": config}}

    @contextmanager
    def database(self, kind, project):
        """Django's settings for a fresh `postgresql` or `sqlite` with the tables of `project`, a settings module."""
        make, copy, drop = {
            "postgresql": (self._create, self._create, self._drop),
            "sqlite": (self._file, self._copy, self._unlink),
        }[kind]
        if (kind, project) not in self._models:
            model = make(f"model_{next(self._numbers)}")
            migrate(model, project)
            self._models[kind, project] = model
        database = copy(f"bench_{next(self._numbers)}", self._models[kind, project])
        try:
            yield database
        finally:
            drop(database)

    def _create(self, name, model=None):
        template = f" TEMPLATE {model['NAME']}" if model else ""
        self._execute(f"CREATE DATABASE {name}{template}")
        host = str(self._postgresql)
        return {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "rooms", "HOST": host}

    def _drop(self, database):
        self._execute(f"DROP DATABASE {database['NAME']} WITH (FORCE)")

    def _execute(self, statement):
        with psycopg.connect(host=str(self._postgresql), user="rooms", dbname="rooms", autocommit=True) as connection:
            connection.execute(statement)

    def _file(self, name):
        folder = self.folder / name
        folder.mkdir()
        path = str(folder / "db.sqlite3")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": SQLITE_OPTIONS}

    def _copy(self, name, model):
        database = self._file(name)
        shutil.copy(model["NAME"], database["NAME"])
        return database

    def _unlink(self, database):
        shutil.rmtree(Path(database["NAME"]).parent)


def connect(database):
    """A driver's own connection, in which each statement is a transaction; `database` is Django's settings."""
    if database["ENGINE"].endswith("sqlite3"):
        return sqlite3.connect(database["NAME"], isolation_level=None, timeout=20)
    return psycopg.connect(host=database["HOST"], user=database["USER"], dbname=database["NAME"], autocommit=True)


def variables(project, database, layers):
    """The environment of a Django project of ours; peers/project.py reads it."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": project,
        "PYTHONPATH": str(PEERS),
        "BENCH_DATABASE": json.dumps(database),
        "BENCH_LAYERS": json.dumps(layers),
    }


def migrate(database, project):
    # Syncdb, because the tutorial's app has a model and no migrations.
    command = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity=0"]
    environment = variables(project, database, {})
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"The tables of {project} could not be made:\n{done.stderr[-2000:]}")


def listener(path):
    """The id of the process that listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
