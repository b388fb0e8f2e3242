"""What waits on one connection: in order and within a bound."""

import pytest

from django_rooms.protocol.outbox import Outbox, Overflow


def taken(outbox, most=64, characters=10_000):
    return outbox.take(most, characters)


def test_frames_leave_in_the_order_in_which_they_came():
    outbox = Outbox(100)
    for frame in ("a", "b", "c"):
        outbox.put(frame)
    assert [taken(outbox, most=2), taken(outbox), taken(outbox)] == [["a", "b"], ["c"], []]


def test_a_reply_too_many_is_an_overflow_and_is_not_queued():
    outbox = Outbox(10)
    outbox.put("x" * 8)
    with pytest.raises(Overflow):
        outbox.put("yyy")
    assert taken(outbox) == ["x" * 8]


def test_one_reply_is_taken_however_large_it_is():
    outbox = Outbox(10)
    outbox.put("x" * 1000)
    assert taken(outbox, characters=1) == ["x" * 1000]


def test_frames_are_taken_as_far_as_the_characters_go_and_one_beyond():
    outbox = Outbox(100)
    for frame in ("aaa", "bbb", "ccc"):
        outbox.put(frame)
    assert taken(outbox, characters=4) == ["aaa", "bbb"]
    assert (len(outbox), outbox.characters) == (1, 3)


def test_an_event_is_dropped_while_half_of_the_room_is_taken():
    outbox = Outbox(10)
    outbox.put("x" * 6)
    assert outbox.crowded
    assert not outbox.offer("event")
    taken(outbox)
    assert outbox.offer("event")
    assert taken(outbox) == ["event"]


def test_what_was_taken_counts_no_more():
    outbox = Outbox(10)
    for _ in range(1000):
        outbox.put("x" * 10)
        taken(outbox)
    assert outbox.characters == 0
    assert not outbox.crowded
