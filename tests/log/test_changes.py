"""Edits and removals: entries of the log, and what they do to the message that they are about."""

import json

import pytest
from communicating import one_loop
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_rooms import get_room
from django_rooms.log import pages, store
from django_rooms.log.appends import Append, Number, UnknownTarget
from django_rooms.models import Entry, Pending, RoomLog
from django_rooms.names import room_key
from django_rooms.protocol.entries import BLANK, Author, Kind

pytestmark = pytest.mark.django_db

ANN = Author("u1", "Ann")
numbers = iter(range(1, 1_000_000))


def said(text, room="lobby"):
    return Append(room, "u:1", f"id-{next(numbers)}", json.dumps({"text": text}), ANN)


def edit(target, text, room="lobby", id=None):
    return Append(room, "u:1", id or f"id-{next(numbers)}", json.dumps({"text": text}), ANN, Kind.EDIT, target)


def removal(target, room="lobby", id=None):
    return Append(room, "u:1", id or f"id-{next(numbers)}", BLANK, ANN, Kind.REMOVAL, target)


def put(*items):
    return store.append(items)


def whole(room="lobby"):
    """The log as a client that resumes from its beginning gets it."""
    return [json.loads(text) for text in pages.after(room, 0).texts]


def of(entry, *fields):
    return tuple(entry[field] for field in fields)


class TestEdit:
    def test_it_is_an_entry_of_its_own_and_the_message_has_its_words(self):
        put(said("hello"), said("other"))
        (stored,) = put(edit(1, "hallo"))
        message, other, change = whole()
        assert of(message, "kind", "body", "changed") == ("message", {"text": "hallo"}, 3)
        assert of(other, "body", "changed") == ({"text": "other"}, 2)
        assert of(change, "offset", "kind", "target", "body", "changed") == (3, "edit", 1, {"text": "hallo"}, 3)
        assert (stored.offset, stored.target, stored.kind) == (3, 1, "edit")

    def test_of_several_the_last_one_counts(self):
        put(said("a"))
        put(edit(1, "b"), edit(1, "c"))
        put(edit(1, "d"))
        assert of(whole()[0], "body", "changed") == ({"text": "d"}, 4)
        assert [entry["body"]["text"] for entry in whole()] == ["d", "b", "c", "d"]

    def test_sent_again_it_is_stored_once_and_undoes_no_later_one(self):
        put(said("a"))
        first, *_ = put(edit(1, "b", id="x"))
        put(edit(1, "c"))
        (again,) = put(edit(1, "b", id="x"))
        assert again == first
        assert of(whole()[0], "body", "changed") == ({"text": "c"}, 3)

    @pytest.mark.parametrize("target", [2, 3, 99])
    def test_what_is_no_message_cannot_be_edited_and_leaves_no_hole(self, target):
        put(said("a"), edit(1, "b"))  # In one batch: the message is not there yet, so this edit is refused.
        put(edit(1, "b"), removal(1))
        before = whole()
        outcome, neighbour = put(edit(target, "c"), said("d"))
        assert isinstance(outcome, UnknownTarget)
        assert str(target) in str(outcome)
        assert neighbour.offset == 4
        assert whole()[:3] == before

    @pytest.mark.parametrize("change", [edit, lambda target, text, room: removal(target, room)])
    def test_a_room_without_a_log_gets_none_by_it(self, change):
        (outcome,) = put(change(1, "b", "notes/new"))
        assert isinstance(outcome, UnknownTarget)
        assert not RoomLog.objects.exists()
        refused, stored = put(change(1, "b", "notes/new"), said("a", "notes/new"))
        assert isinstance(refused, UnknownTarget)
        assert stored.offset == 1

    def test_a_message_of_another_room_is_none(self):
        put(said("a", "one"), said("b", "two"), said("c", "two"))
        outcome, _ = put(edit(2, "x", "one"), edit(2, "y", "two"))
        assert isinstance(outcome, UnknownTarget)
        assert of(whole("two")[1], "body") == ({"text": "y"},)

    def test_many_rooms_cost_as_many_statements_as_one(self):
        rooms = [f"notes/{number}" for number in range(30)]
        put(*[said("a", room) for room in rooms])
        counts = []
        for some in (rooms[:1], rooms):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                put(*[edit(1, "b", room) for room in some])
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestRemoval:
    def test_it_blanks_the_message_and_its_edits_and_no_other(self):
        put(said("secret"), said("other"))
        put(edit(1, "secret too"), edit(2, "another"))
        put(edit(1, "still secret"))
        put(removal(1))
        assert "secret" not in json.dumps(whole())
        message, other, first, foreign, second, gone = whole()
        assert of(message, "kind", "body", "changed", "author") == ("message", None, 6, ANN.as_dict())
        assert of(other, "body", "changed") == ({"text": "another"}, 4)
        assert [entry["body"] for entry in (first, foreign, second)] == [None, {"text": "another"}, None]
        assert of(gone, "kind", "target", "body", "changed") == ("removal", 1, None, 6)

    def test_an_edit_in_the_same_batch_is_blanked_too(self):
        put(said("secret"))
        entries = put(edit(1, "secret too"), removal(1), edit(1, "too late"))
        assert isinstance(entries[2], UnknownTarget)
        assert "secret" not in json.dumps(whole())
        assert [entry["offset"] for entry in whole()] == [1, 2, 3]

    def test_listeners_are_not_told_what_was_removed_in_the_same_batch(self, monkeypatch):
        heard = []
        monkeypatch.setattr(store, "listeners", [heard.extend])
        put(said("a"))
        put(edit(1, "secret"), removal(1))
        assert "secret" not in "".join(heard[-1].texts)

    def test_what_was_removed_cannot_be_changed_any_more(self):
        put(said("a"))
        (first,) = put(removal(1, id="x"))
        outcomes = put(edit(1, "b"), removal(1), removal(1, id="x"))
        assert [isinstance(outcome, UnknownTarget) for outcome in outcomes] == [True, True, False]
        assert outcomes[2] == first
        assert len(whole()) == 2


@pytest.mark.slow
class TestManyInOneBatch:
    """As many as are taken at once: a batch, and what a transaction has left."""

    def test_removals_of_messages_that_were_edited(self):
        for room in ("notes/1", "notes/2"):
            put(*[said("secret", room) for _ in range(500)])
            put(*[edit(1 + n, "secret too", room) for n in range(500)])
        with transaction.atomic():
            for n in range(500):
                get_room("notes/1").remove(1 + n)
        put(Number("notes/1"), *[removal(1 + n, "notes/2") for n in range(500)])
        assert set(Entry.objects.values_list("body", flat=True)) == {BLANK}
        assert not Pending.objects.exists()

    def test_rooms(self):
        rooms = [f"notes/{number}" for number in range(1000)]
        put(*[said("a", room) for room in rooms])
        with transaction.atomic():
            for room in rooms[:500]:
                get_room(room).edit(1, {"text": "b"})
        put(*map(Number, rooms[:500]), *[edit(1, "b", room) for room in rooms[500:]])
        assert Entry.objects.filter(kind=Kind.EDIT).count() == 1000


class TestPages:
    def test_a_page_has_messages_as_they_are_today_and_no_changes(self):
        put(said("a"), said("b"), said("c"))
        put(edit(1, "A"), removal(2))
        page = pages.page("lobby", 10)
        assert [(entry.offset, entry.body, entry.changed) for entry in page.entries] == [
            (1, {"text": "A"}, 4),
            (2, None, 5),
            (3, {"text": "c"}, 3),
        ]

    def test_it_goes_on_after_the_last_change_that_it_shows(self):
        put(said("a"))
        put(*[edit(1, f"{number}") for number in range(20)])
        page = pages.page("lobby", 10)
        assert page.position.offset == 21
        assert not page.more

    def test_changes_do_not_count_as_messages_of_a_page(self):
        put(*[said(f"{number}") for number in range(5)])
        put(*[edit(5, f"{number}") for number in range(20)])
        page = pages.page("lobby", 3)
        assert [entry.offset for entry in page.entries] == [3, 4, 5]
        assert page.more

    def test_a_change_that_comes_while_a_page_is_read_is_on_it_or_after_it(self, monkeypatch):
        put(said("a"))
        number = pages.number_pending
        monkeypatch.setattr(pages, "number_pending", lambda names: (number(names), put(edit(1, "b"))))
        page = pages.page("lobby", 10)
        assert (page.entries[0].body, page.position.offset) == ({"text": "b"}, 2)


class TestHandle:
    def test_a_message_is_edited_and_removed_by_what_publish_returned(self):
        room = get_room("lobby")
        message = room.publish({"text": "a"})
        room.edit(message, {"text": "b"}, author=ANN)
        assert [entry.body for entry in room.history()] == [{"text": "b"}]
        room.remove(message.offset)
        assert [entry.body for entry in room.history()] == [None]
        assert [entry["author"] for entry in whole()] == [None, ANN.as_dict(), None]

    def test_with_an_id_it_may_be_called_again(self):
        room = get_room("lobby")
        message = room.publish({"text": "a"})
        assert room.edit(message, {"text": "b"}, id="x") == room.edit(message, {"text": "b"}, id="x")
        assert room.remove(message, id="y").offset == room.remove(message, id="y").offset == 3

    @pytest.mark.parametrize("change", [lambda room: room.edit(7, {}), lambda room: room.remove(7)])
    def test_what_is_not_there_is_a_lookup_error(self, change):
        with pytest.raises(LookupError, match="no message at 7"):
            change(get_room("lobby"))
        with pytest.raises(LookupError, match="no message at 7"), transaction.atomic():
            change(get_room("lobby"))
        assert not Pending.objects.exists()

    @pytest.mark.parametrize("message", [None, "1", 1.5, True, 0, -1, 2**70])
    def test_what_is_no_offset_is_a_value_error(self, message):
        with pytest.raises(ValueError, match="no message's offset"):
            get_room("lobby").edit(message, {})

    def test_a_message_whose_transaction_is_open_has_no_offset_yet(self):
        with transaction.atomic():
            message = get_room("lobby").publish({"text": "a"})
            with pytest.raises(ValueError, match="comes with the commit"):
                get_room("lobby").remove(message)

    def test_a_bad_body_is_a_value_error(self):
        get_room("lobby").publish({})
        with pytest.raises(ValueError, match="'body' is an object"):
            get_room("lobby").edit(1, "words")

    @one_loop
    async def test_async_code_has_the_same(self):
        room = get_room("lobby")
        message = await room.apublish({"text": "a"})
        await room.aedit(message, {"text": "b"})
        await room.aremove(message)
        with pytest.raises(UnknownTarget):
            await room.aedit(message, {"text": "c"})
        assert [entry.body for entry in await room.ahistory()] == [None]


class TestHostTransactions:
    def test_a_change_is_seen_if_and_only_if_its_transaction_commits(self, transactional_db):
        room = get_room("lobby")
        message = room.publish({"text": "a"})
        with transaction.atomic():
            room.remove(message)
            transaction.set_rollback(True)
        with transaction.atomic():
            assert room.edit(message, {"text": "b"}).offset is None
        assert [(entry.offset, entry.body) for entry in room.history()] == [(1, {"text": "b"})]
        assert [entry["kind"] for entry in whole()] == ["message", "edit"]

    def test_a_change_that_was_stored_before_is_repeated_in_a_transaction_too(self, transactional_db):
        """As a retried task does it: what it changed may be no more by then."""
        room = get_room("lobby")
        message = room.publish({"text": "a"})
        room.edit(message, {"text": "b"}, id="x")
        room.remove(message, id="y")
        with transaction.atomic():
            room.edit(message, {"text": "b"}, id="x")
            room.remove(message, id="y")
            with pytest.raises(UnknownTarget):
                room.remove(message, id="z")
        assert [entry["kind"] for entry in whole()] == ["message", "edit", "removal"]
        assert not Pending.objects.exists()

    def test_a_change_of_what_was_removed_meanwhile_is_let_go_and_logged(self, transactional_db, caplog):
        room = get_room("lobby")
        message = room.publish({"text": "a"})
        with transaction.atomic():
            room.edit(message, {"text": "b"})
            room.edit(message, {"text": "c"})
            # As another process would have removed it: numbered before the edits are.
            Pending.objects.update(body="null", kind=Kind.REMOVAL)
        assert [entry["kind"] for entry in whole()] == ["message", "removal"]
        assert "The room 'lobby' has no message at 1 that could be changed." in caplog.text
        assert not Pending.objects.exists()


def test_rows_of_a_removed_message_hold_nothing_of_it():
    put(said("secret"), edit(1, "x"))
    put(edit(1, "secret too"))
    put(removal(1))
    assert set(Entry.objects.filter(room=room_key("lobby")).values_list("body", flat=True)) == {BLANK}
