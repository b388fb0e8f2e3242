"""The statements that are written by hand say what is meant, of one and of many, on every database."""

import json
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_rooms.models import Announcement, Occupied, Presence
from django_rooms.names import room_key
from django_rooms.presence import claims, leases, queries, statements, texts
from django_rooms.presence.claims import Stay
from django_rooms.presence.queries import Wanted
from django_rooms.protocol.presence import Member
from django_rooms.protocol.text import dumps

pytestmark = pytest.mark.django_db

ODD = {
    "four bytes": "👋🏽 😀😁 𝒳",
    "backslashes": "\\ \\\\ \\n \\u0041 \\' C:\\new\\\\",
    "quotes": "' '' \" \"\" ` \\\" \\'",
    "line breaks": "a\nb\r\nc\u2028d\u2029e\x85f",
    "controls": "\x01\x08\t\x1f\x7f",
    "placeholders": "%s %(keys)s %% {now} {} :key ? $1",
    "JSON": '{"a": [1, null]} ]}," {a,b} NULL',
    "SQL": "'); DROP TABLE django_rooms_member; -- /* */",
    "spaces": "  a  ",
    "nothing": "",
    "scripts": "Grüße İıß ﬀ مرحبا שלום 你好 ไทย",
}


@pytest.fixture
def lease(time):
    leases.take(lease := uuid4())
    return lease


def be(lease, *members, connections=1, known=False, room="lobby"):
    stays = [Stay(room, member, connections, known=known) for member in members]
    assert claims.record(lease, stays, announce=True) == []


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_names_are_kept_to_the_byte_until_they_are_told(lease, text, count):
    def people(name):
        return [Member(f"u{n}{text}", f"{name}{text}", dumps({"t": text})) for n in range(count)]

    be(lease, *people("first"))
    be(lease, *people("then"), known=True)
    seen = queries.snapshots({"lobby": Wanted(10)}, None, True).rooms["lobby"]
    assert sorted(seen.members, key=lambda one: one.key) == people("then")

    be(lease, *people("then"), connections=0, known=True)
    assert claims.sweep(lease, announce=True, steady=lambda: True) == count
    told = {
        kind: sorted((row.person_key, row.person_name, row.info) for row in Announcement.objects.filter(kind=kind))
        for kind in ("joined", "left")
    }
    assert told["joined"] == [(one.key, one.name, one.info_text) for one in people("first")]
    assert told["left"] == [(one.key, one.name, one.info_text) for one in people("then")]


def test_odd_rooms_are_kept_apart(lease):
    rooms = ["Lobby", "lobby", "löbby", 'a"b', "a\\b", "{a}", "%s"]
    for room in rooms:
        be(lease, Member(f"u:{room}", ""), room=room)
    seen = queries.snapshots(dict.fromkeys(rooms, Wanted(10)), None, True).rooms
    assert {room: [one.key for one in seen[room].members] for room in rooms} == {room: [f"u:{room}"] for room in rooms}
    assert {row.room_name for row in Announcement.objects.all()} == set(rooms)


def test_what_is_written_anew_leaves_the_other_columns(lease):
    be(lease, Member("u1", "Ann"))
    claims.expel("lobby", "u1")
    be(lease, Member("u1", "Ann"), connections=2, known=True)
    row = Presence.objects.get()
    assert (row.connections, row.leaving, row.expelled, row.lease) == (2, None, True, lease)


def test_as_many_rooms_as_a_process_follows_are_looked_at_in_one_statement(lease):
    be(lease, Member("u1", "Ann"))
    with CaptureQueriesContext(connection) as made:
        stamps = queries.stamps([*[f"none/{number}" for number in range(10_000)], "lobby"])
    assert stamps.keys() == {"lobby"}
    assert len(made) == 1


def test_no_keys_are_no_rows(lease):
    assert (statements.occupied([]), statements.lock([]), statements.vacant([])) == (set(), set(), set())
    assert statements.left([]) == []
    assert queries.stamps([]) == {}
    assert queries.snapshots({}, lease, True) == ({}, False)
    now, found = statements.before(lease, [])
    assert now is not None
    assert found == {}


def test_there_is_no_moment_under_a_lease_that_is_none(lease):
    assert statements.before(uuid4(), []) == (None, {})
    assert statements.over([], uuid4(), 10) == (None, [])


@pytest.mark.skipif(connection.vendor != "mysql", reason="MariaDB may read the whole of a small table, locking it.")
def test_rows_are_locked_and_changed_by_their_keys_also_in_a_small_table(lease):
    for number in range(4):
        be(lease, Member("u1", "Ann"), room=f"r{number}")
    keys = [room_key(f"r{number}") for number in range(3)]
    members = list(Presence.objects.values_list("member", flat=True)[:3])
    presences = list(Presence.objects.values_list("key", flat=True)[:3])
    rows = json.dumps([{"key": key.hex, "connections": 1, "leaving": None} for key in presences])
    renamed = json.dumps([{"key": key.hex, "person_name": "", "info": "{}"} for key in members])
    rooms = {"keys": statements._list(keys), "stamp": uuid4().hex}
    made = {
        **dict.fromkeys(("lock", "stamp", "remove rooms"), rooms),
        "remove members": {"keys": statements._list(members)},
        "remove presences": {"keys": statements._list(presences)},
        "let leave": {"rows": rows},
        "rename": {"rows": renamed},
    }
    with connection.cursor() as cursor:
        for what, given in made.items():
            cursor.execute(f"EXPLAIN {texts.text(what)}", given)
            assert [row[3] for row in cursor.fetchall()] == ["ALL", "eq_ref"], what
    assert Occupied.objects.count() == 4
