"""What records who is here: what failed comes again, one that is refused keeps nobody out, a deploy is no death."""

import threading
from types import SimpleNamespace
from uuid import uuid4

import pytest
import serving
from django.db import DataError, OperationalError

from django_rooms.models import Lease, Member, Presence
from django_rooms.presence import claims, leases, queries, telling
from django_rooms.presence import recorder as recorder_module
from django_rooms.presence.attendance import attendance
from django_rooms.presence.claims import LeaseLost
from django_rooms.presence.heart import Heart
from django_rooms.presence.recorder import Recorder, record
from django_rooms.protocol import presence as values

pytestmark = pytest.mark.django_db

TAB = object()


def person(number):
    return values.Member(f"u{number}", f"No {number}")


def enter(*numbers, room="lobby"):
    for number in numbers:
        attendance().enter(room, person(number), TAB)


def keys(room="lobby"):
    return [member.key for member in queries.members(room)]


@pytest.fixture
def lease(time):
    leases.take(lease := uuid4())
    return lease


def failing(monkeypatch, error, only=None):
    """Claims fail where somebody of these is among them."""
    claim = claims.record

    def fail(lease, stays, *, announce):
        if only is None or {stay.member.key for stay in stays} & only:
            raise error
        return claim(lease, stays, announce=announce)

    monkeypatch.setattr(claims, "record", fail)


class TestRecord:
    def test_what_is_recorded_waits_no_more(self, lease):
        enter(1, 2)
        assert record(lease, attendance().take(10)) == []
        assert sorted(keys()) == ["u1", "u2"]
        assert not attendance().waiting

    @pytest.mark.parametrize("error", [LeaseLost("run out"), OperationalError("away")])
    def test_what_fails_for_all_comes_again(self, lease, monkeypatch, error):
        enter(1, 2)
        with monkeypatch.context() as patch, pytest.raises(type(error)):  # noqa: PT012
            failing(patch, error)
            record(lease, attendance().take(10))
        assert [stay.member.key for stay in attendance().take(10)] == ["u1", "u2"]

    def test_one_that_is_refused_keeps_the_others_out_of_nothing(self, lease, monkeypatch, caplog):
        enter(1, 2, 3)
        failing(monkeypatch, DataError("too long"), {"u2"})
        assert record(lease, attendance().take(10)) == []
        assert sorted(keys()) == ["u1", "u3"]
        assert not attendance().waiting
        assert "'lobby' could not be recorded" in caplog.text

    def test_what_comes_after_one_that_is_refused_comes_again_where_the_database_goes(self, lease, monkeypatch, caplog):
        enter(1, 2, 3, 4)
        claim = claims.record

        def fail(lease, stays, *, announce):
            if len(stays) > 1:
                raise DataError("too long")
            if stays[0].member.key == "u3":
                raise OperationalError("away")
            return claim(lease, stays, announce=announce)

        monkeypatch.setattr(claims, "record", fail)
        with pytest.raises(OperationalError):
            record(lease, attendance().take(10))
        assert [stay.member.key for stay in attendance().take(10)] == ["u3", "u4"]

    def test_what_somebody_holds_comes_again(self, lease, monkeypatch):
        enter(1)
        enter(2, room="notes/1")
        lock = claims._lock
        monkeypatch.setattr(claims, "_lock", lambda keys: lock(set(keys) - {claims.room_key("lobby")}))
        (held,) = record(lease, attendance().take(10))
        assert held.room == "lobby"
        assert [stay.room for stay in attendance().take(10)] == ["lobby"]


class Paused:
    """The module's clock and its sleeps, which take no time."""

    def __init__(self, time):
        self.monotonic, self.slept = time, []

    def sleep(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def heart(time, monkeypatch):
    heart = Heart(recorder_module._doubt, time)
    heart.start = lambda: None
    monkeypatch.setattr(recorder_module, "heart", lambda: heart)
    for pause in (0, 10):
        time.pass_(pause)
        heart.beat()
    return heart


@pytest.fixture
def recorder(heart, time, monkeypatch):
    """Without its thread: the test does its work."""
    idle = SimpleNamespace(Event=threading.Event, Thread=lambda **given: SimpleNamespace(start=lambda: None))
    monkeypatch.setattr(recorder_module, "threading", idle)
    monkeypatch.setattr(recorder_module, "time", Paused(time))
    monkeypatch.setattr(recorder_module, "use_own_connection", lambda: None)
    monkeypatch.setattr(telling, "handlers", [])
    return Recorder()


def later(recorder, heart, time, seconds):
    """All that is to be done in that time, by seconds."""
    for second in range(seconds):
        time.pass_(1)
        if second % 10 == 9:
            heart.beat()
        recorder._work()


class TestRecorder:
    def test_who_leaves_is_taken_out_when_the_grace_is_over(self, recorder, heart, time):
        enter(1)
        recorder._work()
        attendance().leave("lobby", "u1", TAB, 3.0)
        later(recorder, heart, time, 3)
        assert Member.objects.exists()
        later(recorder, heart, time, 1)
        assert not Member.objects.exists()

    def test_the_people_of_a_dead_process_are_taken_out_with_its_lease(self, recorder, heart, time):
        leases.take(other := uuid4())
        claims.record(other, [claims.Stay("lobby", person(1), 1)], announce=False)
        later(recorder, heart, time, 29)
        assert Member.objects.exists()
        later(recorder, heart, time, 2)
        assert not Member.objects.exists()

    def test_whoever_is_not_steady_takes_nobody_out(self, recorder, heart, time):
        enter(1)
        recorder._work()
        attendance().leave("lobby", "u1", TAB, 0.0)
        heart._failed = True
        heart.beat()
        later(recorder, heart, time, 5)
        assert Member.objects.exists()

    def test_under_a_lost_lease_nothing_is_recorded_and_it_waits(self, recorder, heart, time):
        enter(1)
        time.pass_(30)
        with pytest.raises(LeaseLost):
            recorder._work()
        assert attendance().waiting

    def test_who_is_held_up_is_recorded_by_the_next_batch(self, recorder, monkeypatch):
        enter(1)
        with monkeypatch.context() as patch:
            patch.setattr(claims, "_lock", lambda keys: set())
            recorder._work()
        assert recorder._something.is_set()
        recorder._work()
        assert keys() == ["u1"]

    def test_who_comes_while_others_are_recorded_waits_for_the_next_batch(self, recorder, monkeypatch):
        batches, claim = [], claims.record

        def record_while_others_come(lease, stays, *, announce):
            batches.append([stay.member.key for stay in stays])
            enter(len(batches) + 1)
            return claim(lease, stays, announce=announce)

        monkeypatch.setattr(claims, "record", record_while_others_come)
        enter(1)
        recorder._work()
        assert batches == [["u1"]]
        assert recorder._something.is_set()

    def test_a_storm_is_recorded_at_once_batch_by_batch(self, recorder, monkeypatch):
        monkeypatch.setattr(recorder_module, "BATCH", 2)
        enter(1, 2, 3, 4, 5)
        recorder._work()
        assert len(keys()) == 5
        assert not recorder._something.is_set()

    def test_the_end_of_a_process_is_a_leave_with_a_grace_that_its_lease_outlives(self, recorder, heart, time):
        enter(1)
        recorder._work()
        recorder._ended.set()  # Else it waits for the thread.
        recorder.end()
        recorder._work()
        (row,) = Presence.objects.all()
        assert (row.connections, row.leaving - time.now) == (0, 10_000)
        assert heart._stopped
        assert Lease.objects.get(id=heart.lease).expires_at - time.now == 15_000

    def test_what_is_old_is_forgotten(self, recorder, heart, time):
        leases.take(old := uuid4())
        recorder._work()
        time.pass_(leases.KEPT + 60)
        for _ in range(2):
            time.pass_(10)
            heart.beat()
        recorder._work()
        assert not Lease.objects.filter(id=old).exists()


class TestUnderAHostsTests:
    def test_all_that_changed_is_recorded_at_once(self):
        enter(1, 2)
        recorder_module.record_here()
        assert sorted(keys()) == ["u1", "u2"]
        assert recorder_module.own_lease() == Presence.objects.first().lease

    def test_a_lease_that_a_rolled_back_test_took_along_is_taken_anew(self):
        enter(1)
        recorder_module.record_here()
        Lease.objects.all().delete()
        enter(2)
        recorder_module.record_here()
        assert keys() == ["u2"]

    def test_no_thread_is_started(self):
        before = threading.active_count()
        recorder_module.enter("lobby", person(1), TAB)
        recorder_module.leave("lobby", "u1", TAB, 10.0)
        assert recorder_module.recorder.made is None
        assert threading.active_count() == before

    def test_who_left_is_taken_out_when_a_test_says_so(self):
        enter(1, 2)
        recorder_module.record_here()
        attendance().leave("lobby", "u1", TAB, 10.0)
        recorder_module.sweep_here(0.0)
        assert Member.objects.count() == 2
        recorder_module.sweep_here(10.0)
        assert keys() == ["u2"]


# In a process that is no test's it works by itself.
ENDING = """
import threading
from django_rooms.models import Lease, Presence
from django_rooms.presence import recorder
from django_rooms.protocol.presence import Member


class Connection:
    def prove(self): pass
    def expel(self, room): pass


recorder.enter("lobby", Member("u1", "Ann"), Connection())
(thread,) = [one for one in threading.enumerate() if one.name == "django_rooms.recorder"]
recorder.flush()
assert Presence.objects.get().connections == 0
assert Lease.objects.exists()
thread.join(10)  # A server may take long to end: all that time it would renew the lease, as often as it can.
assert not thread.is_alive()
recorder.flush()
"""


def test_after_the_end_of_a_process_it_does_no_more(sqlite_url):
    serving.manage(serving.environment(sqlite_url), "shell", "-c", ENDING)
