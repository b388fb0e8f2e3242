"""What connections cost that say nothing: pings, heartbeats, looks."""

from benchmarks.load.crowd import Crowd
from benchmarks.measures.reading import Reading


def quiet(server, dialect, *, members=10_000, rooms=1_000, rest=10.0, seconds=30.0):
    """After `rest` seconds, in which what comes of their coming in goes by. All that a server asks is answered."""
    with Crowd(server.ports, dialect) as crowd:
        crowd.enter([f"room{n % rooms}" for n in range(members)])
        crowd.rest(rest)
        before = Reading.take(server, crowd)
        crowd.rest(seconds)
        done = Reading.take(server, crowd) - before
        return {
            "cpu_percent": done.cpu / done.at * 100,
            "postgresql_percent": done.others["postgresql"] / done.at * 100,
            "mib": server.memory() / 2**20,
            **done.shares(),
        }


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(quiet)
