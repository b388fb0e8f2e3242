"""How fast what one says reaches all others in a room, with `window` messages in flight."""

from benchmarks.load.crowd import NAP, Crowd
from benchmarks.measures.reading import Reading, latency


def fanout(server, dialect, *, members=500, window=4, seconds=3.0, warm_up=1.0):
    """Every member publishes in turn. A message is in flight until all have it."""
    with Crowd(server.ports, dialect) as crowd:
        receivers = members if dialect.to_sender else members - 1
        crowd.enter(["lobby"] * members)
        crowd.run(window=window, receivers=receivers, nap=NAP, seconds=warm_up)
        before, first = Reading.take(server, crowd), len(crowd.latencies)
        crowd.run(window=window, receivers=receivers, nap=NAP, seconds=seconds)
        done, last = Reading.take(server, crowd) - before, len(crowd.latencies)
        crowd.settle(receivers=receivers)
        return {
            "deliveries_per_s": done.delivered / done.at,
            "cpu_us_per_delivery": done.cpu / done.delivered * 1e6,
            "cpu_us_per_publish": done.cpu / done.sent * 1e6,
            "publishes_per_s": done.sent / done.at,
            **latency(crowd.latencies[first:last]),
            **done.shares(),
            "disordered": crowd.disordered(),
        }


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(fanout)
