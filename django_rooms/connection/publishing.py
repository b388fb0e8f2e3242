"""One connection's publishes, edits and removals in one room, in their order, through refusals.

After a refusal that may be retried, later publishes are refused too until the refused one comes again: else it would
be stored behind them.
"""

from asyncio import CancelledError
from collections.abc import Callable
from functools import partial
from typing import Any

from django_rooms.handover import handover
from django_rooms.log import writer
from django_rooms.log.appends import Append, UnknownTarget
from django_rooms.log.receipt import Receipt
from django_rooms.protocol import frames
from django_rooms.protocol.codes import ErrorCode
from django_rooms.protocol.entries import BLANK, Author, Kind
from django_rooms.protocol.frames import Edit, FrameError, Publish, Remove
from django_rooms.threads import PASSING

MAX_IN_FLIGHT = 256

# Ids whose fate is remembered: of each of them a copy may come.
MAX_REMEMBERED = 256

Said = Publish | Edit | Remove


class Publishing:
    """``answer`` takes a frame; ``settled`` is called when one more is answered."""

    __slots__ = (
        *("_answer", "_author", "_given_up", "_last", "_refused", "_sender", "_settled", "_stored", "_under_way"),
        *("room", "unanswered"),
    )

    def __init__(
        self,
        room: str,
        sender: str,
        author: Author,
        answer: Callable[[str], None],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.room = room
        self._sender = sender
        self._author = author
        self._answer = answer
        self._settled = settled
        # The ids of what is under way, in order, and of what failed until the first of them comes again.
        self._under_way: dict[Receipt, str] = {}
        # The same, as their end is known here: in order, each until it was answered.
        self.unanswered: dict[Receipt, None] = {}
        self._last: Receipt | None = None
        # The id that was refused before it was under way. Whatever fails was sent before it.
        self._refused: str | None = None
        # What was settled: the offsets of what was stored, and what was refused for good. Who hears of a refusal sends
        # everything again that has no answer yet, also what is answered at that moment, and some send everything twice
        # unasked. Such a copy overtakes nothing; and nothing may wait for it, for it does not come again.
        self._stored: dict[str, int | None] = {}
        self._given_up: dict[str, None] = {}

    def submit(self, frame: Said) -> None:
        """Have it stored, and answer then. Raise :class:`FrameError` if it cannot be taken now."""
        if frame.id in self._stored:
            self._accept(frame, self._stored[frame.id])
            return
        failed = self._first_failed()
        first = self._refused if failed is None else failed
        if first is not None and frame.id != first:
            raise _busy("An earlier message has to be sent again first.")
        try:
            if failed is None and len(self._under_way) >= MAX_IN_FLIGHT:
                raise writer.Busy
            receipt = writer.submit(self._append(frame), self._last if failed is None else None)
        except writer.Busy:
            self.hold(frame.id)
            raise _busy("Too much is being published just now.") from None
        if failed is not None:
            self._under_way = {other: sent for other, sent in self._under_way.items() if not writer.has_failed(other)}
        self._refused, self._last = None, receipt
        self._under_way[receipt] = frame.id
        self.unanswered[receipt] = None
        receipt.then(partial(handover().call, self._done, frame))

    @property
    def unfinished(self) -> bool:
        """Something is under way, or has to come again."""
        return bool(self._under_way) or self._refused is not None

    def hold(self, id: str) -> None:
        """``id`` was refused and may be retried: until then nothing may overtake it.

        Another copy of it may be under way, or settled. Then its sender is told, and may send it no more.
        """
        if id not in self._under_way.values() and not self._is_settled(id):
            self._refused = self._refused or id

    def give_up(self, id: str) -> None:
        """``id`` was refused for good: nothing waits for it any more."""
        self._under_way = {
            receipt: sent for receipt, sent in self._under_way.items() if sent != id or not writer.has_failed(receipt)
        }
        if self._refused == id:
            self._refused = None
        self._remember(self._given_up, id, None)

    def _append(self, frame: Said) -> Append:
        match frame:
            case Publish():
                return Append(self.room, self._sender, frame.id, frame.body_text, self._author)
            case Edit():
                return Append(self.room, self._sender, frame.id, frame.body_text, self._author, Kind.EDIT, frame.target)
            case Remove():
                return Append(self.room, self._sender, frame.id, BLANK, self._author, Kind.REMOVAL, frame.target)

    def _first_failed(self) -> str | None:
        """What failed and has to come again, also if this loop was not told yet. All that was behind it failed too."""
        if self._last is None or not writer.has_failed(self._last):
            return None
        for receipt, sent in self._under_way.items():
            if writer.has_failed(receipt) and not self._is_settled(sent):
                return sent
        self._last = None  # All of it was given up, or another copy of it stored.
        return None

    def _is_settled(self, id: str) -> bool:
        return id in self._stored or id in self._given_up

    def _done(self, frame: Said, receipt: Receipt) -> None:
        del self.unanswered[receipt]
        self._end(frame, receipt)
        self._settled()

    def _end(self, frame: Said, receipt: Receipt) -> None:
        try:
            entry, error = receipt.result(), None
        except CancelledError:
            self._under_way.pop(receipt, None)
            return
        except Exception as failure:
            entry, error = None, failure
        if not isinstance(error, PASSING) or self._is_settled(frame.id):
            self._under_way.pop(receipt, None)
        if error and frame.id in self._stored:  # Another copy of it.
            self._accept(frame, self._stored[frame.id])
            return
        if error:
            self._answer(frames.error(self._refusal(frame, error)))
            return
        offset = entry.offset if entry else None
        self._remember(self._stored, frame.id, offset)
        self._accept(frame, offset)

    def _accept(self, frame: Said, offset: int | None) -> None:
        if frame.ref is not None:
            self._answer(frames.ok(frame.ref, offset))

    def _remember(self, settled: dict[str, Any], id: str, offset: int | None) -> None:
        settled[id] = offset
        if len(settled) > MAX_REMEMBERED:
            del settled[next(iter(settled))]

    def _refusal(self, frame: Said, error: BaseException) -> FrameError:
        if not isinstance(error, PASSING):
            self._remember(self._given_up, frame.id, None)
        if isinstance(error, UnknownTarget):
            return FrameError(ErrorCode.UNKNOWN_TARGET, str(error), frame.ref, self.room)
        if not isinstance(error, PASSING):
            message = "The database does not take this message."
            return FrameError(ErrorCode.BAD_BODY, message, frame.ref, self.room)
        message = "The message could not be stored just now."
        return FrameError(ErrorCode.UNAVAILABLE, message, frame.ref, self.room, retry_after=1.0)


def _busy(message: str) -> FrameError:
    return FrameError(ErrorCode.BUSY, message, retry_after=0.5)
