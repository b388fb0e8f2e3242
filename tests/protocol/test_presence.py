"""A room's members as they are told: a state, and what leads from one to the next, encoded once for all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rooms.protocol.presence import Member, Present

ANN, BOB, GUEST = Member("u1", "Ann", '{"seat":1}'), Member("u2", "Bob"), Member("g3", "Guest 3")

MEMBER = st.builds(
    Member, st.sampled_from("abcdef"), st.sampled_from(["", "Ann", 'я"\u2028']), st.sampled_from(["{}", '{"n":1}'])
)
# Who is there, by key in some order; or too many to be named.
PEOPLE = st.lists(MEMBER, unique_by=lambda member: member.key)
STATES = st.lists(st.one_of(PEOPLE, st.integers(7, 9)), max_size=8)


@pytest.fixture
def present():
    return Present("lobby", 3)


def become(present, *members):
    return present.become(members, len(members))


def after(present, revision, **options):
    return json.loads(present.after(revision, **options))


def told(member):
    return {"key": member.key, "name": member.name, "info": member.info}


class Client:
    """What a client knows after a state and the frames behind it, by the wire's rules."""

    def __init__(self, state):
        self.take(json.loads(state))

    def take(self, frame):
        self.revision, self.count = frame["revision"], frame["count"]
        if "members" in frame:
            self.members = {member["key"]: member for member in frame["members"]}
        elif "joined" in frame:
            self.members.update((member["key"], member) for member in frame["joined"])
            for key in frame["left"]:
                del self.members[key]
        else:
            self.members = None


def set_to(present, state):
    """Members, or how many there are."""
    if isinstance(state, int):
        present.become(None, state)
    else:
        become(present, *state)


@given(states=STATES, read_at=st.sets(st.integers(0, 8)), limit=st.integers(0, 6))
def test_whoever_reads_now_and_then_knows_what_is_so(states, read_at, limit):
    present = Present("lobby", limit)
    clients = [Client(present.state()) for _ in range(2)]
    for number, state in enumerate(states):
        set_to(present, state)
        clients.append(Client(present.state()))
        for place, client in enumerate(clients):
            if (number in read_at or place == 0) and client.revision != present.revision:
                client.take(after(present, client.revision))
    for client in clients:
        if client.revision != present.revision:
            client.take(after(present, client.revision))
        members = present.members
        assert client.count == present.count
        assert client.members == (None if members is None else {key: told(one) for key, one in members.items()})


@given(states=STATES, limit=st.integers(0, 6))
def test_no_more_than_the_limit_are_named_and_none_to_whoever_may_not_know(states, limit):
    present = Present("lobby", limit)
    for state in states:
        revision = present.revision
        set_to(present, state)
        assert present.members is None or len(present.members) <= limit
        for frame in (json.loads(present.state(names=False)), after(present, revision, names=False)):
            assert not {"members", "joined", "left"} & frame.keys()
            assert frame["count"] == (state if isinstance(state, int) else len(state))


def test_a_new_room_is_empty(present):
    assert json.loads(present.state()) == {"revision": 0, "count": 0, "members": []}


def test_the_difference_is_told_to_whoever_is_one_behind(present):
    become(present, ANN, BOB)
    become(present, BOB, GUEST)
    assert after(present, 1) == {
        "type": "presence",
        "room": "lobby",
        "revision": 2,
        "count": 2,
        "joined": [told(GUEST)],
        "left": ["u1"],
    }


def test_the_whole_is_told_to_whoever_is_further_behind(present):
    become(present, ANN)
    become(present, ANN, BOB)
    frame = after(present, 0)
    assert frame["members"] == [told(ANN), told(BOB)]
    assert "joined" not in frame


def test_another_name_or_info_is_a_join_of_a_known_key(present):
    become(present, ANN, BOB)
    changed = Member("u1", "Ann B.", '{"seat":2}')
    assert become(present, changed, BOB)
    assert (after(present, 1)["joined"], after(present, 1)["left"]) == ([told(changed)], [])


def test_what_is_as_before_is_no_revision(present):
    assert not become(present)
    assert become(present, ANN)
    assert not become(present, Member("u1", "Ann", '{"seat":1}', connections=7))
    assert present.revision == 1


def test_a_room_that_becomes_too_large_tells_how_many_and_tells_names_again_with_room_to_spare(present):
    become(present, ANN, BOB, GUEST)
    assert become(present, ANN, BOB, GUEST, Member("u4", "Dee"))
    assert after(present, 1) == {"type": "presence", "room": "lobby", "revision": 2, "count": 4}
    assert present.wanted == 2
    become(present, ANN, BOB, GUEST)
    assert after(present, 2) == {"type": "presence", "room": "lobby", "revision": 3, "count": 3}
    become(present, ANN, BOB)
    assert after(present, 3)["members"] == [told(ANN), told(BOB)]
    assert present.wanted == 3


def test_a_room_of_many_changes_with_its_count_alone(present):
    assert present.become(None, 50)
    assert not present.become(None, 50)
    assert present.become(None, 51)
    assert json.loads(present.state()) == {"revision": 2, "count": 51}


def test_who_comes_is_added_to_those_who_are_known(present):
    become(present, ANN)
    assert present.add([BOB])
    assert not present.add([BOB, ANN])
    assert after(present, 1)["joined"] == [told(BOB)]
    assert list(present.members) == ["u1", "u2"]


def test_nobody_is_added_where_names_are_not_told(present):
    present.become(None, 50)
    assert not present.add([ANN])
    assert present.count == 50


def test_whoever_is_one_too_many_makes_it_a_count(present):
    become(present, ANN, BOB, GUEST)
    assert present.add([Member("u4", "Dee")])
    assert (present.members, present.count) == (None, 4)


def test_what_many_are_told_is_encoded_once(present):
    become(present, ANN)
    become(present, ANN, BOB)
    for options in ({}, {"names": False}):
        assert present.state(**options) is present.state(**options)
        for revision in (0, 1):
            assert present.after(revision, **options) is present.after(revision, **options)
    assert present.after(0) is not present.after(1)


def test_a_member_is_who_others_see():
    assert Member("u1", "Ann", '{"seat":1}', connections=3) == ANN
    assert Member("u1", "Ann", '{"seat":2}') != ANN
    assert (ANN.guest, GUEST.guest) == (False, True)
    assert ANN.info == {"seat": 1}
    assert json.loads(ANN.text) == told(ANN)
