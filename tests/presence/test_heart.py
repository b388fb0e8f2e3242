"""The sign of life: a lease that ran out is never renewed, and who may trust the clock."""

import threading
from uuid import UUID

import pytest
from django.db import OperationalError

from django_rooms.models import Lease
from django_rooms.presence import heart as heart_module
from django_rooms.presence import leases
from django_rooms.presence.heart import Heart


@pytest.fixture
def lost():
    return []


@pytest.fixture
def heart(time, lost):
    heart = Heart(lambda: lost.append(heart.lease), time)
    return heart


def beat(heart, time, *pauses):
    for pause in pauses:
        time.pass_(pause)
        heart.beat()


@pytest.mark.django_db
class TestBeat:
    def test_the_first_one_takes_a_lease(self, heart, time, lost):
        assert heart.lease is None
        heart.beat()
        assert Lease.objects.get() == Lease(id=heart.lease)
        assert Lease.objects.get().expires_at == time.now + 30_000
        assert lost == []

    def test_the_next_ones_renew_it(self, heart, time, lost):
        beat(heart, time, 0, 10, 10, 29.999)
        assert Lease.objects.get().expires_at == time.now + 30_000
        assert lost == []

    def test_one_that_comes_too_late_takes_another_lease_and_tells_of_the_loss_before(self, heart, time, lost):
        heart.beat()
        old = heart.lease
        beat(heart, time, 30)
        assert lost == [old]
        assert heart.lease != old
        assert set(leases.alive().values_list("id", flat=True)) == {heart.lease}

    def test_whoever_waits_for_the_lease_is_given_it(self, heart):
        heart.beat()
        assert isinstance(heart.wait_for_lease(), UUID)
        assert heart.wait_for_lease() == heart.lease


@pytest.mark.django_db
class TestSteady:
    def test_not_in_the_beginning(self, heart, time):
        assert not heart.steady
        beat(heart, time, 0)
        assert not heart.steady
        beat(heart, time, 5)
        assert not heart.steady

    def test_after_two_beats_a_heartbeat_apart(self, heart, time):
        beat(heart, time, 0, 10)
        assert heart.steady

    def test_not_after_a_failure(self, heart, time):
        beat(heart, time, 0, 10)
        heart._failed = True
        beat(heart, time, 10)
        assert not heart.steady
        beat(heart, time, 10)
        assert heart.steady

    def test_not_after_the_lease_was_lost(self, heart, time):
        beat(heart, time, 0, 10, 30)
        assert not heart.steady
        beat(heart, time, 10)
        assert heart.steady

    def test_not_when_a_beat_is_overdue(self, heart, time):
        beat(heart, time, 0, 10)
        time.pass_(14.999)
        assert heart.steady
        time.pass_(0.001)
        assert not heart.steady

    def test_not_after_a_beat_for_which_the_database_took_long(self, heart, time, monkeypatch):
        beat(heart, time, 0, 10)
        renew = leases.renew
        monkeypatch.setattr(leases, "renew", lambda lease: time.pass_(6) or renew(lease))
        beat(heart, time, 10)
        assert not heart.steady

    def test_not_after_a_beat_that_came_late_though_in_time(self, heart, time):
        """What stopped this process may have stopped all, and others were nearer to the end of their leases."""
        beat(heart, time, 0, 10, 25)
        assert not heart.steady
        beat(heart, time, 10)
        assert heart.steady


@pytest.mark.django_db
class TestSure:
    def test_who_has_no_people_of_their_own_is_sure(self, heart):
        assert heart.sure

    def test_from_the_first_beat_until_one_is_overdue(self, heart, time):
        heart.beat()
        assert heart.sure
        time.pass_(15)
        assert not heart.sure

    def test_not_where_the_first_beats_failed_as_those_of_others_may_have(self, heart, time):
        heart._failed = True
        heart.beat()
        assert not heart.sure
        beat(heart, time, 10)
        assert heart.sure

    def test_again_a_heartbeat_after_the_lease_was_lost(self, heart, time):
        beat(heart, time, 0, 30)
        assert not heart.sure
        beat(heart, time, 10)
        assert heart.sure

    def test_again_a_heartbeat_after_a_failure_which_others_may_not_have_outlived(self, heart, time, lost):
        beat(heart, time, 0, 10)
        heart._failed = True
        beat(heart, time, 14)
        assert not heart.sure
        beat(heart, time, 10)
        assert heart.sure
        assert lost == []


class Threaded:
    """A heart on its thread: each beat fails or not as told, and is waited for."""

    def __init__(self, monkeypatch):
        self.beaten = threading.Semaphore(0)
        self.pauses, self.fails = [], []
        self.heart = Heart(lambda: None)
        monkeypatch.setattr(heart_module, "use_own_connection", lambda: None)
        self.heart.beat = self.beat
        self.heart._now = self

    def beat(self):
        if self.fails.pop(0):
            raise OperationalError("away")

    # Its event.

    def clear(self):
        pass

    def set(self):
        pass

    def wait(self, seconds):
        self.pauses.append(seconds)
        if not self.fails:
            self.heart._stopped = True
            self.beaten.release()


def test_a_beat_that_failed_is_tried_again_soon_and_counts_as_a_break(monkeypatch, caplog):
    threaded = Threaded(monkeypatch)
    threaded.fails = [False, True, False]
    threaded.heart.start()
    assert threaded.beaten.acquire(timeout=10)
    assert threaded.pauses == [10.0, 1.0, 10.0]
    assert threaded.heart._failed
    assert "tried again in 1 s: away" in caplog.text
