"""Delivered, not only fast: what readers have in the end whose connections are cut every few seconds.

Somebody whose connection is never cut publishes steadily. Whoever comes back says what its peer's own client would say:
its position in the room, or the offset that connection state recovery is asked with, or nothing.
"""

import time

from benchmarks.load.crowd import Crowd
from benchmarks.load.listeners import Wrong
from benchmarks.load.restless import AWAY, Restless
from benchmarks.measures.reading import Reading
from benchmarks.measures.received import received, together
from benchmarks.peers.dialects import MARK

ROOM = "lobby"

# When nothing has come for so many seconds nothing will: longer than anybody is away.
STILL = 2.0 + max(AWAY)

# Between two looks at the clock, while nothing comes.
STEP = 0.005


def delivered(server, dialect, *, readers=50, publishers=2, per_second=20.0, seconds=60.0, seed=1):
    """The readers are cut for so long; then all come back, and there is time until nothing comes any more."""
    with (
        Crowd(server.ports, dialect) as crowd,
        Restless(server.ports, dialect, [ROOM] * readers, seed=seed) as restless,
    ):
        crowd.counts_acknowledgments = dialect.acknowledgment != MARK
        crowd.enter([ROOM] * publishers, observe=1)
        restless.sent = crowd.sent
        began = time.perf_counter()
        restless.begin(began, began + seconds)
        before = Reading.take(server, crowd)
        publish(crowd, restless, per_second)
        done = Reading.take(server, crowd) - before
        settle(crowd, restless)
        order = published(crowd, publishers)
        each = [received(order, reader.numbers) for reader in restless.readers]
        return {**told(each), "published": len(order), "cuts": restless.cuts, "server_cpu_share": done.cpu / done.at}


def publish(crowd, restless, per_second):
    """At a steady pace, for as long as readers are cut."""
    step = 1 / per_second
    due = time.perf_counter()
    while (now := time.perf_counter()) < restless.end:
        if due <= now:
            crowd.publish()
            due += step
        turn(crowd, restless, now)


def settle(crowd, restless):
    """Until nothing has come for a while, to whoever it may be."""
    had, since = None, time.perf_counter()
    while (now := time.perf_counter()) < since + STILL:
        turn(crowd, restless, now)
        has = (crowd.delivered, crowd.acknowledged, restless.delivered)
        if has != had:
            had, since = has, now


def turn(crowd, restless, now):
    restless.tend(now)
    crowd.turn(0)
    restless.turn(STEP)


def published(crowd, publishers):
    """The room's order, as a publisher saw it. Raises Wrong unless all of them had all that they have said."""
    if crowd.delivered != len(crowd.sent) * publishers:
        raise Wrong(f"{publishers} publishers, who stayed, had {crowd.delivered} deliveries of {len(crowd.sent)} each.")
    if crowd.counts_acknowledgments and crowd.acknowledged != len(crowd.sent):
        raise Wrong(f"{crowd.acknowledged} of {len(crowd.sent)} messages were acknowledged.")
    return crowd.observed[0].numbers


def told(each):
    all_of_them = together(each)
    return {
        "delivered_percent": all_of_them.percent,
        "worst_percent": min(one.percent for one in each),
        "missed": all_of_them.missed,
        "doubled": all_of_them.doubled,
        "out_of_order": all_of_them.disordered,
    }


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(delivered)
