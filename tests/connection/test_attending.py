"""One connection among the members of its rooms: how long a grace it leaves, and how it proves to be there."""

import asyncio
import threading

import pytest

from django_rooms.connection import attending as attending_module
from django_rooms.connection.attending import BY_CHOICE, SILENCE, Attending
from django_rooms.protocol.presence import Member

ANN, OTHER = Member("u1", "Ann"), Member("u1", "Ann B.")


class Recorder:
    """What was said to the recorder."""

    def __init__(self):
        self.said = []

    def enter(self, room, member, connection):
        self.said.append(("enter", room, member))

    def confirm(self, room, key, connection):
        self.said.append(("confirm", room, key))

    def leave(self, room, key, connection, grace):
        self.said.append(("leave", room, key, grace))

    def take(self):
        said, self.said = self.said, []
        return said


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(attending_module, "recorder", recorder)
    return recorder


class Peer:
    silent_for = 0.0

    def __init__(self):
        self.asked, self.left = [], []
        self.ask, self.put_out = self.asked.append, self.left.append


@pytest.fixture
def peer():
    return Peer()


@pytest.fixture
async def attending(recorder, peer):
    return Attending(peer, peer)


async def told_to(attending, *calls):
    """``calls`` were made in another thread, and what they handed to the loop is done."""
    thread = threading.Thread(target=lambda: [getattr(attending, name)(*args) for name, *args in calls])
    thread.start()
    thread.join()
    await asyncio.sleep(0)


async def test_whoever_enters_is_there(attending, recorder):
    attending.enter("lobby", ANN)
    attending.enter("lobby", OTHER)
    assert recorder.take() == [("enter", "lobby", ANN), ("enter", "lobby", OTHER)]


async def test_whoever_is_not_shown_is_not_there(attending, recorder):
    attending.enter("lobby", None)
    assert recorder.take() == []


async def test_whoever_is_not_shown_any_more_leaves(attending, recorder):
    attending.enter("lobby", ANN)
    attending.enter("lobby", None)
    assert recorder.take()[1:] == [("leave", "lobby", "u1", 10.0)]


async def test_a_leave_is_told_once(attending, recorder):
    attending.enter("lobby", ANN)
    attending.leave("lobby")
    attending.leave("lobby")
    attending.leave("elsewhere")
    assert recorder.take()[1:] == [("leave", "lobby", "u1", 10.0)]


@pytest.mark.parametrize(
    ("silent", "given", "grace"),
    [
        (0, {}, 10.0),
        (SILENCE - 10, {}, 10.0),
        (SILENCE - 4, {}, 4.0),
        (SILENCE + 60, {}, 0.0),
        (SILENCE + 60, {"after": 5.0}, 5.0),
        (0, {"after": 5.0}, 15.0),
        (0, {"most": BY_CHOICE}, BY_CHOICE),
    ],
)
async def test_the_grace_is_what_is_left_of_the_silence_that_is_allowed(
    attending, recorder, peer, silent, given, grace
):
    attending.enter("lobby", ANN)
    peer.silent_for = silent
    attending.leave("lobby", **given)
    assert recorder.take()[1:] == [("leave", "lobby", "u1", grace)]


async def test_nobody_is_shown_for_longer_than_50_seconds_of_silence():
    assert SILENCE < 50


async def test_the_right_answer_confirms_all_rooms(attending, recorder, peer):
    attending.enter("lobby", ANN)
    attending.enter("notes/1", ANN)
    attending.enter("notes/2", ANN)
    attending.leave("notes/2")
    recorder.take()
    await told_to(attending, ["prove"])
    (number,) = peer.asked
    assert recorder.take() == []
    attending.answered(number)
    assert recorder.take() == [("confirm", "lobby", ANN.key), ("confirm", "notes/1", ANN.key)]
    attending.answered(number)
    assert recorder.take() == []


async def test_another_answer_proves_nothing(attending, recorder, peer):
    attending.enter("lobby", ANN)
    recorder.take()
    attending.answered(None)
    await told_to(attending, ["prove"])
    for number in (None, peer.asked[0] + 1, str(peer.asked[0])):
        attending.answered(number)
    assert recorder.take() == []


async def test_the_answer_to_an_earlier_question_proves_nothing(attending, recorder, peer):
    attending.enter("lobby", ANN)
    recorder.take()
    await told_to(attending, ["prove"], ["prove"])
    first, second = peer.asked
    attending.answered(first)
    assert recorder.take() == []
    attending.answered(second)
    assert recorder.take() == [("confirm", "lobby", ANN.key)]


async def test_whoever_is_expelled_leaves_at_once_and_is_told(attending, recorder, peer):
    attending.enter("lobby", ANN)
    attending.enter("notes/1", ANN)
    recorder.take()
    await told_to(attending, ["expel", "lobby"], ["expel", "lobby"], ["expel", "elsewhere"])
    assert recorder.take() == [("leave", "lobby", "u1", 0.0)]
    assert peer.left == ["lobby"]


def test_a_connection_whose_loop_is_closed_is_left_alone(recorder, peer):
    async def make():
        return Attending(peer, peer)

    attending = asyncio.run(make())
    attending.prove()
    attending.expel("lobby")
    assert (peer.asked, peer.left) == ([], [])
