"""How many messages of the channel layer a publish takes, counted at Redis."""

from benchmarks.load.crowd import Crowd
from benchmarks.measures.reading import Reading

# What Redis is called with once for each message of the layer: by pub/sub, and by the script of the core layer, which
# puts a message into the queue of every process that follows the group if it has room there.
OF_PUBSUB, OF_CORE = "publish", "zcount"


def layer(server, dialect, *, rooms=1, window=1, messages=1_000, rest=2.0):
    """Each process has one member in each room, and all publish in turn; `window` messages are in flight.

    What a process says to itself every ten seconds to hear whether the layer is deaf is counted too.
    """
    processes = len(server.ports)
    with Crowd(server.ports, dialect) as crowd:
        load = {"window": window, "receivers": processes if dialect.to_sender else processes - 1}
        crowd.enter([f"room{n // processes}" for n in range(rooms * processes)])
        # The first message makes a room, and whoever comes in is news.
        crowd.run(**load, messages=len(crowd.members))
        crowd.rest(rest)
        before, calls = Reading.take(server, crowd), server.redis_calls()
        crowd.run(**load, messages=messages)
        done, calls = Reading.take(server, crowd) - before, server.redis_calls() - calls
        crowd.settle(receivers=load["receivers"])
        each = (calls[OF_PUBSUB] + calls[OF_CORE]) / messages
        others = {"layer_messages_per_publish_and_other": each / (processes - 1)} if processes > 1 else {}
        return {
            "layer_messages_per_publish": each,
            **others,
            "redis_calls_per_publish": calls.total() / messages,
            "redis_us_per_publish": done.redis / messages * 1e6,
            "cpu_us_per_publish": done.cpu / messages * 1e6,
            **done.shares(),
        }


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(layer)
