"""How many messages are stored and acknowledged, over many rooms, with `window` of them in flight."""

from benchmarks.load.crowd import NAP, Crowd
from benchmarks.measures.reading import Reading
from benchmarks.peers.dialects import MARK


def storing(server, dialect, *, rooms=500, per_room=1, window=500, seconds=3.0, warm_up=1.0):
    """The members of all rooms publish in turn. Where no answer says that a message is stored, its delivery does."""
    with Crowd(server.ports, dialect) as crowd:
        crowd.counts_acknowledgments = dialect.acknowledgment != MARK
        crowd.enter([f"room{n % rooms}" for n in range(rooms * per_room)])
        load = {"window": window, "receivers": per_room, "nap": NAP}
        # The first message makes a room, which is another thing.
        crowd.run(**load, messages=rooms * per_room)
        crowd.run(**load, seconds=warm_up)
        before = Reading.take(server, crowd)
        crowd.run(**load, seconds=seconds)
        done = Reading.take(server, crowd) - before
        crowd.settle(receivers=per_room)
        stored = done.acknowledged if crowd.counts_acknowledgments else done.delivered / per_room
        return {
            "stored_per_s": stored / done.at,
            "cpu_us_per_publish": done.cpu / stored * 1e6,
            "database_us_per_publish": done.others["postgresql"] / stored * 1e6,
            "redis_us_per_publish": done.redis / stored * 1e6,
            **done.shares(),
        }


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(storing)
