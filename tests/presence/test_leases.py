"""Leases: alive for so long, renewed only while they are, kept as long as anything refers to them."""

from uuid import uuid4

import pytest
from django.db.models import F, QuerySet

from django_rooms.models import Announcement, Lease, Presence
from django_rooms.presence import leases

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(time):
    leases.take(lease := uuid4())
    return lease


def presence(lease, **columns):
    given = {"room": uuid4(), "member": uuid4(), "connections": 1, **columns}
    return Presence.objects.create(key=uuid4(), lease=lease, **given)


def alive():
    return set(leases.alive().values_list("id", flat=True))


def expired():
    return set(leases.expired().values_list("id", flat=True))


def test_a_lease_is_alive_until_it_runs_out(lease, time):
    time.pass_(29.999)
    assert (alive(), expired()) == ({lease}, set())
    time.pass_(0.001)
    assert (alive(), expired()) == (set(), {lease})


def test_a_renewed_one_is_good_for_as_long_as_a_new_one(lease, time):
    time.pass_(20)
    assert leases.renew(lease)
    time.pass_(29.999)
    assert alive() == {lease}


def test_one_that_ran_out_is_not_renewed(lease, time):
    time.pass_(30)
    assert not leases.renew(lease)
    assert alive() == set()


def test_one_that_nobody_took_is_not_renewed(lease):
    assert not leases.renew(uuid4())


def test_a_lease_may_be_renewed_for_another_time(lease, time):
    assert leases.renew(lease, 5.0)
    time.pass_(5)
    assert expired() == {lease}


def test_who_counts_has_not_left_and_their_process_is_alive(lease, time):
    here, leaving = presence(lease), presence(lease, connections=0, leaving=time.now + 1000)
    presence(uuid4())
    assert set(leases.counting()) == {here, leaving}
    time.pass_(1)
    assert set(leases.counting()) == {here}
    time.pass_(29)
    assert set(leases.counting()) == set()


def test_old_leases_are_forgotten_that_nothing_refers_to(lease, time):
    leases.take(of_somebody := uuid4())
    leases.take(of_an_announcement := uuid4())
    presence(of_somebody)
    Announcement.objects.create(room=uuid4(), event_id=uuid4(), at=0, since=0, lease=of_an_announcement)
    time.pass_(leases.KEPT + 29.999)
    leases.forget()
    assert Lease.objects.count() == 3
    time.pass_(0.001)
    leases.forget()
    assert expired() == {of_somebody, of_an_announcement}


def test_one_that_had_run_out_before_its_renewal_was_committed_is_not_renewed(lease, time, monkeypatch):
    time.pass_(20)
    update = QuerySet.update

    def update_and_be_stopped(self, **columns):
        updated = update(self, **columns)
        if not isinstance(columns["expires_at"], F):  # It locks, on SQLite.
            time.pass_(10)
        return updated

    monkeypatch.setattr(QuerySet, "update", update_and_be_stopped)
    assert not leases.renew(lease)
