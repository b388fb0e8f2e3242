"""Names are routed as URLs are, and only in the one form that their pattern makes."""

import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_rooms.patterns import Pattern


@pytest.mark.parametrize(
    ("route", "name", "kwargs"),
    [
        ("lobby", "lobby", {}),
        ("orders/<int:pk>", "orders/42", {"pk": 42}),
        ("orders/<int:pk>", "orders/0", {"pk": 0}),
        ("members/<slug:name>", "members/a-b_c", {"name": "a-b_c"}),
        ("docs/<path:name>", "docs/a/b/c", {"name": "a/b/c"}),
        ("<str:name>", "кухня", {"name": "кухня"}),
        ("<name>", "会議室", {"name": "会議室"}),
        ("<name>", "100% & more?", {"name": "100% & more?"}),
        ("<name>", "%2F", {"name": "%2F"}),
        ("<name>", "a b+c", {"name": "a b+c"}),
        ("кухня/<int:n>", "кухня/1", {"n": 1}),
        ("<slug:a>/<slug:b>", "x/y", {"a": "x", "b": "y"}),
    ],
)
def test_a_name_is_matched_and_made_again(route, name, kwargs):
    pattern = Pattern(route)
    assert pattern.match(name) == kwargs
    assert pattern.reverse(kwargs) == name


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("lobby", "lobby2"),
        ("lobby", "Lobby"),
        ("lobby", "lobby "),
        ("lobby", "a/lobby"),
        ("orders/<int:pk>", "orders/042"),
        ("orders/<int:pk>", "orders/-1"),
        ("orders/<int:pk>", "orders/4.0"),
        ("orders/<int:pk>", "orders/"),
        ("orders/<int:pk>", "orders/1/2"),
        ("members/<slug:name>", "members/ä"),
        ("docs/<uuid:key>", "docs/6E7F3A64-0C57-4BF0-8DD8-6B1A2F9F1F6D"),
    ],
)
def test_another_name_is_not_matched(route, name):
    assert Pattern(route).match(name) is None


@pytest.mark.parametrize("kwargs", [{}, {"pk": "x"}, {"pk": 1, "more": 2}, {"id": 1}, {"pk": -1}, {"pk": None}])
def test_values_of_another_pattern_make_no_name(kwargs):
    assert Pattern("orders/<int:pk>").reverse(kwargs) is None


def test_a_huge_number_is_a_name_like_any_other():
    assert Pattern("orders/<int:pk>").match("orders/" + "9" * 200) == {"pk": int("9" * 200)}


@pytest.mark.parametrize("route", ["orders/<int pk>", "orders/<nothing:pk>", "<int:a>/<int:a>", "100%", "<int:1>"])
def test_a_pattern_that_django_cannot_read_or_make_names_of_is_an_error(route):
    with pytest.raises(ImproperlyConfigured, match=re.escape(route)):
        Pattern(route).check()


@pytest.mark.parametrize("route", ["lobby", "orders/<int:pk>", "<path:name>"])
def test_a_good_pattern_passes_its_check(route):
    Pattern(route).check()
