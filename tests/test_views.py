"""The rooms' own pages."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_rooms import get_room
from django_rooms.people import Guest

pytestmark = pytest.mark.django_db


def listed(client):
    return {listed.name: listed.present for listed in client.get("/rooms/").context["rooms"]}


def test_the_list_of_rooms_says_how_many_are_in_each(client, enter):
    get_room("notes/a").publish({"text": "hi"})
    get_room("notes/b").publish({"text": "hi"})
    for key in ("g1", "g2"):
        enter("lobby", Guest(key, key))
    enter("notes/a", Guest("g1", "g1"))

    assert listed(client) == {"lobby": 2, "notes/a": 1, "notes/b": 0}
    page = client.get("/rooms/").content.decode()
    assert page.count(" here</span>") == 2
    assert "2 here" in page


def test_the_list_of_rooms_says_it_in_the_readers_language(client, enter, settings):
    settings.LANGUAGE_CODE = "de"
    for key in ("g1", "g2"):
        enter("lobby", Guest(key, key))
    assert "2 hier" in client.get("/rooms/").content.decode()


def test_a_room_more_costs_no_query_more(client, enter, django_assert_num_queries):
    get_room("notes/a").publish({"text": "hi"})
    client.get("/rooms/")  # The guest's session.
    with CaptureQueriesContext(connection) as one:
        client.get("/rooms/")
    get_room("notes/b").publish({"text": "hi"})
    enter("notes/b", Guest("g1", "g1"))
    with django_assert_num_queries(len(one)):
        client.get("/rooms/")


def test_a_room_in_which_nobody_knows_who_is_here_says_nothing(client, enter, monkeypatch):
    enter("lobby", Guest("g1", "g1"))
    monkeypatch.setattr(type(get_room("lobby")), "presence_names", None)
    assert listed(client) == {"lobby": 0}
