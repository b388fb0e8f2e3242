"""Server processes of the host project: each on a port of its own, watched, and ended by its own id.

For the tests in servers/ and browser/, which import it; nothing here runs in pytest's own event loop.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import django_rooms

TESTS = Path(__file__).resolve().parent
# Of the very package that pytest imported: the installed wheel, or a checkout.
PACKAGE = Path(django_rooms.__file__).resolve().parent.parent
PATIENCE = 20.0

UVICORN = ("uvicorn", "--lifespan=off", "--timeout-graceful-shutdown=2", "--host=127.0.0.1", "--port={port}")
COMMANDS = {
    "uvicorn": UVICORN,
    # With a parent that hands on what it is told, and no work of its own.
    "workers": [*UVICORN, "--workers=2"],
    "daphne": ["daphne", "--bind=127.0.0.1", "--port={port}", "--verbosity=0"],
}
# How each server ends on SIGTERM, whatever runs in it: uvicorn by the signal itself.
EXITS = {"uvicorn": -signal.SIGTERM, "workers": 0, "daphne": 0}
LISTENS = re.compile(r"(?:running on http://|Listening on TCP address )127\.0\.0\.1:(\d+)")

# What a server writes when something came up that nobody had thought of.
UNHANDLED = re.compile(
    r"Traceback \(most recent|^ERROR|^CRITICAL|Exception (?:in|ignored)|Unhandled|never (?:retrieved|awaited)",
    re.MULTILINE,
)


def environment(database, layer="memory", redis=None, preload=None, **others):
    """The variables by which host/settings.py is steered; ``others`` are SERVER_* too, such as ``look=60``.

    ``preload``: variables for the program itself.
    """
    given = {"database_url": database, "layer": layer, "redis_url": redis, **others}
    variables = {f"SERVER_{key.upper()}": str(value) for key, value in given.items() if value is not None}
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("SERVER_", "DJANGO_"))},
        **variables,
        "DJANGO_SETTINGS_MODULE": "host.settings",
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(PACKAGE)]),
        "PYTHONUNBUFFERED": "1",
        **(preload or {}),
    }


def manage(variables, *arguments):
    """A management command of the host, in a process of its own; returns what it printed."""
    command = [sys.executable, "-m", "django", *arguments]
    done = subprocess.run(command, env=variables, cwd=TESTS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def opened(url, data=None, timeout=PATIENCE):
    """Straight from the server, whatever proxy the environment names."""
    return build_opener(ProxyHandler({})).open(url, data, timeout=timeout)


def get(url):
    with opened(url) as response:
        return response.read().decode()


class Process:
    """A program whose output is kept."""

    def __init__(self, command, **options):
        self.output = ""
        self._ended = False
        self._more = threading.Condition()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._more:
                self.output += line
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def wait_for(self, pattern):
        """The first match of ``pattern`` in the output, which may be still to come."""
        search = re.compile(pattern).search
        with self._more:
            self._more.wait_for(lambda: search(self.output) or self._ended, PATIENCE)
            found = search(self.output)
        assert found, f"The process never wrote {pattern!r}, but:\n{self.output}"
        return found

    def wait(self):
        """The exit code, once it has ended by itself."""
        return self.process.wait(PATIENCE)

    def pause(self):
        """From here on it takes what it is sent into the system's buffers, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self, number):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join()
        self.process.stdout.close()


class Server:
    """The host project under ``program``. ``with`` it, and it is up; at the end it must have nothing to regret."""

    def __init__(self, program, variables, port=0):
        self.program, self.variables, self.port = program, variables, port
        self.earlier = ""
        self._checked = 0
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *error):
        try:
            if kind is None:
                self.check()
        finally:
            # As Ctrl-C ends it. What SIGTERM does is told first to the clients, and is tested where it is meant.
            self._end(signal.SIGINT)

    @property
    def output(self):
        return self.earlier + (self._process.output if self._process else "")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Serve, on the same port as before if there was one."""
        arguments = [argument.format(port=self.port) for argument in COMMANDS[self.program]]
        command = [sys.executable, "-m", *arguments, "host.asgi:application"]
        self._process = Process(command, env=self.variables, cwd=TESTS)
        try:
            self.port = int(self._process.wait_for(LISTENS)[1])
            if self.program == "workers":
                self._wait_for_a_worker()
        except BaseException:
            self._end(signal.SIGKILL)
            raise

    def _wait_for_a_worker(self):
        """The parent says that it listens, and means that its workers will."""
        self.wait_for("Started server process")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                return
        raise AssertionError(f"No worker listens on {self.port}:\n{self.output}")

    def post(self, path, **fields):
        """What a form sends, and the JSON of the answer."""
        with opened(f"{self.url}/{path}", urlencode(fields).encode()) as response:
            return json.loads(response.read())

    def wait_for(self, pattern):
        """The first match of ``pattern`` in the output since the last start, which may be still to come."""
        return self._process.wait_for(pattern)

    def visit(self, path):
        """The Cookie header of somebody who has just opened a page."""
        with opened(f"{self.url}/{path}") as response:
            cookies = response.headers.get_all("Set-Cookie", [])
        return "; ".join(cookie.partition(";")[0] for cookie in cookies)

    def kill(self):
        """As the machine's out-of-memory killer does it."""
        self._end(signal.SIGKILL)

    def terminate(self):
        """As who deploys does it: SIGTERM, and then the process is waited for by ``exit_code``."""
        self._process.process.send_signal(signal.SIGTERM)

    def exit_code(self):
        return self._process.wait()

    def pause(self):
        self._process.pause()

    def go_on(self):
        self._process.go_on()

    def memory(self):
        """The bytes that the process has in memory."""
        status = Path(f"/proc/{self._process.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024

    def check(self):
        """Fail if something unhandled was logged since the last check."""
        output, start = self.output, self._checked
        self._checked = len(output)
        assert not UNHANDLED.search(output, start), output[start:]

    def _end(self, number):
        if self._process is not None:
            self._process.end(number)
            self.earlier += self._process.output
            self._process = None


@contextmanager
def starting(make, database):
    """``start(*what, **options)``: ``make(*what, environment)`` on ``database`` if no other is named; all end here."""
    with ExitStack() as stack:
        yield lambda *what, **options: stack.enter_context(
            make(*what, environment(**{"database": database, **options}))
        )


class Redis:
    """A Redis of the test's own, to be stopped and started again. It keeps nothing on disk."""

    def __init__(self, program, folder):
        self._path = Path(folder) / "redis.sock"
        self._command = [program, "--port", "0", "--unixsocket", self._path, "--dir", folder, "--save", ""]
        self.url = f"unix://{self._path}"
        self.start()

    def start(self):
        self._process = Process(self._command)
        self._process.wait_for("ready to accept connections")

    def pause(self):
        self._process.pause()

    def go_on(self):
        self._process.go_on()

    def kill(self):
        self._process.end(signal.SIGKILL)


@contextmanager
def own_redis(program):
    # Not pytest's own folders, whose paths are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="rooms-") as folder:
        redis = Redis(program, folder)
        try:
            yield redis
        finally:
            redis.kill()


@contextmanager
def migrated_sqlite():
    """The path of a database file that is migrated and empty, to be copied for each test."""
    with tempfile.TemporaryDirectory(prefix="rooms-") as folder:
        path = Path(folder) / "empty.sqlite3"
        manage(environment(f"sqlite:///{path}"), "migrate", "--verbosity=0")
        yield path


def copy_of(path, folder):
    """The URL of a database of the test's own."""
    shutil.copy(path, folder / "rooms.sqlite3")
    return f"sqlite:///{folder / 'rooms.sqlite3'}"
