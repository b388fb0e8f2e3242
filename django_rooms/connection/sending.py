"""What is written on one socket, one frame at a time: replies first, then what the connection's rooms have."""

import asyncio
import logging
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from django_rooms.connection.pulse import Pulse
from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode
from django_rooms.protocol.outbox import Outbox, Overflow
from django_rooms.protocol.text import size_of

logger = logging.getLogger("django_rooms")

# Characters of replies that may wait to be written.
MAX_UNSENT = 1024 * 1024

# Characters of replies that go into one message.
MESSAGE = 64 * 1024

# Seconds that one write may take before the peer counts as stuck, and that a last try to close it may take then.
WRITE_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0


class Socket(Protocol):
    def send_text(self, text: str) -> Coroutine[Any, Any, None]: ...

    async def close(self, code: int | None = None, reason: str | None = None) -> None: ...


class Owner(Protocol):
    def entries(self) -> str | None:
        """The next frame of entries, if there is one."""

    def flooded(self) -> None:
        """The client asks for more than it reads."""

    def failed(self) -> None:
        """The socket takes no more."""


class State(Enum):
    OPEN = auto()
    ENDING = auto()
    CLOSED = auto()


@dataclass(frozen=True)
class LastWord:
    """``after``: the seconds after which the client is to come back, if it is not for the client to choose."""

    code: CloseCode
    reason: str
    after: float | None = None


class Sending:
    """``pulse`` knows how much the peer has read: at its bound nothing is written but pings and a last word."""

    __slots__ = (
        *("_busy", "_eased", "_last_word", "_loop", "_outbox", "_owner", "_pulse", "_socket"),
        *("_task", "_waking", "_woken_meanwhile", "_writing_since", "state"),
    )

    def __init__(self, socket: Socket, pulse: Pulse, owner: Owner) -> None:
        self.state = State.OPEN
        self._socket = socket
        self._pulse = pulse
        self._owner = owner
        self._outbox = Outbox(MAX_UNSENT)
        self._busy = self._waking = self._woken_meanwhile = False
        # Since when a write, or the close, has been waiting for the peer, by the loop's clock.
        self._writing_since: float | None = None
        self._last_word: LastWord | None = None
        self._loop = asyncio.get_running_loop()
        # What is being written; and who waits for room among the replies.
        self._task: asyncio.Task[None] | None = None
        self._eased: asyncio.Future[None] | None = None

    @property
    def stuck(self) -> bool:
        """The socket has taken nothing for too long."""
        return self._writing_since is not None and self._loop.time() - self._writing_since > WRITE_TIMEOUT

    def put(self, frame: str) -> None:
        """Queue a reply. Who has a megabyte of them unread floods.

        What is put in one turn of the loop goes together.
        """
        if self.state is State.CLOSED:
            return
        try:
            self._outbox.put(frame)
        except Overflow:
            self._owner.flooded()
        self._wake_soon()

    def offer(self, frame: str) -> None:
        """Queue something passing, if there is room."""
        if self.state is State.OPEN and not self._pulse.full and self._outbox.offer(frame):
            self._wake_soon()

    @property
    def free(self) -> bool:
        """Nothing is being written, and anything may be."""
        return not self._busy and self.state is State.OPEN and self._pulse.clear

    @property
    def idle(self) -> bool:
        """What is passed on now is sent, for nothing else waits."""
        return self.free and not self._outbox

    def pass_on(self, text: str, size: int) -> bool:
        """Send a frame, or an array, behind the replies that wait, if nothing else is in its way; whether it was.

        This is what a room of a thousand does a thousand times for each message: it goes no further than it has to.
        """
        if not self.free:
            return False
        if self._outbox:
            if text.startswith("[") or len(self._outbox) >= frames.MAX_BATCH or self._outbox.characters > MESSAGE:
                return False
            text = frames.pack([*self._outbox.take(frames.MAX_BATCH - 1, MESSAGE), text])
            size = size_of(text)
        self._pass(text, size)
        return True

    def _pass(self, text: str, size: int) -> None:
        self._pulse.wrote(size)
        task = _start(self._socket.send_text(text), self._loop)
        if task.done():
            self._look_at(task)
        else:
            self._busy, self._task, self._writing_since = True, task, self._loop.time()
            task.add_done_callback(self._passed)

    def ask(self) -> None:
        """Ask the peer for a sign of life, if that is due. Most connections say nothing else most of the time."""
        if self._busy or self._outbox or self.state is not State.OPEN:
            self.wake()
        elif (number := self._pulse.question()) is not None:
            self._pass(ping := frames.ping(number), len(ping))

    def wake(self) -> None:
        """There may be something to write, or it may be written now."""
        if self._busy:
            self._woken_meanwhile = True
        elif self.state is not State.CLOSED:
            self._busy = True
            task = _start(self._write(), self._loop)
            if self._busy:
                self._task = task

    def end(self, last_word: LastWord) -> None:
        """Write what is queued, unless the peer has too much to read already, and a last word; then close."""
        if self.state is not State.OPEN:
            return
        self.state = State.ENDING
        self._last_word = last_word
        self._ease()
        self.wake()

    def drop(self, last_word: LastWord) -> None:
        """The socket is stuck: write nothing more, try for a moment to close it with a word, and let it go."""
        self.stop()
        if self._task is not None:
            self._task.cancel()
        self._writing_since = None
        self._task = self._loop.create_task(self._drop(last_word))

    def stop(self) -> None:
        """The socket is gone."""
        self.state = State.CLOSED
        self._ease()

    @property
    def crowded(self) -> bool:
        """Half of what may wait does, or the end has come."""
        return self._outbox.crowded or self.state is not State.OPEN

    async def eased(self) -> bool:
        """Wait while half of what may wait does: who reads less than it asks for is read from no more.

        Whether more may be asked. At the bound of what is unread it may not, and nothing is waited for: then the
        peer's next word lets go, and has to be heard.
        """
        while self._outbox.crowded and self.state is State.OPEN:
            if self._pulse.full:
                return False
            self._eased = self._loop.create_future()
            await self._eased
        return self.state is State.OPEN

    async def _write(self) -> None:
        self._woken_meanwhile = False
        try:
            while self.state is not State.CLOSED and (taken := self._next()):
                text = frames.pack(taken)
                self._writing_since = self._loop.time()
                await self._socket.send_text(text)
                self._writing_since = None
                self._pulse.wrote(size_of(text))
                if not self._outbox.crowded or self._pulse.full:
                    self._ease()
            if self.state is State.ENDING and self._last_word is not None:
                await self._say(self._last_word)
        except Exception as error:
            self._fail(error)
        finally:
            self._busy, self._task = False, None

    def _passed(self, task: "asyncio.Task[None]") -> None:
        self._busy, self._task, self._writing_since = False, None, None
        if not task.cancelled():  # Else it was dropped, and that goes on.
            self._look_at(task)
        if self._woken_meanwhile or self._outbox:
            self._woken_meanwhile = False
            self.wake()

    def _look_at(self, task: "asyncio.Task[None]") -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """The peer went away while it was written to."""
        logger.debug("A frame could not be sent: %r", error)
        self._owner.failed()

    def _next(self) -> list[str]:
        """The frames of the next message. Entries come behind all replies, of which one may say where they begin."""
        if (number := self._pulse.question()) is not None:
            return [frames.ping(number)]
        if self._pulse.full:
            return []
        taken = self._outbox.take(frames.MAX_BATCH - 1, MESSAGE)
        characters = sum(map(len, taken))
        if not self._outbox and characters < MESSAGE and (entries := self._owner.entries()) is not None:
            taken.append(entries)
        return taken

    async def _say(self, last_word: LastWord) -> None:
        self._writing_since = self._loop.time()
        await self._socket.send_text(frames.closing(last_word.code, last_word.reason, after=last_word.after))
        self.stop()
        await self._close(last_word)
        self._writing_since = None

    async def _drop(self, last_word: LastWord) -> None:
        try:
            await asyncio.wait_for(self._close(last_word), CLOSE_TIMEOUT)
        except Exception as error:
            logger.debug("A socket that takes nothing could not be closed: %r", error)
        finally:
            self._owner.failed()

    async def _close(self, last_word: LastWord) -> None:
        # An IntEnum is no close code to autobahn, and so to daphne: it asks for the very type.
        await self._socket.close(int(last_word.code), _close_reason(last_word.reason))

    def _wake_soon(self) -> None:
        if not self._busy and not self._waking:
            self._waking = True
            self._loop.call_soon(self._woken)

    def _woken(self) -> None:
        self._waking = False
        if self._outbox:  # Else it went with what the room told.
            self.wake()

    def _ease(self) -> None:
        if self._eased is not None and not self._eased.done():
            self._eased.set_result(None)


def _close_reason(reason: str) -> str:
    """RFC 6455, section 5.5: a control frame has at most 125 bytes, two of them the code."""
    return reason.encode()[:120].decode(errors="ignore")


def _start(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
    """A task that, from Python 3.12 on, is done at once where nothing blocks: most writes."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, eager_start=True)
    return loop.create_task(work)
