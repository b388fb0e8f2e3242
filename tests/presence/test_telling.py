"""Claims are handed over in their order, and stay until the handlers have returned."""

import asyncio
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.db import OperationalError
from presence.dying import Died, dies_after

from django_rooms.models import Announcement
from django_rooms.names import room_key
from django_rooms.presence import claims, leases, telling
from django_rooms.presence.claims import Stay
from django_rooms.protocol.presence import Member


class Handler:
    """A host's handlers."""

    def __init__(self):
        self.told, self.any = [], True

    def wanted(self):
        return self.any

    def tell(self, told):
        self.told.append(told)


@pytest.fixture
def handler(monkeypatch):
    handler = Handler()
    monkeypatch.setattr(telling, "handlers", [handler])
    return handler


@pytest.fixture
def lease(time):
    leases.take(lease := uuid4())
    return lease


def joined(lease, *keys):
    stays = [Stay("lobby", Member(key, f"No {key}", '{"n":1}'), 1) for key in keys]
    claims.record(lease, stays, announce=True)


def keys(handler):
    return [told.member.key for told in handler.told]


@pytest.mark.django_db
class TestTell:
    def test_what_was_claimed_is_told_in_its_order_and_once(self, lease, handler, monkeypatch):
        monkeypatch.setattr(telling, "BATCH", 2)
        for key in "edcba":
            joined(lease, key)
        telling.tell(lease)
        telling.tell(lease)
        assert keys(handler) == list("edcba")
        assert not Announcement.objects.exists()

    def test_it_is_told_whole(self, lease, handler):
        joined(lease, "u1")
        claimed = Announcement.objects.get()
        telling.tell(lease)
        (told,) = handler.told
        assert (told.id, told.kind, told.room, told.member) == (
            claimed.event_id,
            "joined",
            "lobby",
            Member("u1", "No u1", '{"n":1}'),
        )
        assert told.at == told.member.since == datetime.fromtimestamp(1000, UTC)

    def test_of_who_left_it_is_told_since_when_they_were_there(self, lease, handler, time):
        joined(lease, "u1")
        time.pass_(20)
        claims.record(lease, [Stay("lobby", Member("u1", "No u1"), 0, known=True)], announce=True)
        claims.sweep(lease, announce=True, steady=lambda: True)
        telling.tell(lease)
        came, left = handler.told
        assert (left.kind, left.member.since, left.at) == ("left", came.at, came.at + timedelta(seconds=20))

    def test_what_was_told_and_could_not_be_deleted_is_not_told_again(self, lease, handler, monkeypatch):
        joined(lease, "u1", "u2")
        done = []
        with monkeypatch.context() as patch:
            patch.setattr(telling.models, "delete", Mock(side_effect=OperationalError("gone away")))
            with pytest.raises(OperationalError):
                telling.tell(lease, done)
        telling.tell(lease, done)
        assert (keys(handler), done) == (["u1", "u2"], [])
        assert not Announcement.objects.exists()

    def test_what_others_claimed_is_theirs_to_tell(self, lease, handler):
        leases.take(other := uuid4())
        joined(lease, "u1")
        joined(other, "u2")
        telling.tell(lease)
        assert keys(handler) == ["u1"]

    def test_after_a_death_another_one_tells_again_by_the_same_id(self, lease, handler, time):
        joined(lease, "u1", "u2", "u3")
        with dies_after(2), pytest.raises(Died):
            telling.tell(lease)
        time.pass_(30)
        leases.take(other := uuid4())
        claims.adopt(other)
        telling.tell(other)
        assert keys(handler) == ["u1", "u2", "u1", "u2", "u3"]
        assert [told.id for told in handler.told[:2]] == [told.id for told in handler.told[2:4]]
        assert not Announcement.objects.exists()

    def test_every_handler_is_told(self, lease, handler):
        telling.handlers.append(other := Handler())
        joined(lease, "u1")
        telling.tell(lease)
        assert keys(handler) == keys(other) == ["u1"]


def test_something_is_kept_only_where_somebody_wants_to_be_told(handler):
    assert telling.wanted()
    handler.any = False
    assert not telling.wanted()
    telling.handlers.clear()
    assert not telling.wanted()


class Raising:
    """Notes who came; raises what was put in for them."""

    def __init__(self, **raises):
        self.raises, self.told = raises, []

    def wanted(self):
        return True

    def tell(self, told):
        self.told.append(told.member.name)
        if error := self.raises.get(told.member.name):
            raise error


def claim(lease, *names):
    for name in names:
        Announcement.objects.create(
            event_id=uuid4(),
            kind="joined",
            at=0,
            since=0,
            lease=lease,
            room=room_key("lobby"),
            room_name="lobby",
            person_key=name,
            person_name=name,
        )


@pytest.mark.django_db
@pytest.mark.parametrize("error", [KeyError("Ann"), asyncio.CancelledError(), SystemExit()])
def test_whatever_a_handler_raises_the_others_are_told_and_those_behind(monkeypatch, caplog, error):
    failing, other = Raising(Ann=error), Raising()
    monkeypatch.setattr(telling, "handlers", [failing, other])
    claim(lease := uuid4(), "Ann", "Bob")

    telling.tell(lease)

    assert failing.told == other.told == ["Ann", "Bob"]
    assert not Announcement.objects.exists()
    assert "Nobody was told who joined: 'Ann' in 'lobby'" in caplog.text


class Ending:
    """Stands in for ``threads.asking`` in a process that ends after one more."""

    left = 1

    def wait(self, function, *args):
        if not self.left:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self.left -= 1
        return function(*args)


@pytest.mark.django_db
def test_what_was_told_when_the_process_ends_is_not_told_again(monkeypatch):
    handler = Raising()
    monkeypatch.setattr(telling, "handlers", [handler])
    monkeypatch.setattr(telling, "asking", Ending())
    claim(lease := uuid4(), "Ann", "Bob")

    with pytest.raises(RuntimeError):
        telling.tell(lease)

    assert handler.told == ["Ann"]
    assert [row.person_name for row in Announcement.objects.all()] == ["Bob"]
