"""A room: what its policy says, and the handle to publish with."""

import asyncio
import json
import logging
from types import SimpleNamespace
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
from django.test import override_settings

from django_rooms import PublicRoom, Room, SignedInRoom, get_room
from django_rooms.feeds import hub
from django_rooms.log import writer
from django_rooms.models import Entry, RoomLog
from django_rooms.people import Guest, show
from django_rooms.presence import claims, leases
from django_rooms.presence.claims import Stay
from django_rooms.protocol.entries import Author
from django_rooms.protocol.presence import Member

ANN = User(pk=7, username="ann")
GUEST = Guest("g1", "Zoë")


class Plain(Room):
    def can_join(self, user):
        return user.pk == 7

    can_publish = can_join


class Async(Room):
    async def can_join(self, user):
        await asyncio.sleep(0)
        return user.pk == 7

    can_publish = can_join


class Returning(Room):
    """A ``def`` that returns a coroutine, as a wrapped method may."""

    def can_join(self, user):
        return Async.can_join(self, user)

    can_publish = can_join


class Raising(Room):
    def can_join(self, user):
        raise KeyError("pk")

    async def can_publish(self, user):
        raise KeyError("pk")


def both(room_class, action, user):
    """The answer, which sync and async code must be given alike."""
    room = room_class.named("lobby", {})
    answers = {room.allows(action, user), async_to_sync(room.aallows)(action, user)}
    assert len(answers) == 1
    return answers.pop()


@pytest.mark.parametrize("action", ["join", "publish"])
class TestPolicy:
    def test_a_room_that_says_nothing_is_closed(self, action):
        for user in (ANN, GUEST, AnonymousUser(), User(pk=1, is_superuser=True)):
            assert both(Room, action, user) is False

    @pytest.mark.parametrize("room_class", [Plain, Async, Returning])
    def test_a_policy_may_be_sync_or_async(self, action, room_class):
        assert both(room_class, action, ANN) is True
        assert both(room_class, action, GUEST) is False

    def test_an_exception_in_a_policy_is_a_refusal_and_is_logged(self, action, caplog):
        assert both(Raising, action, ANN) is False
        records = [record for record in caplog.records if record.name == "django_rooms"]
        assert [record.levelno for record in records] == [logging.ERROR] * 2
        assert f"can_{action} of the room 'lobby'" in records[0].getMessage()
        assert records[0].exc_info

    def test_a_public_room_is_everybodys(self, action):
        assert both(PublicRoom, action, GUEST) is True
        assert both(PublicRoom, action, ANN) is True

    def test_a_signed_in_room_is_for_accounts(self, action):
        assert both(SignedInRoom, action, GUEST) is False
        assert both(SignedInRoom, action, ANN) is True

    def test_an_answer_that_is_no_boolean_is_taken_as_one(self, action):
        class Odd(Room):
            def can_join(self, user):
                return user.username

            can_publish = can_join

        assert both(Odd, action, ANN) is True
        assert both(Odd, action, User(username="")) is False


@pytest.mark.django_db
class TestHandle:
    def test_a_publish_is_stored_and_returned(self):
        entry = get_room("lobby").publish({"text": "hi"}, author=ANN)
        assert (entry.offset, entry.kind, entry.body, entry.changed) == (1, "message", {"text": "hi"}, 1)
        assert entry.author == show(ANN)
        assert get_room("lobby").history() == [entry]

    def test_a_publish_asks_no_policy(self):
        assert get_room("closed").publish({"text": "hi"}).offset == 1

    def test_a_publish_without_an_author_is_nobodys(self):
        assert get_room("lobby").publish({}).author is None

    def test_a_publish_may_be_a_guests_or_an_authors(self):
        assert get_room("lobby").publish({}, author=GUEST).author == Author("g1", "Zoë")
        assert get_room("lobby").publish({}, author=Author("bot", "Bot")).author == Author("bot", "Bot")

    def test_a_publish_with_an_id_is_stored_once(self):
        first = get_room("lobby").publish({"n": 1}, id="shipped")
        again = get_room("lobby").publish({"n": 2}, id="shipped")
        assert again == first
        assert (again.id, again.body) == ("shipped", {"n": 1})
        assert Entry.objects.count() == 1

    def test_publishes_without_an_id_are_as_many(self):
        assert get_room("lobby").publish({}).id != get_room("lobby").publish({}).id
        assert Entry.objects.count() == 2

    def test_an_id_counts_in_its_own_room(self):
        get_room("lobby").publish({}, id="a")
        assert get_room("closed").publish({}, id="a").offset == 1
        assert Entry.objects.count() == 2

    @pytest.mark.parametrize("id", ["", "x" * 65, 5, b"a"])
    def test_a_bad_id_is_a_value_error(self, id):
        with pytest.raises(ValueError, match="'id' is a string of 1 to 64 characters"):
            get_room("lobby").publish({}, id=id)

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (None, "object"),
            ("hi", "object"),
            ([1], "object"),
            ({"a": float("nan")}, "NaN"),
            ({"a": 2**53}, "2\\*\\*53"),
            ({"a": "\0"}, "U\\+0000"),
            ({"a": "\ud83d"}, "surrogate"),
            ({"a": object()}, "JSON"),
            ({"a": "x" * 40_000}, "32768"),
        ],
    )
    def test_a_bad_body_is_a_value_error_that_says_why(self, body, why):
        with pytest.raises(ValueError, match=why):
            get_room("lobby").publish(body)
        assert not RoomLog.objects.exists()

    @pytest.mark.parametrize("id", ["a\0", "\0", "a\ud83d", "\udc4b"], ids=ascii)
    def test_an_id_that_some_database_refuses_is_a_value_error_on_all(self, id):
        with pytest.raises(ValueError, match=r"U\+0000|surrogate"):
            get_room("lobby").publish({}, id=id)
        with transaction.atomic(), pytest.raises(ValueError, match=r"U\+0000|surrogate"):
            get_room("lobby").publish({}, id=id)
        assert not RoomLog.objects.exists()

    @pytest.mark.parametrize(
        "author",
        [
            Author("u\0", "Ann"),
            Author("u1", "A\0"),
            Author("u\ud83d", "Ann"),
            User(pk=1, first_name="A\0"),
            Guest("g\0"),
        ],
        ids=ascii,
    )
    def test_an_author_that_some_database_refuses_is_a_value_error_on_all(self, author):
        with pytest.raises(ValueError, match=r"U\+0000|surrogate"):
            get_room("lobby").publish({}, author=author)
        with transaction.atomic(), pytest.raises(ValueError, match=r"U\+0000|surrogate"):
            get_room("lobby").publish({}, author=author)
        assert not RoomLog.objects.exists()

    def test_the_size_of_a_body_is_the_projects(self):
        with override_settings(DJANGO_ROOMS={"BODY_BYTES": 11}):
            assert get_room("lobby").publish({"a": "123"})
            with pytest.raises(ValueError, match="11 bytes"):
                get_room("lobby").publish({"a": "12345"})

    def test_any_script_and_any_depth_is_kept_as_it_was(self):
        body = {"text": "Привет 👋🏽 ‮", "list": [1, 1.5, None, True, {"ü": []}]}
        get_room("lobby").publish(body)
        assert get_room("lobby").history()[0].body == body

    def test_a_long_name_is_cut_where_the_log_has_no_room_for_it(self):
        author = User(pk=1, first_name="A" * 150, last_name="B" * 150)
        assert len(get_room("lobby").publish({}, author=author).author.name) == 150

    def test_a_read_makes_no_room(self):
        room = get_room("lobby")
        assert room.history() == []
        assert room.page().position == ("", 0)
        assert not RoomLog.objects.exists()

    def test_history_is_the_newest_oldest_first(self):
        room = get_room("lobby")
        for n in range(5):
            room.publish({"n": n})
        assert [entry.offset for entry in room.history()] == [1, 2, 3, 4, 5]
        assert [entry.offset for entry in room.history(limit=2)] == [4, 5]
        assert [entry.offset for entry in room.history(before=4, limit=2)] == [2, 3]
        assert room.history(before=1) == []

    @pytest.mark.parametrize("limit", [0, -2])
    def test_a_history_of_nothing_is_a_value_error(self, limit):
        with pytest.raises(ValueError, match="at least one message"):
            get_room("lobby").history(limit=limit)

    def test_a_page_has_the_position_to_go_on_from(self):
        room = get_room("lobby")
        for n in range(5):
            room.publish({"n": n})
        page = room.page(limit=3)
        assert [entry.offset for entry in page.entries] == [3, 4, 5]
        assert (page.position.offset, page.more) == (5, True)
        assert page.position.epoch == RoomLog.objects.get().epoch
        assert room.page(limit=5).more is False

    def test_async_code_has_the_same_handle(self):
        async def talk():
            room = get_room("lobby")
            first = await room.apublish({"n": 1}, author=ANN, id="a")
            assert await room.apublish({"n": 2}, id="a") == first
            second = await room.apublish({"n": 2})
            await room.asend_event("typing")
            assert await room.ahistory() == [first, second]
            assert await room.ahistory(before=2, limit=1) == [first]

        async_to_sync(talk)()

    def test_publishes_that_async_code_starts_together_keep_their_order(self):
        async def talk():
            await asyncio.gather(*[get_room("lobby").apublish({"n": n}) for n in range(20)])

        async_to_sync(talk)()
        entries = get_room("lobby").history()
        assert [entry.offset for entry in entries] == list(range(1, 21))
        assert sorted(entry.body["n"] for entry in entries) == list(range(20))

    def test_a_full_writer_is_told_to_the_caller(self, monkeypatch):
        def refuse(item):
            raise writer.Busy("too much")

        monkeypatch.setattr(writer, "write_here", refuse)
        with pytest.raises(writer.Busy):
            get_room("lobby").publish({})


async def test_a_publish_that_would_block_the_event_loop_is_an_error_that_names_the_other():
    with pytest.raises(SynchronousOnlyOperation, match=r"await apublish\(\)"):
        get_room("lobby").publish({})


class Told:
    def __init__(self, monkeypatch):
        self.frames = []
        monkeypatch.setattr(hub, "tell", lambda room, frame, sender=None: self.frames.append((room, json.loads(frame))))


@pytest.fixture
def told(monkeypatch):
    return Told(monkeypatch).frames


def test_an_event_is_told_to_the_room_and_stored_nowhere(told):
    get_room("lobby").send_event("typing", {"by": "ann"}, author=ANN)
    expected = {"type": "event", "room": "lobby", "event": "typing", "body": {"by": "ann"}}
    assert told == [("lobby", {**expected, "author": show(ANN).as_dict()})]


def test_an_event_without_a_body_has_an_empty_one_and_none_says_that_it_is_over(told):
    get_room("lobby").send_event("typing", author=ANN)
    get_room("lobby").send_event("typing", None, author=ANN)
    assert [frame["body"] for _, frame in told] == [{}, None]


def test_an_event_says_in_its_first_words_that_it_is_not_stored():
    assert Room.send_event.__doc__.startswith("Not stored.")
    assert Room.asend_event.__doc__.startswith("Not stored.")


@pytest.mark.parametrize("body", [{"a": object()}, {"a": float("nan")}, {"a": "\0"}])
def test_an_event_that_cannot_be_sent_is_a_value_error(told, body):
    with pytest.raises(ValueError):
        get_room("lobby").send_event("typing", body)
    assert told == []


class TestDisconnecting:
    """Who is recorded as being there is told by ``claims.expelled``; sockets are thrown out in test_host_tests.py."""

    @pytest.fixture
    def here(self):
        leases.take(lease := uuid4())
        ann = Guest("g1", "Ann")
        claims.record(lease, [Stay("lobby", Member(*show(ann)), 1)], announce=False)
        return SimpleNamespace(ann=ann, lobby=get_room("lobby"), expelled=lambda: claims.expelled(lease, ["lobby"]))

    @pytest.mark.django_db
    def test_is_done_at_once_and_says_whether_there_was_anybody(self, here):
        assert here.lobby.disconnect(here.ann)
        assert len(here.expelled()) == 1
        assert not here.lobby.disconnect(Guest("g2"))

    @pytest.mark.django_db(transaction=True)
    def test_in_a_transaction_is_done_with_its_commit(self, here):
        with transaction.atomic():
            assert here.lobby.disconnect(here.ann)
            assert not here.lobby.disconnect(Guest("g2"))
            assert not here.expelled()
        assert len(here.expelled()) == 1

    @pytest.mark.django_db(transaction=True)
    def test_in_a_transaction_that_is_rolled_back_is_not_done(self, here):
        with transaction.atomic():
            here.lobby.disconnect(here.ann)
            transaction.set_rollback(True)
        assert not here.expelled()
