"""Which of CPU, database, Redis or memory is full first, and at what load: from what each used in the rounds.

Everybody is given one core here: a server process, PostgreSQL, and Redis. What each used of it, by the clock, by what
was done meanwhile, is what one of these costs it.
"""

import math
from dataclasses import dataclass

from benchmarks.report.table import number

SERVER, DATABASE, REDIS = "the server", "PostgreSQL", "Redis"

USERS = {
    SERVER: ("server_cpu_share",),
    DATABASE: ("postgresql_cpu_share",),
    REDIS: ("redis-1_cpu_share", "redis-2_cpu_share"),
}


@dataclass(frozen=True)
class Load:
    text: str
    case: str
    rate: str
    unit: str


OURS = "rooms/postgresql"
# Of those who say nothing, without the pings of uvicorn.
QUIET = "rooms/postgresql/no-uvicorn-pings"

LOADS = (
    Load("One room of 500, few in flight", "fanout-4", "deliveries_per_s", "deliveries/s"),
    Load("One room of 500, a burst", "fanout-256", "deliveries_per_s", "deliveries/s"),
    Load("Messages over 500 rooms", "storing", "stored_per_s", "messages/s"),
)

HEAD = "CPU for one delivery, or for one stored message, in µs; and how many a second fill a core of each:"

KIB_OF_GIB = 2**20


def rows(results):
    head = ["load", "who", *(f"µs of {user}" for user in USERS), *(f"a core of {user}" for user in USERS)]
    return [head, *(_row(results, load) for load in LOADS if costs(results, load))]


def _row(results, load):
    each = costs(results, load)
    full = [f"{number(round(1e6 / each[user]))}/s" if each[user] else "–" for user in USERS]
    return [load.text, OURS, *(number(each[user]) for user in USERS), *full]


def costs(results, load):
    """CPU µs for one, by who uses it; empty where it was not measured."""
    if load.case not in results.cases:
        return {}
    rate = results.median(load.case, OURS, load.rate)
    shares = {user: [results.median(load.case, OURS, name) for name in names] for user, names in USERS.items()}
    if rate is None or any(None in each for each in shares.values()):
        return {}
    return {user: sum(each) / rate * 1e6 for user, each in shares.items()}


def sentences(results):
    said = [_next(load, each) for load in LOADS if (each := costs(results, load))]
    return [*said, *_memory(results)]


def _next(load, each):
    """What is full first with one server process, and with how many of them something else is."""
    server, others = each[SERVER], {user: cost for user, cost in each.items() if user != SERVER}
    second = max(others, key=others.get)
    first = max(each, key=each.get)
    if first != SERVER:
        return f"{load.text}: {first} is full first, at {_full(each[first], load)}, if it has one core."
    processes = math.ceil(server / others[second])
    return (
        f"{load.text}: the CPU of the server is full first, at {_full(server, load)} for each process. With "
        f"{processes:,} processes, each on a core of its own, {second} is, at {_full(others[second], load)}, if it has "
        "one core."
    )


def _full(cost, load):
    return f"{number(round(1e6 / cost))} {load.unit}"


def _memory(results):
    """Of connections that say nothing: memory, unless a core is full before."""
    if not {"connections", "quiet"} <= results.cases.keys():
        return []
    kib = results.median("connections", OURS, "kib_per_connection")
    percent = results.median("quiet", QUIET, "cpu_percent")
    if kib is None or percent is None:
        return []
    held, full = KIB_OF_GIB / kib, results.cases["quiet"]["parameters"]["members"] / percent * 100
    sentence = (
        f"Connections that say nothing: {number(kib)} KiB each, {number(round(held))} in a GiB. A core would be full "
        f"with {number(round(full))} of them, which hold {number(full / held)} GiB: with less than that for a core, "
        "memory is full first."
    )
    return [sentence]
