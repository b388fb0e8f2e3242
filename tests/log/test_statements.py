"""The statements that are written by hand say what is meant, alone and in a batch, on every database."""

import json

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from django_rooms.log import pages, pending, statements, store
from django_rooms.log.appends import Append, Number
from django_rooms.models import Entry, RoomLog
from django_rooms.names import room_key
from django_rooms.protocol.entries import Author, Kind
from django_rooms.protocol.text import dumps

pytestmark = pytest.mark.django_db

ODD = {
    "four bytes": "👋🏽 😀😁 𝒳",
    "backslashes": "\\ \\\\ \\n \\u0041 \\' C:\\new\\\\",
    "quotes": "' '' \" \"\" ` \\\" \\'",
    "line breaks": "a\nb\r\nc\u2028d\u2029e\x85f",
    "controls": "\x01\x08\t\x1f\x7f",
    "placeholders": "%s %(at)s %% {key} {} :at ? $1",
    "JSON": '{"a": [1, null]} ]}," {a,b} NULL',
    "SQL": "'); DROP TABLE django_rooms_entry; -- /* */",
    "spaces": "  a  ",
    "nothing": "",
    "scripts": "Grüße İıß ﬀ مرحبا שלום 你好 ไทย",
    "large": "\\\"'😀" * 8192,
}


def odd(text, number=0, room="lobby"):
    short = text[:60]
    return Append(room, f"u:{short}", f"{number} {short}"[:64], dumps({"t": text}), Author(f"u{short}"[:64], short))


def read(room="lobby"):
    return pages.page(room, 50, characters=10**9).entries


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
class TestOddTexts:
    def test_are_kept_to_the_byte_where_they_come_alone(self, text):
        (stored,) = store.append([odd(text)])
        assert read() == [stored]
        assert stored.body == {"t": text}
        assert json.loads(stored.text)["author"]["name"] == text[:60]
        assert Entry.objects.get().sender == f"u:{text[:60]}"

    def test_are_kept_to_the_byte_in_a_batch(self, text):
        stored = store.append([odd(text, 1), odd("plain", 2), odd(text, 3), odd(text, 4, "other")])
        assert read() == stored[:3]
        assert read("other") == stored[3:]
        assert [entry.body["t"] for entry in stored] == [text, "plain", text, text]

    def test_are_found_again(self, text):
        first = store.append([odd(text, 1)])
        assert store.append([odd(text, 1), odd(text, 2)])[:1] == first
        assert store.append([odd(text, 1)]) == first

    def test_are_numbered_as_they_were_pending(self, text):
        pending.insert(odd(text, 1))
        pending.insert(odd(text, 2))
        store.append([Number("lobby")])
        assert [entry.body["t"] for entry in read()] == [text, text]


def test_a_batch_stores_what_each_of_its_items_would_have_been_stored_as_alone():
    def columns():
        rows = Entry.objects.order_by("room", "offset").values()
        return [{name: value for name, value in row.items() if name not in ("id", "at", "room", "key")} for row in rows]

    def items(room):
        yield odd("a", 1, room)
        yield Append(room, "s:", "no author", "{}")
        yield odd("b", 2, room)

    for item in items("alone"):
        store.append([item])
    alone = columns()
    Entry.objects.all().delete()
    store.append(list(items("together")))
    assert columns() == alone
    assert RoomLog.objects.get(key=room_key("together")).last_offset == 3


def test_targets_are_stored_in_a_batch_too():
    store.append([odd("a", 1), odd("b", 2)])
    store.append([Append("lobby", "u:1", f"e{n}", '{"t":"c"}', None, Kind.EDIT, n) for n in (1, 2)])
    changes = Entry.objects.filter(kind="edit").order_by("offset").values_list("target", "offset", "changed")
    assert list(changes) == [(1, 3, 3), (2, 4, 4)]


@pytest.mark.parametrize("count", [1, 2])
def test_times_are_the_projects_own_where_it_has_no_zones(count):
    with override_settings(USE_TZ=False):
        stored = store.append([odd("a", number) for number in range(count)])
        assert [entry.text for entry in read()] == [entry.text for entry in stored]
        assert RoomLog.objects.get().last_at == Entry.objects.last().at


def test_as_many_rooms_as_a_process_follows_are_looked_at_in_one_statement():
    store.append([odd("a", 1), odd("a", 1, "other")])
    with CaptureQueriesContext(connection) as queries:
        heads = pages.heads(["lobby", "other", *[f"none/{number}" for number in range(10_000)]])
    assert {name: head.offset for name, head in heads.items()} == {"lobby": 1, "other": 1}
    assert len(queries) == 1


def test_a_look_numbers_what_is_pending_in_its_rooms_and_no_others():
    store.append([odd("a", 1), odd("a", 1, "other")])
    pending.insert(odd("a", 2))
    with CaptureQueriesContext(connection) as queries:
        assert pages.heads(["other"])["other"].offset == 1
    assert len(queries) == 1
    assert {name: head.offset for name, head in pages.heads(["lobby", "other"]).items()} == {"lobby": 2, "other": 1}


def test_no_keys_are_no_rows():
    assert statements.unsettled([], []) == (set(), set())
    assert statements.heads([]) == ([], False)
    assert statements.waiting([]) == set()
    assert pages.heads([]) == {}


@pytest.mark.skipif(connection.vendor != "mysql", reason="MariaDB may read the whole of a small table, locking it.")
def test_rooms_are_locked_by_their_keys_also_in_a_small_table():
    store.append([odd("a", 1, f"r{number}") for number in range(4)])
    (sql,) = statements._statements("mysql")["lock"]
    keys = [room_key(f"r{number}").hex for number in range(3)]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", [json.dumps(keys)])
        assert [row[3] for row in cursor.fetchall()] == ["ALL", "eq_ref"]
