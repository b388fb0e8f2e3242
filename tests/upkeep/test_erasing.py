"""A person is erased: their words and their name leave the logs, which keep their order."""

import json
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_rooms import get_room
from django_rooms.log import pages
from django_rooms.models import Entry
from django_rooms.people import Guest, show
from django_rooms.presence import claims, leases
from django_rooms.presence.claims import Stay
from django_rooms.protocol.entries import Author
from django_rooms.protocol.presence import Member
from django_rooms.upkeep import erasing

pytestmark = pytest.mark.django_db

MODERATOR = Author("m1", "Moderator")


@pytest.fixture
def ann():
    return User.objects.create(username="ann")


@pytest.fixture
def bob():
    return User.objects.create(username="bob")


def texts(room):
    return [json.loads(text) for text in pages.after(room, 0).texts]


def command(*args):
    out = StringIO()
    call_command("rooms_erase", *args, stdout=out)
    return out.getvalue().splitlines()


def test_words_and_name_are_gone_from_every_room_and_others_keep_theirs(ann, bob):
    for name in ("lobby", "notes/x"):
        get_room(name).publish({"text": "mine"}, author=ann)
        get_room(name).publish({"text": "other"}, author=bob)
    get_room("notes/y").publish({"text": "other"}, author=bob)
    assert command("ann") == ["lobby: 1", "notes/x: 1", "Rooms: 2. Entries that are blank now: 2."]
    for name in ("lobby", "notes/x"):
        mine, other, erasure = texts(name)
        assert (mine["body"], mine["author"]) == (None, {"key": show(ann).key, "name": ""})
        assert (other["body"], other["author"]["name"]) == ({"text": "other"}, "bob")
        assert (erasure["kind"], erasure["author"], erasure["body"]) == ("erasure", mine["author"], None)
    assert len(texts("notes/y")) == 1


def test_every_edit_of_their_messages_is_gone_also_a_moderators(ann, bob):
    room = get_room("lobby")
    mine, theirs = room.publish({"text": "mine"}, author=ann), room.publish({"text": "theirs"}, author=bob)
    room.edit(mine, {"text": "mine too"}, author=MODERATOR)
    room.edit(theirs, {"text": "theirs, by ann"}, author=ann)
    command("ann")
    assert "mine" not in json.dumps(texts("lobby"))
    assert "ann" not in [(entry["author"] or {}).get("name") for entry in texts("lobby")]
    # What others said stays theirs, in the words that it has.
    assert texts("lobby")[1]["body"] == {"text": "theirs, by ann"}


def test_what_is_still_pending_is_numbered_and_erased(ann):
    with transaction.atomic():
        get_room("lobby").publish({"text": "mine"}, author=ann)
    command("ann")
    assert [entry["body"] for entry in texts("lobby")] == [None, None]


def test_many_entries_are_erased_in_batches(ann, monkeypatch):
    monkeypatch.setattr(erasing, "BATCH", 3)
    for number in range(7):
        get_room("lobby").publish({"n": number}, author=ann)
    person = erasing.Person(show(ann).key, f"u:{ann.pk}")
    assert list(erasing.erase("lobby", person)) == [3, 3, 1]
    assert Entry.objects.count() == 8


def test_what_comes_while_the_rest_is_blanked_is_blanked_too(ann, monkeypatch):
    """Out of a transaction, or from somebody who still writes: before the erasure, and after it was looked for."""
    room = get_room("lobby")
    room.publish({"text": "mine"}, author=ann)
    batches = erasing.erase("lobby", erasing.Person(show(ann).key, f"u:{ann.pk}"))
    number = pages.number_pending
    monkeypatch.setattr(pages, "number_pending", lambda names: None)
    with transaction.atomic():
        room.publish({"text": "mine, pending"}, author=ann)
    assert next(batches) == 1
    monkeypatch.setattr(pages, "number_pending", number)
    assert list(batches) == [1]
    assert "mine" not in json.dumps(texts("lobby"))
    assert [entry["kind"] for entry in texts("lobby")] == ["message", "message", "erasure", "erasure"]
    assert "ann" not in Entry.objects.values_list("author_name", flat=True)


def test_a_key_that_differs_in_case_is_somebody_elses():
    """MariaDB finds it all the same."""
    get_room("lobby").publish({"text": "mine"}, author=Author("uAb", "Ann"))
    get_room("notes/x").publish({"text": "other"}, author=Author("uaB", "Bob"))
    get_room("lobby").publish({"text": "other"}, author=Author("uaB", "Bob"))
    assert command("--key", "uAb") == ["lobby: 1", "Rooms: 1. Entries that are blank now: 1."]
    assert [entry["body"] for entry in texts("lobby")[:2]] == [None, {"text": "other"}]


def test_what_the_host_said_itself_is_nobodys():
    get_room("lobby").publish({"text": "closed"})
    with pytest.raises(CommandError, match="An empty key is nobody's"):
        command("--key", "")
    assert texts("lobby")[0]["body"] == {"text": "closed"}


def test_a_large_room_is_searched_without_its_lock(ann, monkeypatch):
    """Whoever publishes there waits for what is blanked, and not for what is looked at."""
    get_room("lobby").publish({"text": "mine"}, author=ann)
    on_log, held = erasing.on_log, []

    def watched(name, work):
        with CaptureQueriesContext(connection) as queries:
            done = on_log(name, work)
        held.extend(query["sql"] for query in queries.captured_queries)
        return done

    monkeypatch.setattr(erasing, "on_log", watched)
    command("ann")
    assert held
    assert not [sql for sql in held if show(ann).key in sql]


def test_who_is_here_is_disconnected(ann):
    leases.take(lease := uuid4())
    for room in ("lobby", "notes/1"):
        claims.record(lease, [Stay(room, Member(*show(ann)), 1), Stay(room, Member("g12", "Zoë"), 1)], announce=False)
    assert command("ann")[-1] == "Rooms from which they were disconnected: 2."
    assert len(claims.expelled(lease, ["lobby", "notes/1"])) == 2


def test_it_may_be_run_again(ann):
    get_room("lobby").publish({"text": "mine"}, author=ann)
    command("ann")
    assert command("ann")[-1] == "Rooms: 1. Entries that are blank now: 0."


def test_a_dry_run_names_the_rooms_and_erases_nothing(ann):
    get_room("lobby").publish({"text": "mine"}, author=ann)
    assert command("ann", "--dry-run") == ["lobby", "Rooms in which they said something: 1."]
    assert texts("lobby")[0]["body"] == {"text": "mine"}


def test_a_guest_and_a_deleted_user_are_found_by_their_key(ann):
    guest = Guest("g12", "Zoë")
    get_room("lobby").publish({"text": "mine"}, author=guest)
    get_room("lobby").publish({"text": "mine"}, author=ann)
    key = show(ann).key
    ann.delete()
    command("--key", "g12")
    command("--key", key)
    assert [entry["body"] for entry in texts("lobby")[:2]] == [None, None]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "Say who"),
        (("--key", "g404"), "'g404' has said"),
        (("ann", "--key", "g1"), "Say who"),
        (("nobody",), "no user 'nobody'"),
    ],
)
def test_nobody_is_refused_in_words(args, why):
    with pytest.raises(CommandError, match=why):
        command(*args)
