"""Everybody is cut off at once, misses something, and comes back at once: how long until all have caught up.

Whoever comes back names the position that it had, in the peer's own way. In each room one member stays, in a crowd of
its own, and says what the others miss.
"""

from benchmarks.load.crowd import Crowd
from benchmarks.load.listeners import Wrong
from benchmarks.measures.reading import Reading

# PostgreSQL's processes tell what they have counted after at most ten seconds without work.
TOLD = 11.0

# A query of a table is at least one scan of it. Those by `key` are of publishes, which look up ids that came before.
SCANS = """
SELECT coalesce(sum(scans), 0)::int FROM (
    SELECT relname, seq_scan AS scans FROM pg_stat_user_tables
    UNION ALL SELECT relname, idx_scan FROM pg_stat_user_indexes
    WHERE pg_get_indexdef(indexrelid) NOT LIKE '%(key)'
) AS counted WHERE relname IN ('django_rooms_entry', 'tutorial_message')
"""


def storm(server, dialect, *, members=2_000, rooms=20, missed=100, at_once=200, count=1):
    """``at_once`` handshakes are under way. With ``count``, on PostgreSQL, scans of the entries are counted: that takes
    some seconds before and after what is measured."""
    names = [f"room{n % rooms}" for n in range(members)]
    count = count and server.database and server.database["ENGINE"].endswith("postgresql")
    with Crowd(server.ports, dialect) as stayers:
        stayers.enter(names[:rooms])
        positions = settle_in(server, dialect, stayers, names)
        scans = scanned(server, stayers) if count else 0
        stayers.rest(1)
        stayers.run(window=rooms, receivers=1, messages=missed * rooms)
        stayers.settle(receivers=1)
        figures = come_back(server, dialect, stayers, names, positions, missed, at_once)
        return {**figures, "entry_scans": scanned(server, stayers) - scans} if count else figures


def settle_in(server, dialect, stayers, names):
    """All come, hear one message, and are cut off; returns where each of them was."""
    with Crowd(server.ports, dialect) as crowd:
        crowd.sent = stayers.sent
        crowd.follows_positions = True
        crowd.enter(names)
        stayers.run(window=1, receivers=1, messages=len(stayers.members))
        eat(crowd, len(names))
        return [member.position for member in crowd.members]


def come_back(server, dialect, stayers, names, positions, missed, at_once):
    with Crowd(server.ports, dialect) as crowd:
        crowd.sent = stayers.sent
        before = Reading.take(server, crowd)
        crowd.enter(names, positions=positions, at_once=at_once, observe=1)
        eat(crowd, missed * len(names))
        done = Reading.take(server, crowd) - before
        crowd.rest(0.5)
        compare(crowd, len(stayers.members))
        return {"seconds": done.at, "server_cpu_s": done.cpu, **done.shares()}


def eat(crowd, deliveries):
    while crowd.delivered < deliveries:
        if not crowd.turn():
            raise Wrong(f"Only {crowd.delivered} of {deliveries} deliveries came.")


def compare(crowd, rooms):
    """Each has had all that was said in its room after the first message, once and in order."""
    for place, member in enumerate(crowd.members):
        expected = list(range(place % rooms + rooms, len(crowd.sent), rooms))
        if member.numbers != expected:
            raise Wrong(f"A member of {member.room!r} missed {len(expected)} messages, and was given {member.numbers}.")


def scanned(server, stayers):
    stayers.rest(TOLD)
    with server.connect() as connection:
        return connection.execute(SCANS).fetchone()[0]


if __name__ == "__main__":
    from benchmarks.measures.hand import run

    run(storm)
