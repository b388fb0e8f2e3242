"""The processes of one cell: servers, their database and their Redis. Every method blocks."""

from contextlib import ExitStack
from pathlib import Path
from subprocess import TimeoutExpired

import serving

from chaos import stores
from chaos.cells import Cell

PROGRAMS = ("uvicorn", "daphne", "uvicorn")


class Site:
    """``folder`` is for the servers' own files and, in the end, for what they said."""

    def __init__(self, cell: Cell, folder: Path, programs: dict[str, str], sabotage: str | None) -> None:
        self._folder = folder
        home = stores.make_folder(folder, "database")
        self.database = stores.DATABASES[cell.database](home, programs)
        self.redis = None
        self._redis_folder = stores.make_folder(folder, "redis")
        self._programs = programs
        self._cell = cell
        self._sabotage = sabotage
        self.servers: list[serving.Server] = []

    def start(self) -> None:
        self.database.start()
        if self._cell.has_redis:
            self.redis = stores.redis(self._redis_folder, self._programs)
        redis = self.redis.url if self.redis else None
        self._variables = serving.environment(self.database.url, self._cell.layer, redis, atomic_requests=1)
        self._variables["DJANGO_SETTINGS_MODULE"] = "chaos.settings"
        serving.manage(self._variables, "migrate", "--verbosity=0")
        if self._sabotage:
            self._variables["CHAOS_SABOTAGE"] = self._sabotage
        for program in PROGRAMS:
            server = serving.Server(program, self._variables)
            self.servers.append(server)
            server.start()

    def end(self) -> None:
        """Everything, also where something cannot be ended; then what the servers said."""
        with ExitStack() as stack:
            stack.callback(self.database.end)
            if self.redis:
                stack.callback(self.redis.kill)
            for server in self.servers:
                stack.callback(server.kill)
        for number, server in enumerate(self.servers, 1):
            (self._folder / f"server-{number}.log").write_text(server.output)

    def deploy(self, server: serving.Server) -> str | None:
        """SIGTERM, and up again when it has ended by itself. What was wrong with its end, if anything."""
        server.terminate()
        try:
            code = server.exit_code()
            wrong = f"ended with {code}" if code != serving.EXITS[server.program] else None
        except TimeoutExpired:
            wrong = f"did not end within {serving.PATIENCE:g} s"
        server.kill()
        server.start()
        return wrong and f"{server.program} was told to end by SIGTERM, and {wrong}"

    def renew(self, room: str) -> bool:
        """Whether the room has another epoch for certain: where the database went away, it may have."""
        try:
            serving.manage(self._variables, "rooms_epoch", "--renew", room)
        except AssertionError:
            return False
        return True

    def count(self, line: str) -> int:
        return sum(server.output.count(line) for server in self.servers)
