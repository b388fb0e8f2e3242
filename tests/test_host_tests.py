"""A host's own tests: what is published and heard inside them works as it does outside, and is rolled back after."""

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import serving
from asgiref.sync import async_to_sync
from communicating import client, heard, one_loop
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from django_rooms import PublicRoom, count_present, get_room
from django_rooms.conf import settings
from django_rooms.connection.place import Place
from django_rooms.models import Entry, Pending, RoomLog
from django_rooms.signals import member_joined, member_left
from django_rooms.testing import asweep, sweep
from host.asgi import application


def texts(room="lobby"):
    return [entry.body["text"] for entry in get_room(room).history()]


async def talk():
    """Two people, a view's message and a resume."""
    async with client() as ann, client("/ws/rooms/lobby/") as bob:
        position = (await ann.ask("join", room="lobby"))["position"]
        await bob.receive("joined")
        assert (await bob.ask("publish", id="1", body={"text": "from bob"}))["offset"] == 1
        assert (await ann.receive("entries"))["entries"][0]["body"] == {"text": "from bob"}
        await get_room("lobby").apublish({"text": "from the server"})
        assert (await ann.receive("entries"))["entries"][0]["offset"] == 2
        await ann.send({"type": "event", "room": "lobby", "event": "typing"})
        await bob.receive("event")
        joined = await ann.ask("join", room="lobby", position=position)
        assert [entry["offset"] for entry in joined["entries"]] == [1, 2]
        assert await heard(ann) == []


@contextmanager
def told():
    """What a host's handlers of ``member_joined`` and ``member_left`` are told meanwhile."""
    told = []

    def joined(sender, room, member, id, at, **kwargs):
        told.append(("joined", sender, room.name, member.name, at))

    def left(sender, room, member, id, at, **kwargs):
        told.append(("left", sender, room.name, member.name, at))

    member_joined.connect(joined)
    member_left.connect(left)
    yield told
    member_joined.disconnect(joined)
    member_left.disconnect(left)


class Both:
    """What holds in a ``TestCase`` and in a ``TransactionTestCase``."""

    def test_a_publish_is_committed_as_far_as_the_test_can_see(self):
        assert get_room("lobby").publish({"text": "hi"}).offset == 1
        assert texts() == ["hi"]

    def test_another_test_sees_nothing_of_it(self):
        self.test_a_publish_is_committed_as_far_as_the_test_can_see()

    def test_what_a_view_publishes_is_stored(self):
        response = self.client.post("/publish/lobby/", {"text": "from a view"})
        assert response.json() == {"offset": 1}
        assert texts() == ["from a view"]

    def test_a_rollback_of_the_hosts_takes_the_message_with_it(self):
        def fail():
            with transaction.atomic():
                get_room("lobby").publish({"text": "never"})
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert texts() == []

    def test_people_talk_in_a_sync_test(self):
        async_to_sync(talk)()
        assert texts() == ["from bob", "from the server"]

    async def test_people_talk_in_an_async_test(self):
        await talk()
        assert [entry.body["text"] async for entry in _entries()] == ["from bob", "from the server"]

    async def test_async_code_publishes(self):
        assert (await get_room("lobby").apublish({"text": "hi"})).offset == 1
        assert [entry.offset for entry in await get_room("lobby").ahistory()] == [1]

    def test_a_socket_knows_the_tests_own_user(self):
        ann = User.objects.create_user("ann")
        self.client.force_login(ann)
        cookie = self.client.cookies.output(attrs=[], header="").strip().encode()
        headers = [(b"origin", b"http://testserver"), (b"cookie", cookie)]

        async def order():
            async with client(f"/ws/rooms/orders/{ann.pk}/", application=application, headers=headers) as socket:
                assert (await socket.receive("joined"))["can"] == {"publish": True}
                await socket.ask("publish", id="1", body={"text": "mine"})

        async_to_sync(order)()
        (entry,) = get_room(f"orders/{ann.pk}").history()
        assert entry.author.name == "ann"

    async def test_who_is_here_is_known_at_once_and_who_has_left_when_the_test_says_so(self):
        lobby, ann = get_room("lobby"), await User.objects.acreate(username="ann")
        with told() as heard_of:
            async with client(user=ann) as socket:
                await socket.ask("join", room="lobby")
                assert await lobby.ais_present(ann)
                assert [(member.name, member.connections) for member in await lobby.apresence()] == [("ann", 1)]
                await asweep(after=3600)
                assert await lobby.ais_present(ann)
            assert await lobby.ais_present(ann)  # As over a reload.
            await asweep(after=settings.GRACE / 2)
            assert await lobby.ais_present(ann)
            await asweep(after=settings.GRACE / 2)
            assert not await lobby.ais_present(ann)
        assert [what[:-1] for what in heard_of] == [
            ("joined", PublicRoom, "lobby", "ann"),
            ("left", PublicRoom, "lobby", "ann"),
        ]
        assert heard_of[0][-1] <= heard_of[1][-1]

    def test_a_sync_test_sweeps_too(self):
        async def come_and_go():
            async with client("/ws/rooms/lobby/") as socket:
                await socket.receive("joined")

        with told() as heard_of:
            async_to_sync(come_and_go)()
            assert count_present(["lobby"]) == {"lobby": 1}
            sweep()
            assert count_present(["lobby"]) == {"lobby": 1}
            sweep(after=settings.GRACE)
            assert count_present(["lobby"]) == {"lobby": 0}
        assert [kind for kind, *_ in heard_of] == ["joined", "left"]

    async def test_a_disconnect_by_the_host_is_told_to_the_client_and_has_no_grace(self):
        ann = await User.objects.acreate(username="ann")
        async with client("/ws/rooms/lobby/", user=ann) as socket:
            await socket.receive("joined")
            assert await get_room("lobby").adisconnect(ann)
            assert (await socket.receive("left"))["code"] == "disconnected"
            await asweep()
            assert not await get_room("lobby").ais_present(ann)

    async def test_whoever_is_disconnected_while_they_join_is_told_by_the_answer(self):
        ann = await User.objects.acreate(username="ann")
        joining, go_on = asyncio.Event(), asyncio.Event()
        join = Place.join

        async def slow_join(place, frame):
            joining.set()
            await go_on.wait()
            return await join(place, frame)

        with patch.object(Place, "join", slow_join):
            async with client("/ws/rooms/", user=ann) as socket:
                await socket.receive("welcome")
                await socket.send({"type": "join", "ref": 7, "room": "lobby"})
                await joining.wait()
                await get_room("lobby").adisconnect(ann)
                await socket.receive("left")
                go_on.set()
                answer = await socket.receive("error")
        assert (answer["ref"], answer["room"], answer["code"]) == (7, "lobby", "disconnected")

    def test_another_test_has_nobody_in_its_rooms(self):
        assert get_room("lobby").presence() == []


async def _entries():
    for entry in await get_room("lobby").ahistory():
        yield entry


class TestInATestCase(Both, TestCase):
    @classmethod
    def setUpTestData(cls):
        get_room("notes/data").publish({"text": "of the class"})

    def test_what_the_class_set_up_is_there(self):
        get_room("notes/data").publish({"text": "of the test"})
        assert texts("notes/data") == ["of the class", "of the test"]

    def test_what_the_class_set_up_is_there_in_each_test(self):
        self.test_what_the_class_set_up_is_there()

    def test_commit_hooks_that_are_captured_and_run_number_the_entry(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks, transaction.atomic():
            entry = get_room("lobby").publish({"text": "hi"})
        assert (len(callbacks), entry.offset) == (1, None)
        assert list(Entry.objects.filter(entry_id=entry.id).values_list("offset", flat=True)) == [1]

    def test_commit_hooks_that_never_run_do_no_harm(self):
        with transaction.atomic():
            get_room("lobby").publish({"text": "1"})
            with transaction.atomic():
                get_room("lobby").publish({"text": "2"})
        assert Pending.objects.count() == 2
        assert texts() == ["1", "2"]

    def test_hooks_that_are_captured_and_not_run_do_no_harm(self):
        with self.captureOnCommitCallbacks() as callbacks, transaction.atomic():
            get_room("lobby").publish({"text": "hi"})
        assert len(callbacks) == 1
        assert texts() == ["hi"]

    def test_a_connected_client_hears_what_a_transaction_published(self):
        def in_a_view():
            with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
                get_room("lobby").publish({"text": "committed"})

        async def listen():
            from asgiref.sync import sync_to_async

            async with client("/ws/rooms/lobby/") as ann:
                await ann.receive("joined")
                await sync_to_async(in_a_view)()
                assert (await ann.receive("entries"))["entries"][0]["body"] == {"text": "committed"}

        async_to_sync(listen)()


class TestInATransactionTestCase(Both, TransactionTestCase):
    def test_a_commit_numbers_the_entry(self):
        with transaction.atomic():
            entry = get_room("lobby").publish({"text": "hi"})
            assert entry.offset is None
        assert list(Entry.objects.filter(entry_id=entry.id).values_list("offset", flat=True)) == [1]


@pytest.mark.parametrize("again", [False, True])
def test_pytests_db_is_rolled_back(db, again):
    assert get_room("lobby").publish({"text": "hi"}).offset == 1
    async_to_sync(get_room("lobby").apublish)({"text": "again"})
    assert texts() == ["hi", "again"]


def test_pytests_db_takes_a_conversation(db):
    async_to_sync(talk)()
    assert texts() == ["from bob", "from the server"]


def test_pytests_db_runs_captured_hooks(db, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        get_room("lobby").publish({"text": "hi"})
    assert not Pending.objects.exists()
    assert Entry.objects.count() == 1


def test_pytests_transactional_db_takes_a_conversation(transactional_db):
    async_to_sync(talk)()
    with transaction.atomic():
        get_room("lobby").publish({"text": "committed"})
    assert texts()[-1] == "committed"


@one_loop
async def test_a_test_that_leaves_a_socket_open_disturbs_no_other(db):
    forgotten = client("/ws/rooms/lobby/")
    await forgotten.connect(10)
    await forgotten.receive("joined")


def test_nothing_of_earlier_tests_is_left(db):
    assert not connection.in_atomic_block or not RoomLog.objects.exists()
    async_to_sync(talk)()


def test_outside_of_tests_nobody_sweeps_by_hand():
    command = [sys.executable, "-c", "import django; django.setup(); from django_rooms.testing import sweep; sweep()"]
    done = subprocess.run(command, env=serving.environment("sqlite://:memory:"), capture_output=True, text=True)
    assert "RuntimeError: sweep() is for tests" in done.stderr
