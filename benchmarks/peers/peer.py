"""Who is compared: a server program, and how it is started, watched and ended. See PEERS in this package."""

import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace

from benchmarks import usage
from benchmarks.ci import ROOT, processes
from benchmarks.peers.dialects import Dialect
from benchmarks.site import Failed, Site, connect

HOST = "127.0.0.1"

# Below the ports that the system gives to clients: of those any may be taken between our look and the server's.
PORTS = range(20000, 32000)

PATIENCE = 30.0


@dataclass(frozen=True)
class Choice:
    """What a server is started with. Who has no use for a part of it ignores it."""

    database: str = "postgresql"  # or "sqlite"
    layer: str = "pubsub"  # or "core", "memory", "none"
    shards: int = 1  # Redis servers of the layer: 1 or 2
    processes: int = 1  # each on a port of its own
    program: str = "uvicorn"  # or "daphne"
    loop: str = "uvloop"  # or "asyncio", of uvicorn
    pings: bool = True  # uvicorn's own, one every 20 s to each connection
    python: str = sys.executable  # or pythons.OLDER
    environment: dict[str, str] = field(default_factory=dict)  # more variables


@dataclass(frozen=True)
class Peer:
    """`ground` is what one start stands on: the environment of its processes and a fresh database, if it has one."""

    name: str
    dialect: Dialect
    command: Callable[[Choice, int], list[str]]
    ground: Callable[[Site, Choice], AbstractContextManager[tuple[dict[str, str], dict | None]]]
    # For the report, both: of what, and how it is set.
    versions: Callable[[Choice], str]
    settings: Callable[[Choice], str]
    # A sentence, where it cannot run on this machine.
    missing: Callable[[], str | None] = lambda: None

    @contextmanager
    def serve(self, site, choice=None, **options):
        """A Server that answers, by a Choice or what one is made of. At the end it is killed, and its data are gone.

        One at a time on a site with the core layer: Redis forgets all before each. Raises Failed if it did not come up,
        or ended by itself.
        """
        choice = replace(choice or Choice(), **options)
        use_all_files()
        site.forget()
        with ExitStack() as stack:
            environment, database = stack.enter_context(self.ground(site, choice))
            server = Server(site, database, site.folder / f"{self.name}.log")
            stack.enter_context(server.log)
            for _ in range(choice.processes):
                port = free_port(server.ports)
                stack.enter_context(server.process(port, self.command(choice, port), environment))
            with server.quoted():
                server.wait()
                yield server
                server.check()


class Server:
    """One server, of one or several processes."""

    def __init__(self, site, database, path):
        self.ports, self.processes = [], []
        self.database = database
        self.log = path.open("wb")
        self._site, self._path = site, path

    @contextmanager
    def process(self, port, command, environment):
        """One of its processes. It is killed: told to end, some would first say goodbye to all who are there."""
        output = {"stdout": self.log, "stderr": self.log}
        with processes.running(command, end=signal.SIGKILL, cwd=ROOT, env=environment, **output) as process:
            self.ports.append(port)
            self.processes.append(process)
            yield

    @contextmanager
    def quoted(self):
        """What its processes said is told with whatever fails meanwhile: with the server its log goes."""
        try:
            yield
        except Exception as error:
            error.add_note(f"The server said: {self.said()[-3000:] or 'nothing.'}")
            raise

    @property
    def port(self):
        return self.ports[0]

    @property
    def pid(self):
        return self.processes[0].pid

    def cpu(self):
        """CPU seconds so far, user and system, of all its processes."""
        return sum(usage.cpu(process.pid) for process in self.processes)

    def cpu_of_others(self):
        """CPU seconds so far of what it stands on, by name."""
        return self._site.cpu()

    def redis_calls(self):
        """How often the site's Redis servers were called so far, by the command."""
        return self._site.redis_calls()

    def memory(self):
        """Bytes in memory, of all its processes."""
        return sum(usage.memory(process.pid) for process in self.processes)

    def connect(self):
        """A driver's connection to its database."""
        return connect(self.database)

    def said(self):
        """What its processes wrote: warnings and errors."""
        return self._path.read_text(errors="replace")

    def check(self):
        for process in self.processes:
            if process.poll() is not None:
                raise Failed(f"The server ended with {process.returncode}.")

    def wait(self):
        """Until all of its ports are listened on: each program does so when it is ready for work."""
        deadline = time.monotonic() + PATIENCE
        for port in self.ports:
            while not listens(port):
                self.check()
                if time.monotonic() > deadline:
                    raise Failed(f"Nothing listens on {port} after {PATIENCE:g} s.")
                time.sleep(0.02)


def listens(port):
    with suppress(ConnectionRefusedError), socket.create_connection((HOST, port), timeout=5):
        return True
    return False


def free_port(taken):
    while True:
        port = random.choice(PORTS)
        if port in taken:
            continue
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port


def use_all_files():
    """As many sockets as the system allows, for this process and for the servers that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
