"""Edits and removals over the socket: who may, what everybody sees, and in which order."""

import json

import pytest
from communicating import client, heard, one_loop
from django.contrib.auth.models import User
from django.db import OperationalError
from test_consumers import ago, failing, full

from django_rooms import get_room, rooms
from django_rooms.log import pages, store, writer
from django_rooms.models import Entry
from django_rooms.people import Guest

pytestmark = pytest.mark.django_db

ANN = User(pk=7, username="ann")
BOB = User(pk=8, username="bob")


async def say(communicator, text="hello", id="m1"):
    answer = await communicator.ask("publish", room="lobby", id=id, body={"text": text})
    return answer["offset"]


def changes(frames):
    return [
        (entry["kind"], entry["target"], entry["body"])
        for frame in frames
        if frame["type"] == "entries"
        for entry in frame["entries"]
        if "target" in entry
    ]


@one_loop
async def test_everybody_in_the_room_sees_an_edit_and_a_removal():
    async with client(user=ANN) as ann, client(user=BOB) as bob:
        for one in (ann, bob):
            await one.ask("join", room="lobby")
        offset = await say(ann)
        edited = await ann.ask("edit", room="lobby", id="e1", target=offset, body={"text": "hallo"})
        removed = await ann.ask("remove", room="lobby", id="r1", target=offset)
        assert [(answer["type"], answer["offset"]) for answer in (edited, removed)] == [("ok", 2), ("ok", 3)]
        for one in (ann, bob):
            assert changes(await heard(one)) == [("edit", 1, {"text": "hallo"}), ("removal", 1, None)]


@one_loop
async def test_who_comes_later_or_back_gets_nothing_of_what_was_removed():
    async with client(user=ANN) as ann, client(user=BOB) as bob:
        await ann.ask("join", room="lobby")
        await say(ann, "secret")
        for frame in ({}, {"position": {"epoch": "", "offset": 0}}):
            await ann.ask("edit", room="lobby", id=f"e{frame}", target=1, body={"text": "secret too"})
        await ann.ask("remove", room="lobby", id="r1", target=1)
        for frame in ({}, {"position": {"epoch": "", "offset": 0}}):
            joined = await bob.ask("join", room="lobby", **frame)
            assert [entry["kind"] for entry in joined["entries"]] == ["message", "edit", "edit", "removal"]
            assert "secret" not in json.dumps(joined)
        (message,) = (await bob.ask("history", room="lobby"))["entries"]
        assert (message["body"], message["changed"]) == (None, 4)


@pytest.mark.parametrize("user", [BOB, Guest("g12", "ann")])
@pytest.mark.parametrize("frame", [{"type": "edit", "body": {}}, {"type": "remove"}])
@one_loop
async def test_what_somebody_else_said_is_theirs(user, frame):
    async with client(user=ANN) as ann, client(user=user) as other:
        for one in (ann, other):
            await one.ask("join", room="lobby")
        await say(ann)
        error = await other.ask(room="lobby", id="x", target=1, **frame)
        assert (error["code"], "this message" in error["message"]) == ("forbidden", True)
    assert await ago(Entry.objects.count) == 1


@one_loop
async def test_a_room_may_say_otherwise(monkeypatch):
    async def can_remove(self, user, entry):
        return user.username == "bob" and entry.body == {"text": "rude"}

    monkeypatch.setattr(rooms.PublicRoom, "can_remove", can_remove, raising=False)
    monkeypatch.setattr(rooms.PublicRoom, "can_edit", lambda self, user, entry: False, raising=False)
    async with client(user=ANN) as ann, client(user=BOB) as bob:
        for one in (ann, bob):
            await one.ask("join", room="lobby")
        await say(ann, "kind", "m1")
        await say(ann, "rude", "m2")
        assert (await ann.ask("edit", room="lobby", id="1", target=1, body={}))["code"] == "forbidden"
        assert (await bob.ask("remove", room="lobby", id="2", target=1))["code"] == "forbidden"
        assert (await bob.ask("remove", room="lobby", id="3", target=2))["offset"] == 3


@one_loop
async def test_who_may_not_publish_may_change_nothing(monkeypatch):
    async with client(user=ANN) as ann:
        monkeypatch.setattr(rooms.PublicRoom, "can_publish", lambda self, user: False)
        await ago(lambda: get_room("lobby").publish({}, author=ANN))
        await ann.ask("join", room="lobby")
        assert (await ann.ask("remove", room="lobby", id="x", target=1))["code"] == "forbidden"


@one_loop
async def test_what_is_no_message_is_told_and_blocks_no_others():
    async with client(user=ANN) as ann:
        await ann.ask("join", room="lobby")
        for frame in ({"type": "edit", "body": {}}, {"type": "remove"}):
            assert (await ann.ask(room="lobby", id="x", target=9, **frame))["code"] == "unknown_target"
        assert await say(ann) == 1
        await ann.ask("remove", room="lobby", id="r1", target=1)
        for number, frame in enumerate(({"type": "edit", "body": {}}, {"type": "remove"})):
            error = await ann.ask(room="lobby", id=f"late {number}", target=1, **frame)
            assert error["code"] == "unknown_target"


@one_loop
async def test_sent_again_it_is_acknowledged_alike_also_when_the_message_is_no_more():
    async with client(user=ANN) as ann:
        await ann.ask("join", room="lobby")
        await say(ann)
        first = await ann.ask("edit", room="lobby", id="e1", target=1, body={"text": "a"})
        await ann.ask("remove", room="lobby", id="r1", target=1)
        again = await ann.ask("edit", room="lobby", id="e1", target=1, body={"text": "a"})
        removed = await ann.ask("remove", room="lobby", id="r1", target=1)
        assert (first["offset"], again["offset"], removed["offset"]) == (2, 2, 3)
    assert await ago(Entry.objects.count) == 3


@one_loop
async def test_changes_and_publishes_of_one_sender_keep_their_order_through_refusals(monkeypatch):
    async with client(user=ANN) as ann:
        await ann.ask("join", room="lobby")
        await say(ann)
        edit = {"type": "edit", "room": "lobby", "id": "e1", "target": 1, "body": {"text": "b"}}
        for refusal, code in ((full, "busy"), (failing(OperationalError("gone")), "unavailable")):
            with monkeypatch.context() as patch:
                patch.setattr(writer, "submit", refusal)
                assert (await ann.ask(**edit))["code"] == code
            assert (await ann.ask("publish", room="lobby", id="m2", body={}))["code"] == "busy"
        assert (await ann.ask(**edit))["offset"] == 2
        assert await say(ann, id="m2") == 3


@one_loop
async def test_a_message_that_cannot_be_looked_up_holds_the_order_too(monkeypatch):
    def fail(*args):
        raise OperationalError("gone")

    async with client(user=ANN) as ann:
        await ann.ask("join", room="lobby")
        await say(ann)
        with monkeypatch.context() as patch:
            patch.setattr(pages, "message", fail)
            assert (await ann.ask("remove", room="lobby", id="r1", target=1))["code"] == "unavailable"
        assert (await ann.ask("publish", room="lobby", id="m2", body={}))["code"] == "busy"
        assert (await ann.ask("remove", room="lobby", id="r1", target=1))["offset"] == 2


@one_loop
async def test_a_change_needs_a_join():
    async with client(user=ANN) as ann:
        assert (await ann.ask("remove", room="lobby", id="r1", target=1))["code"] == "not_joined"


@one_loop
async def test_an_erased_person_is_gone_from_memory_too():
    """A feed keeps what was said; who joins after the erasure gets none of it."""
    from django_rooms import people
    from django_rooms.upkeep import erasing

    async with client(user=ANN) as ann, client(user=BOB) as bob:
        await ann.ask("join", room="lobby")
        await say(ann, "secret")
        person = erasing.Person(people.show(ANN).key, people.sender_of(ANN))
        await ago(lambda: list(erasing.erase("lobby", person)))
        while (await ann.receive("entries"))["entries"][-1]["kind"] != "erasure":
            pass
        joined = await bob.ask("join", room="lobby")
        # The feed's memory holds no more than the erasure, so this is a page: messages alone.
        assert [(entry["kind"], entry["body"]) for entry in joined["entries"]] == [("message", None)]
        assert joined["position"]["offset"] == 2
        assert "secret" not in json.dumps(joined)
        assert "ann" not in json.dumps(joined["entries"])


def test_a_repeat_is_told_in_the_debug_log(caplog):
    caplog.set_level("DEBUG", "django_rooms")
    for _ in range(2):
        get_room("lobby").publish({}, id="x")
    assert [record.message for record in caplog.records if record.name == store.logger.name] == [
        "A repeated id was answered: 'x' of s: in the room 'lobby'."
    ]
