"""Who is here by this process: what is to be recorded of whom, and who counts."""

from uuid import uuid4

import pytest

from django_rooms.names import member_key, room_key
from django_rooms.presence.attendance import Attendance
from django_rooms.protocol.presence import Member

ANN, BOB = Member("u1", "Ann"), Member("u2", "Bob")


class Tab:
    def prove(self):
        pass

    def expel(self, room):
        pass


@pytest.fixture
def attendance(time):
    return Attendance(time)


A, B = Tab(), Tab()


def taken(attendance, most=10):
    """Room, key, connections, the grace of who has left, and whether it was taken before."""
    return [
        (one.room, one.member.key, one.connections, 0.0 if one.connections else one.grace, one.known)
        for one in attendance.take(most)
    ]


def record(attendance):
    stays = attendance.take(10)
    attendance.recorded(stays)
    return stays


def keys(attendance, room="lobby"):
    return list(attendance.here(room).members)


def introduced(attendance):
    return list(attendance.here("lobby").introduced.values())


def test_who_enters_is_here_and_is_recorded_once(attendance):
    attendance.enter("lobby", ANN, A)
    assert keys(attendance) == ["u1"]
    assert taken(attendance) == [("lobby", "u1", 1, 0.0, False)]
    assert taken(attendance) == []


def test_entering_again_changes_nothing(attendance):
    attendance.enter("lobby", ANN, A)
    record(attendance)
    attendance.enter("lobby", ANN, A)
    assert not attendance.waiting


def test_entering_by_another_name_is_recorded(attendance):
    attendance.enter("lobby", ANN, A)
    record(attendance)
    attendance.enter("lobby", Member("u1", "Ann B."), A)
    (stay,) = attendance.take(10)
    assert (stay.member.name, stay.connections, stay.known) == ("Ann B.", 1, True)


def test_several_tabs_are_one_person(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    assert keys(attendance) == ["u1"]
    assert taken(attendance) == [("lobby", "u1", 2, 0.0, False)]


def test_what_comes_to_the_same_in_between_is_recorded_as_it_is_then(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.leave("lobby", "u1", A, 10.0)
    attendance.enter("lobby", ANN, B)
    assert taken(attendance) == [("lobby", "u1", 1, 0.0, False)]


def test_who_came_and_went_is_recorded_all_the_same(attendance, time):
    attendance.enter("lobby", ANN, A)
    attendance.leave("lobby", "u1", A, 10.0)
    time.pass_(4)
    assert taken(attendance) == [("lobby", "u1", 0, 6.0, False)]


def test_a_grace_that_is_over_is_none(attendance, time):
    attendance.enter("lobby", ANN, A)
    attendance.leave("lobby", "u1", A, 10.0)
    time.pass_(11)
    assert taken(attendance)[0][3] == 0.0


def test_the_longest_grace_of_a_persons_tabs_counts(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    attendance.leave("lobby", "u1", A, 20.0)
    attendance.leave("lobby", "u1", B, 10.0)
    assert taken(attendance) == [("lobby", "u1", 0, 20.0, False)]


def test_who_has_left_is_there_until_that_is_recorded(attendance):
    attendance.enter("lobby", ANN, A)
    record(attendance)
    attendance.leave("lobby", "u1", A, 10.0)
    assert keys(attendance) == ["u1"]
    record(attendance)
    assert keys(attendance) == []


def test_who_comes_back_while_that_is_recorded_is_not_forgotten(attendance):
    attendance.enter("lobby", ANN, A)
    record(attendance)
    attendance.leave("lobby", "u1", A, 10.0)
    stays = attendance.take(10)
    attendance.enter("lobby", ANN, B)
    attendance.recorded(stays)
    assert keys(attendance) == ["u1"]
    assert taken(attendance) == [("lobby", "u1", 1, 0.0, True)]


def test_who_is_nowhere_leaves_without_a_trace(attendance):
    attendance.leave("lobby", "u1", A, 10.0)
    attendance.enter("lobby", ANN, A)
    record(attendance)
    attendance.leave("lobby", "u1", B, 10.0)
    assert not attendance.waiting
    assert keys(attendance) == ["u1"]


def test_a_batch_is_as_large_as_it_may_be(attendance):
    for number in range(5):
        attendance.enter("lobby", Member(f"u{number}", ""), A)
    assert [len(attendance.take(2)) for _ in range(4)] == [2, 2, 1, 0]


def test_what_could_not_be_recorded_comes_again_as_it_is_then(attendance):
    attendance.enter("lobby", ANN, A)
    stays = attendance.take(10)
    attendance.leave("lobby", "u1", A, 10.0)
    attendance.put_back(stays)
    # Nobody knows of them yet.
    assert taken(attendance) == [("lobby", "u1", 0, 10.0, False)]


def test_who_is_gone_is_not_put_back(attendance):
    attendance.enter("lobby", ANN, A)
    stays = record(attendance)
    attendance.leave("lobby", "u1", A, 0.0)
    record(attendance)
    attendance.put_back(stays)
    assert not attendance.waiting


def test_when_the_process_ends_everybody_leaves(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    attendance.enter("notes/1", BOB, A)
    record(attendance)
    attendance.leave_all(10.0)
    assert taken(attendance) == [("lobby", "u1", 0, 10.0, True), ("notes/1", "u2", 0, 10.0, True)]


def test_whoever_is_doubted_counts_for_nothing_until_they_have_proved_to_be_there(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", BOB, B)
    record(attendance)
    assert attendance.doubt() == {A, B}
    assert keys(attendance) == []
    assert taken(attendance) == []
    attendance.confirm("lobby", "u1", A)
    assert keys(attendance) == ["u1"]
    assert taken(attendance) == [("lobby", "u1", 1, 0.0, False)]


def test_what_was_not_recorded_yet_is_doubted_too(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", BOB, B)
    attendance.leave("lobby", "u2", B, 10.0)
    assert attendance.doubt() == {A}
    assert not attendance.waiting


def test_a_doubted_one_that_leaves_is_forgotten(attendance):
    attendance.enter("lobby", ANN, A)
    record(attendance)
    attendance.doubt()
    attendance.leave("lobby", "u1", A, 10.0)
    assert not attendance.waiting
    assert attendance.doubt() == set()


def test_a_batch_that_the_lost_lease_refused_brings_no_doubted_one_back(attendance):
    attendance.enter("lobby", ANN, A)
    stays = attendance.take(10)
    attendance.doubt()
    attendance.put_back(stays)
    attendance.leave("lobby", "u1", A, 10.0)
    assert taken(attendance) == []


def half_doubted(attendance):
    """Of Ann's tabs A has proved to be there, and B has not."""
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    record(attendance)
    attendance.doubt()
    attendance.confirm("lobby", "u1", A)


def test_a_proven_tab_that_leaves_is_recorded_while_another_is_doubted(attendance):
    half_doubted(attendance)
    record(attendance)
    attendance.leave("lobby", "u1", A, 10.0)
    assert taken(attendance) == [("lobby", "u1", 0, 10.0, True)]


def test_a_leave_that_could_not_be_recorded_is_recorded_later_also_of_whom_nobody_doubts_any_more(attendance):
    half_doubted(attendance)
    record(attendance)
    attendance.leave("lobby", "u1", A, 10.0)
    stays = attendance.take(10)
    attendance.leave("lobby", "u1", B, 10.0)
    attendance.put_back(stays)

    assert taken(attendance) == [("lobby", "u1", 0, 10.0, True)]
    attendance.recorded(stays)
    assert keys(attendance) == []


def test_nobody_comes_back_by_a_leave_that_the_lost_lease_refused(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    record(attendance)
    attendance.leave("lobby", "u1", A, 10.0)
    stays = attendance.take(10)
    attendance.doubt()
    attendance.leave("lobby", "u1", B, 10.0)
    attendance.put_back(stays)
    assert taken(attendance) == []


def test_a_join_says_how_they_are_known_until_that_is_recorded(attendance):
    attendance.enter("lobby", ANN, A)
    assert introduced(attendance) == [ANN]
    stays = attendance.take(10)
    assert introduced(attendance) == [ANN]
    attendance.put_back(stays)
    stays = attendance.take(10)
    assert [stay.introduced for stay in stays] == [True]
    attendance.recorded(stays)
    assert introduced(attendance) == []


def test_neither_a_tab_that_is_closed_nor_one_that_is_there_after_all_says_how_they_are_known(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    record(attendance)
    attendance.leave("lobby", "u1", B, 10.0)
    assert [stay.introduced for stay in attendance.take(10)] == [False]
    attendance.doubt()
    attendance.confirm("lobby", "u1", A)
    assert [stay.introduced for stay in attendance.take(10)] == [False]


def test_a_doubted_tab_that_answers_late_is_there_again(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    attendance.doubt()
    attendance.confirm("lobby", "u1", A)
    attendance.leave("lobby", "u1", A, 10.0)
    record(attendance)
    attendance.confirm("lobby", "u1", B)
    assert [one[2] for one in taken(attendance)] == [1]


def test_whoever_is_expelled_gets_no_grace(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.enter("lobby", ANN, B)
    attendance.enter("lobby", BOB, B)
    attendance.enter("notes/1", ANN, A)
    attendance.leave("lobby", "u1", B, 10.0)
    found = attendance.expel({member_key(room_key("lobby"), "u1"), uuid4()}, ["lobby"])
    assert found == [("lobby", A)]
    attendance.leave("lobby", "u1", A, 0.0)
    assert taken(attendance)[0] == ("lobby", "u1", 0, 0.0, False)


def test_the_doubted_are_expelled_too(attendance):
    attendance.enter("lobby", ANN, A)
    attendance.doubt()
    assert attendance.expel({member_key(room_key("lobby"), "u1")}, ["lobby"]) == [("lobby", A)]


def test_nothing_is_kept_of_those_who_have_left(attendance):
    for number in range(50):
        attendance.enter(f"notes/{number}", ANN, A)
        attendance.leave(f"notes/{number}", "u1", A, 10.0)
    while stays := attendance.take(10):
        attendance.recorded(stays)
    assert (attendance._rooms, attendance._changed) == ({}, {})


def test_a_proven_tab_whose_record_got_no_answer_is_recorded_as_leaving_while_another_is_doubted(attendance):
    half_doubted(attendance)
    stays = attendance.take(10)
    attendance.leave("lobby", "u1", A, 10.0)
    attendance.put_back(stays)
    assert taken(attendance) == [("lobby", "u1", 0, 10.0, False)]
