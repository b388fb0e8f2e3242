"""How much of an event loop's time goes into telling who is here."""

import pytest
from clocks import Clock

from django_rooms.feeds.budget import LONGEST, MOMENT, SHARE, Budget


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def spend(clock):
    def spend(seconds):
        with budget.spending():
            clock.now += seconds
        return budget.rest

    budget = Budget(clock)
    spend.budget = budget
    return spend


def test_what_takes_a_moment_needs_no_rest(spend):
    assert spend(MOMENT) == 0


def test_moments_add_up(spend, clock):
    assert spend(MOMENT) == 0
    assert spend(MOMENT) == pytest.approx(MOMENT / SHARE - 2 * MOMENT)
    clock.now += spend.budget.rest
    assert spend.budget.rest == 0


def test_in_the_long_run_it_has_its_share_of_the_time(spend, clock):
    began, spent = clock.now, 0.0
    for _ in range(100):
        clock.now += spend(0.05)
        spent += 0.05
    assert spent / (clock.now - began) == pytest.approx(SHARE, rel=0.1)


def test_what_was_not_spent_is_not_saved_up(spend, clock):
    clock.now += 3600
    assert spend(2 * MOMENT) == pytest.approx((2 * MOMENT - MOMENT) / SHARE - 2 * MOMENT)


def test_no_rest_is_longer_than_the_longest(spend):
    assert spend(60) == LONGEST


def test_what_the_longest_rest_does_not_pay_back_is_forgiven(spend, clock):
    for _ in range(100):
        clock.now += spend(0.2)
    assert spend(0.2) == LONGEST
    clock.now += LONGEST
    assert spend.budget.rest == 0


def test_what_fails_is_counted_too(clock):
    def fail():
        with budget.spending():
            clock.now += 60
            raise ZeroDivisionError

    budget = Budget(clock)
    with pytest.raises(ZeroDivisionError):
        fail()
    assert budget.rest == LONGEST
