"""The claims: each join and each leave is found once, by whoever has locked the room."""

import threading
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from django_rooms.models import Announcement, Member, Occupied, Presence
from django_rooms.names import room_key
from django_rooms.presence import claims, leases, queries
from django_rooms.presence.claims import LeaseLost, Stay
from django_rooms.protocol import presence as values

rolled_back = pytest.mark.django_db
real = pytest.mark.django_db(transaction=True)

with_row_locks = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks the whole database.")

ANN, BOB = values.Member("u1", "Ann"), values.Member("u2", "Bob")


@pytest.fixture
def lease(time):
    leases.take(lease := uuid4())
    return lease


@pytest.fixture
def other(time):
    leases.take(lease := uuid4())
    return lease


@pytest.fixture
def heard(monkeypatch):
    heard = []
    monkeypatch.setattr(claims, "listeners", [lambda rooms: heard.append(set(rooms))])
    return heard


def record(lease, *stays, announce=True):
    return claims.record(lease, stays, announce=announce)


def sweep(lease, announce=True, steady=lambda: True):
    """All of it; how many rows there were."""
    total = 0
    while found := claims.sweep(lease, announce=announce, steady=steady):
        total += found
    return total


def here(member=ANN, connections=1, room="lobby", **given):
    return Stay(room, member, connections, **given)


def gone(member=ANN, grace=0.0, room="lobby", known=True):
    return Stay(room, member, 0, grace, known)


def told():
    """All announcements until now, in their order."""
    return [(row.kind, row.person_key) for row in Announcement.objects.order_by("pk")]


def stamp(room="lobby"):
    return queries.stamps([room]).get(room)


def keys(room="lobby"):
    return {member.key for member in queries.members(room)}


def assert_nobody_left():
    assert not any(model.objects.exists() for model in (Member, Occupied, Presence))


@rolled_back
class TestRecord:
    def test_who_comes_has_joined_once_however_many_tabs_there_are(self, lease, other):
        record(lease, here())
        record(lease, here(connections=2, known=True))
        record(other, here())
        assert told() == [("joined", "u1")]
        assert keys() == {"u1"}

    def test_the_same_again_changes_nothing(self, lease):
        record(lease, here(), here(BOB))
        before = stamp()
        record(lease, here(known=True), here(BOB, known=True))
        assert told() == [("joined", "u1"), ("joined", "u2")]
        assert stamp() == before

    def test_who_came_and_went_meanwhile_has_joined_and_left(self, lease):
        record(lease, gone(known=False))
        sweep(lease)
        assert told() == [("joined", "u1"), ("left", "u1")]
        assert_nobody_left()

    def test_who_was_swept_meanwhile_is_not_brought_back_by_having_left(self, lease):
        record(lease, here())
        record(lease, gone())
        sweep(lease)
        record(lease, gone(grace=10.0))
        assert told() == [("joined", "u1"), ("left", "u1")]
        assert not Presence.objects.exists()

    def test_rooms_of_one_batch_are_apart(self, lease):
        record(lease, here(), here(room="notes/1"), here(BOB, room="notes/1"))
        assert (keys("lobby"), keys("notes/1")) == ({"u1"}, {"u1", "u2"})

    def test_the_announcement_says_who_and_where_and_when(self, lease, time):
        record(lease, here(values.Member("u1", "Ann", '{"seat":1}')))
        (row,) = Announcement.objects.all()
        assert (row.kind, row.room_name, row.person_key, row.person_name) == ("joined", "lobby", "u1", "Ann")
        assert (row.info, row.at, row.lease) == ('{"seat":1}', time.now, lease)

    def test_where_nobody_wants_to_be_told_nothing_is_kept(self, lease):
        record(lease, here(), announce=False)
        record(lease, gone(), announce=False)
        sweep(lease, announce=False)
        assert told() == []
        assert_nobody_left()

    def test_another_name_is_shown_and_is_no_join(self, lease):
        record(lease, here(), here(BOB))
        before = stamp()
        record(lease, here(values.Member("u1", "Ann B.", '{"seat":1}'), known=True))
        found = {member.key: (member.name, member.info) for member in queries.members("lobby")}
        assert found == {"u1": ("Ann B.", {"seat": 1}), "u2": ("Bob", {})}
        assert told() == [("joined", "u1"), ("joined", "u2")]
        assert stamp() != before

    def test_whoever_has_not_just_joined_says_nothing_of_their_name(self, lease, other):
        record(lease, here())
        record(other, here(values.Member("u1", "Ann B.")))
        before = stamp()
        record(lease, here(known=True, introduced=False))
        (found,) = queries.members("lobby")
        assert (found.name, stamp()) == ("Ann B.", before)

    def test_who_leaves_is_shown_through_the_grace(self, lease, time):
        record(lease, here())
        before = stamp()
        record(lease, gone(grace=10.0))
        time.pass_(9.999)
        assert sweep(lease) == 0
        assert (keys(), stamp()) == ({"u1"}, before)
        time.pass_(0.001)
        assert sweep(lease) == 1
        assert told() == [("joined", "u1"), ("left", "u1")]

    def test_a_reload_is_no_leave(self, lease, other, time):
        record(lease, here())
        record(lease, gone(grace=10.0))
        time.pass_(3)
        record(other, here())
        time.pass_(20)
        assert sweep(other) == 1
        assert told() == [("joined", "u1")]
        assert keys() == {"u1"}

    def test_who_comes_back_after_the_clock_has_taken_them_out_is_seen_by_whoever_looks(self, lease, time):
        record(lease, gone(known=False))
        before = stamp()
        assert queries.counts(["lobby"]) == {"lobby": 0}
        record(lease, here())
        assert queries.counts(["lobby"]) == {"lobby": 1}
        assert stamp() != before
        assert told() == [("joined", "u1")]

    def test_who_came_back_and_left_again_meanwhile_is_seen_through_the_grace_by_whoever_looks(self, lease):
        """Their first leave was recorded, but its answer was lost, so the second is one of somebody known."""
        record(lease, here())
        record(lease, gone())
        before = stamp()
        assert queries.counts(["lobby"]) == {"lobby": 0}
        record(lease, gone(grace=10.0))
        assert queries.counts(["lobby"]) == {"lobby": 1}
        assert stamp() != before

    def test_who_comes_back_from_a_dead_process_is_seen_by_whoever_looks(self, lease, time):
        record(lease, here())
        before = stamp()
        time.pass_(30)
        leases.take(new := uuid4())
        record(new, here())
        assert stamp() != before
        assert told() == [("joined", "u1")]

    def test_under_a_lease_that_ran_out_nothing_is_recorded(self, lease, time):
        time.pass_(30)
        with pytest.raises(LeaseLost, match=str(lease)):
            record(lease, here())
        assert not Member.objects.exists()
        assert told() == []

    def test_who_is_in_a_held_room_comes_again_and_the_others_are_recorded(self, lease, monkeypatch):
        lock = claims._lock
        monkeypatch.setattr(claims, "_lock", lambda keys: lock(set(keys) - {room_key("lobby")}))
        waiting = here()
        assert record(lease, waiting, here(room="notes/1")) == [waiting]
        assert (keys("lobby"), keys("notes/1")) == (set(), {"u1"})

    def test_a_failure_leaves_neither_a_claim_nor_its_announcement(self, lease, monkeypatch):
        def fail(keys):
            raise OperationalError("gone")

        monkeypatch.setattr(claims, "_stamp", fail)
        with pytest.raises(OperationalError):
            record(lease, here())
        assert not Member.objects.exists()
        assert told() == []
        claims.forget()
        assert_nobody_left()

    def test_what_was_recorded_is_told_after_the_commit(self, lease, heard):
        record(lease, here(), here(room="notes/1"))
        record(lease, here(known=True))
        record(lease, gone(room="notes/1"))
        assert heard == [{"lobby", "notes/1"}]
        sweep(lease)
        assert heard[1:] == [{"notes/1"}]

    def test_a_listener_that_fails_takes_nothing_back(self, lease, heard, caplog):
        claims.listeners.insert(0, lambda rooms: 1 / 0)
        record(lease, here())
        assert heard == [{"lobby"}]
        assert keys() == {"u1"}
        assert "could not be told" in caplog.text


def statements(work):
    with CaptureQueriesContext(connection) as queries:
        work()
    return len(queries)


def people(count):
    return [values.Member(f"u{number}", f"No {number}") for number in range(count)]


@rolled_back
class TestTheCost:
    """One statement costs a database on another machine a millisecond, and the rooms are locked meanwhile."""

    @staticmethod
    def of(count, lease):
        rooms = [f"notes/{count}-{number}" for number in range(count)]
        new = [here(*pair) for pair in zip(people(count), [1] * count, rooms, strict=True)]
        again = [Stay(one.room, values.Member(one.member.key, "Other"), 2, known=True) for one in new]
        left = [Stay(one.room, one.member, 0, known=True) for one in new]
        steps = [new, again, left]
        return [statements(lambda step=step: record(lease, *step)) for step in steps] + [
            statements(lambda: claims.sweep(lease, announce=True, steady=lambda: True))
        ]

    def test_fifty_people_in_fifty_rooms_cost_what_one_costs(self, lease):
        assert self.of(50, lease) == self.of(1, lease)

    def test_it_is_a_few(self, lease):
        assert max(self.of(1, lease)) <= 18


@rolled_back
class TestSweep:
    def test_nobody_is_taken_out_before_their_time(self, lease, time):
        record(lease, here(), gone(BOB, grace=10.0, known=False))
        time.pass_(9.999)
        assert sweep(lease) == 0
        assert keys() == {"u1", "u2"}

    def test_the_people_of_a_dead_process_have_left(self, lease, time):
        record(lease, here(), here(BOB))
        time.pass_(30)
        leases.take(other := uuid4())
        record(other, here())
        assert sweep(other) == 2
        assert told() == [("joined", "u1"), ("joined", "u2"), ("left", "u2")]
        assert keys() == {"u1"}

    def test_what_is_swept_has_another_stamp(self, lease):
        record(lease, here(), here(BOB))
        before = stamp()
        record(lease, gone(BOB))
        assert stamp() == before
        sweep(lease)
        assert stamp() != before

    def test_nothing_is_left_of_a_room_that_nobody_is_in(self, lease):
        record(lease, here())
        record(lease, gone())
        sweep(lease)
        assert_nobody_left()
        assert stamp() is None

    def test_many_are_taken_out_in_batches(self, lease, monkeypatch):
        monkeypatch.setattr(claims, "BATCH", 3)
        record(lease, *(gone(member, room=f"notes/{n % 4}", known=False) for n, member in enumerate(people(10))))
        assert sweep(lease) == 10
        assert sorted(kind for kind, _ in told()) == ["joined"] * 10 + ["left"] * 10
        assert_nobody_left()

    def test_who_came_back_before_the_room_was_locked_stays(self, lease, monkeypatch):
        occupy = claims._occupy

        def come_back(keys):
            occupy(keys)
            monkeypatch.setattr(claims, "_occupy", occupy)
            record(lease, here(known=True))

        record(lease, here())
        record(lease, gone())
        monkeypatch.setattr(claims, "_occupy", come_back)
        assert sweep(lease) == 0
        assert told() == [("joined", "u1")]

    def test_a_held_room_is_swept_later(self, lease, monkeypatch):
        record(lease, gone(known=False))
        with monkeypatch.context() as patch:
            patch.setattr(claims, "_lock", lambda keys: set())
            assert sweep(lease) == 0
        assert sweep(lease) == 1

    def test_whoever_is_not_steady_any_more_takes_nobody_out(self, lease):
        record(lease, gone(known=False))
        before = stamp()
        assert sweep(lease, steady=lambda: False) == 0
        assert Presence.objects.exists()
        assert (told(), stamp()) == ([("joined", "u1")], before)

    def test_whoever_is_dead_by_the_same_clock_takes_nobody_out(self, lease, other, time):
        """A machine was suspended, and nobody on it has beaten yet."""
        record(lease, here())
        record(other, here(BOB))
        time.pass_(3600)
        assert sweep(other) == 0
        assert told() == [("joined", "u1"), ("joined", "u2")]

    def test_a_hosts_test_lets_who_is_leaving_leave_earlier(self, lease):
        record(lease, gone(grace=10.0, known=False), here(BOB))
        claims.hasten(9.999)
        assert sweep(lease) == 0
        claims.hasten(0.001)
        assert sweep(lease) == 1
        assert keys() == {"u2"}

    def test_the_next_one_is_known(self, lease, time):
        assert claims.soonest() == 30_000
        record(lease, gone(grace=10.0, known=False), gone(BOB, grace=20.0, known=False))
        time.pass_(4)
        assert claims.soonest() == 6_000
        time.pass_(8)
        assert claims.soonest() == -2_000
        sweep(lease)
        assert claims.soonest() == 8_000

    def test_a_lease_that_has_run_out_is_no_next_one(self, lease, time):
        time.pass_(20)
        leases.take(uuid4())
        assert claims.soonest() == 10_000
        time.pass_(10)
        assert claims.soonest() == 20_000

    def test_where_nobody_is_there_is_no_next_one(self, time):
        assert claims.soonest() is None


@rolled_back
class TestAdopt:
    def test_what_a_dead_process_has_not_told_is_taken_over(self, lease, time):
        record(lease, here())
        time.pass_(29.999)
        leases.take(other := uuid4())
        assert claims.adopt(other) == 0
        time.pass_(0.001)
        assert claims.adopt(other) == 1
        assert Announcement.objects.get().lease == other
        assert claims.adopt(other) == 0


@rolled_back
class TestExpel:
    def test_each_process_is_told_once(self, lease, other, heard):
        record(lease, here(), here(BOB))
        record(other, here())
        before = stamp()
        assert claims.expel("lobby", "u1")
        assert stamp() != before
        assert heard[-1] == {"lobby"}
        for one in (lease, other):
            (member,) = claims.expelled(one, ["lobby"])
            assert member == Member.objects.get(person_key="u1").key
            assert claims.expelled(one, ["lobby"]) == set()

    def test_a_process_that_does_not_follow_the_room_is_not_told(self, lease):
        record(lease, here())
        claims.expel("lobby", "u1")
        assert claims.expelled(lease, ["notes/1"]) == set()
        assert len(claims.expelled(lease, ["notes/1", "lobby"])) == 1

    def test_who_was_there_by_a_dead_process_is_not_there_and_told_nevertheless_to_a_stopped_one(self, lease, time):
        record(lease, here())
        time.pass_(30)
        assert not claims.expel("lobby", "u1")
        assert len(claims.expelled(lease, ["lobby"])) == 1

    def test_who_is_not_there_or_has_gone_is_not_expelled(self, lease, heard):
        record(lease, here(), here(BOB))
        record(lease, gone(BOB, grace=10.0))
        before = stamp()
        heard.clear()
        assert not claims.expel("lobby", "u2")
        assert not claims.expel("lobby", "u3")
        assert not claims.expel("notes/1", "u1")
        assert (stamp(), heard) == (before, [])


@rolled_back
def test_what_a_failed_batch_made_is_forgotten_and_nothing_else(lease):
    record(lease, here())
    claims._occupy([room_key("notes/1")])
    claims.forget()
    assert Occupied.objects.get().key == room_key("lobby")


class Elsewhere:
    """Another process: a thread with a connection of its own, that does one thing after another."""

    def __enter__(self):
        self._do, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self(None)
        self._thread.join(30)

    def __call__(self, work):
        self._work, self.result = work, None
        self._do.release()
        assert self._done.acquire(timeout=30)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def _run(self):
        while self._do.acquire() and self._work is not None:
            try:
                self.result = self._work()
            except BaseException as error:
                self.result = error
            self._done.release()
        BaseDatabaseWrapper.close(connections["default"])
        self._done.release()


@with_row_locks
@real
class TestLocks:
    def test_a_room_that_another_transaction_holds_is_left_out_at_once(self, lease):
        record(lease, here(), here(room="notes/1"))
        with Elsewhere() as elsewhere, transaction.atomic():
            claims._lock([room_key("lobby")])
            leaving = [gone(), gone(room="notes/1")]
            assert elsewhere(lambda: record(lease, *leaving)) == leaving[:1]
            assert elsewhere(lambda: sweep(lease)) == 1

    def test_a_room_that_is_made_in_two_places_is_made_once(self, lease):
        with Elsewhere() as elsewhere:
            claims._occupy([room_key("lobby")])
            elsewhere(lambda: claims._occupy([room_key("lobby"), room_key("notes/1")]))
        assert Occupied.objects.count() == 2

    def test_a_join_and_a_sweep_at_the_same_time_lose_nobody(self, lease):
        """The one who comes second sees what the first has committed."""
        record(lease, gone(known=False))
        with Elsewhere() as elsewhere:
            with transaction.atomic():
                claims._lock([room_key("lobby")])
                assert elsewhere(lambda: sweep(lease)) == 0
                claims._record(lease, [here()], True)
            assert elsewhere(lambda: sweep(lease)) == 0
        assert told() == [("joined", "u1")]
        assert keys() == {"u1"}


@with_row_locks
@real
def test_many_processes_claim_each_join_and_each_leave_once(time):
    """All at once, with real threads and locks."""
    every = [uuid4() for _ in range(4)]
    for lease in every:
        leases.take(lease)

    def work(lease):
        try:
            for stay in (here(), gone()):
                waiting = [stay, Stay("notes/1", BOB, stay.connections, known=stay.known)]
                while waiting:
                    waiting = record(lease, *waiting)
                sweep(lease)
        finally:
            BaseDatabaseWrapper.close(connections["default"])

    threads = [threading.Thread(target=work, args=(lease,)) for lease in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sweep(every[0])
    for key in ("u1", "u2"):
        kinds = [kind for kind, who in told() if who == key]
        assert kinds.count("joined") == kinds.count("left") >= 1
    assert_nobody_left()
