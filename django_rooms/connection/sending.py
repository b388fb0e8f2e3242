"""What is written on one socket, one frame at a time: replies first, then what the connection's rooms have."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from django_rooms.connection.pulse import Pulse
from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode
from django_rooms.protocol.outbox import Outbox, Overflow

logger = logging.getLogger("django_rooms")

# Characters of replies that may wait to be written.
MAX_UNSENT = 1024 * 1024

# Seconds that one write may take before the peer counts as stuck, and that a last try to close it may take then.
WRITE_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0


class Socket(Protocol):
    async def send_text(self, text: str) -> None: ...

    async def close(self, code: int | None = None, reason: str | None = None) -> None: ...


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
    """``pulse`` knows how much the peer has read: at its bound nothing is written but pings and a last word.

    ``entries`` gives the next frame of entries, or ``None``. ``flooded`` is told that the client asks for more than it
    reads, and ``failed`` that the socket takes no more.
    """

    def __init__(
        self,
        socket: Socket,
        pulse: Pulse,
        *,
        entries: Callable[[], str | None],
        flooded: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self.state = State.OPEN
        self._socket = socket
        self._pulse = pulse
        self._entries = entries
        self._flooded = flooded
        self._failed = failed
        self._outbox = Outbox(MAX_UNSENT)
        self._busy = False
        # Since when a write, or the close, has been waiting for the peer, by the loop's clock.
        self._writing_since: float | None = None
        self._last_word: LastWord | None = None
        self._loop = asyncio.get_running_loop()
        self._eased = self._loop.create_future()

    @property
    def stuck(self) -> bool:
        """The socket has taken nothing for too long."""
        return self._writing_since is not None and self._loop.time() - self._writing_since > WRITE_TIMEOUT

    def put(self, frame: str) -> None:
        """Queue a reply. Who has a megabyte of them unread floods."""
        if self.state is State.CLOSED:
            return
        try:
            self._outbox.put(frame)
        except Overflow:
            self._flooded()
        self.wake()

    def offer(self, frame: str) -> None:
        """Queue something passing, if there is room."""
        if self.state is State.OPEN and not self._pulse.full and self._outbox.offer(frame):
            self.wake()

    def wake(self) -> None:
        """There may be something to write, or it may be written now."""
        if not self._busy and self.state is not State.CLOSED:
            self._busy = True
            self._task = _start(self._write(), self._loop)

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
        self._task.cancel()
        self._writing_since = None
        self._task = self._loop.create_task(self._drop(last_word))

    def stop(self) -> None:
        """The socket is gone."""
        self.state = State.CLOSED
        self._ease()

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
        try:
            while self.state is not State.CLOSED and (frame := self._next()) is not None:
                self._writing_since = self._loop.time()
                await self._socket.send_text(frame)
                self._writing_since = None
                self._pulse.wrote(frame)
                if not self._outbox.crowded or self._pulse.full:
                    self._ease()
            if self.state is State.ENDING and self._last_word is not None:
                await self._say(self._last_word)
        except Exception as error:
            # The peer went away while it was written to.
            logger.debug("A frame could not be sent: %r", error)
            self._failed()
        finally:
            self._busy = False

    def _next(self) -> str | None:
        if (number := self._pulse.question()) is not None:
            return frames.ping(number)
        return None if self._pulse.full else self._outbox.take() or self._entries()

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
            self._failed()

    async def _close(self, last_word: LastWord) -> None:
        # An IntEnum is no close code to autobahn, and so to daphne: it asks for the very type.
        await self._socket.close(int(last_word.code), _close_reason(last_word.reason))

    def _ease(self) -> None:
        if not self._eased.done():
            self._eased.set_result(None)


def _close_reason(reason: str) -> str:
    """RFC 6455, section 5.5: a control frame has at most 125 bytes, two of them the code."""
    return reason.encode()[:120].decode(errors="ignore")


def _start(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
    """A task that, from Python 3.12 on, is done at once where nothing blocks: most writes."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, eager_start=True)
    return loop.create_task(work)
