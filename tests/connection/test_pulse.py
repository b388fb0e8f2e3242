"""Signs of life, by a clock that the test moves."""

import pytest

from django_rooms.connection import pulse
from django_rooms.connection.pulse import MAX_PINGS, PING, PONG, STEP, UNANSWERED, Pulse
from django_rooms.protocol.codes import CloseCode
from django_rooms.protocol.text import size_of

FULL = UNANSWERED // STEP


class Peer:
    """A pulse, the clock that it looks at, and the pings that were sent."""

    def __init__(self):
        self.now = 100.0
        self.pulse = Pulse(lambda: self.now)
        self.pings = []

    def write(self, size, character="x"):
        self.pulse.wrote(size_of(character * (size // len(character.encode()))))
        if (number := self.pulse.question()) is not None:
            self.pings.append(number)

    def fill(self):
        for _ in range(FULL):
            self.write(STEP)
        assert self.pulse.full

    def later(self, seconds):
        self.now += seconds
        return self.pulse.check()


@pytest.fixture
def peer():
    return Peer()


def test_who_says_something_now_and_then_is_asked_nothing(peer):
    for _ in range(10):
        assert peer.later(PING - 1) is None
        peer.pulse.heard()
    assert (peer.pulse.due, peer.pulse.question()) == (False, None)


def test_who_is_silent_is_asked_once_and_then_given_up(peer):
    assert peer.later(PING) is None
    assert not peer.pulse.due
    assert peer.later(1) is None
    assert peer.pulse.due
    assert peer.pulse.question() is not None
    assert peer.pulse.question() is None
    assert peer.later(PONG) is None
    assert not peer.pulse.due
    assert peer.later(1) is CloseCode.SILENT


def test_whatever_the_peer_says_is_an_answer_to_a_silence(peer):
    peer.later(PING + 1)
    peer.pulse.question()
    peer.pulse.heard()
    assert peer.later(PONG + 1) is None


def test_who_speaks_before_it_could_be_asked_is_not_asked(peer):
    peer.later(PING + 1)
    peer.pulse.heard()
    assert peer.pulse.question() is None


def test_the_time_for_an_answer_runs_from_the_question(peer):
    peer.later(PING + 1)
    peer.later(PONG + 1)  # No ping could be written meanwhile.
    assert peer.pulse.question() is not None
    assert peer.later(PONG) is None


def test_a_ping_goes_out_for_every_eighth_of_the_bound(peer):
    for _ in range(32):
        peer.write(STEP // 4)
    assert len(peer.pings) == len(set(peer.pings)) == FULL
    assert peer.pulse.full


@pytest.mark.parametrize("character", ["x", "я", "語", "😀"])
def test_bytes_are_counted_and_not_characters(peer, character):
    peer.write(UNANSWERED - 16, character)
    assert not peer.pulse.full
    peer.write(24, character)
    assert peer.pulse.full


def test_an_answer_acknowledges_all_that_was_sent_before_its_ping(peer):
    peer.fill()
    peer.pulse.answered(peer.pings[2])
    assert not peer.pulse.full
    for _ in range(2):
        peer.write(STEP)
    assert not peer.pulse.full
    peer.write(STEP)
    assert peer.pulse.full


def test_at_the_bound_there_is_always_a_question_whose_answer_lets_go(peer):
    for size in (1, 7_000, STEP - 1, STEP + 1, UNANSWERED // 2, 3 * UNANSWERED):
        while not peer.pulse.full:
            peer.write(size)
        peer.pulse.answered(peer.pings[-1])
        assert not peer.pulse.full


@pytest.mark.parametrize("number", [None, True, 0, -1, 2**63, 1.5, "7", [], {"n": 1}, float("inf")])
def test_an_answer_to_nothing_acknowledges_nothing(peer, number):
    peer.fill()
    peer.pulse.answered(number)
    assert peer.pulse.full


def test_an_answer_counts_once(peer):
    peer.fill()
    peer.pulse.answered(peer.pings[0])
    peer.write(STEP)
    assert peer.pulse.full
    peer.pulse.answered(peer.pings[0])
    assert peer.pulse.full


def test_an_older_answer_takes_nothing_back(peer):
    peer.fill()
    peer.pulse.answered(peer.pings[-1])
    peer.pulse.answered(peer.pings[0])
    peer.write(UNANSWERED - 1)
    assert not peer.pulse.full


def test_who_answers_nothing_at_the_bound_is_too_slow(peer):
    peer.fill()
    assert peer.later(PONG) is None
    peer.pulse.heard()
    peer.pulse.answered("something else")
    assert peer.later(1) is CloseCode.SLOW


def test_who_reads_slowly_and_goes_on_reading_lives(peer):
    """A phone that reads 50 KiB/s, in a room that says more than that for an hour."""
    speed, read, sent, answered = 50 * 1024, 0, 0, 0
    marks = []
    for _ in range(3600):
        while not peer.pulse.full:
            before = len(peer.pings)
            peer.write(8 * 1024)
            sent += 8 * 1024
            marks += [sent] * (len(peer.pings) - before)
        assert sent - read <= UNANSWERED + STEP
        read = min(sent, read + speed)
        while answered < len(marks) and marks[answered] <= read:
            peer.pulse.heard()
            peer.pulse.answered(peer.pings[answered])
            answered += 1
        assert peer.later(1) is None
    assert read == 3600 * speed


def test_what_is_remembered_of_pings_is_bounded(peer):
    for _ in range(5 * MAX_PINGS):
        peer.later(PING + 1)
        assert peer.pulse.question() is not None
        peer.pulse.heard()
    assert len(peer.pulse._pings) == MAX_PINGS


def test_numbers_of_pings_survive_a_clients_json(peer):
    peer.fill()
    assert all(0 <= number < 2**53 for number in peer.pings)


def test_the_bound_is_the_designs():
    assert (pulse.PING, pulse.PONG, pulse.UNANSWERED) == (25.0, 10.0, 1024 * 1024)
