"""How fast one may say what is passing, by a clock that the test moves."""

import pytest
from clocks import Clock

from django_rooms.connection.throttle import Bucket


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bucket(clock):
    return Bucket(clock, rate=10.0, burst=20)


def take(bucket, count):
    return sum(bucket.take() == 0.0 for _ in range(count))


def test_a_full_bucket_gives_its_burst_at_once(bucket):
    assert take(bucket, 50) == 20


def test_it_fills_at_its_rate(bucket, clock):
    take(bucket, 20)
    clock.now += 0.55
    assert take(bucket, 50) == 5


def test_whoever_must_wait_is_told_how_long_and_finds_one_then(bucket, clock):
    take(bucket, 20)
    clock.now += 0.04
    wait = bucket.take()
    assert wait == pytest.approx(0.06)
    clock.now += wait + 1e-9
    assert bucket.take() == 0.0


def test_asking_in_vain_takes_nothing(bucket, clock):
    take(bucket, 500)
    clock.now += 0.25
    assert take(bucket, 50) == 2


def test_a_long_pause_gives_no_more_than_the_burst(bucket, clock):
    take(bucket, 20)
    clock.now += 3600
    assert take(bucket, 50) == 20


def test_over_a_long_time_it_is_the_rate(bucket, clock):
    given = 0
    for _ in range(1000):
        clock.now += 0.01
        given += take(bucket, 1)
    assert given == pytest.approx(20 + 100, abs=1)
