"""What is written on one socket: replies first, one at a time, and none is forgotten."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from django_rooms.connection import pulse, sending
from django_rooms.connection.pulse import Pulse
from django_rooms.connection.sending import LastWord, Sending, State
from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode


class Socket:
    """Takes what it is sent, or waits while ``stuck``."""

    def __init__(self):
        self.sent, self.messages, self.closed_with = [], [], None
        self.open = asyncio.Event()
        self.open.set()
        self.error = None

    async def send_text(self, text):
        await self.open.wait()
        if self.error:
            raise self.error
        self.messages.append(text)
        self.sent += text[1:-1].split(",") if text.startswith("[") else [text]

    async def close(self, code=None, reason=None):
        self.closed_with = code, reason


class Entries:
    """Frames of entries, to be had as long as there are any."""

    def __init__(self):
        self.frames = []

    def __call__(self):
        return self.frames.pop(0) if self.frames else None


def owner(**methods):
    """Has no entries, and does nothing, but for these ``methods``."""
    return SimpleNamespace(**{"entries": Entries(), "flooded": list, "failed": list, **methods})


@pytest.fixture
async def parts():
    socket, entries, failures = Socket(), Entries(), []
    out = Sending(socket, Pulse(lambda: 0.0), owner(entries=entries, failed=lambda: failures.append(True)))
    return out, socket, entries, failures


async def settled():
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_replies_are_written_before_entries(parts):
    out, socket, entries, _ = parts
    socket.open.clear()
    entries.frames = ["entries"]
    for frame in ("a", "b", "c"):
        out.put(frame)
    socket.open.set()
    await settled()
    assert socket.sent == ["a", "b", "c", "entries"]


async def test_what_is_put_in_one_turn_goes_as_one_message(parts):
    out, socket, entries, _ = parts
    entries.frames = ["entries"]
    out.put("a")
    out.put("b")
    await settled()
    assert socket.messages == ["[a,b,entries]"]


async def test_a_message_has_no_more_frames_than_a_client_has_to_take(parts):
    out, socket, _, _ = parts
    for n in range(150):
        out.put(f"{n}")
    await settled()
    assert socket.sent == [f"{n}" for n in range(150)]
    assert max(message.count(",") + 1 for message in socket.messages) <= frames.MAX_BATCH


async def test_entries_do_not_overtake_a_reply_that_did_not_fit(parts, monkeypatch):
    monkeypatch.setattr(sending, "MESSAGE", 10)
    out, socket, entries, _ = parts
    entries.frames = ["entries"]
    for n in range(3):
        out.put(f"{n}" * 10)
    await settled()
    assert socket.messages == ["0" * 10, "1" * 10, "2" * 10, "entries"]


async def test_what_the_room_tells_is_passed_on_where_nothing_waits(parts):
    out, socket, _, _ = parts
    assert out.pass_on("told", 4)
    await settled()
    assert socket.sent == ["told"]


async def test_what_the_room_tells_goes_behind_the_replies_and_with_them(parts):
    out, socket, _, _ = parts
    out.put("a")
    out.put("b")
    assert out.pass_on("told", 4)
    await settled()
    assert socket.messages == ["[a,b,told]"]


@pytest.mark.parametrize(("replies", "told"), [(64, "told"), (1, "[two,events]")])
async def test_what_the_room_tells_waits_where_one_message_does_not_take_it(parts, replies, told):
    out, _, _, _ = parts
    for n in range(replies):
        out.put(f"{n}")
    assert not out.pass_on(told, len(told))


async def test_nothing_is_passed_on_while_the_socket_takes_nothing(parts):
    out, socket, _, _ = parts
    socket.open.clear()
    assert out.pass_on("first", 5)
    await settled()
    assert not out.pass_on("second", 6)
    out.put("a")
    socket.open.set()
    await settled()
    assert socket.sent == ["first", "a"]


async def test_nothing_is_passed_on_that_a_ping_has_to_go_before(bounded):
    out, socket, _, _ = bounded
    assert out.pass_on("x" * 1_000, 1_000)
    assert not out.pass_on("x", 1)
    out.wake()
    await settled()
    assert json.loads(socket.sent[-1])["type"] == "ping"
    assert out.pass_on("x", 1)


async def test_nothing_is_passed_on_after_the_last_word(parts):
    out, socket, _, _ = parts
    out.end(LastWord(CloseCode.RESTART, "Bye."))
    await settled()
    assert not out.pass_on("told", 4)
    await settled()
    assert len(socket.sent) == 1


async def test_what_is_idle_takes_what_is_passed_on(parts):
    out, socket, _, _ = parts
    assert out.idle
    out.put("a")
    assert not out.idle
    await settled()
    assert out.idle
    socket.open.clear()
    assert out.pass_on("told", 4)
    await settled()
    assert not out.idle
    socket.open.set()
    await settled()
    assert out.idle


async def test_a_socket_that_fails_what_is_passed_on_is_told(parts):
    out, socket, _, failures = parts
    socket.error = ConnectionResetError()
    assert out.pass_on("told", 4)
    await settled()
    assert failures == [True]


async def test_what_is_queued_is_written_before_the_last_word(parts):
    out, socket, _, _ = parts
    socket.open.clear()
    out.put("a")
    out.put("b")
    out.end(LastWord(CloseCode.REFUSED, "No."))
    out.end(LastWord(CloseCode.RESTART, "A second end changes nothing."))
    socket.open.set()
    await settled()
    assert socket.sent[:2] == ["a", "b"]
    assert json.loads(socket.sent[2])["code"] == 4502
    assert (len(socket.sent), socket.closed_with) == (3, (4502, "No."))
    assert out.state is State.CLOSED


async def test_nothing_is_written_after_the_close(parts):
    out, socket, _, _ = parts
    out.end(LastWord(CloseCode.REFUSED, "No."))
    await settled()
    out.put("late")
    out.offer("late")
    out.wake()
    await settled()
    assert len(socket.sent) == 1


async def test_a_close_code_is_a_plain_integer(parts):
    out, socket, _, _ = parts
    out.end(LastWord(CloseCode.REFUSED, "No."))
    await settled()
    assert type(socket.closed_with[0]) is int


async def test_a_close_reason_fits_into_a_control_frame(parts):
    out, socket, _, _ = parts
    out.end(LastWord(CloseCode.REFUSED, "ü" * 200))
    await settled()
    assert len(socket.closed_with[1].encode()) <= 123
    assert set(socket.closed_with[1]) == {"ü"}


async def test_who_reads_too_little_floods(monkeypatch):
    monkeypatch.setattr(sending, "MAX_UNSENT", 100)
    socket, floods = Socket(), []
    out = Sending(socket, Pulse(lambda: 0.0), owner(flooded=lambda: floods.append(True)))
    socket.open.clear()
    out.put("x" * 40)
    await settled()  # This one is being written.
    for _ in range(2):
        out.put("x" * 40)
    assert floods == []
    out.put("x" * 40)
    assert floods == [True]


async def test_who_reads_too_little_is_read_from_no_more(monkeypatch):
    monkeypatch.setattr(sending, "MAX_UNSENT", 100)
    socket = Socket()
    out = Sending(socket, Pulse(lambda: 0.0), owner())
    await out.eased()
    socket.open.clear()
    out.put("x" * 10)
    await settled()  # This one is being written.
    out.put("x" * 60)
    waiting = asyncio.ensure_future(out.eased())
    await settled()
    assert not waiting.done()
    socket.open.set()
    await waiting


@pytest.mark.parametrize("end", [lambda out: out.stop(), lambda out: out.end(LastWord(CloseCode.RESTART, "Bye."))])
async def test_an_end_lets_go_of_who_waits_for_room(monkeypatch, end):
    monkeypatch.setattr(sending, "MAX_UNSENT", 100)
    socket = Socket()
    out = Sending(socket, Pulse(lambda: 0.0), owner())
    socket.open.clear()
    out.put("x" * 10)
    await settled()  # This one is being written.
    out.put("x" * 60)
    waiting = asyncio.ensure_future(out.eased())
    await settled()
    end(out)
    await waiting
    socket.open.set()
    await settled()


async def test_a_socket_that_fails_is_told_and_is_no_error_of_ours(parts):
    out, socket, _, failures = parts
    socket.error = ConnectionResetError()
    out.put("a")
    await settled()
    assert failures == [True]


# A peer that reads too little.


@pytest.fixture
async def bounded(monkeypatch):
    """Parts of a sending whose peer may have 8,000 bytes unread, with a ping for every 1,000."""
    monkeypatch.setattr(pulse, "UNANSWERED", 8_000)
    monkeypatch.setattr(pulse, "STEP", 1_000)
    monkeypatch.setattr(sending, "MESSAGE", 1_000)
    socket, entries, peer = Socket(), Entries(), Pulse(lambda: 0.0)
    return Sending(socket, peer, owner(entries=entries)), socket, entries, peer


def without_pings(frames):
    return [frame for frame in frames if not frame.startswith('{"type":"ping"')]


def last_ping(socket):
    return json.loads([frame for frame in socket.sent if frame.startswith('{"type":"ping"')][-1])["n"]


async def test_at_the_bound_nothing_is_written_until_the_peer_has_read(bounded):
    out, socket, entries, peer = bounded
    entries.frames = [f"{n:01000}" for n in range(50)]
    out.wake()
    await settled()
    before = without_pings(socket.sent)
    out.put("reply")
    out.offer("event")
    await settled()
    assert peer.full
    assert without_pings(socket.sent) == before
    assert len(entries.frames) == 50 - len(before)  # Nothing was taken that could not be written.

    peer.answered(last_ping(socket))
    out.wake()
    await settled()
    after = without_pings(socket.sent)[len(before) :]
    assert after[0] == "reply"
    assert "event" not in after
    assert [int(frame) for frame in [*before, *after[1:]]] == list(range(len(before) + len(after) - 1))


async def test_a_ping_overtakes_the_replies_that_wait(bounded):
    out, socket, _, _ = bounded
    socket.open.clear()
    for n in range(5):
        out.put(f"{n:01000}")
    socket.open.set()
    await settled()
    kinds = ["ping" if "ping" in frame else "reply" for frame in socket.sent]
    assert kinds[:4] == ["reply", "ping", "reply", "ping"]


async def test_an_end_at_the_bound_is_said_without_what_waits(bounded):
    out, socket, entries, _ = bounded
    entries.frames = ["x" * 1_000] * 50
    out.wake()
    await settled()
    out.put("reply")
    out.end(LastWord(CloseCode.SLOW, "Bye.", after=1.5))
    await settled()
    closing = json.loads(socket.sent[-1])
    assert (closing["type"], closing["code"], closing["after"]) == ("closing", 4002, 1.5)
    assert "reply" not in socket.sent
    assert socket.closed_with == (4002, "Bye.")


async def test_at_the_bound_nobody_is_kept_from_saying_that_it_has_read(bounded):
    out, socket, _, peer = bounded
    out._outbox.max_characters = 10_000
    socket.open.clear()
    out.put("x" * 9_000)  # Takes the peer to the bound.
    await settled()
    out.put("x" * 6_000)
    waiting = asyncio.ensure_future(out.eased())
    await settled()
    assert not waiting.done()
    socket.open.set()
    assert await waiting is False
    await settled()
    peer.answered(last_ping(socket))
    out.wake()
    await settled()
    assert await out.eased() is True


async def test_a_socket_that_takes_nothing_is_stuck_when_its_time_is_over(parts, monkeypatch):
    out, socket, _, _ = parts
    socket.open.clear()
    out.put("a")
    await settled()
    assert not out.stuck
    monkeypatch.setattr(sending, "WRITE_TIMEOUT", -1)
    assert out.stuck
    socket.open.set()
    await settled()
    assert not out.stuck


async def test_a_close_that_takes_too_long_is_stuck_too(parts, monkeypatch):
    out, socket, _, _ = parts
    closing = asyncio.Event()

    async def close(code=None, reason=None):
        await closing.wait()

    socket.close = close
    out.end(LastWord(CloseCode.REFUSED, "No."))
    await settled()
    monkeypatch.setattr(sending, "WRITE_TIMEOUT", -1)
    assert out.stuck
    closing.set()
    await settled()
    assert not out.stuck


async def test_a_stuck_socket_is_closed_with_a_code_where_it_lets_us(parts):
    out, socket, _, failures = parts
    socket.open.clear()
    out.put("a")
    await settled()
    out.drop(LastWord(CloseCode.SLOW, "Too slow."))
    await settled()
    assert (socket.closed_with, failures, socket.sent) == ((4002, "Too slow."), [True], [])
    assert (out.state, out.stuck) == (State.CLOSED, False)


async def test_a_stuck_socket_that_cannot_even_be_closed_is_let_go(parts, monkeypatch):
    monkeypatch.setattr(sending, "CLOSE_TIMEOUT", 0)
    out, socket, _, _ = parts
    gone = asyncio.Event()
    out._owner.failed = gone.set

    async def close(code=None, reason=None):
        await asyncio.Event().wait()

    socket.close = close
    socket.open.clear()
    out.put("a")
    await settled()
    out.drop(LastWord(CloseCode.SLOW, "Too slow."))
    await asyncio.wait_for(gone.wait(), 10)
