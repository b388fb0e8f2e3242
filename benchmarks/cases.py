"""Under which loads who is measured beside whom. What each of them has to show stands in claims.py."""

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks import pythons
from benchmarks.measures.connections import connections
from benchmarks.measures.delivered import delivered
from benchmarks.measures.fanout import fanout
from benchmarks.measures.followed import followed
from benchmarks.measures.growth import with_members_own
from benchmarks.measures.idle import idle
from benchmarks.measures.layer import layer
from benchmarks.measures.quiet import quiet
from benchmarks.measures.storing import storing
from benchmarks.measures.storm import storm
from benchmarks.peers.peer import Choice


@dataclass(frozen=True)
class Entrant:
    """A peer, and what it is started with. The name says of both what tells it from other entrants."""

    name: str
    peer: str
    choice: Choice


def entrant(peer, **choice):
    return named("/".join([peer, *map(str, choice.values())]), **choice)


def named(name, **choice):
    """The name begins with the peer's."""
    return Entrant(name, name.partition("/")[0], Choice(**choice))


@dataclass(frozen=True)
class Case:
    """One load. The parameters are the measure's own; what they leave out is as the measure has it, and the title is
    filled in from them."""

    name: str
    title: str
    measure: Callable
    entrants: tuple[Entrant, ...]
    parameters: dict = field(default_factory=dict)
    # What is different in the quick run; None where it has no time for the case.
    quick: dict | None = None
    # Where it is a curve: the parameter, or the part of the choice, that it goes along, and by which values. Each of
    # them has a server of its own.
    along: str | None = None
    values: tuple[int, ...] = ()
    # What more is made of the points.
    complete: Callable[[list], list] = list
    # In no more rounds than these, where it takes long.
    rounds: int | None = None

    def with_parameters(self, *, quick, seconds=None):
        """What the measure is called with. `seconds` is for the cases that say how long they measure."""
        parameters = {**self.parameters, **((self.quick or {}) if quick else {})}
        if seconds is not None and "seconds" in parameters:
            parameters["seconds"] = seconds
        return parameters


def stored(peer):
    """Once on each database."""
    return tuple(entrant(peer, database=database) for database in ("postgresql", "sqlite"))


ROOMS, SAVES, HISTORY = stored("rooms"), stored("tutorial-saves"), stored("tutorial-history")
LEAN, UNSEEN, PASSING = entrant("rooms-lean"), entrant("rooms-unseen"), entrant("rooms-passing")
DAPHNE = entrant("rooms", database="postgresql", program="daphne")
OLDER = entrant("rooms", python=pythons.OLDER)
# The rooms ping by themselves. uvicorn does too, and need not.
ALONE = tuple(named(f"{each.name}/no-uvicorn-pings", database=each.choice.database, pings=False) for each in ROOMS)
BARE_IN_STACK = entrant("bare-in-stack")
RECOVERY = entrant("socket.io-recovery")
SHARDED = named("rooms/2-redis", shards=2)
LAYERS = (entrant("rooms", layer="pubsub"), entrant("rooms", layer="core"))
TUTORIAL, PYTHON_SOCKETIO = entrant("tutorial"), entrant("python-socketio")
SOCKET_IO, WS, BARE = entrant("socket.io"), entrant("ws"), entrant("bare")

FANNING = (*ROOMS, OLDER, DAPHNE, PASSING, TUTORIAL, PYTHON_SOCKETIO, SOCKET_IO, WS, BARE)

# A storm is spread over so many rooms.
STORM_ROOMS = 20

PROCESSES = (1, 2, 4)

# In how many rounds a curve is measured, and what takes minutes and says zero or not.
OF_CURVES, OF_CUTS = 2, 1

QUICK_FANOUT = {"seconds": 1.0, "warm_up": 0.5}

CASES = (
    Case(
        "fanout-4",
        "One message at a time: {members:,} members in one room, {window} messages in flight",
        fanout,
        FANNING,
        {"members": 500, "window": 4, "seconds": 3.0, "warm_up": 1.0},
        QUICK_FANOUT,
    ),
    Case(
        "fanout-256",
        "Burst: {members:,} members in one room, {window} messages in flight",
        fanout,
        FANNING,
        {"members": 500, "window": 256, "seconds": 3.0, "warm_up": 1.0},
        {**QUICK_FANOUT, "members": 100},
    ),
    Case(
        "idle",
        "Idle: one member, {messages} messages, one after the other",
        idle,
        (*ROOMS, *SAVES, TUTORIAL, SOCKET_IO),
        {"messages": 300},
        {"messages": 100},
    ),
    Case(
        "storing",
        "Storing: {rooms:,} rooms of one member, {window} messages in flight",
        storing,
        (*ROOMS, OLDER, DAPHNE, *SAVES),
        {"rooms": 500, "window": 500, "seconds": 3.0, "warm_up": 1.0},
        QUICK_FANOUT,
    ),
    Case(
        "connections",
        "Coming in: {more:,} connections to {rooms} rooms, after {first} others, {at_once} handshakes under way",
        connections,
        (*ROOMS, UNSEEN, LEAN, BARE, BARE_IN_STACK, TUTORIAL, SOCKET_IO),
        {"first": 500, "more": 2_000, "rooms": 100, "at_once": 50, "rest": 3.0},
        {"first": 200, "more": 500, "rest": 1.5},
    ),
    Case(
        "storm",
        "Storm: {members:,} members of {rooms} rooms, cut at once, come back and have missed {missed} messages each",
        storm,
        (*ROOMS, *HISTORY),
        {"members": 2_000, "rooms": STORM_ROOMS, "missed": 100},
        {"members": 200, "rooms": 5, "count": 0},
    ),
    Case(
        "quiet",
        "Quiet: {members:,} connections in {rooms:,} rooms, where nothing is said",
        quiet,
        # The bare loop has the pings of uvicorn and nothing else.
        (*ALONE, BARE),
        {"members": 10_000, "rooms": 1_000},
    ),
    Case(
        "delivered",
        "Delivered: {readers} readers, each cut every few seconds, and {per_second:g} messages a second",
        delivered,
        (ROOMS[0], TUTORIAL, HISTORY[0], PYTHON_SOCKETIO, SOCKET_IO, RECOVERY),
        {"readers": 50, "per_second": 20.0},
        {"seconds": 3.0},
        rounds=OF_CUTS,
    ),
    Case(
        "members",
        "More members: one room, {window} messages in flight",
        fanout,
        (ROOMS[0], SOCKET_IO, BARE),
        {"window": 4, "seconds": 3.0, "warm_up": 1.0},
        along="members",
        values=(1, 100, 500, 1_000, 2_000, 5_000),
        complete=with_members_own,
        rounds=OF_CURVES,
    ),
    Case(
        "rooms",
        "More rooms: one member in each, one message and {window} messages in flight",
        followed,
        (ROOMS[0], SAVES[0]),
        {"window": 16, "seconds": 3.0, "warm_up": 1.0},
        along="rooms",
        values=(1, 10, 100, 1_000, 10_000),
        rounds=OF_CURVES,
    ),
    Case(
        "layer-one",
        "Layer messages: one room, one message at a time",
        layer,
        LAYERS,
        {"rooms": 1, "window": 1, "messages": 1_000},
        along="processes",
        values=PROCESSES,
        rounds=OF_CURVES,
    ),
    Case(
        "layer-many",
        "Layer messages: {rooms} rooms, {window} messages in flight",
        layer,
        LAYERS,
        {"rooms": 100, "window": 400, "messages": 4_000},
        along="processes",
        values=PROCESSES,
        rounds=OF_CURVES,
    ),
    Case(
        "processes-fanout",
        "More processes: {members} members in one room, spread over them, {window} messages in flight",
        fanout,
        (ROOMS[0], SHARDED),
        {"members": 500, "window": 4, "seconds": 3.0, "warm_up": 1.0},
        along="processes",
        values=PROCESSES,
        rounds=OF_CURVES,
    ),
    Case(
        "processes-storing",
        "More processes: {rooms} rooms of one member, spread over them, {window} messages in flight",
        storing,
        (ROOMS[0], SHARDED),
        {"rooms": 500, "window": 500, "seconds": 3.0, "warm_up": 1.0},
        along="processes",
        values=PROCESSES,
        rounds=OF_CURVES,
    ),
)
