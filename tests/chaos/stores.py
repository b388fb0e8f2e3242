"""Databases and Redis of the run's own, killed and started again; and the log, read by SQL through plain drivers.

Killed at once, as when a machine's memory is full. What a database has written is then in the system's hands, which a
killed process does not take along: nothing here is flushed to the disk, and commits outlive the process all the same.
Blocking: the run calls it in threads.
"""

import json
import os
import pwd
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import serving

from chaos.evidence import Log, Seen

PATIENCE = 60.0

# The programs, and the variables that name them.
PROGRAMS = {
    "redis": "TEST_REDIS_SERVER",
    "postgresql": "TEST_POSTGRESQL_INITDB",
    "mariadb": "TEST_MARIADB_SERVER",
    "mariadb_install": "TEST_MARIADB_INSTALL",
}

HEADS = "SELECT name, last_offset FROM django_rooms_roomlog"
ROWS = """
    SELECT r.name, e.{offset}, e.entry_id, e.body, e.sender, e.kind, e.target, e.changed
    FROM django_rooms_entry e JOIN django_rooms_roomlog r ON e.room = r.{key}
    ORDER BY e.{offset}
"""
PENDING = "SELECT count(*) FROM django_rooms_pending"
EPOCHS = "SELECT name, epoch FROM django_rooms_roomlog"


class Database:
    """``url`` is for Django; this class itself never asks Django, nor the package."""

    # Names that are words of SQL.
    names: ClassVar = {"offset": '"offset"', "key": '"key"'}
    url: str

    def start(self):
        pass

    def kill(self):
        raise NotImplementedError

    def end(self):
        """Whether it runs, was killed or was never started."""

    def connect(self):
        raise NotImplementedError

    def ask(self, statement):
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def heads(self):
        """Where each log ends, by the room's name."""
        return dict(self.ask(HEADS))

    def epochs(self):
        return dict(self.ask(EPOCHS))

    def ends(self):
        """The epoch and the head of each log."""
        heads, epochs = self.heads(), self.epochs()
        return {name: (epochs[name], head) for name, head in heads.items()}

    def pending(self):
        """How much was committed and has no offset yet."""
        return self.ask(PENDING)[0][0]

    def logs(self, epochs):
        """Every room's log. ``epochs`` are those that each had before the one that it has now."""
        rows = {name: [] for name in self.heads()}
        for name, offset, entry_id, body, *others in self.ask(ROWS.format(**self.names)):
            text = (json.loads(body) or {}).get("text")
            rows[name].append(Seen(offset, entry_id, text, *others))
        heads, now = self.heads(), self.epochs()
        return [
            Log(name, heads[name], found, list(dict.fromkeys([*epochs.get(name, ()), now[name]])))
            for name, found in rows.items()
        ]


class Sqlite(Database):
    def __init__(self, folder, programs):
        self._path = folder / "rooms.sqlite3"
        self.url = f"sqlite:///{self._path}"

    def connect(self):
        return sqlite3.connect(self._path, timeout=20)


class Postgresql(Database):
    def __init__(self, folder, programs):
        self._folder, self._programs, self._process = folder, Path(programs["postgresql"]).parent, None
        self._data = folder / "data"
        self.url = f"postgresql://rooms@/postgres?host={folder}"
        encoding = ["--encoding=UTF8", "--no-locale", "-N"]
        run(folder, programs["postgresql"], "-D", self._data, "-U", "rooms", "--auth=trust", *encoding)

    def start(self):
        options = ["--listen_addresses=", "--fsync=off", "--max_connections=200"]
        where = ["-D", self._data, f"--unix_socket_directories={self._folder}"]
        self._process = started(self._folder, [self._programs / "postgres", *where, *options])
        wait_for(self, self._process)

    def kill(self):
        """SIGQUIT is PostgreSQL's own word for at once: the next start recovers from the log of writes."""
        self._process.end(signal.SIGQUIT)

    def end(self):
        if self._process is not None:
            self.kill()

    def connect(self):
        import psycopg

        return psycopg.connect(host=str(self._folder), user="rooms", dbname="postgres")


class Mariadb(Database):
    names: ClassVar = {"offset": "`offset`", "key": "`key`"}

    def __init__(self, folder, programs):
        self._folder, self._program, self._process = folder, programs["mariadb"], None
        self._path, self._data = folder / "mariadb.sock", folder / "data"
        self.url = f"mysql://root@/rooms?host={self._path}"
        install = [programs["mariadb_install"], "--no-defaults", f"--datadir={self._data}"]
        run(folder, *install, "--auth-root-authentication-method=normal")

    def start(self):
        paths = [f"--datadir={self._data}", f"--socket={self._path}", f"--pid-file={self._folder / 'pid'}"]
        # With 0 a commit waits for up to a second in MariaDB's own memory, and dies with it. With 2 it is written.
        options = ["--skip-networking", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=2"]
        more = [f"--tmpdir={self._folder}", "--max-connections=200"]
        self._process = started(self._folder, [self._program, "--no-defaults", *paths, *options, *more])
        wait_for(self, self._process)

    def kill(self):
        self._process.end(signal.SIGKILL)

    def end(self):
        if self._process is not None:
            self.kill()

    def connect(self):
        import pymysql

        connection = pymysql.connect(user="root", charset="utf8mb4", defer_connect=True)
        # Over a socket of our own, which PyMySQL would leave open where nobody listens.
        raw = socket.socket(socket.AF_UNIX)
        try:
            raw.connect(str(self._path))
            connection.connect(raw)
            with connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE IF NOT EXISTS rooms")
                cursor.execute("USE rooms")
        except BaseException:
            raw.close()
            raise
        return connection


DATABASES = {"sqlite": Sqlite, "postgresql": Postgresql, "mariadb": Mariadb}


def errors():
    """What the drivers raise while their database is away."""
    import psycopg
    import pymysql

    return (sqlite3.OperationalError, psycopg.Error, pymysql.Error, OSError)


def redis(folder, programs):
    return serving.Redis(programs["redis"], folder)


@contextmanager
def home():
    """A folder for one run, with a path short enough for sockets, which the databases' own user may enter."""
    with tempfile.TemporaryDirectory(prefix="rooms-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def make_folder(parent, name):
    """A folder that the database's own user owns; the parents above it must let that user through."""
    folder = Path(parent) / name
    folder.mkdir()
    if owner := nobody():
        os.chown(folder, owner["user"], owner["group"])
    return folder


def nobody():
    """PostgreSQL and MariaDB refuse to run as root: the options that make a process run as nobody then."""
    if os.geteuid():
        return {}
    person = pwd.getpwnam("nobody")
    return {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}


def started(folder, command):
    # In a session of its own: Ctrl-C is for the run, which then ends this.
    return serving.Process([str(word) for word in command], cwd=folder, start_new_session=True, **nobody())


def run(folder, *command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=folder, **nobody())
    assert done.returncode == 0, f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}"


def wait_for(database, process):
    """Until it answers."""
    deadline = time.monotonic() + PATIENCE
    while process.process.poll() is None and time.monotonic() < deadline:
        try:
            database.ask("SELECT 1")
        except Exception:  # Each driver has errors of its own, and a server that starts has many.
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"The database did not answer; it said:\n{process.output[-2000:]}")
