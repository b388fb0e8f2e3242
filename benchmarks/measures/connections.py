"""How fast people come in, and what an idle connection holds in memory."""

from benchmarks.load.crowd import Crowd
from benchmarks.measures.reading import Reading


def connections(server, dialect, *, first=500, more=2_000, rooms=100, at_once=50, rest=5.0):
    """`first` come in, and then `more`. These are measured, so that what a server has once, and each room, is left out.

    Memory is looked at after `rest` seconds in which nothing is said; `at_once` handshakes are under way.
    """
    with Crowd(server.ports, dialect) as crowd:
        names = [f"room{n % rooms}" for n in range(first + more)]
        crowd.enter(names[:first], at_once=at_once)
        crowd.rest(rest)
        memory, before = server.memory(), Reading.take(server, crowd)
        seconds = crowd.enter(names[first:], at_once=at_once)
        done = Reading.take(server, crowd) - before
        crowd.rest(rest)
        return {
            "connects_per_s": more / seconds,
            "cpu_us_per_connect": done.cpu / more * 1e6,
            "kib_per_connection": (server.memory() - memory) / more / 1024,
            **done.shares(),
        }


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(connections)
