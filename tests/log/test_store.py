"""The log: offsets without holes, one for each thing said, on every database."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext

from django_rooms import get_room
from django_rooms.log import pages, pending, store, writer
from django_rooms.log.appends import Append, Held, Number
from django_rooms.log.pages import Extract
from django_rooms.models import Entry, Pending, RoomLog
from django_rooms.names import room_key
from django_rooms.protocol.entries import Author, Position

real = pytest.mark.django_db(transaction=True)
rolled_back = pytest.mark.django_db

with_row_locks = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite locks the whole database: an open write stops every publish."
)

numbers = iter(range(1, 1_000_000))


def said(room="lobby", sender="u:1", id=None, text="{}"):
    return Append(room, sender, id or f"id-{next(numbers)}", text)


def put(*items):
    return store.append(items)


def texts(entries):
    return [entry.text for entry in entries]


def offsets(room="lobby"):
    return list(Entry.objects.filter(room=room_key(room)).order_by("offset").values_list("offset", flat=True))


def assert_whole(room="lobby"):
    """Head − floor is the number of rows, and they are without a hole."""
    row = RoomLog.objects.get(key=room_key(room))
    assert offsets(room) == list(range(row.floor + 1, row.last_offset + 1))


def prune(floor):
    with transaction.atomic():
        Entry.objects.filter(offset__lte=floor).delete()
        RoomLog.objects.update(floor=floor)


def between_the_statements(monkeypatch, work):
    """``work`` is done when the room's row was read and the entries are about to be."""
    read_entries = pages._entries

    def work_then_read(*args):
        monkeypatch.setattr(pages, "_entries", read_entries)
        work()
        return read_entries(*args)

    monkeypatch.setattr(pages, "_entries", work_then_read)


def prune_between_the_statements(monkeypatch, floor):
    between_the_statements(monkeypatch, lambda: prune(floor))


def publish_and_fail():
    with transaction.atomic():
        get_room("lobby").publish({"n": "never"})
        raise ZeroDivisionError


@contextmanager
def in_another_transaction(work):
    """``work`` was done in another thread's transaction, which ends with the block."""
    done, end, errors = threading.Event(), threading.Event(), []

    def run():
        try:
            with transaction.atomic():
                work()
                done.set()
                end.wait(30)
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()
            # SQLite's own close() keeps a database in memory open.
            BaseDatabaseWrapper.close(connections["default"])

    thread = threading.Thread(target=run)
    thread.start()
    done.wait(30)
    try:
        assert not errors, errors
        yield
    finally:
        end.set()
        thread.join(30)
    assert not errors, errors


def in_another_thread(work):
    with in_another_transaction(work):
        pass


@pytest.fixture
def news(monkeypatch):
    heard = []
    monkeypatch.setattr(store, "listeners", [heard.extend])
    return heard


@rolled_back
class TestAppend:
    def test_offsets_begin_at_one_and_have_no_holes(self):
        for size in (1, 3, 2):
            put(*[said() for _ in range(size)])
        assert offsets() == [1, 2, 3, 4, 5, 6]
        assert_whole()

    def test_a_batch_is_stored_in_its_order(self):
        entries = put(said(text='{"n":1}'), said(text='{"n":2}'), said(text='{"n":3}'))
        assert [(entry.offset, entry.body["n"]) for entry in entries] == [(1, 1), (2, 2), (3, 3)]
        assert pages.page("lobby", 10).entries == entries

    def test_each_room_counts_for_itself(self):
        entries = put(said("a"), said("b"), said("a"), said("c"), said("b"))
        assert [entry.offset for entry in entries] == [1, 1, 2, 1, 2]
        assert RoomLog.objects.count() == 3
        assert len(set(RoomLog.objects.values_list("epoch", flat=True))) == 3

    def test_a_repeat_in_the_same_batch_is_the_first_one(self):
        first, other, again = put(said(id="a", text='{"n":1}'), said(id="b"), said(id="a", text='{"n":2}'))
        assert again == first
        assert other.offset == 2
        assert_whole()

    def test_a_repeat_in_a_later_batch_is_the_first_one_and_leaves_no_hole(self):
        (first,) = put(said(id="a", text='{"n":1}'))
        before, again, after = put(said(), said(id="a"), said())
        assert (before.offset, after.offset) == (2, 3)
        assert again == first
        assert_whole()

    def test_a_batch_of_repeats_alone_moves_nothing(self, news):
        put(said(id="a"), said(id="b"))
        row = RoomLog.objects.values().get()
        news.clear()
        assert [entry.offset for entry in put(said(id="b"), said(id="a"))] == [2, 1]
        assert (RoomLog.objects.values().get(), news) == (row, [])

    def test_an_id_counts_for_its_sender_alone(self):
        entries = put(said(sender="u:1", id="a"), said(sender="u:2", id="a"), said(sender="s:", id="a"))
        assert [entry.offset for entry in entries] == [1, 2, 3]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Lobby", "lobby"),
            ("löbby", "lobby"),
            ("lobby ", "lobby"),
            ("ﬀ", "ff"),
            ("😀", "😁"),
            ("ß", "ss"),
            ("İ", "i"),
        ],
        ids=ascii,
    )
    def test_twins_of_names_and_of_ids_stay_apart(self, one, other):
        put(said(one), said(other), said(other))
        assert (offsets(one), offsets(other)) == ([1], [1, 2])
        assert pages.heads([one, other]).keys() == {one, other}
        ids = put(said("ids", id=one), said("ids", id=other), said("ids", id=one))
        assert [entry.offset for entry in ids] == [1, 2, 1]
        assert [entry.id for entry in pages.page("ids", 10).entries] == [one, other]

    def test_what_was_said_is_kept_to_the_byte(self):
        text = '{"text":"Grüße 👋🏽 \u2028  ","n":1.0,"z":0,"a":1}'
        author = Author("g1", "Zoë 😀")
        (stored,) = put(Append("lobby", "g:1", "a😀", text, author))
        (read,) = pages.page("lobby", 1).entries
        assert read == stored
        assert read.text == stored.text
        assert text in read.text

    def test_times_are_kept_to_the_millisecond_in_which_they_are_told(self):
        (stored,) = put(said())
        assert stored.at.microsecond % 1000 == 0
        assert pages.page("lobby", 1).entries[0].at == stored.at
        assert RoomLog.objects.get().last_at == stored.at

    def test_a_batch_costs_as_many_statements_for_many_rooms_as_for_one(self):
        def statements(*rooms):
            items = [said(room) for room in rooms]
            with CaptureQueriesContext(connection) as queries:
                put(*items)
            return len(queries)

        rooms = [f"r{n}" for n in range(40)]
        made = statements("one")
        assert statements(*rooms) == made
        again = statements("one")
        assert statements(*rooms) == again < made

    def test_listeners_are_told_what_was_added(self, news):
        entries = put(said("a"), said("b"), said("a"))
        assert {item.room: item.entries for item in news} == {"a": [entries[0], entries[2]], "b": [entries[1]]}
        assert {item.room: item.epoch for item in news} == dict(RoomLog.objects.values_list("name", "epoch"))
        assert sorted(item.head for item in news) == [1, 2]

    def test_a_listener_that_fails_fails_neither_the_publisher_nor_the_others(self, monkeypatch, caplog):
        heard = []
        monkeypatch.setattr(store, "listeners", [lambda news: 1 / 0, heard.extend])
        (entry,) = put(said())
        assert entry.offset == 1
        assert len(heard) == 1
        assert "ZeroDivisionError" in caplog.text

    def test_a_batch_of_500_is_stored(self):
        assert [entry.offset for entry in put(*[said() for _ in range(500)])] == list(range(1, 501))
        assert len(put(*[said(f"r{n}") for n in range(500)])) == 500
        assert RoomLog.objects.count() == 501

    def test_an_empty_batch_is_nothing(self):
        assert put() == []


@rolled_back
class TestReading:
    def test_a_page_has_the_newest_messages_oldest_first(self):
        entries = put(*[said() for _ in range(5)])
        page = pages.page("lobby", 3)
        assert (page.entries, page.position.offset, page.more) == (entries[2:], 5, True)
        assert page.position.epoch == RoomLog.objects.get().epoch

    def test_a_page_says_whether_there_are_older_ones(self):
        entries = put(*[said() for _ in range(5)])
        assert not pages.page("lobby", 5).more
        assert pages.page("lobby", 5, before=5).entries == entries[:4]
        assert not pages.page("lobby", 4, before=5).more
        assert pages.page("lobby", 3, before=5).more
        assert pages.page("lobby", 3, before=1).entries == []
        assert pages.page("lobby", 3, before=2**53 - 1).entries == entries[2:]

    def test_a_page_of_no_messages_has_the_position_all_the_same(self):
        put(*[said() for _ in range(5)])
        page = pages.page("lobby", 0)
        assert (page.entries, page.position.offset, page.more) == ([], 5, True)

    def test_a_room_without_a_log_is_at_its_beginning(self):
        assert pages.page("lobby", 10) == pages.Page(Position("", 0), [], False)
        assert pages.after("lobby", 0) == Extract("", 0, 0)
        assert pages.newest("lobby", 10) == Extract("", 0, 0)
        assert pages.heads(["lobby"]) == {}
        assert not RoomLog.objects.exists()

    def test_a_page_goes_on_where_its_entries_end_also_while_others_publish(self, monkeypatch):
        """An entry that is committed between the statements is either on the page or after its position."""
        put(said())
        read_log = pages._log

        def read_log_then_publish(name):
            row = read_log(name)
            monkeypatch.setattr(pages, "_log", read_log)
            put(said())
            return row

        monkeypatch.setattr(pages, "_log", read_log_then_publish)
        page = pages.page("lobby", 10)
        assert page.position.offset == page.entries[-1].offset == 2

    def test_an_empty_page_misses_nothing_that_comes_while_it_is_read(self, monkeypatch):
        monkeypatch.setattr(pages, "_log", lambda name: put(said()) and None)
        page = pages.page("lobby", 10)
        assert (page.position, page.entries) == (("", 0), [])

    def test_what_comes_after_an_offset_is_contiguous(self):
        entries = put(*[said() for _ in range(5)])
        extract = pages.after("lobby", 2)
        assert extract.texts == texts(entries[2:])
        assert (extract.floor, extract.start, extract.last, extract.head) == (0, 2, 5, 5)
        assert pages.after("lobby", 5).texts == []
        assert pages.after("lobby", 9).texts == []
        assert pages.after("lobby", 0, limit=2).texts == texts(entries[:2])
        assert pages.newest("lobby", 2).texts == texts(entries[3:])

    def test_a_row_that_the_host_deleted_is_gone_and_passed(self):
        put(*[said() for _ in range(4)])
        Entry.objects.filter(offset__in=[2, 4]).delete()
        assert [(e["offset"], e["kind"]) for e in map(json.loads, pages.after("lobby", 0).texts)] == [
            (1, "message"),
            (2, "gone"),
            (3, "message"),
            (4, "gone"),
        ]
        assert [entry.offset for entry in pages.page("lobby", 10).entries] == [1, 3]
        assert put(said())[0].offset == 5

    def test_a_page_whose_last_row_is_gone_goes_on_after_the_last_that_it_read(self):
        put(*[said() for _ in range(3)])
        Entry.objects.filter(offset=3).delete()
        page = pages.page("lobby", 10)
        assert pages.after("lobby", page.position.offset).recovers(page.position)

    def test_a_pruned_log_begins_after_its_floor(self):
        put(*[said() for _ in range(5)])
        Entry.objects.filter(offset__lte=3).delete()
        RoomLog.objects.update(floor=3)
        extract = pages.after("lobby", 0)
        assert (extract.start, extract.last, extract.floor) == (3, 5, 3)
        assert [entry.offset for entry in pages.page("lobby", 10).entries] == [4, 5]

    def test_a_log_that_was_pruned_to_its_end_has_its_position_still(self):
        put(*[said() for _ in range(5)])
        Entry.objects.all().delete()
        RoomLog.objects.update(floor=5)
        page = pages.page("lobby", 10)
        assert (page.position.offset, page.entries) == (5, [])
        assert pages.after("lobby", 5).recovers(page.position)

    @pytest.mark.parametrize(
        ("position", "recovers"),
        [
            (Position("e", 3), True),
            (Position("e", 5), True),
            (Position("e", 9), True),
            (Position("e", 2), False),
            (Position("e", 10), False),
            (Position("f", 5), False),
            (Position("", 5), False),
            (Position("", 0), False),
        ],
    )
    def test_a_position_recovers_within_the_log_and_its_epoch(self, position, recovers):
        assert Extract("e", 3, 9).recovers(position) is recovers

    def test_the_beginning_recovers_in_every_epoch_while_nothing_was_pruned(self):
        assert Extract("e", 0, 9).recovers(Position("", 0))
        assert Extract("", 0, 0).recovers(Position("", 0))
        assert not Extract("", 0, 0).recovers(Position("e", 1))

    def test_heads_are_read_together(self):
        put(said("a"), said("b"), said("b"))
        with CaptureQueriesContext(connection) as queries:
            heads = pages.heads(["a", "b", "nothing"])
        assert {name: position.offset for name, position in heads.items()} == {"a": 1, "b": 2}
        assert len(queries) == 1

    @pytest.mark.parametrize("read", [lambda: pages.after("lobby", 0), lambda: pages.newest("lobby", 4)])
    def test_what_is_pruned_while_it_is_read_is_not_taken_for_what_the_host_deleted(self, monkeypatch, read):
        entries = put(*[said() for _ in range(4)])
        prune_between_the_statements(monkeypatch, 2)
        extract = read()
        assert (extract.floor, extract.start, extract.texts) == (2, 2, texts(entries[2:]))
        assert not extract.recovers(Position(extract.epoch, 0))
        assert extract.recovers(Position(extract.epoch, 2))

    def test_what_the_host_deleted_is_gone_also_when_something_is_pruned_meanwhile(self, monkeypatch):
        put(*[said() for _ in range(4)])
        Entry.objects.filter(offset=3).delete()
        prune_between_the_statements(monkeypatch, 1)
        extract = pages.after("lobby", 0)
        assert [json.loads(text)["kind"] for text in extract.texts] == ["message", "gone", "message"]
        assert (extract.start, extract.floor) == (1, 1)

    def test_a_log_that_is_pruned_to_its_end_while_it_is_read_has_nothing_left(self, monkeypatch):
        put(*[said() for _ in range(4)])
        prune_between_the_statements(monkeypatch, 4)
        extract = pages.after("lobby", 1, limit=2)
        assert (extract.texts, extract.floor, extract.head) == ([], 4, 4)
        assert not extract.recovers(Position(extract.epoch, 1))

    @pytest.mark.parametrize("left", [True, False], ids=["another epoch", "no row"])
    def test_a_log_that_is_restored_while_it_is_read_recovers_nothing(self, monkeypatch, left):
        put(said(), said())
        old = RoomLog.objects.get().epoch

        def restore():
            Entry.objects.all().delete()
            RoomLog.objects.all().delete()
            if left:
                put(said())

        between_the_statements(monkeypatch, restore)
        extract = pages.after("lobby", 1)
        assert (extract.recovers(Position(old, 1)), len(extract.texts)) == (False, 0)

    def test_a_log_that_ends_before_what_was_delivered_is_renewed_once(self):
        put(said(), said("other"))
        old, other = (RoomLog.objects.get(name=name).epoch for name in ("lobby", "other"))
        store.renew("lobby", old, 1)
        assert RoomLog.objects.get(name="lobby").epoch == old
        store.renew("lobby", old, 2)
        new = RoomLog.objects.get(name="lobby").epoch
        assert new != old
        store.renew("lobby", old, 2)
        store.renew("nothing", old, 2)
        assert [RoomLog.objects.get(name=name).epoch for name in ("lobby", "other")] == [new, other]

    def test_heads_know_how_far_the_log_was_pruned(self):
        put(said(), said())
        prune(1)
        epoch = RoomLog.objects.get().epoch
        assert pages.heads(["lobby"]) == {"lobby": pages.Head(epoch, 2, 1)}

    def test_large_entries_make_short_pages_and_extracts(self):
        text = json.dumps({"t": "x" * 30_000})
        entries = put(*[said(text=text) for _ in range(20)])
        page = pages.page("lobby", 20)
        assert 1 < len(page.entries) < 20
        assert (page.more, page.position.offset, page.entries[-1]) == (True, 20, entries[-1])
        extract = pages.after("lobby", 0)
        assert 1 < len(extract.texts) < 20
        assert extract.texts == texts(entries[: extract.last])
        assert sum(map(len, extract.texts)) <= pages.CHARACTERS
        assert extract.head == 20

    def test_a_project_without_time_zones_has_a_log_too(self):
        with override_settings(USE_TZ=False):
            (stored,) = put(said())
            assert stored.at.tzinfo is not None
            assert pages.page("lobby", 1).entries[0].text == stored.text
            assert stored.at.astimezone(UTC)


@real
class TestHostTransactions:
    def test_what_was_published_is_seen_after_the_commit(self):
        with transaction.atomic():
            entry = get_room("lobby").publish({"n": 1})
            assert (entry.offset, Entry.objects.count()) == (None, 0)
        (seen,) = get_room("lobby").history()
        assert (seen.offset, seen.id, seen.body) == (1, entry.id, {"n": 1})
        assert not Pending.objects.exists()

    def test_it_is_numbered_by_the_commit_itself(self, news):
        with transaction.atomic():
            get_room("lobby").publish({})
            assert news == []
        assert [item.head for item in news] == [1]
        assert offsets() == [1]

    def test_what_was_rolled_back_is_never_seen(self, news):
        with pytest.raises(ZeroDivisionError):
            publish_and_fail()
        assert (get_room("lobby").history(), news) == ([], [])
        assert not Pending.objects.exists()
        assert not RoomLog.objects.exists()

    def test_only_what_an_inner_block_rolled_back_is_never_seen(self):
        with transaction.atomic():
            get_room("lobby").publish({"n": 1})
            with pytest.raises(ZeroDivisionError):
                publish_and_fail()
            with transaction.atomic():
                get_room("lobby").publish({"n": 3})
        assert [(entry.offset, entry.body["n"]) for entry in get_room("lobby").history()] == [(1, 1), (2, 3)]

    def test_entries_are_numbered_in_the_order_of_insertion_and_before_what_comes_later(self):
        with transaction.atomic():
            for n in range(5):
                get_room("lobby").publish({"n": n})
        get_room("lobby").publish({"n": 5})
        assert [entry.body["n"] for entry in get_room("lobby").history()] == [0, 1, 2, 3, 4, 5]
        assert_whole()

    def test_a_repeat_counts_once_across_transactions(self):
        for _ in range(2):
            with transaction.atomic():
                for _ in range(2):
                    get_room("lobby").publish({}, id="shipped")
        get_room("lobby").publish({}, id="shipped")
        assert offsets() == [1]
        assert not Pending.objects.exists()

    def test_rooms_of_one_transaction_are_all_numbered(self, news):
        with transaction.atomic():
            for name in ("closed", "lobby", "notes/a", "lobby"):
                get_room(name).publish({})
        assert (offsets("closed"), offsets("lobby"), offsets("notes/a")) == ([1], [1, 2], [1])

    def test_what_nobody_numbered_is_numbered_by_the_next_read(self):
        for read in (
            lambda: pages.page("lobby", 10).position.offset,
            lambda: pages.after("lobby", 0).head,
            lambda: pages.newest("lobby", 1).head,
            lambda: pages.heads(["lobby"])["lobby"].offset,
            lambda: put(said())[0].offset - 1,
        ):
            before = len(offsets())
            with transaction.atomic():
                pending.insert(said())
            assert read() == before + 1

    @pytest.mark.parametrize("error", [OperationalError("a deadlock"), DatabaseError("odd")])
    def test_a_reader_never_sees_that_what_is_pending_could_not_be_numbered(self, error, monkeypatch, caplog):
        put(said())
        with transaction.atomic():
            pending.insert(said())

        def fail(batch):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(store, "append", fail)
            assert pages.page("lobby", 10).position.offset == 1
            assert (pages.after("lobby", 0).head, pages.newest("lobby", 1).head) == (1, 1)
            assert pages.heads(["lobby"])["lobby"].offset == 1
        assert caplog.text.count(f"could not be numbered yet: {error}") == 4  # each of the four reads tried once
        assert pages.page("lobby", 10).position.offset == 2

    def test_many_publishes_in_one_transaction_are_numbered_by_one_append(self, monkeypatch):
        batches, append = [], store.append
        monkeypatch.setattr(store, "append", lambda batch: batches.append(batch) or append(batch))
        with transaction.atomic():
            for n in range(20):
                get_room("lobby").publish({"n": n})
        assert batches == [[Number("lobby")]]
        assert [entry.body["n"] for entry in get_room("lobby").history()] == list(range(20))

    def test_more_that_is_pending_than_one_transaction_takes_is_numbered_in_several_in_order(self, monkeypatch, news):
        monkeypatch.setattr(pending, "MAX_ROWS", 3)
        with transaction.atomic():
            for n in range(8):
                get_room("lobby").publish({"n": n})
        assert [(item.first, item.head) for item in news] == [(1, 3), (4, 6), (7, 8)]
        assert [entry.body["n"] for entry in get_room("lobby").history()] == list(range(8))
        assert not Pending.objects.exists()

    def test_much_that_is_pending_is_numbered_in_several_transactions_too(self, monkeypatch, news):
        monkeypatch.setattr(pending, "MAX_CHARACTERS", 15)
        with transaction.atomic():
            for n in range(5):
                get_room("lobby").publish({"n": n, "t": "x"})  # 15 characters
        assert [(item.first, item.head) for item in news] == [(n, n) for n in range(1, 6)]
        assert [entry.body["n"] for entry in get_room("lobby").history()] == list(range(5))

    def test_what_is_published_waits_until_all_that_was_pending_is_numbered(self, monkeypatch):
        monkeypatch.setattr(pending, "MAX_ROWS", 3)
        with transaction.atomic():
            for n in range(7):
                pending.insert(said(id=f"pending {n}"))
        later, other = said(id="later"), said("other")
        outcomes = [put(later, other, Number("lobby")) for _ in range(3)]
        assert [outcome[0] for outcome in outcomes[:2]] == [Held.HELD] * 2
        assert [outcome[2] for outcome in outcomes] == [Held.HELD, Held.HELD, None]
        assert [outcome[1].offset for outcome in outcomes] == [1, 1, 1]  # The other room waits for nobody.
        assert outcomes[2][0].offset == 8
        ids = [entry.id for entry in pages.page("lobby", 10).entries]
        assert ids == [*[f"pending {n}" for n in range(7)], "later"]
        assert_whole()

    def test_a_publish_behind_much_that_is_pending_comes_after_it(self, monkeypatch):
        monkeypatch.setattr(pending, "MAX_ROWS", 2)
        with transaction.atomic():
            for n in range(5):
                pending.insert(said(text=json.dumps({"n": n})))
        assert get_room("lobby").publish({"n": 5}).offset == 6
        assert [entry.body["n"] for entry in get_room("lobby").history()] == list(range(6))

    def test_only_the_rooms_with_more_than_is_taken_wait(self, monkeypatch):
        monkeypatch.setattr(pending, "MAX_ROWS", 3)
        with transaction.atomic():
            for room in ("a", "b", "a", "b", "b"):
                pending.insert(said(room))
        outcomes = put(said("a"), said("b"), said("c"))
        assert [outcome if outcome is Held.HELD else outcome.offset for outcome in outcomes] == [3, Held.HELD, 1]
        assert (offsets("a"), offsets("b")) == ([1, 2, 3], [1])

    def test_a_read_inside_a_transaction_numbers_nothing(self):
        with transaction.atomic():
            get_room("lobby").publish({})
            assert get_room("lobby").history() == []
            assert RoomLog.objects.count() == 0
        assert offsets() == [1]

    def test_a_failure_after_the_commit_never_reaches_the_host(self, monkeypatch, caplog):
        def fail(item):
            raise OperationalError("the database has gone")

        with monkeypatch.context() as patch:
            patch.setattr(writer, "write_here", fail)
            with transaction.atomic():
                get_room("lobby").publish({})
        assert "the database has gone" in caplog.text
        assert [entry.offset for entry in get_room("lobby").history()] == [1]

    def test_manual_transactions_are_transactions_too(self):
        transaction.set_autocommit(False)
        try:
            entry = get_room("lobby").publish({})
            assert entry.offset is None
            transaction.commit()
            get_room("lobby").publish({})
            transaction.rollback()
        finally:
            transaction.set_autocommit(True)
        assert [entry.offset for entry in get_room("lobby").history()] == [1]

    def test_a_connection_that_will_open_without_autocommit_is_in_a_transaction_too(self):
        told = []

        def ask():
            unopened = connections["default"]
            unopened.settings_dict = {**unopened.settings_dict, "AUTOCOMMIT": False}
            told.append((unopened.connection, pending.in_host_transaction()))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert told == [(None, True)]

    def test_a_transaction_of_the_hosts_is_told_from_none(self):
        assert not pending.in_host_transaction()
        with transaction.atomic():
            assert pending.in_host_transaction()
            with transaction.atomic():
                assert pending.in_host_transaction()
        assert not pending.in_host_transaction()

    @with_row_locks
    def test_an_open_transaction_that_published_stalls_nobody(self):
        with in_another_transaction(lambda: get_room("lobby").publish({"n": 2})):
            (entry,) = put(said(text='{"n":1}'))  # Would wait for ever, were there a lock.
            assert entry.offset == 1
            assert get_room("lobby").history() == [entry]
        assert [entry.body["n"] for entry in get_room("lobby").history()] == [1, 2]

    @with_row_locks
    def test_two_transactions_over_two_rooms_do_not_deadlock(self):
        def publish(*names):
            for name in names:
                get_room(name).publish({})

        with in_another_transaction(lambda: publish("lobby", "closed")), transaction.atomic():
            publish("closed", "lobby")
        get_room("lobby").history()
        get_room("closed").history()
        assert (offsets("lobby"), offsets("closed")) == ([1, 2], [1, 2])

    @with_row_locks
    def test_a_transaction_that_locked_the_user_stalls_no_publish_of_theirs(self, django_user_model):
        ann = django_user_model.objects.create_user("ann")
        change = django_user_model.objects.filter(pk=ann.pk)
        with in_another_transaction(lambda: change.update(last_name="Lee")):
            assert get_room("lobby").publish({}, author=ann).offset == 1


@real
class TestBesideOthers:
    @with_row_locks
    def test_a_room_that_somebody_holds_is_left_out_of_the_batch(self):
        put(said("held"), said("free"))
        held = RoomLog.objects.filter(key=room_key("held"))
        with in_another_transaction(lambda: held.select_for_update().get()):
            outcomes = put(said("held"), said("free"), Number("held"), said("new"))
            assert [outcomes[0], outcomes[2]] == [Held.HELD, Held.HELD]
            assert [outcomes[1].offset, outcomes[3].offset] == [2, 1]
            assert offsets("held") == [1]
        assert put(said("held"))[0].offset == 2

    @with_row_locks
    def test_reading_waits_for_nobody(self):
        put(said())
        with in_another_transaction(lambda: put(said())):
            assert pages.page("lobby", 10).position.offset == 1
            assert pages.after("lobby", 0).head == 1

    def test_a_commit_of_another_thread_is_seen(self):
        in_another_thread(lambda: get_room("lobby").publish({}))
        assert [entry.offset for entry in get_room("lobby").history()] == [1]


class TestAHostsTestCase(TestCase):
    def test_the_block_of_the_test_itself_is_no_transaction_of_the_hosts(self):
        assert connection.in_atomic_block
        assert not pending.in_host_transaction()
        with transaction.atomic():
            assert pending.in_host_transaction()
