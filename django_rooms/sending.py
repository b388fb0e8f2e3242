"""What is written on one socket, one frame at a time: replies first, then what the connection's rooms have."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from typing import Any, Protocol

from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode
from django_rooms.protocol.outbox import Outbox, Overflow

logger = logging.getLogger("django_rooms")

# Characters of replies that may wait to be written.
MAX_UNSENT = 1024 * 1024


class Socket(Protocol):
    async def send_text(self, text: str) -> None: ...

    async def close(self, code: int | None = None, reason: str | None = None) -> None: ...


class State(Enum):
    OPEN = auto()
    ENDING = auto()
    CLOSED = auto()


class Sending:
    """``entries`` gives the next frame of entries, or ``None``.

    ``flooded`` is told that the client asks for more than it reads, and ``failed`` that the socket takes no more.
    """

    def __init__(
        self,
        socket: Socket,
        *,
        entries: Callable[[], Awaitable[str | None]],
        flooded: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self.state = State.OPEN
        # Since when a write has been waiting for the peer, by the loop's clock.
        self.writing_since: float | None = None
        self._socket = socket
        self._entries = entries
        self._flooded = flooded
        self._failed = failed
        self._outbox = Outbox(MAX_UNSENT)
        self._busy = False
        self._last_word: tuple[CloseCode, str] | None = None
        self._loop = asyncio.get_running_loop()
        self._eased = self._loop.create_future()

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
        if self.state is State.OPEN and self._outbox.offer(frame):
            self.wake()

    def wake(self) -> None:
        """There may be something to write."""
        if not self._busy and self.state is not State.CLOSED:
            self._busy = True
            self._task = _start(self._write(), self._loop)

    def end(self, code: CloseCode, reason: str) -> None:
        """Write what is queued and a last word, then close."""
        if self.state is not State.OPEN:
            return
        self.state = State.ENDING
        self._last_word = code, reason
        try:
            self._outbox.put(frames.closing(code, reason))
        except Overflow:
            logger.info("A connection that reads too little is closed without a last word: %s", reason)
        self._ease()
        self.wake()

    def stop(self) -> None:
        """The socket is gone."""
        self.state = State.CLOSED
        self._ease()

    async def eased(self) -> None:
        """Wait while half of what may wait does: who reads less than it asks for is read from no more."""
        while self._outbox.crowded and self.state is State.OPEN:
            self._eased = self._loop.create_future()
            await self._eased

    async def _write(self) -> None:
        try:
            while self.state is not State.CLOSED and (frame := await self._next()) is not None:
                self.writing_since = self._loop.time()
                await self._socket.send_text(frame)
                self.writing_since = None
                if not self._outbox.crowded:
                    self._ease()
            if self.state is State.ENDING and self._last_word is not None:
                self.stop()
                code, reason = self._last_word
                # An IntEnum is no close code to autobahn, and so to daphne: it asks for the very type.
                await self._socket.close(int(code), _close_reason(reason))
        except Exception as error:
            # The peer went away while it was written to.
            logger.debug("A frame could not be sent: %r", error)
            self._failed()
        finally:
            self._busy = False

    async def _next(self) -> str | None:
        # Replies may have come while entries were looked for, and none were found.
        return self._outbox.take() or await self._entries() or self._outbox.take()

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
