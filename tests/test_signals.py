"""``member_joined`` and ``member_left``: real signals, sent by what real connections do, inside of a host's test."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from communicating import client, one_loop
from django.contrib.auth.models import User
from django.test import TestCase

from django_rooms import PublicRoom
from django_rooms.models import Announcement
from django_rooms.presence import telling
from django_rooms.presence.telling import Told
from django_rooms.protocol.presence import Member
from django_rooms.signals import Handlers, member_joined, member_left
from django_rooms.testing import asweep
from host.rooms import OrderRoom

ANN = Member("u1", "Ann", '{"seat":1}')
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Heard:
    """What handlers were given."""

    def __init__(self):
        self.all = []

    def joined(self, **given):
        self.all.append(("joined", given))

    def left(self, **given):
        self.all.append(("left", given))

    @property
    def kinds(self):
        return [(kind, given["member"].key) for kind, given in self.all]


@pytest.fixture
def heard():
    heard = Heard()
    member_joined.connect(heard.joined)
    member_left.connect(heard.left)
    yield heard
    member_joined.disconnect(heard.joined)
    member_left.disconnect(heard.left)


@pytest.fixture
def handler():
    """``handler(signal, function)`` connects it for the test."""
    connected = []

    def connect(signal, function):
        signal.connect(function, weak=False)
        connected.append((signal, function))

    yield connect
    for signal, function in connected:
        signal.disconnect(function)


def told(room="lobby", kind="joined"):
    return Told(uuid.uuid4(), kind, room, ANN, AT)


def test_a_handler_is_given_the_room_the_member_the_id_and_the_time(heard):
    one = told()
    Handlers().tell(one)
    ((kind, given),) = heard.all
    assert (kind, given["sender"], given["room"].name) == ("joined", PublicRoom, "lobby")
    assert (given["member"], given["id"], given["at"]) == (ANN, one.id, AT)


def test_the_sender_is_the_class_of_the_room(heard, handler):
    orders = []
    member_left.connect(on_orders := lambda **given: orders.append(given["room"].kwargs), sender=OrderRoom)
    Handlers().tell(told("orders/42", "left"))
    Handlers().tell(told("lobby", "left"))
    member_left.disconnect(on_orders, sender=OrderRoom)
    assert orders == [{"pk": 42}]
    assert len(heard.all) == 2


def test_a_handler_that_raises_is_logged_and_the_others_are_called(handler, caplog):
    called = []

    def fail(**given):
        raise ZeroDivisionError("odd")

    handler(member_joined, fail)
    handler(member_joined, lambda **given: called.append(given["id"]))
    Handlers().tell(told())
    assert len(called) == 1
    assert caplog.text.count("ZeroDivisionError: odd") == 1


@pytest.mark.parametrize("room", ["orders/abc", "no such room", "a//b"])
def test_a_room_that_there_is_not_any_more_is_logged(heard, caplog, room):
    Handlers().tell(told(room))
    assert heard.all == []
    assert "Nobody is told who joined" in caplog.text


def test_nothing_is_kept_where_nobody_is_connected(handler):
    assert not Handlers().wanted()
    handler(member_left, lambda **given: None)
    assert Handlers().wanted()
    assert telling.wanted()


@pytest.mark.django_db
class TestConnections:
    @one_loop
    async def test_people_join_and_leave_once_however_many_tabs_they_have(self, heard):
        ann = await User.objects.acreate(username="ann")
        async with client(user=ann) as tab, client(user=ann) as other:
            await tab.ask("join", room="lobby")
            await other.ask("join", room="lobby")
            await tab.ask("join", room="lobby")
            assert [kind for kind, _ in heard.kinds] == ["joined"]
        await asweep()
        assert [kind for kind, _ in heard.kinds] == ["joined"]
        await asweep(after=60)
        (_, joined), (kind, left) = heard.all
        assert (kind, left["member"].key, left["member"].name) == ("left", joined["member"].key, "ann")
        assert joined["id"] != left["id"]
        assert timedelta() <= left["at"] - joined["at"] < timedelta(minutes=1)
        assert not await Announcement.objects.aexists()

    @one_loop
    async def test_without_handlers_nothing_is_kept(self):
        async with client() as tab:
            await tab.ask("join", room="lobby")
            assert not await Announcement.objects.aexists()


class TestInATestCase(TestCase):
    def test_handlers_are_called_within_the_tests_transaction(self):
        created = []

        def welcome(member, **given):
            created.append(User.objects.create_user(f"friend-of-{member.key}"))

        member_joined.connect(welcome)
        self.addCleanup(member_joined.disconnect, welcome)

        async def join():
            async with client() as tab:
                await tab.ask("join", room="lobby")

        async_to_sync(join)()
        assert User.objects.get() == created[0]

    def test_another_test_sees_nothing_of_it(self):
        assert not User.objects.exists()
        self.test_handlers_are_called_within_the_tests_transaction()
