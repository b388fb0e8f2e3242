"""What is done to servers, sockets, Redis and database, and when: drawn from the seed alone.

Each lane is a sequence of its own, so that a Redis that is down is not stopped too. Lanes run beside each other: a
server may be killed while another is stopped, the database is down and Redis stands still.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import cycle
from random import Random

from chaos.cells import Cell


class Kind(Enum):
    KILL = "kill -9 of a server"
    STOP_SERVER = "a server stopped by SIGSTOP"
    DEPLOY = "a server ended by SIGTERM and started again"
    CUT = "sockets cut"
    STOP_READING = "readers stopped"
    RESTART_REDIS = "Redis killed and started again"
    STOP_REDIS = "Redis stopped by SIGSTOP"
    RESTART_DATABASE = "the database killed and started again"
    RENEW = "an epoch renewed"
    LEAVE = "rooms left and joined again"


@dataclass(frozen=True)
class Trouble:
    """``at`` and ``lasts`` are seconds, the first since the start. ``targets`` are places in whatever is hit."""

    at: float
    kind: Kind
    lasts: float
    targets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Lane:
    """Its kinds in turn, each ``hits`` of a ``number`` of targets; ``(least, most)`` seconds."""

    kinds: tuple[Kind, ...]
    first: tuple[float, float]
    pause: tuple[float, float]
    lasts: tuple[float, float] = (0.0, 0.0)
    hits: int = 1


# Fifteen seconds hold each kind at least once. A look comes every 1.6 to 2.4 s: Redis is away for longer, so that looks
# have something to find. A stopped reader has to fill the buffers on the way, and then to fall out of the tail.
# A server is stopped for longer than the 5 s after which databases end a transaction that stands still. Of three
# servers two at most are away: one of the first lane's and one of the second's. Each trouble has all of them as its
# targets, and hits the first that is not away already.
SERVERS = Lane((Kind.KILL,), first=(1.5, 2.5), pause=(2.0, 4.0), lasts=(0.1, 1.5), hits=3)
DEPLOYS = Lane((Kind.STOP_SERVER, Kind.DEPLOY), first=(1.0, 2.0), pause=(1.0, 2.0), lasts=(6.0, 8.0), hits=3)
SOCKETS = Lane((Kind.CUT,), first=(0.5, 1.5), pause=(0.5, 1.5), hits=3)
READERS = Lane((Kind.STOP_READING,), first=(0.5, 1.0), pause=(0.5, 1.5), lasts=(5.0, 6.0), hits=3)
REDIS = Lane((Kind.STOP_REDIS, Kind.RESTART_REDIS), first=(1.0, 2.0), pause=(1.5, 3.0), lasts=(2.5, 4.0))
DATABASE = Lane((Kind.RESTART_DATABASE,), first=(4.0, 6.0), pause=(6.0, 10.0), lasts=(0.0, 1.0))
ROOMS = Lane((Kind.LEAVE,), first=(0.5, 1.0), pause=(0.2, 0.6), hits=5)
EPOCHS = Lane((Kind.RENEW,), first=(2.0, 4.0), pause=(2.0, 5.0))


def schedule(
    cell: Cell, seed: str, seconds: float, *, servers: int, sockets: int, readers: int
) -> dict[str, list[Trouble]]:
    """The lanes that ``cell`` has, by name. What is still away after ``seconds`` is brought back then, and not before:
    calm begins where trouble ends.
    """
    lanes = {"servers": (SERVERS, servers), "sockets": (SOCKETS, sockets), "readers": (READERS, readers)}
    lanes["deploys"] = DEPLOYS, servers
    lanes["rooms"] = ROOMS, sockets
    lanes["epochs"] = EPOCHS, 1
    if cell.has_redis:
        lanes["redis"] = REDIS, 1
    if cell.restarts_database:
        lanes["database"] = DATABASE, 1
    return {name: list(_troubles(*lane, Random(f"{seed} {name}"), seconds)) for name, lane in lanes.items()}


def _troubles(lane: Lane, number: int, random: Random, seconds: float) -> Iterator[Trouble]:
    at = random.uniform(*lane.first)
    for kind in cycle(lane.kinds):
        lasts = random.uniform(*lane.lasts)
        targets = tuple(random.sample(range(number), min(lane.hits, number)))
        if at >= seconds:
            return
        yield Trouble(round(at, 3), kind, round(min(lasts, seconds - at), 3), targets)
        at += lasts + random.uniform(*lane.pause)
