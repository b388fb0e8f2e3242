"""The database's clock: UTC in milliseconds, whatever zone the session has, and within a transaction too."""

import time

import pytest
from django.db import connection, transaction

from django_rooms.models import Lease
from django_rooms.presence import clock

pytestmark = pytest.mark.django_db

ZONES = {"postgresql": "SET TIME ZONE 'Asia/Kathmandu'", "mysql": "SET time_zone = '+05:45'", "sqlite": "SELECT 1"}
BACK = {"postgresql": "SET TIME ZONE 'UTC'", "mysql": "SET time_zone = '+00:00'", "sqlite": "SELECT 1"}


@pytest.fixture
def other_zone():
    with connection.cursor() as cursor:
        cursor.execute(ZONES[connection.vendor])
        yield
        cursor.execute(BACK[connection.vendor])


def assert_it_is_now(read):
    before, moment, after = time.time(), read(), time.time()
    assert before - 5 < moment / 1000 < after + 5


def test_it_reads_milliseconds_since_1970():
    assert_it_is_now(clock.read)


def test_the_zone_of_the_session_changes_nothing(other_zone):
    assert_it_is_now(clock.read)


def test_another_statement_has_it_too(other_zone):
    Lease.objects.create(id="3f2b8c1e-0000-4000-8000-000000000000", expires_at=clock.now())
    assert_it_is_now(lambda: Lease.objects.get().expires_at)


def test_it_goes_on_within_a_transaction():
    with transaction.atomic():
        first = clock.read()
        assert any(clock.read() > first for _ in range(100_000))


def test_seconds_become_whole_milliseconds():
    assert [clock.milliseconds(seconds) for seconds in (0, 0.0004, 0.0006, 1.5, 30.0)] == [0, 0, 1, 1500, 30_000]
