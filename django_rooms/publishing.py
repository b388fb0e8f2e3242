"""One connection's publishes in one room, in their order, through refusals.

After a refusal that may be retried, later publishes are refused too until the refused one comes again: else it would
be stored behind them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from django_rooms import writer
from django_rooms.appends import Append
from django_rooms.protocol import frames
from django_rooms.protocol.codes import ErrorCode
from django_rooms.protocol.entries import Author, Entry
from django_rooms.protocol.frames import FrameError, Publish

MAX_IN_FLIGHT = 256


class Publishing:
    def __init__(self, room: str, sender: str, author: Author, answer: Callable[[str], None]) -> None:
        self.room = room
        self._sender = sender
        self._author = author
        self._answer = answer
        # The ids of what is under way, in order.
        self._under_way: dict[Future[Entry | None], str] = {}
        self._last: Future[Entry | None] | None = None
        # The id that was refused and has to come first.
        self._refused: str | None = None

    def submit(self, frame: Publish) -> None:
        """Have it stored, and answer then. Raise :class:`FrameError` if it cannot be taken now."""
        again = frame.id == self._refused
        if self._refused is not None and not again:
            raise _busy("An earlier message has to be sent again first.")
        item = Append(self.room, self._sender, frame.id, frame.body_text, self._author)
        try:
            if len(self._under_way) >= MAX_IN_FLIGHT:
                raise writer.Busy
            future = writer.submit(item, None if again else self._last)
        except writer.Busy:
            self._refused = self._first_failed() or frame.id
            raise _busy("Too much is being published just now.") from None
        self._refused, self._last = None, future
        self._under_way[future] = frame.id
        asyncio.wrap_future(future).add_done_callback(partial(self._done, frame, future))

    def give_up(self, id: str) -> None:
        """``id`` was refused for good: nothing waits for it any more."""
        if self._refused == id:
            self._refused = None
            self._last = None

    def _first_failed(self) -> str | None:
        """What has failed already, though this loop was not told yet."""
        return next((sent for future, sent in self._under_way.items() if writer.has_failed(future)), None)

    def _done(self, frame: Publish, future: "Future[Entry | None]", stored: "asyncio.Future[Entry | None]") -> None:
        del self._under_way[future]
        if stored.cancelled():
            return
        if error := stored.exception():
            self._answer(frames.error(self._refusal(frame, error)))
        elif frame.ref is not None:
            entry = stored.result()
            self._answer(frames.ok(frame.ref, entry.offset if entry else None))

    def _refusal(self, frame: Publish, error: BaseException) -> FrameError:
        if not isinstance(error, writer.PASSING):
            message = "The database does not take this message."
            return FrameError(ErrorCode.BAD_BODY, message, frame.ref, self.room)
        # Of several that were under way the first: the others come behind it.
        self._refused = self._refused or frame.id
        message = "The message could not be stored just now."
        return FrameError(ErrorCode.UNAVAILABLE, message, frame.ref, self.room, retry_after=1.0)


def _busy(message: str) -> FrameError:
    return FrameError(ErrorCode.BUSY, message, retry_after=0.5)
