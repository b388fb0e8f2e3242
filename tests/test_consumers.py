"""The conversation on one socket, through Channels' own communicator."""

import asyncio
import json
import logging
import re

import pytest
from channels.auth import AuthMiddlewareStack
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from communicating import client, heard, one_loop
from django.contrib.auth.models import User
from django.db import DataError, OperationalError, connection
from django.test import override_settings
from django.urls import path, re_path

from django_rooms import consumers, get_room, group_name, rooms
from django_rooms.connection import conversation, places, pulse, watch
from django_rooms.consumers import MAX_INBOX, RoomConsumer
from django_rooms.feeds.hub import hub
from django_rooms.feeds.presence import Reader
from django_rooms.log import pages, store, writer
from django_rooms.log.receipt import Receipt
from django_rooms.models import Entry, RoomLog
from django_rooms.people import Guest
from django_rooms.presence import queries
from django_rooms.protocol.entries import Author
from django_rooms.protocol.outbox import Outbox
from django_rooms.routing import not_found, websocket_urlpatterns

pytestmark = pytest.mark.django_db

ANN = User(pk=7, username="ann")
BOB = User(pk=8, username="bob", is_staff=True)


def offsets(frame):
    return [entry["offset"] for entry in frame["entries"]]


def fill(name, count):
    for n in range(count):
        get_room(name).publish({"n": n})


def delete_entries(sql):
    if sql is None:
        Entry.objects.filter(offset__in=[2, 4]).delete()
    else:
        with connection.cursor() as cursor:
            cursor.execute(sql.format(offset=connection.ops.quote_name("offset")))


def note_queries():
    """The SQL of all that is asked on the test's connection from now on."""
    asked = []

    def note(execute, sql, params, many, context):
        asked.append(sql)
        return execute(sql, params, many, context)

    connection.execute_wrappers.append(note)
    return asked


async def ago(function, *args):
    """The ORM, from async code."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(function)(*args)


# Welcome.


@one_loop
async def test_a_connection_is_told_who_it_is_and_what_it_may_send():
    async with client(user=ANN) as ann:
        welcome = await ann.receive("welcome")
    assert welcome["version"] == 1
    assert welcome["user"]["name"] == "ann"
    assert welcome["user"]["key"].startswith("u")
    assert (welcome["ping"], welcome["pong"]) == (25, 10)
    limits = {"frame": 65536, "body": 32768, "batch": 64, "id": 64, "rooms": 100, "history": 256, "in_flight": 256}
    assert welcome["limits"] == limits
    assert welcome["connection"]


@one_loop
async def test_a_guest_is_told_who_they_are():
    async with client(user=Guest("g12", "Zoë")) as guest, client() as nobody:
        assert (await guest.receive("welcome"))["user"] == {"key": "g12", "name": "Zoë"}
        assert (await nobody.receive("welcome"))["user"]["key"].startswith("g")


@one_loop
async def test_two_connections_are_told_apart():
    async with client(user=ANN) as one, client(user=ANN) as other:
        assert (await one.receive("welcome"))["connection"] != (await other.receive("welcome"))["connection"]


# Joining.


@one_loop
async def test_a_room_without_a_log_is_joined_at_its_beginning():
    async with client() as guest:
        author = (await guest.receive("welcome"))["user"]
        joined = await guest.ask("join", room="lobby")
    assert joined == {
        "type": "joined",
        "ref": 1,
        "room": "lobby",
        "position": {"epoch": "", "offset": 0},
        "recovered": False,
        "more": False,
        "can": {"publish": True},
        "present": {"revision": 1, "count": 1, "members": [{**author, "info": {}}]},
        "entries": [],
    }
    assert not await ago(RoomLog.objects.exists)


@one_loop
async def test_a_join_brings_the_newest_entries():
    await ago(fill, "lobby", 5)
    async with client() as guest:
        joined = await guest.ask("join", room="lobby", history=2)
        assert (offsets(joined), joined["more"], joined["position"]["offset"]) == ([4, 5], True, 5)
        assert joined["position"]["epoch"] == (await ago(RoomLog.objects.get)).epoch
        joined = await guest.ask("join", room="lobby")
        assert (offsets(joined), joined["more"]) == ([1, 2, 3, 4, 5], False)
        joined = await guest.ask("join", room="lobby", history=0)
        assert (offsets(joined), joined["more"], joined["position"]["offset"]) == ([], True, 5)


@one_loop
async def test_a_join_with_a_position_brings_what_came_since():
    await ago(fill, "lobby", 5)
    epoch = (await ago(RoomLog.objects.get)).epoch
    async with client() as guest:
        joined = await guest.ask("join", room="lobby", position={"epoch": epoch, "offset": 3})
        assert (joined["recovered"], joined["more"], offsets(joined)) == (True, False, [4, 5])
        joined = await guest.ask("join", room="lobby", position={"epoch": epoch, "offset": 5})
        assert (joined["recovered"], joined["position"]["offset"], offsets(joined)) == (True, 5, [])


@one_loop
async def test_a_position_before_the_first_entry_recovers_whatever_came_since():
    await ago(fill, "lobby", 2)
    async with client() as guest:
        joined = await guest.ask("join", room="lobby", position={"epoch": "", "offset": 0})
    assert (joined["recovered"], offsets(joined)) == (True, [1, 2])
    assert joined["position"]["epoch"]


@one_loop
async def test_a_position_at_the_head_recovers_also_when_nothing_is_left():
    await ago(fill, "lobby", 5)
    epoch = (await ago(RoomLog.objects.get)).epoch
    await ago(lambda: (Entry.objects.all().delete(), RoomLog.objects.update(floor=5)))
    async with client() as guest:
        joined = await guest.ask("join", room="lobby", position={"epoch": epoch, "offset": 5})
        assert (joined["recovered"], offsets(joined)) == (True, [])
        joined = await guest.ask("join", room="lobby", position={"epoch": epoch, "offset": 4})
        assert (joined["recovered"], joined["position"]["offset"], offsets(joined)) == (False, 5, [])


@pytest.mark.parametrize("position", [{"offset": 9}, {"epoch": "other", "offset": 3}, {"offset": 1}])
@one_loop
async def test_a_position_that_cannot_be_gone_on_from_starts_over(position):
    await ago(fill, "lobby", 5)
    await ago(lambda: (Entry.objects.filter(offset__lte=2).delete(), RoomLog.objects.update(floor=2)))
    epoch = (await ago(RoomLog.objects.get)).epoch
    async with client() as guest:
        joined = await guest.ask("join", room="lobby", position={"epoch": epoch, **position})
    assert (joined["recovered"], offsets(joined), joined["more"]) == (False, [3, 4, 5], False)
    assert joined["position"] == {"epoch": epoch, "offset": 5}


@one_loop
async def test_a_long_way_back_is_gone_in_pieces_without_a_gap():
    await ago(store.append, [store.Append("lobby", "u:1", str(n), "{}") for n in range(600)])
    epoch = (await ago(RoomLog.objects.get)).epoch
    async with client() as guest:
        joined = await guest.ask("join", room="lobby", position={"epoch": epoch, "offset": 1})
        assert (joined["recovered"], joined["more"]) == (True, True)
        got = offsets(joined)
        assert joined["position"]["offset"] == got[-1]
        while got[-1] < 600:
            got += offsets(await guest.receive("entries"))
        assert got == list(range(2, 601))
        assert await heard(guest) == []


@pytest.mark.parametrize(
    "delete", ["DELETE FROM django_rooms_entry WHERE {offset} IN (2, 4)", None], ids=["by SQL", "by the ORM"]
)
@one_loop
async def test_holes_that_the_host_made_are_passed_as_gone(delete):
    await ago(fill, "lobby", 4)
    epoch = (await ago(RoomLog.objects.get)).epoch
    await ago(delete_entries, delete)
    async with client() as guest:
        joined = await guest.ask("join", room="lobby", position={"epoch": epoch, "offset": 1})
        assert [(entry["offset"], entry["kind"]) for entry in joined["entries"]] == [
            (2, "gone"),
            (3, "message"),
            (4, "gone"),
        ]
        assert (joined["recovered"], joined["position"]["offset"]) == (True, 4)
        await guest.ask("publish", room="lobby", id="next", body={})
        assert offsets(await guest.receive("entries")) == [5]


@one_loop
async def test_a_resume_asks_the_policy_again(monkeypatch):
    await ago(fill, "lobby", 5)
    position = {"epoch": (await ago(RoomLog.objects.get)).epoch, "offset": 2}
    async with client() as guest:
        assert (await guest.ask("join", room="lobby", position=position))["recovered"] is True
    monkeypatch.setattr(rooms.PublicRoom, "can_join", lambda self, user: False)
    async with client() as guest:
        assert (await guest.ask("join", room="lobby", position=position))["code"] == "forbidden"
        assert await heard(guest) == []


@one_loop
async def test_what_is_published_while_a_client_is_away_comes_when_it_is_back():
    async with client() as bob:
        await bob.ask("join", room="lobby")
        async with client() as ann:
            position = (await ann.ask("join", room="lobby"))["position"]
        for n in range(3):
            await bob.ask("publish", room="lobby", id=str(n), body={"n": n})
        async with client() as ann:
            joined = await ann.ask("join", room="lobby", position=position)
    assert (joined["recovered"], [entry["body"]["n"] for entry in joined["entries"]]) == (True, [0, 1, 2])


@one_loop
async def test_many_rooms_are_joined_on_one_socket():
    async with client(user=ANN) as ann, client(user=BOB) as bob:
        for name in ("lobby", "orders/7", "notes/кухня"):
            await ann.ask("join", room=name)
            await bob.ask("join", room=name)
        for name in ("notes/кухня", "lobby"):
            await bob.ask("publish", room=name, id=name, body={})
        came = [(await ann.receive("entries"))["room"] for _ in range(2)]
    assert came == ["notes/кухня", "lobby"]


@one_loop
async def test_a_room_hears_nothing_of_another():
    async with client() as ann, client() as bob:
        await ann.ask("join", room="lobby")
        await bob.ask("join", room="notes/a")
        await bob.ask("publish", room="notes/a", id="1", body={})
        await bob.receive("entries")
        assert await heard(ann) == []


@one_loop
async def test_a_second_join_of_a_room_starts_again_and_hears_nothing_twice():
    await ago(fill, "lobby", 2)
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await ann.ask("join", room="lobby", history=1)
        await ann.ask("publish", room="lobby", id="1", body={})
        assert offsets(await ann.receive("entries")) == [3]
        assert await heard(ann) == []


# Policy.


@pytest.mark.parametrize("name", ["closed", "members/a", "orders/8"])
@one_loop
async def test_a_room_that_refuses_is_not_joined(name):
    user = ANN if name == "orders/8" else None
    async with client(user=user) as somebody:
        error = await somebody.ask("join", room=name)
        assert (error["type"], error["code"], error["room"]) == ("error", "forbidden", name)
        assert "retry_after" not in error
        error = await somebody.ask("publish", room=name, id="1", body={})
        assert error["code"] == "not_joined"
    assert not await ago(RoomLog.objects.exists)


@one_loop
async def test_under_debug_a_refusal_names_the_method_that_said_no():
    with override_settings(DEBUG=True):
        async with client() as guest:
            error = await guest.ask("join", room="closed")
            assert "host.rooms.ClosedRoom.can_join" in error["message"]
            error = await guest.ask("join", room="nothing")
            assert "orders/<int:pk>" in error["message"]


@one_loop
async def test_who_may_join_need_not_be_allowed_to_publish(monkeypatch):
    monkeypatch.setattr(rooms.PublicRoom, "can_publish", lambda self, user: user.is_staff)
    async with client(user=ANN) as ann, client(user=BOB) as bob:
        assert (await ann.ask("join", room="lobby"))["can"] == {"publish": False}
        assert (await bob.ask("join", room="lobby"))["can"] == {"publish": True}
        for frame in ("publish", "event"):
            error = await ann.ask(frame, room="lobby", id="1", event="typing", body={})
            assert (error["type"], error["code"]) == ("error", "forbidden")
        assert (await bob.ask("publish", room="lobby", id="1", body={}))["offset"] == 1
        assert offsets(await ann.receive("entries")) == [1]


@one_loop
async def test_a_right_that_was_taken_away_is_gone_when_the_verdict_is_old(monkeypatch):
    async with client(user=ANN) as ann:
        await ann.ask("join", room="lobby")
        monkeypatch.setattr(rooms.PublicRoom, "can_publish", lambda self, user: False)
        assert (await ann.ask("publish", room="lobby", id="1", body={}))["type"] == "ok"
        monkeypatch.setattr(conversation, "VERDICT_AGE", -1)
        error = await ann.ask("publish", room="lobby", id="2", body={})
    assert error["code"] == "forbidden"


@one_loop
async def test_a_policy_that_fails_is_a_refusal_and_the_socket_lives_on(monkeypatch, caplog):
    monkeypatch.setattr(rooms.PublicRoom, "can_join", lambda self, user: 1 / 0)
    async with client() as guest:
        assert (await guest.ask("join", room="lobby"))["code"] == "forbidden"
        assert await heard(guest) == []
    assert "ZeroDivisionError" in caplog.text


@one_loop
async def test_who_may_not_join_again_is_in_the_room_no_more(monkeypatch):
    async with client() as ann, client() as bob:
        await ann.ask("join", room="lobby")
        await bob.ask("join", room="lobby")
        with monkeypatch.context() as patch:
            patch.setattr(rooms.PublicRoom, "can_join", lambda self, user: False)
            assert (await ann.ask("join", room="lobby"))["code"] == "forbidden"
        assert (await ann.ask("publish", room="lobby", id="1", body={}))["code"] == "not_joined"
        await bob.ask("publish", room="lobby", id="2", body={})
        await bob.receive("entries")
        assert await heard(ann) == []


@one_loop
async def test_a_rejoin_that_is_refused_closes_a_feed_that_nobody_else_follows(monkeypatch):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        assert hub().feeds.keys() == {"lobby"}
        monkeypatch.setattr(rooms.PublicRoom, "can_join", lambda self, user: False)
        await ann.ask("join", room="lobby")
        assert hub().feeds == {}


# Publishing.


@one_loop
async def test_a_publish_is_acknowledged_and_seen_by_all_and_by_its_sender():
    async with client(user=ANN) as ann, client(user=BOB) as bob:
        await ann.ask("join", room="lobby")
        await bob.ask("join", room="lobby")
        ok = await ann.ask("publish", room="lobby", id="m1", body={"text": "Привет 👋"})
        assert ok == {"type": "ok", "ref": 2, "offset": 1}
        frame = await bob.receive("entries")
        (entry,) = frame["entries"]
        assert frame["epoch"] == (await ago(RoomLog.objects.get)).epoch
        assert (entry["offset"], entry["id"], entry["kind"]) == (1, "m1", "message")
        assert (entry["body"], entry["author"]["name"]) == ({"text": "Привет 👋"}, "ann")
        assert await ann.receive("entries") == frame


@one_loop
async def test_only_the_first_entry_brings_the_epoch():
    async with client() as ann:
        await ann.ask("join", room="lobby")
        for n in (1, 2):
            await ann.ask("publish", room="lobby", id=str(n), body={})
        await heard(ann)
        first, second = (frame for frame in ann.seen if frame["type"] == "entries")
    assert ("epoch" in first, "epoch" in second) == (True, False)


@one_loop
async def test_a_publish_that_is_sent_again_is_acknowledged_alike_and_stored_once():
    async with client(user=ANN) as ann, client(user=ANN) as reloaded:
        await ann.ask("join", room="lobby")
        await reloaded.ask("join", room="lobby")
        first = await ann.ask("publish", room="lobby", id="m1", body={"n": 1})
        await ann.ask("publish", room="lobby", id="m2", body={})
        again = await reloaded.ask("publish", room="lobby", id="m1", body={"n": 1})
        assert (first["offset"], again["offset"]) == (1, 1)
    assert await ago(Entry.objects.count) == 2


@one_loop
async def test_an_id_of_somebody_else_is_another():
    async with client(user=ANN) as ann, client(user=BOB) as bob, client() as guest:
        for one in (ann, bob, guest):
            await one.ask("join", room="lobby")
        got = [(await one.ask("publish", room="lobby", id="m1", body={}))["offset"] for one in (ann, bob, guest)]
    assert got == [1, 2, 3]


@one_loop
async def test_a_user_cannot_take_a_servers_id():
    async with client(user=ANN) as ann:
        await ann.ask("join", room="lobby")
        await ann.ask("publish", room="lobby", id="shipped", body={"by": "ann"})
        entry = await get_room("lobby").apublish({"by": "server"}, id="shipped")
    assert (entry.offset, entry.body) == (2, {"by": "server"})


@one_loop
async def test_a_publish_without_a_ref_is_stored_and_not_acknowledged():
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await ann.send({"type": "publish", "room": "lobby", "id": "1", "body": {}})
        assert offsets(await ann.receive("entries")) == [1]
        assert await heard(ann) == []
        await ann.send({"type": "publish", "room": "lobby", "id": "", "body": {}})
        assert (await ann.receive("error"))["code"] == "bad_id"


@one_loop
async def test_a_batch_is_published_in_its_order_and_answered_frame_by_frame():
    async with client() as ann:
        await ann.send(
            {"type": "join", "ref": "j", "room": "lobby"},
            *[{"type": "publish", "ref": n, "room": "lobby", "id": str(n), "body": {"n": n}} for n in range(5)],
            {"type": "publish", "ref": "bad", "room": "lobby", "id": "x", "body": 5},
            {"type": "publish", "ref": 5, "room": "lobby", "id": "5", "body": {"n": 5}},
        )
        while sum(frame["type"] == "ok" for frame in ann.seen) < 6:
            await ann.receive("ok")
        refs = [frame["ref"] for frame in ann.seen if "ref" in frame]
    assert refs[0] == "j"
    assert [ref for ref in refs if isinstance(ref, int)] == [0, 1, 2, 3, 4, 5]
    assert "bad" in refs
    entries = await ago(get_room("lobby").history)
    assert [entry.body["n"] for entry in entries] == [0, 1, 2, 3, 4, 5]


@one_loop
async def test_what_the_server_publishes_is_heard():
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await get_room("lobby").apublish({"text": "Shipped"})
        (entry,) = (await ann.receive("entries"))["entries"]
        assert (entry["body"], entry["author"]) == ({"text": "Shipped"}, None)
        await ago(lambda: get_room("lobby").publish({"text": "from a view"}))
        assert (await ann.receive("entries"))["entries"][0]["offset"] == 2


def full(item, after=None):
    """A writer that takes nothing more."""
    raise writer.Busy


def failing(error):
    """A writer that takes everything and stores nothing."""

    def submit(item, after=None):
        receipt = Receipt()
        receipt.failed(error)
        return receipt

    return submit


@one_loop
async def test_a_writer_that_is_full_refuses_and_holds_the_senders_order(monkeypatch):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        with monkeypatch.context() as patch:
            patch.setattr(writer, "submit", full)
            error = await ann.ask("publish", room="lobby", id="1", body={})
            assert (error["code"], error["retry_after"] > 0) == ("busy", True)
        await ann.ask("join", room="lobby")  # A join of a joined room is a resume, and forgets nothing.
        error = await ann.ask("publish", room="lobby", id="2", body={})
        assert error["code"] == "busy"
        assert (await ann.ask("publish", room="lobby", id="1", body={}))["offset"] == 1
        assert (await ann.ask("publish", room="lobby", id="2", body={}))["offset"] == 2


@one_loop
async def test_who_leaves_a_room_and_comes_back_has_their_order_still(monkeypatch):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        with monkeypatch.context() as patch:
            patch.setattr(writer, "submit", full)
            assert (await ann.ask("publish", room="lobby", id="1", body={}))["code"] == "busy"
        await ann.ask("leave", room="lobby")
        await ann.ask("join", room="lobby")
        assert (await ann.ask("publish", room="lobby", id="2", body={}))["code"] == "busy"
        assert (await ann.ask("publish", room="lobby", id="1", body={}))["offset"] == 1
        assert (await ann.ask("publish", room="lobby", id="2", body={}))["offset"] == 2


@one_loop
async def test_what_is_remembered_of_rooms_that_were_left_has_a_bound(monkeypatch):
    monkeypatch.setattr(places, "MAX_ROOMS", 2)
    async with client() as ann:
        with monkeypatch.context() as patch:
            patch.setattr(writer, "submit", full)
            for room in ("notes/1", "notes/2", "notes/3"):
                await ann.ask("join", room=room)
                await ann.ask("publish", room=room, id="1", body={})
                await ann.ask("leave", room=room)
        codes = {}
        for room in ("notes/1", "notes/2", "notes/3"):
            await ann.ask("join", room=room)
            codes[room] = (await ann.ask("publish", room=room, id="2", body={})).get("code")
    assert codes == {"notes/1": None, "notes/2": "busy", "notes/3": "busy"}


@one_loop
async def test_a_database_that_fails_is_told_and_may_be_tried_again(monkeypatch):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        with monkeypatch.context() as patch:
            patch.setattr(writer, "submit", failing(OperationalError("gone")))
            error = await ann.ask("publish", room="lobby", id="1", body={})
        assert (error["code"], error["retry_after"] > 0) == ("unavailable", True)
        assert (await ann.ask("publish", room="lobby", id="2", body={}))["code"] == "busy"
        assert (await ann.ask("publish", room="lobby", id="1", body={}))["offset"] == 1


@one_loop
async def test_a_message_that_may_not_be_sent_again_blocks_no_others(monkeypatch):
    """Its sender lost the right to publish while it was waiting to send it again."""

    monkeypatch.setattr(conversation, "VERDICT_AGE", -1)
    async with client() as ann:
        await ann.ask("join", room="lobby")
        with monkeypatch.context() as patch:
            patch.setattr(writer, "submit", full)
            assert (await ann.ask("publish", room="lobby", id="1", body={}))["code"] == "busy"
        with monkeypatch.context() as patch:
            patch.setattr(rooms.PublicRoom, "can_publish", lambda self, user: False)
            assert (await ann.ask("publish", room="lobby", id="1", body={}))["code"] == "forbidden"
        assert (await ann.ask("publish", room="lobby", id="2", body={}))["offset"] == 1


@one_loop
async def test_a_message_that_the_database_does_not_take_blocks_no_others(monkeypatch):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        with monkeypatch.context() as patch:
            patch.setattr(writer, "submit", failing(DataError("odd")))
            error = await ann.ask("publish", room="lobby", id="1", body={})
        assert (error["code"], "retry_after" in error) == ("bad_body", False)
        assert (await ann.ask("publish", room="lobby", id="2", body={}))["offset"] == 1


@one_loop
async def test_a_log_that_cannot_be_read_is_told_and_may_be_tried_again(monkeypatch):
    def fail(*args):
        raise OSError("gone")

    async with client() as ann:
        with monkeypatch.context() as patch:
            patch.setattr(pages, "newest", fail)
            error = await ann.ask("join", room="lobby")
            assert (error["code"], error["retry_after"] > 0) == ("unavailable", True)
        assert (await ann.ask("join", room="lobby"))["type"] == "joined"
        with monkeypatch.context() as patch:
            patch.setattr(pages, "page", fail)
            assert (await ann.ask("history", room="lobby"))["code"] == "unavailable"
        assert (await ann.ask("history", room="lobby"))["type"] == "history"


# Leaving, history, events, pings.


@one_loop
async def test_who_has_left_hears_no_more_and_may_come_back():
    async with client() as ann, client() as bob:
        await ann.ask("join", room="lobby")
        await bob.ask("join", room="lobby")
        assert await ann.ask("leave", room="lobby") == {"type": "left", "ref": 2, "room": "lobby"}
        await bob.ask("publish", room="lobby", id="1", body={})
        await bob.receive("entries")
        assert await heard(ann) == []
        assert (await ann.ask("publish", room="lobby", id="2", body={}))["code"] == "not_joined"
        assert offsets(await ann.ask("join", room="lobby")) == [1]


@one_loop
async def test_leaving_a_room_that_was_not_joined_is_no_error():
    async with client() as ann:
        assert (await ann.ask("leave", room="lobby"))["type"] == "left"


@one_loop
async def test_history_goes_back_from_an_offset():
    await ago(fill, "lobby", 5)
    async with client() as ann:
        assert (await ann.ask("history", room="lobby"))["code"] == "not_joined"
        await ann.ask("join", room="lobby", history=1)
        history = await ann.ask("history", room="lobby", before=5, limit=2)
        assert (history["type"], history["room"], offsets(history), history["more"]) == (
            "history",
            "lobby",
            [3, 4],
            True,
        )
        history = await ann.ask("history", room="lobby", before=3)
        assert (offsets(history), history["more"]) == ([1, 2], False)
        assert offsets(await ann.ask("history", room="lobby", limit=1)) == [5]


@one_loop
async def test_an_event_is_heard_by_all_but_its_sender_and_stored_nowhere():
    async with client(user=ANN) as ann, client(user=BOB) as bob:
        await ann.ask("join", room="lobby")
        await bob.ask("join", room="lobby")
        await ann.send({"type": "event", "room": "lobby", "event": "typing", "body": {"on": True}})
        event = await bob.receive("event")
        assert (event["room"], event["event"], event["body"]) == ("lobby", "typing", {"on": True})
        assert event["author"]["name"] == "ann"
        assert await heard(ann) == []
    assert not await ago(RoomLog.objects.exists)


@one_loop
async def test_an_event_of_the_servers_is_heard_by_all():
    async with client() as ann, client() as bob:
        for one in (ann, bob):
            await one.ask("join", room="lobby")
        await get_room("lobby").asend_event("tick", {"n": 1})
        for one in (ann, bob):
            assert (await one.receive("event"))["author"] is None


@one_loop
async def test_neither_a_message_nor_an_event_costs_a_query_of_who_is_here(monkeypatch):
    # What changed by the joins is read beside, and so is what a look asks for, such as the one after each first join.
    monkeypatch.setattr(Reader, "want", lambda self, room: None)
    monkeypatch.setattr(queries, "stamps", dict.fromkeys)
    async with client() as ann, client() as bob:
        for guest in (ann, bob):
            await guest.ask("join", room="lobby")
        asked = await ago(note_queries)
        await ann.send({"type": "event", "room": "lobby", "event": "typing"})
        await bob.receive("event")
        await ann.ask("publish", room="lobby", id="1", body={"text": "hi"})
        await bob.receive("entries")
        await ago(lambda: connection.execute_wrappers.clear())
    assert any("django_rooms_entry" in sql for sql in asked)
    assert not [sql for sql in asked if re.search("django_rooms_(presence|member|occupied|lease)", sql)]


@one_loop
async def test_an_event_needs_a_join():
    async with client() as ann:
        assert (await ann.ask("event", room="lobby", event="typing"))["code"] == "not_joined"


@one_loop
async def test_a_ping_is_answered_and_a_pong_is_not():
    async with client() as ann:
        await ann.receive("welcome")
        await ann.send({"type": "ping", "n": {"any": "thing"}})
        assert await ann.receive("pong") == {"type": "pong", "n": {"any": "thing"}}
        await ann.send({"type": "pong", "n": 7})
        assert await heard(ann) == []


@one_loop
async def test_who_is_silent_is_pinged_and_then_closed(monkeypatch):
    monkeypatch.setattr(watch, "TICK", 0)
    async with client() as ann:
        ann.answers_pings = False
        await ann.receive("welcome")
        monkeypatch.setattr(pulse, "PING", -1)
        assert "n" in await ann.receive("ping")
        monkeypatch.setattr(pulse, "PONG", -1)
        assert await ann.closed() == 4003
        assert (ann.seen[-1]["type"], ann.seen[-1]["reconnect"]) == ("closing", True)


# Bad input: the socket lives on.


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_json"),
        ("nonsense", "bad_json"),
        ("[" * 30_000, "bad_json"),
        ('{"type":"ping","n":NaN}', "bad_json"),
        ('{"type":"ping","n":1e999}', "bad_json"),
        ('{"type":"ping","n":' + "9" * 5000 + "}", "bad_json"),
        (r'{"type":"publish","room":"lobby","id":"1","body":{"t":"\u0000"}}', "bad_json"),
        (r'{"type":"publish","room":"lobby","id":"1","body":{"t":"\ud83d"}}', "bad_json"),
        (r'{"type":"publish","room":"lobby","id":"\u0000","body":{}}', "bad_json"),
        ("5", "bad_frame"),
        ("[]", "bad_frame"),
        (json.dumps([{"type": "ping"}] * 65), "bad_frame"),
        ('{"type":"ping","ref":{}}', "bad_frame"),
        ('{"type":"join"}', "bad_frame"),
        ('{"type":"dance"}', "unknown_type"),
        (json.dumps({"type": "join", "room": "x" * 10_000}), "bad_name"),
        (json.dumps({"type": "join", "room": ""}), "bad_name"),
        (json.dumps({"type": "join", "room": "a//b"}), "bad_name"),
        (json.dumps({"type": "join", "room": "lobby\n"}), "bad_name"),
        (json.dumps({"type": "join", "room": "nothing"}), "unknown_room"),
        (json.dumps({"type": "join", "room": "orders/007"}), "unknown_room"),
        (json.dumps({"type": "join", "room": "lobby", "position": 5}), "bad_position"),
        (json.dumps({"type": "publish", "room": "lobby", "id": "", "body": {}}), "bad_id"),
        (json.dumps({"type": "publish", "room": "lobby", "id": "1", "body": "hi"}), "bad_body"),
        (json.dumps({"type": "publish", "room": "lobby", "id": "1", "body": {"t": "x" * 33_000}}), "too_large"),
        (json.dumps({"type": "publish", "room": "x" * 10_000, "id": "1", "body": {}}), "not_joined"),
        (json.dumps({"type": "history", "room": "lobby", "limit": 0}), "bad_frame"),
    ],
    ids=lambda value: value[:30],
)
@one_loop
async def test_a_bad_frame_is_answered_and_the_socket_lives_on(text, code, caplog):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await ann.send_input({"type": "websocket.receive", "text": text})
        error = await ann.receive("error")
        assert (error["code"], error["message"][-1]) == (code, ".")
        assert len(error["message"]) < 500
        assert (await ann.ask("publish", room="lobby", id="good", body={}))["offset"] == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@one_loop
async def test_bytes_are_read_as_text():
    async with client() as ann:
        await ann.send_to(bytes_data=b'{"type":"ping","n":1}')
        await ann.receive("pong")
        await ann.send_to(bytes_data=b"\xff\xfe")
        assert (await ann.receive("error"))["code"] == "bad_json"
        await heard(ann)


@pytest.mark.parametrize("text", ["x" * 65_537, "ü" * 32_769], ids=["characters", "bytes"])
@one_loop
async def test_a_message_that_is_too_large_is_answered_and_ends_the_socket(text):
    async with client() as ann:
        await ann.send_to(text_data=text)
        assert (await ann.receive("error"))["code"] == "too_large"
        assert await ann.closed() == 4501
        assert ann.seen[-1]["reconnect"] is False


@one_loop
async def test_a_message_at_the_bound_is_taken():
    async with client() as ann:
        frame = '{"type":"ping","n":"%s"}'
        await ann.send_to(text_data=frame % ("x" * (65_536 - len(frame) + 2)))
        await ann.receive("pong")


@one_loop
async def test_too_many_rooms_are_refused_and_those_that_are_joined_stay(monkeypatch):
    monkeypatch.setattr(conversation, "MAX_ROOMS", 2)
    async with client() as ann:
        for name in ("notes/1", "notes/2"):
            await ann.ask("join", room=name)
        assert (await ann.ask("join", room="notes/3"))["code"] == "too_many_rooms"
        assert (await ann.ask("join", room="notes/2"))["type"] == "joined"
        await ann.ask("leave", room="notes/1")
        assert (await ann.ask("join", room="notes/3"))["type"] == "joined"


# A socket of one room's own.


@one_loop
async def test_a_rooms_own_socket_joins_by_itself_and_needs_no_room():
    await ago(fill, "lobby", 2)
    async with client("/ws/rooms/lobby/") as ann:
        joined = await ann.receive("joined")
        assert [frame["type"] for frame in ann.seen] == ["welcome", "joined"]
        assert (joined["ref"], joined["room"], offsets(joined)) == (None, "lobby", [1, 2])
        assert (await ann.ask("publish", id="1", body={}))["offset"] == 3
        assert (await ann.receive("entries"))["room"] == "lobby"
        assert offsets(await ann.ask("history", limit=1)) == [3]
        assert (await ann.ask("publish", id="", body={}))["room"] is None
        assert (await ann.ask("leave"))["room"] == "lobby"


@one_loop
async def test_a_rooms_own_socket_resumes_from_its_address():
    await ago(fill, "lobby", 3)
    epoch = (await ago(RoomLog.objects.get)).epoch
    async with client(f"/ws/rooms/lobby/?epoch={epoch}&offset=1") as ann:
        joined = await ann.receive("joined")
        assert (joined["recovered"], offsets(joined)) == (True, [2, 3])
    async with client("/ws/rooms/lobby/?epoch=other&offset=1") as ann:
        assert (await ann.receive("joined"))["recovered"] is False
    async with client("/ws/rooms/lobby/?epoch=&offset=0") as ann:
        assert (await ann.receive("joined"))["recovered"] is True


@one_loop
async def test_a_rooms_own_socket_may_join_others():
    async with client("/ws/rooms/lobby/") as ann:
        assert (await ann.ask("join", room="notes/a"))["type"] == "joined"
        await ann.ask("publish", room="notes/a", id="1", body={})
        assert (await ann.receive("entries"))["room"] == "notes/a"


@one_loop
async def test_a_room_in_any_script_has_a_socket_of_its_own():
    async with client("/ws/rooms/notes/%D0%BA%D1%83%D1%85%D0%BD%D1%8F/") as ann:
        assert (await ann.receive("joined"))["room"] == "notes/кухня"


@pytest.mark.parametrize(
    ("address", "error_code", "close_code"),
    [
        ("/ws/rooms/closed/", "forbidden", 4502),
        ("/ws/rooms/nothing/", "unknown_room", 4504),
        ("/ws/rooms/a//b/", "bad_name", 4504),
        ("/ws/rooms/%00/", "bad_name", 4504),
        ("/ws/rooms/" + "x" * 10_000 + "/", "bad_name", 4504),
        ("/ws/rooms/lobby/?epoch=a&offset=x", "bad_position", 4502),
        ("/ws/rooms/lobby/?epoch=a&offset=-1", "bad_position", 4502),
        ("/ws/rooms/lobby/?epoch=a&offset=" + "9" * 5000, "bad_position", 4502),
        ("/ws/rooms/lobby/?epoch=a&offset=١", "bad_position", 4502),
        ("/ws/rooms/lobby/?epoch=" + "x" * 33 + "&offset=1", "bad_position", 4502),
        ("/elsewhere/", "not_found", 4504),
        ("/", "not_found", 4504),
        ("/ws/room/lobby/", "not_found", 4504),
    ],
    ids=lambda value: str(value)[:40],
)
@one_loop
async def test_a_socket_for_what_cannot_be_joined_says_why_and_ends(address, error_code, close_code):
    async with client(address) as ann:
        assert await ann.closed() == close_code
        error, closing = ann.seen[-2:]
        assert (error["type"], error["code"], error["ref"]) == ("error", error_code, None)
        assert (closing["type"], closing["code"], closing["reconnect"]) == ("closing", close_code, False)


# Too slow.


@one_loop
async def test_who_asks_for_more_than_it_reads_is_closed_and_is_in_no_room(monkeypatch):
    reads, all_taken = asyncio.Event(), asyncio.Event()

    class Stuck(RoomConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await super().receive(text_data, bytes_data)
            if "last" in text_data:
                all_taken.set()

        async def send_text(self, text):
            await reads.wait()
            await super().send_text(text)

    reads.set()
    async with client(application=URLRouter([path("ws/rooms/", Stuck.as_asgi())])) as ann:
        for name in ("lobby", "notes/a"):
            await ann.ask("join", room=name)
        await heard(ann)
        monkeypatch.setattr(Outbox, "crowded", property(lambda self: False))  # It is read from all the same.
        reads.clear()
        for n in [*["x" * 60_000] * 49, "last"]:
            await ann.send({"type": "ping", "n": n})
        await all_taken.wait()
        assert hub().feeds == {}
        reads.set()
        assert await ann.closed() == 4503
        pongs = len([frame for frame in ann.seen if frame["type"] == "pong"])
    assert 10 < pongs < 50


# The handshake.


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        (None, None),
        ([], None),
        (["rooms.v1"], "rooms.v1"),
        (["rooms.v2", "rooms.v1"], "rooms.v1"),
        (["graphql-ws", "rooms.v1"], "rooms.v1"),
    ],
)
@one_loop
async def test_the_version_is_chosen_by_the_subprotocol(offered, accepted):
    ann = client(subprotocols=offered)
    assert await ann.connect(10) == (True, accepted)
    assert (await ann.receive("welcome"))["version"] == 1
    await ann.disconnect(timeout=10)


@one_loop
async def test_a_version_that_is_not_spoken_is_refused_in_words_that_a_browser_gets():
    """A browser that offered a sub-protocol drops a connection on which none was chosen."""
    ann = client(subprotocols=["rooms.v9"])
    assert await ann.connect(10) == (True, "rooms.v9")
    assert await ann.closed() == 4500
    assert "rooms.v1" in ann.seen[-1]["reason"]
    await ann.disconnect(timeout=10)


@pytest.mark.parametrize(
    "origin",
    [b"https://evil.example", b"http://testserver.evil.example", b"null", b"", b"http://[", b"\xff"],
)
@one_loop
async def test_a_foreign_origin_is_refused_before_accepting_and_logged(origin, caplog):
    ann = client(headers=[(b"origin", origin)])
    connected, _ = await ann.connect(10)
    assert not connected
    assert "foreign Origin" in caplog.text
    await ann.disconnect(timeout=10)


@pytest.mark.parametrize("headers", [[], [(b"origin", b"http://testserver")], [(b"origin", b"https://localhost:8000")]])
@one_loop
async def test_the_sites_own_origin_and_none_are_welcome(headers):
    async with client(headers=headers) as ann:
        await ann.receive("welcome")


# Who it is.


class Unreadable:
    """A lazy user whose session cannot be loaded."""

    @property
    def is_authenticated(self):
        raise OperationalError("the sessions have gone")


def show_nobody(user):
    raise ZeroDivisionError


@pytest.mark.parametrize("address", ["/ws/rooms/", "/ws/rooms/lobby/", "/elsewhere/"])
@pytest.mark.parametrize("fault", ["person", "SHOW_USER", "SHOW_USER's key"])
@one_loop
async def test_who_cannot_be_known_is_told_so_and_may_come_back(fault, address, caplog):
    function = {"SHOW_USER": "show_nobody", "SHOW_USER's key": "show_as_a_guest"}.get(fault)
    shown = {"SHOW_USER": f"{__name__}.{function}"} if function else {}
    with override_settings(DJANGO_ROOMS=shown):
        async with client(address, user=ANN if shown else Unreadable()) as ann:
            assert await ann.closed() == 4004
            assert [frame["type"] for frame in ann.seen] == ["error", "closing"]
            assert ann.seen[0]["code"] == "unavailable"
            assert (ann.seen[1]["code"], ann.seen[1]["reconnect"]) == (4004, True)
            # What was on its way when the socket was closed harms nothing.
            await ann.send({"type": "join", "ref": 1, "room": "lobby"})
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "Nobody knows who this is, so the connection is closed."
    ]


def show_as_a_guest(user):
    return Author("greta", "Greta")


# Plain Channels.


class AlertConsumer(RoomConsumer):
    async def chat_alert(self, event):
        await self.send(text_data=json.dumps({"type": "alert", "text": event["text"], "user": str(self.scope["user"])}))


alerting = URLRouter([path("ws/rooms/", AlertConsumer.as_asgi())])


@one_loop
async def test_a_message_to_a_rooms_group_calls_the_handler_of_every_consumer_in_that_room():
    layer = get_channel_layer()
    async with client(user=ANN, application=alerting) as ann, client(user=BOB, application=alerting) as bob:
        for one in (ann, bob):
            await one.ask("join", room="notes/кухня")
        await layer.group_send(group_name("notes/кухня"), {"type": "chat.alert", "text": "Fire"})
        assert (await ann.receive("alert"))["user"] == "ann"
        assert (await bob.receive("alert"))["user"] == "bob"
        await layer.group_send(group_name("lobby"), {"type": "chat.alert", "text": "elsewhere"})
        await ann.ask("leave", room="notes/кухня")
        await layer.group_send(group_name("notes/кухня"), {"type": "chat.alert", "text": "again"})
        assert (await bob.receive("alert"))["text"] == "again"
        assert await heard(ann) == []


@one_loop
async def test_a_message_to_a_consumers_own_channel_reaches_that_one():
    names = []

    class Named(AlertConsumer):
        async def connect(self):
            names.append(self.channel_name)
            await super().connect()

    application = URLRouter([path("ws/rooms/", Named.as_asgi())])
    async with client(user=ANN, application=application) as ann, client(user=BOB, application=application) as bob:
        await ann.receive("welcome")
        await bob.receive("welcome")
        await get_channel_layer().send(names[1], {"type": "chat.alert", "text": "you"})
        assert (await bob.receive("alert"))["text"] == "you"
        assert await heard(ann) == []
    assert len(set(names)) == 2


@one_loop
async def test_a_consumer_may_do_without_a_channel_of_its_own():
    made = []

    class Channelless(AlertConsumer):
        own_channel = False

        async def connect(self):
            made.append(self)
            await super().connect()

    async with client(user=ANN, application=URLRouter([path("ws/rooms/", Channelless.as_asgi())])) as ann:
        await ann.ask("join", room="lobby")
        assert made[0].channel_name is None
        await get_channel_layer().group_send(group_name("lobby"), {"type": "chat.alert", "text": "Fire"})
        await ann.receive("alert")


@one_loop
async def test_a_subclass_may_have_groups_of_its_own():
    class Grouped(AlertConsumer):
        groups = ["staff"]  # noqa: RUF012

    async with client(user=ANN, application=URLRouter([path("ws/rooms/", Grouped.as_asgi())])) as ann:
        await ann.receive("welcome")
        await get_channel_layer().group_send("staff", {"type": "chat.alert", "text": "Coffee"})
        assert (await ann.receive("alert"))["text"] == "Coffee"
    for _ in range(10):  # Leaving the groups is a task of its own.
        await asyncio.sleep(0)
    assert not get_channel_layer().groups


@one_loop
async def test_a_message_that_nobody_handles_ends_no_socket(caplog):
    async with client() as ann:
        await ann.ask("join", room="lobby")
        await get_channel_layer().group_send(group_name("lobby"), {"type": "chat.alert"})
        await heard(ann)
        await heard(ann)
    assert "has no handler for messages of type 'chat.alert'" in caplog.text


@one_loop
async def test_handlers_run_one_at_a_time_and_what_waits_for_them_is_bounded(monkeypatch, caplog):
    monkeypatch.setattr(consumers, "MAX_INBOX", 3)
    running, most, handled, go = 0, 0, [], asyncio.Event()

    class Slow(RoomConsumer):
        async def chat_alert(self, event):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await go.wait()
            handled.append(event["n"])
            running -= 1
            await self.send(text_data=json.dumps({"type": "handled", "n": event["n"]}))

    async with client(application=URLRouter([path("ws/rooms/", Slow.as_asgi())])) as ann:
        await ann.ask("join", room="lobby")
        for n in range(8):
            await get_channel_layer().group_send(group_name("lobby"), {"type": "chat.alert", "n": n})
            for _ in range(5):
                await asyncio.sleep(0)
        go.set()
        for _ in range(3):
            await ann.receive("handled")
        await heard(ann)
    assert most == 1
    assert handled == sorted(handled)
    assert 3 <= len(handled) < 8
    assert "this one is dropped" in caplog.text
    assert MAX_INBOX == 100


@one_loop
async def test_a_subclass_may_override_connect_and_disconnect():
    story = []

    class Told(RoomConsumer):
        async def connect(self):
            story.append(("connect", self.scope["url_route"]["kwargs"], str(self.scope["user"])))
            await super().connect()

        async def disconnect(self, code):
            story.append(("disconnect", code))
            await super().disconnect(code)

    application = URLRouter([path("<slug:shop>/<path:room>/", Told.as_asgi())])
    async with client("/books/lobby/", user=ANN, application=application) as ann:
        assert (await ann.receive("joined"))["room"] == "lobby"
    assert story == [("connect", {"shop": "books", "room": "lobby"}, "ann"), ("disconnect", 1000)]


@one_loop
async def test_a_subclass_may_refuse_to_connect():
    class Refusing(RoomConsumer):
        async def connect(self):
            await self.close()

    ann = client(application=URLRouter([path("ws/rooms/", Refusing.as_asgi())]))
    connected, _ = await ann.connect(10)
    assert not connected
    await ann.disconnect(timeout=10)


@one_loop
async def test_a_subclass_may_name_the_room_itself():
    class Fixed(RoomConsumer):
        def room_name(self):
            return f"orders/{self.scope['url_route']['kwargs']['pk']}"

    application = URLRouter([path("live/<int:pk>/", Fixed.as_asgi())])
    async with client("/live/7/", user=ANN, application=application) as ann:
        assert (await ann.receive("joined"))["room"] == "orders/7"


@one_loop
async def test_the_routes_may_be_nested_under_a_prefix_beside_the_hosts_own():
    class Own(RoomConsumer):
        def room_name(self):
            return "notes/own"

    application = URLRouter(
        [
            path("live/", URLRouter([*websocket_urlpatterns])),
            path("own/", Own.as_asgi()),
            not_found,
        ]
    )
    async with client("/live/ws/rooms/lobby/", application=application) as ann:
        assert (await ann.receive("joined"))["room"] == "lobby"
    async with client("/live/ws/rooms/", application=application) as ann:
        assert (await ann.ask("join", room="lobby"))["type"] == "joined"
    async with client("/own/", application=application) as ann:
        assert (await ann.receive("joined"))["room"] == "notes/own"
    async with client("/ws/rooms/", application=application) as ann:
        assert await ann.closed() == 4504


@one_loop
async def test_the_whole_stack_of_a_quick_start_knows_the_user_of_the_session(client_of_ann):
    application = ProtocolTypeRouter(
        {"websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))}
    )
    headers = [(b"origin", b"http://testserver"), (b"cookie", client_of_ann)]
    async with client("/ws/rooms/members/a/", application=application, headers=headers) as ann:
        assert (await ann.receive("welcome"))["user"]["name"] == "ann"
        await ann.receive("joined")
    async with client("/ws/rooms/members/a/", application=application, headers=headers[:1]) as guest:
        assert await guest.closed() == 4502


@pytest.fixture
def client_of_ann(client):
    """The cookies of a browser in which Ann has logged in."""
    client.force_login(User.objects.create_user("ann"))
    return client.cookies.output(attrs=[], header="").strip().encode()


@pytest.fixture(params=["absent", "empty", "another alias"])
def no_layer(request, settings):
    if request.param == "absent":
        del settings.CHANNEL_LAYERS
    else:
        settings.CHANNEL_LAYERS = {} if request.param == "empty" else {"chat": settings.CHANNEL_LAYERS["default"]}


@one_loop
async def test_a_project_without_a_layer_has_rooms_too(no_layer):
    async with client(application=alerting) as ann, client() as bob:
        for one in (ann, bob):
            await one.ask("join", room="lobby")
        await ann.ask("publish", room="lobby", id="1", body={})
        assert offsets(await bob.receive("entries")) == [1]
        await ann.send({"type": "event", "room": "lobby", "event": "typing"})
        assert (await bob.receive("event"))["event"] == "typing"
        await get_room("lobby").apublish({})
        assert offsets(await bob.receive("entries")) == [2]


@one_loop
async def test_a_route_of_regular_expressions_works_too():
    application = URLRouter([re_path(r"^r/(?P<room>\w+)/$", RoomConsumer.as_asgi())])
    async with client("/r/lobby/", application=application) as ann:
        assert (await ann.receive("joined"))["room"] == "lobby"


@one_loop
async def test_a_project_that_forgot_the_app_is_told(settings, caplog):
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django_rooms"]
    async with client() as ann:
        assert await ann.closed() == 4502
    assert "INSTALLED_APPS" in ann.seen[-2]["message"]
    assert "INSTALLED_APPS" in caplog.text
