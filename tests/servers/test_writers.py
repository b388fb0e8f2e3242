"""The writer of real processes on each database: batches, held rooms, bad items, lost connections, stopped ones."""

import uuid

import pytest
from servers.sites import LOCKING_DATABASES

pytestmark = pytest.mark.servers

# Seconds, of which a waiting writer takes 2 at least: its lock timeout.
PROMPT = 1.0

# What the server gives a process that was stopped inside a transaction, and what a busy machine adds to it.
IDLE_LIMIT, GRACE = 5.0, 6.0


def new_rooms(count):
    return [f"notes/{uuid.uuid4().hex}" for _ in range(count)]


def texts(host, room):
    said = host("said", room)
    assert [offset for offset, _ in said] == list(range(1, len(said) + 1))
    return [text for _, text in said]


def test_what_waits_is_committed_in_one_batch_on_a_connection_of_the_writers_own(pair):
    ann, _ = pair
    rooms = new_rooms(30)
    items = [[room, "s:", f"{n}"] for n in range(10) for room in rooms]
    assert ann("burst", items) == [n for n in range(1, 11) for _ in rooms]
    batches = ann("batches")
    assert batches["sizes"] == [1, 300]
    assert batches["backends"][0] == batches["backends"][1]
    (thread, backend), *_ = batches["backends"]
    assert thread == "django_rooms.writer"
    assert backend != ann("backend")


def test_a_batch_costs_the_same_few_statements_for_any_number_of_rooms(pair):
    """With a repeat and something pending in each; the rooms have logs, or have none yet."""
    ann, _ = pair
    one, fifty = new_rooms(1), new_rooms(50)
    made = ann("statements", one)
    assert ann("statements", fifty) == made
    again = ann("statements", one)
    assert ann("statements", fifty) == again < made


def test_nothing_is_acknowledged_or_told_before_the_commit(pair):
    ann, _ = pair
    assert ann("wait_at_commit") == [[False, 0], [True, 1]]


def test_the_same_ids_from_two_processes_at_once_are_stored_once(pair, room):
    items = [[room, sender, f"{n}"] for n in range(60) for sender in ("s:", "u:1", "g:1")]
    racing = [host.start("burst", items if index else items[::-1]) for index, host in enumerate(pair)]
    first, second = (future.result(60)[0] for future in racing)
    assert first[::-1] == second
    assert sorted(second) == list(range(1, 181))
    assert pair[0]("rows", room) == [180, 0]


def test_new_rooms_made_by_two_processes_in_another_order_are_no_deadlock(locking_pair):
    before = [len(host.log) for host in locking_pair]
    for _ in range(5):
        rooms = new_rooms(40)
        items = [[room, "s:", name] for room in rooms for name in ("a", "b")]
        racing = [
            host.start("burst", [[room, f"u:{index}", said] for room, _, said in items[:: -1 if index else 1]])
            for index, host in enumerate(locking_pair)
        ]
        for future in racing:
            assert all(isinstance(offset, int) for offset in future.result(60)[0])
        assert all(len(texts(locking_pair[0], room)) == 4 for room in rooms)
    assert [host.log[start:] for host, start in zip(locking_pair, before, strict=True)] == ["", ""]


@pytest.mark.parametrize("kind", LOCKING_DATABASES)
def test_a_bad_item_fails_alone_and_its_neighbours_keep_their_order(kind, host, database_url, room):
    """Of SQLite no column is ever too short."""
    ann, other = host(database_url(kind)), new_rooms(1)[0]
    items = [[room, "s:", "1"], [room, "s" * 300, "2"], [other, "s:", "3"], [room, "s:", "4"], [other, "s:", "5"]]
    assert ann("burst", items) == [1, "DataError", 1, 2, 2]
    assert (ann("rows", room), ann("rows", other)) == ([2, 0], [2, 0])


def test_a_room_that_another_process_holds_delays_no_other(locking_pair):
    ann, bob = locking_pair
    held, *free = new_rooms(4)
    bob("publish", held, "1")
    with bob.transaction():
        bob("hold", held)
        waiting = ann.start("publish", held, "2", thread="held")
        took = ann("seconds_to_store", free, "1")
        assert max(took.values()) < PROMPT
        took = ann("seconds_to_store", free, "2")
        assert max(took.values()) < PROMPT
        assert not waiting.done()
    assert waiting.result(30)[0] == [2]


MOMENTS = [
    "before the transaction",
    "with the rooms locked",
    "with everything written",
    "at the commit",
    "after the commit",
    "after the commit, before its answer",
]


class TestALostConnection:
    @pytest.fixture(params=LOCKING_DATABASES)
    def ann(self, request, shared_writer):
        return shared_writer(request.param)

    @pytest.mark.parametrize("times", [1, 3])
    @pytest.mark.parametrize("when", MOMENTS)
    def test_is_had_again_and_everything_is_stored_once(self, ann, room, when, times):
        start = len(ann.log)
        ann("publish", room, "1")
        ann("lose_the_connection", when, times)
        assert ann("publish", room, "2") == [2]
        assert ann("publish", room, "3") == [3]
        for number in ("4", "5"):
            ann("play", [{"keep": True, "in": [[room, number]]}])
        assert texts(ann, room) == ["1", "2", "3", "4", "5"]
        assert ann("rows", room) == [5, 0]
        assert "trying again" in ann.log[start:]

    @pytest.mark.parametrize("when", MOMENTS)
    def test_numbers_what_a_host_published_once(self, ann, room, when):
        start = len(ann.log)
        ann("lose_the_connection", when)
        ann("play", [{"keep": True, "in": [[room, "1"], [room, "2"]]}])
        assert ann("publish", room, "3") == [3]
        assert texts(ann, room) == ["1", "2", "3"]
        assert ann("rows", room) == [3, 0]
        assert "trying again" in ann.log[start:]


# As the servers number them: a serialization failure, a deadlock, a lock that was not had in time, a shutdown.
ERRORS = {"postgresql": ["40001", "40P01", "55P03", "57P01"], "mariadb": ["1020", "1213", "1205", "1927"]}


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("kind", LOCKING_DATABASES)
def test_an_error_that_passes_is_tried_again(kind, number, shared_writer, room):
    ann = shared_writer(kind)
    start = len(ann.log)
    ann("raise_in_the_next_batch", ERRORS[kind][number], times=2)
    assert ann("publish", room, "1") == [1]
    assert texts(ann, room) == ["1"]
    assert ann.log.count("trying again", start) == 2


@pytest.fixture(scope="module")
def shared_writer(shared_hosts, request):
    """A process whose writer is spoilt and gets over it each time."""
    return lambda kind: shared_hosts("cat", database=request.getfixturevalue(f"migrated_{kind}"))


@pytest.mark.parametrize("kind", LOCKING_DATABASES)
class TestAStoppedProcess:
    """It holds rooms, and the server takes its locks away after five seconds."""

    @pytest.mark.parametrize("before", [["1"], []], ids=["a room with a log", "a new room"])
    def test_delays_others_for_five_seconds_in_its_rooms_and_not_in_others(self, kind, before, host, database_url):
        """Also not where it was making the room: whoever makes the same one would have to wait for it."""
        ann, bob = host(database_url(kind)), host(database_url(kind))
        held, *free = new_rooms(4)
        if before:
            bob("publish", held, *before)
        ann("stop_in_the_next_batch", "with all written")
        mine = ann.start("publish", held, "of the stopped process")
        ann.wait_until_stopped()
        took = bob("seconds_to_store", [held, *free], "1")
        assert max(took[room] for room in free) < PROMPT
        assert PROMPT < took[held] < IDLE_LIMIT + GRACE
        ann.go_on()
        assert mine.result(30)[0] == [len(before) + 2]
        assert texts(bob, held) == [*before, "timed", "of the stopped process"]
        assert "trying again" in ann.log
