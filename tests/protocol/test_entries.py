"""Entries and positions: the one text that is stored, sent live, resumed and rendered."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from django_rooms.protocol.entries import Author, Entry, Position, gone, timestamp

AT = datetime(2026, 11, 22, 21, 5, 7, 89_000, UTC)


def test_an_entrys_text_is_the_wires():
    entry = Entry(42, "message", "a1", Author("u7", "Ann"), AT, '{"text":"hi"}', 42)
    assert json.loads(entry.text) == {
        "offset": 42,
        "kind": "message",
        "id": "a1",
        "author": {"key": "u7", "name": "Ann"},
        "at": "2026-11-22T21:05:07.089Z",
        "body": {"text": "hi"},
        "changed": 42,
    }


def test_an_entrys_body_goes_into_its_text_as_it_was_stored():
    assert '"body":{"n":1.0,"s":"ü"},' in Entry(1, "message", "a", None, AT, '{"n":1.0,"s":"ü"}', 1).text


@pytest.mark.parametrize("odd", ['"', "\\", "</script>", "\u2028", "😀", "\n"])
def test_an_entry_survives_odd_characters_in_its_id_and_its_authors_name(odd):
    entry = json.loads(Entry(1, "message", odd, Author("g1", odd), AT, "{}", 1).text)
    assert (entry["id"], entry["author"]["name"]) == (odd, odd)


def test_an_entry_without_an_author_says_null():
    assert json.loads(Entry(1, "message", "a", None, AT, "{}", 1).text)["author"] is None


def test_an_entry_that_is_gone_keeps_its_place():
    entry = json.loads(gone(7).text)
    assert (entry["offset"], entry["kind"], entry["body"], entry["changed"]) == (7, "gone", None, 7)


def test_a_time_is_told_in_utc_whatever_the_zone():
    assert timestamp(AT.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-11-22T21:05:07.089Z"


def test_a_guest_is_told_from_a_user_by_the_key():
    assert Author("g12", "Guest").guest
    assert not Author("u12", "Ann").guest


def test_a_position_is_what_a_client_gives_back():
    assert Position("k3Zp", 41).as_dict() == {"epoch": "k3Zp", "offset": 41}
