"""What a room tells in one round: in the order in which it came, in messages that a client takes, within bounds."""

import json

import pytest

from django_rooms.feeds import told as told_module
from django_rooms.feeds.told import MAX_CHARACTERS, MAX_EVENTS, Gathered, Told, entries
from django_rooms.protocol import frames
from django_rooms.protocol.entries import Position
from django_rooms.protocol.feed import Run
from django_rooms.protocol.frames import MAX_BATCH

ANN, BOB = object(), object()
NEWS = Told("lobby", "entries", 7, Position("k3Zp", 1), Position("k3Zp", 2))


@pytest.fixture
def gathered():
    return Gathered("lobby")


def typing(n, size=0):
    return frames.event("lobby", "typing", None, {"n": n, "text": "x" * size})


def numbers(told):
    """Of the events in one message."""
    value = json.loads(told.text)
    return [event["body"]["n"] for event in (value if isinstance(value, list) else [value])]


def test_nothing_that_came_is_nothing_told(gathered):
    assert list(gathered.take(None)) == []


def test_entries_alone_are_told_as_they_are(gathered):
    gathered.add_entries()
    assert list(gathered.take(NEWS)) == [NEWS]


def test_an_event_alone_is_a_frame_and_several_are_an_array(gathered):
    gathered.add_event(typing(1), ANN)
    (told,) = gathered.take(None)
    assert told.text == typing(1)
    for n in range(3):
        gathered.add_event(typing(n), ANN)
    (told,) = gathered.take(None)
    assert (told.text[0], numbers(told)) == ("[", [0, 1, 2])
    assert [frame for frame, _ in told.events] == [typing(0), typing(1), typing(2)]


def test_events_are_told_before_the_entries_that_came_after_them_and_after_those_that_came_before(gathered):
    gathered.add_event(typing(1), ANN)
    gathered.add_event(typing(2), BOB)
    gathered.add_entries()
    gathered.add_event(typing(3), ANN)
    before, news, after = gathered.take(NEWS)
    assert (numbers(before), news, numbers(after)) == ([1, 2], NEWS, [3])


def test_of_a_rounds_entries_the_first_say_where_they_come(gathered):
    gathered.add_entries()
    gathered.add_event(typing(1), ANN)
    gathered.add_entries()
    news, after = gathered.take(NEWS)
    assert (news, numbers(after)) == (NEWS, [1])


def test_events_are_told_though_the_entries_have_to_be_asked_for(gathered):
    gathered.add_event(typing(1), ANN)
    gathered.add_entries()
    gathered.add_event(typing(2), ANN)
    assert [numbers(told) for told in gathered.take(None)] == [[1], [2]]


def test_what_was_told_is_not_told_again(gathered):
    gathered.add_event(typing(1), ANN)
    gathered.add_entries()
    list(gathered.take(NEWS))
    assert list(gathered.take(None)) == []
    gathered.add_entries()
    gathered.add_event(typing(2), ANN)
    news, event = gathered.take(NEWS)  # Also where entries come, that is counted anew.
    assert (news, numbers(event)) == (NEWS, [2])


def test_what_comes_while_it_is_told_is_of_the_next_round(gathered):
    for n in range(2):
        gathered.add_event(typing(n), ANN)
    gathered.add_entries()
    telling = gathered.take(NEWS)
    assert numbers(next(telling)) == [0, 1]
    gathered.add_event(typing(2), ANN)
    assert list(telling) == [NEWS]
    assert [numbers(told) for told in gathered.take(None)] == [[2]]


def test_a_message_has_no_more_frames_than_a_client_has_to_take(gathered):
    for n in range(2 * MAX_BATCH + 1):
        gathered.add_event(typing(n), ANN)
    told = list(gathered.take(None))
    assert [len(each.events) for each in told] == [MAX_BATCH, MAX_BATCH, 1]
    assert [n for each in told for n in numbers(each)] == list(range(2 * MAX_BATCH + 1))


def test_a_message_takes_no_more_once_it_is_large(gathered):
    for n in range(8):
        gathered.add_event(typing(n, MAX_CHARACTERS // 3), ANN)
    told = list(gathered.take(None))
    assert [numbers(each) for each in told] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    for each in told:
        assert sum(len(frame) for frame, _ in each.events[:-1]) < MAX_CHARACTERS


def test_an_event_that_is_larger_than_that_goes_alone(gathered):
    for n in range(2):
        gathered.add_event(typing(n, MAX_CHARACTERS), ANN)
    assert [numbers(told) for told in gathered.take(None)] == [[0], [1]]


def test_events_that_are_too_many_are_dropped_and_those_that_came_first_are_told(gathered):
    for n in range(MAX_EVENTS + 10):
        gathered.add_event(typing(n), ANN)
    assert [n for told in gathered.take(None) for n in numbers(told)] == list(range(MAX_EVENTS))
    gathered.add_event(typing(0), ANN)  # There is room again.
    assert [numbers(told) for told in gathered.take(None)] == [[0]]


def test_that_bound_is_of_a_round_and_not_of_what_came_before_the_entries(gathered, monkeypatch):
    monkeypatch.setattr(told_module, "MAX_EVENTS", 2)
    for n in range(2):
        gathered.add_event(typing(n), ANN)
        gathered.add_entries()
    gathered.add_event(typing(2), ANN)
    told = list(gathered.take(NEWS))
    assert [numbers(each) for each in told if each.events] == [[0], [1]]


def test_a_size_is_in_bytes(gathered):
    gathered.add_event('"é😀"', ANN)
    gathered.add_event('"e"', ANN)
    (told,) = gathered.take(None)
    assert told.size == len(told.text.encode()) > len(told.text)


def test_events_concern_those_who_sent_none_of_them(gathered):
    gathered.add_event(typing(1), ANN)
    gathered.add_event(typing(2), None)  # The host, or somebody in another process.
    (told,) = gathered.take(None)
    assert (told.concerns(ANN), told.concerns(BOB)) == (False, True)


def test_entries_concern_everybody_also_who_said_them():
    assert NEWS.concerns(ANN)


def test_entries_say_from_where_to_where_they_lead():
    told = entries("lobby", "k3Zp", 4, Run("frame", 5, 7), more=True)
    assert told == Told("lobby", "frame", 5, Position("k3Zp", 4), Position("k3Zp", 7), True, ())
