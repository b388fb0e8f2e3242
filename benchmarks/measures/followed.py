"""What a publish costs where many rooms are followed: one after the other, and with `window` of them in flight."""

from benchmarks.load.crowd import NAP, Crowd
from benchmarks.measures.reading import Reading
from benchmarks.peers.dialects import MARK


def followed(server, dialect, *, rooms=1_000, window=16, seconds=3.0, warm_up=1.0, rest=5.0):
    """One member in each room, and they publish in turn.

    What the connections cost while nothing is said is measured first, for `rest` seconds, and taken off: `quiet` tells
    of that. It is in `cpu_us_in_all`.
    """
    with Crowd(server.ports, dialect) as crowd:
        crowd.counts_acknowledgments = dialect.acknowledgment != MARK
        crowd.enter([f"room{n}" for n in range(rooms)])
        # The first message makes a room, which is another thing.
        crowd.run(window=500, receivers=1, nap=NAP, messages=rooms)
        crowd.rest(rest)
        resting = during(server, crowd, lambda: crowd.rest(rest))
        one = during(server, crowd, lambda: crowd.run(window=1, receivers=1, nap=NAP, seconds=seconds))
        crowd.run(window=window, receivers=1, nap=NAP, seconds=warm_up)
        many = during(server, crowd, lambda: crowd.run(window=window, receivers=1, nap=NAP, seconds=seconds))
        crowd.settle(receivers=1)
        idle = resting.cpu / resting.at
        return {
            "cpu_us_one": own(one, idle),
            "cpu_us_many": own(many, idle),
            "cpu_us_in_all": many.cpu / many.sent * 1e6,
            "published_per_s": many.sent / many.at,
            "resting_percent": idle * 100,
            **many.shares(),
        }


def during(server, crowd, do):
    before = Reading.take(server, crowd)
    do()
    return Reading.take(server, crowd) - before


def own(done, idle):
    """CPU µs of a publish, beyond what is used without one."""
    return (done.cpu - idle * done.at) / done.sent * 1e6


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(followed)
