"""Which databases are paired with which layers, and what can happen in each pair.

All nine make sense. With SQLite or in-memory layers several processes are still one site: the log is in one file,
and an in-memory layer that ends with its process is a layer that loses everything.
"""

from dataclasses import dataclass
from enum import Enum


class Path(Enum):
    """Something that has to happen in a run: else the run shows nothing of it. The value heads its column."""

    KILLS = "killed mid-publish"
    SERVER_STOPS = "servers stopped"
    LEASES = "leases lost"
    DEPLOYS = "deploys"
    GOODBYES = "told to come back"
    SILENCES = "silent servers left"
    TIMEOUTS = "calls given up"
    EDITS = "edits"
    REMOVALS = "removals"
    REFUSALS = "changes refused"
    KNOWN = "changes known already"
    REPEATS = "repeats answered"
    GAPS = "gap reads"
    LOOKS = "looks that healed"
    FALLS = "falls to the log"
    RESETS = "resets"
    REDIS_RESTARTS = "Redis restarts"
    REDIS_STOPS = "Redis stops"
    DATABASE_RESTARTS = "database restarts"
    CUTS = "sockets cut"
    STOPS = "readers stopped"
    LEAVES = "rooms left"
    DEAF = "layers found deaf"


# What the servers say of themselves at DEBUG, a line each time.
LINES = {
    Path.REPEATS: "A repeated id was answered",
    Path.GAPS: "A gap was read from the log",
    Path.LOOKS: "A look found what no doorbell told",
    Path.FALLS: "A connection reads on from the log",
    Path.RESETS: "A connection starts over",
    Path.DEAF: "The layer is deaf",
    Path.LEASES: "No sign of life for",
}

OF_REDIS = frozenset({Path.REDIS_RESTARTS, Path.REDIS_STOPS, Path.DEAF})

# Counted, and no run fails without it: a layer that comes back by itself is not deaf.
OPTIONAL = frozenset({Path.DEAF})


@dataclass(frozen=True)
class Cell:
    database: str
    layer: str

    @property
    def name(self) -> str:
        return f"{self.database}-{self.layer}"

    @property
    def has_redis(self) -> bool:
        return self.layer in ("core", "pubsub")

    @property
    def restarts_database(self) -> bool:
        """SQLite has no process of its own: it dies and comes back with each server."""
        return self.database != "sqlite"

    @property
    def paths(self) -> frozenset[Path]:
        """Those that can be taken here, and so have to be, but for the optional."""
        left_out = frozenset() if self.has_redis else OF_REDIS
        return frozenset(Path) - left_out - (frozenset() if self.restarts_database else {Path.DATABASE_RESTARTS})


DATABASES = ("sqlite", "postgresql", "mariadb")
LAYERS = ("memory", "core", "pubsub")
CELLS = tuple(Cell(database, layer) for database in DATABASES for layer in LAYERS)


def chosen(text: str) -> tuple[Cell, ...]:
    """``"sqlite-core mariadb"``: cells, databases or layers by name; nothing means all."""
    words = text.replace(",", " ").split()
    known = {cell.name for cell in CELLS} | {cell.database for cell in CELLS} | {cell.layer for cell in CELLS}
    if unknown := [word for word in words if word not in known]:
        raise ValueError(f"There is no cell {unknown[0]!r}; there are {', '.join(sorted(known))}.")
    return tuple(cell for cell in CELLS if not words or {cell.name, cell.database, cell.layer} & {*words})
