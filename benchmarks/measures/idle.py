"""How long one message takes where nothing else happens, from publish to delivery."""

from benchmarks.load.crowd import Crowd
from benchmarks.measures.reading import latency


def idle(server, dialect, *, messages=300, warm_up=50):
    """One member, and each message after the last was delivered. Who does not get its own has somebody to talk to."""
    with Crowd(server.ports, dialect) as crowd:
        crowd.enter(["lobby"] * (1 if dialect.to_sender else 2), observe=1)
        crowd.run(window=1, receivers=1, messages=warm_up)
        crowd.run(window=1, receivers=1, messages=messages)
        crowd.settle(receivers=1)
        return latency(crowd.latencies[warm_up:])


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(idle)
