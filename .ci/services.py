"""Redis, PostgreSQL and MariaDB of the suite's own, in folders and on Unix sockets: no port can be taken.

Each context manager yields a URL when its server really answers. Nothing is flushed to the disk.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from processes import running

PATIENCE = 60.0


class Failed(Exception):
    """The sentence, and what the server said."""


@contextmanager
def redis(folder, server):
    path = folder / "redis.sock"
    command = [server, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""]
    with serving("Redis", command, folder, ready=lambda: redis_answers(path)):
        yield f"unix://{path}"


def redis_answers(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith(b"+PONG")


@contextmanager
def postgresql(folder, initdb):
    """With fsync off, `durable` means until the machine goes down, which is all that a test can see."""
    programs, data = Path(initdb).parent, folder / "data"
    run(folder, initdb, "-D", data, "-U", "rooms", "--auth=trust", "--encoding=UTF8", "--no-locale", "-N")
    options = ["--listen_addresses=", "--fsync=off", "--max_connections=200"]
    command = [programs / "postgres", "-D", data, f"--unix_socket_directories={folder}", *options]
    create = [programs / "createdb", "--host", folder, "--username=rooms", "rooms"]
    # SIGTERM would wait for every client to leave; SIGINT sends them away.
    with serving("PostgreSQL", command, folder, ready=lambda: answers(folder, create), end=signal.SIGINT):
        yield f"postgresql://rooms@/rooms?host={folder}"


@contextmanager
def mariadb(folder, server, install):
    data, path = folder / "data", folder / "mariadb.sock"
    run(folder, install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
    paths = [f"--datadir={data}", f"--socket={path}", f"--pid-file={folder / 'pid'}", f"--tmpdir={folder}"]
    options = ["--skip-networking", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0"]
    command = [server, "--no-defaults", *paths, *options, "--max-connections=200"]
    client = shutil.which("mariadb") or "mysql"
    ask = [client, "--no-defaults", f"--socket={path}", "--user=root", "-e", "CREATE DATABASE rooms"]
    with serving("MariaDB", command, folder, ready=lambda: answers(folder, ask)):
        yield f"mysql://root@/rooms?host={path}"


@contextmanager
def serving(name, command, folder, *, ready, end=signal.SIGTERM):
    log = folder / "log"
    with (
        log.open("wb") as output,
        running(command, end=end, stdout=output, stderr=output, cwd=folder, **nobody()) as process,
    ):
        wait(name, process, ready, log)
        yield


def wait(name, process, ready, log):
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise Failed(f"{name} did not answer; its log ends so:\n{log.read_text(errors='replace')[-2000:]}")


def answers(folder, command):
    return subprocess.run(command, capture_output=True, cwd=folder).returncode == 0


def run(folder, *command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=folder, **nobody())
    if done.returncode:
        raise Failed(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")


def nobody():
    """PostgreSQL and MariaDB refuse to run as root: the options that make a process run as nobody then."""
    if os.geteuid():
        return {}
    person = pwd.getpwnam("nobody")
    return {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}


def make_folder(parent, name):
    """A folder that the server's user owns; the parents above it must let that user through."""
    folder = Path(parent) / name
    folder.mkdir()
    if owner := nobody():
        os.chown(folder, owner["user"], owner["group"])
    return folder
