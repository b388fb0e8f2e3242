"""What reads who is here."""

from uuid import uuid4

import pytest

from django_rooms.presence import claims, leases, queries
from django_rooms.presence.claims import Stay
from django_rooms.presence.queries import Wanted
from django_rooms.protocol.presence import Member

pytestmark = pytest.mark.django_db

ANN, BOB, GUEST = Member("u1", "Ann", '{"seat":1}'), Member("u2", "Bob"), Member("g3", "Guest 3")


@pytest.fixture
def lease(time):
    leases.take(lease := uuid4())
    return lease


def be(lease, member, connections=1, room="lobby", grace=0.0):
    assert claims.record(lease, [Stay(room, member, connections, grace)], announce=False) == []


def keys(room="lobby"):
    return [member.key for member in queries.members(room)]


def seen(sure=True, limit=10, room="lobby"):
    snapshot = queries.snapshots({room: Wanted(limit)}, None, sure).rooms[room]
    named = None if snapshot.members is None else [member.key for member in snapshot.members]
    return snapshot.count, named


def test_members_come_in_the_order_in_which_they_came(lease, time):
    for member in (BOB, GUEST, ANN):
        be(lease, member)
        time.pass_(1)
    be(lease, BOB, 2)
    assert keys() == ["u2", "g3", "u1"]


def test_a_member_is_told_whole(lease, time):
    be(lease, ANN)
    time.pass_(1)
    be(lease, ANN, 2)
    (found,) = queries.members("lobby")
    assert (found.key, found.name, found.info, found.guest) == ("u1", "Ann", {"seat": 1}, False)
    assert (found.since.timestamp(), found.connections) == (1000.0, 2)


def test_connections_to_several_processes_are_one_member(lease, time):
    be(lease, ANN)
    leases.take(other := uuid4())
    be(other, ANN, 2)
    (found,) = queries.members("lobby")
    assert found.connections == 3


def test_who_is_present_is_asked_by_key_and_room(lease):
    be(lease, ANN)
    assert queries.is_present("lobby", "u1")
    assert not queries.is_present("lobby", "u2")
    assert not queries.is_present("notes/1", "u1")


def test_many_rooms_are_counted_in_one_query(lease, django_assert_num_queries):
    be(lease, ANN)
    be(lease, BOB)
    be(lease, ANN, room="notes/1")
    with django_assert_num_queries(1):
        assert queries.counts(["lobby", "notes/1", "notes/2"]) == {"lobby": 2, "notes/1": 1, "notes/2": 0}


def test_who_is_gone_by_the_clock_is_gone_for_all_questions(lease, time):
    be(lease, ANN, 0, grace=10.0)
    time.pass_(9.999)
    be(lease, BOB)
    assert keys() == ["u1", "u2"]
    time.pass_(0.001)
    assert keys() == ["u2"]
    assert queries.counts(["lobby"]) == {"lobby": 1}
    assert (queries.is_present("lobby", "u1"), queries.is_present("lobby", "u2")) == (False, True)


def test_the_people_of_a_dead_process_are_gone(lease, time):
    be(lease, ANN)
    time.pass_(30)
    assert keys() == []
    assert not queries.is_present("lobby", "u1")


def test_whoever_is_not_sure_to_be_alive_takes_nobody_for_gone_by_the_clock(lease, time):
    be(lease, ANN)
    time.pass_(30)
    assert seen(sure=True) == (0, [])
    assert seen(sure=False) == (1, ["u1"])


def test_a_large_room_is_told_as_a_count(lease, time):
    for member in (ANN, BOB, GUEST):
        be(lease, member)
        time.pass_(0.001)
    assert seen(limit=3) == (3, ["u1", "u2", "g3"])
    assert seen(limit=2) == (3, None)
    assert seen(limit=0) == (3, None)
    assert seen(limit=0, room="empty") == (0, [])


def test_rooms_are_read_in_the_same_few_statements(lease, django_assert_num_queries):
    names = [f"notes/{number}" for number in range(20)]
    for name in names:
        be(lease, ANN, room=name)
    for some in (names[:1], names):
        with django_assert_num_queries(2):
            found = queries.snapshots(dict.fromkeys(some, Wanted(10)), None, True).rooms
        assert [found[name].count for name in some] == [1] * len(some)


def test_a_stamp_is_there_where_somebody_is_and_is_another_where_they_change(lease):
    be(lease, ANN)
    be(lease, ANN, room="notes/2")
    before = queries.stamps(["lobby", "notes/1", "notes/2"])
    assert before.keys() == {"lobby", "notes/2"}
    seen = queries.snapshots({"lobby": Wanted(1), "notes/1": Wanted(1)}, None, True).rooms
    assert (seen["lobby"].stamp, seen["notes/1"].stamp) == (before["lobby"], None)
    be(lease, BOB)
    after = queries.stamps(["notes/2", "lobby"])
    assert after["lobby"] != before["lobby"]
    assert after["notes/2"] == before["notes/2"]


def test_who_is_known_is_not_made_anew_and_who_has_changed_is(lease, time):
    be(lease, ANN)
    time.pass_(1)
    be(lease, BOB)
    known = {one.key: one for one in (Member(ANN.key, ANN.name, ANN.info_text), Member("u2", "Robert"))}
    found = queries.snapshots({"lobby": Wanted(10, known)}, None, True).rooms["lobby"].members
    assert found == [ANN, BOB]
    assert [one is known[one.key] for one in found] == [True, False]


def test_a_read_says_whether_somebody_is_to_be_put_out_by_its_process(lease):
    leases.take(other := uuid4())
    be(lease, ANN)
    be(other, BOB)
    claims.expel("lobby", "u1")
    found = [queries.snapshots({"lobby": Wanted(10)}, one, True).expelled for one in (lease, other, None)]
    assert found == [True, False, False]
    claims.expelled(lease, ["lobby"])
    assert not queries.snapshots({"lobby": Wanted(10)}, lease, True).expelled
