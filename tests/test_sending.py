"""What is written on one socket: replies first, one at a time, and none is forgotten."""

import asyncio
import json

import pytest

from django_rooms import sending
from django_rooms.protocol.codes import CloseCode
from django_rooms.sending import Sending, State


class Socket:
    """Takes what it is sent, or waits while ``stuck``."""

    def __init__(self):
        self.sent, self.closed_with = [], None
        self.open = asyncio.Event()
        self.open.set()
        self.error = None

    async def send_text(self, text):
        await self.open.wait()
        if self.error:
            raise self.error
        self.sent.append(text)

    async def close(self, code=None, reason=None):
        self.closed_with = code, reason


class Entries:
    """Frames of entries, which take until ``read`` is set to be read."""

    def __init__(self):
        self.frames, self.asked = [], asyncio.Event()
        self.read = asyncio.Event()
        self.read.set()

    async def __call__(self):
        self.asked.set()
        await self.read.wait()
        return self.frames.pop(0) if self.frames else None


@pytest.fixture
async def parts():
    socket, entries, failures = Socket(), Entries(), []
    out = Sending(socket, entries=entries, flooded=list, failed=lambda: failures.append(True))
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


async def test_a_reply_that_comes_while_entries_are_looked_for_is_written(parts):
    out, socket, entries, _ = parts
    entries.read.clear()
    out.wake()
    await entries.asked.wait()
    out.put("reply")
    entries.read.set()  # And there are none.
    await settled()
    assert socket.sent == ["reply"]


async def test_a_last_word_that_comes_while_entries_are_looked_for_is_written_before_the_close(parts):
    out, socket, entries, _ = parts
    entries.read.clear()
    out.wake()
    await entries.asked.wait()
    out.end(CloseCode.RESTART, "Bye.")
    entries.read.set()
    await settled()
    assert [json.loads(frame)["type"] for frame in socket.sent] == ["closing"]
    assert socket.closed_with == (4001, "Bye.")


async def test_what_is_queued_is_written_before_the_last_word(parts):
    out, socket, _, _ = parts
    socket.open.clear()
    out.put("a")
    out.put("b")
    out.end(CloseCode.REFUSED, "No.")
    out.end(CloseCode.RESTART, "A second end changes nothing.")
    socket.open.set()
    await settled()
    assert socket.sent[:2] == ["a", "b"]
    assert json.loads(socket.sent[2])["code"] == 4502
    assert (len(socket.sent), socket.closed_with) == (3, (4502, "No."))
    assert out.state is State.CLOSED


async def test_nothing_is_written_after_the_close(parts):
    out, socket, _, _ = parts
    out.end(CloseCode.REFUSED, "No.")
    await settled()
    out.put("late")
    out.offer("late")
    out.wake()
    await settled()
    assert len(socket.sent) == 1


async def test_a_close_code_is_a_plain_integer(parts):
    out, socket, _, _ = parts
    out.end(CloseCode.REFUSED, "No.")
    await settled()
    assert type(socket.closed_with[0]) is int


async def test_a_close_reason_fits_into_a_control_frame(parts):
    out, socket, _, _ = parts
    out.end(CloseCode.REFUSED, "ü" * 200)
    await settled()
    assert len(socket.closed_with[1].encode()) <= 123
    assert set(socket.closed_with[1]) == {"ü"}


async def test_who_reads_too_little_floods(monkeypatch):
    monkeypatch.setattr(sending, "MAX_UNSENT", 100)
    socket, floods = Socket(), []
    out = Sending(socket, entries=Entries(), flooded=lambda: floods.append(True), failed=list)
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
    out = Sending(socket, entries=Entries(), flooded=list, failed=list)
    await out.eased()
    socket.open.clear()
    out.put("x" * 10)
    out.put("x" * 60)
    waiting = asyncio.ensure_future(out.eased())
    await settled()
    assert not waiting.done()
    socket.open.set()
    await waiting


@pytest.mark.parametrize("end", [lambda out: out.stop(), lambda out: out.end(CloseCode.RESTART, "Bye.")])
async def test_an_end_lets_go_of_who_waits_for_room(monkeypatch, end):
    monkeypatch.setattr(sending, "MAX_UNSENT", 100)
    socket = Socket()
    out = Sending(socket, entries=Entries(), flooded=list, failed=list)
    socket.open.clear()
    out.put("x" * 10)
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


async def test_a_write_that_waits_can_be_seen(parts):
    out, socket, _, _ = parts
    socket.open.clear()
    out.put("a")
    await settled()
    assert out.writing_since is not None
    socket.open.set()
    await settled()
    assert out.writing_since is None
