"""What one client has asked and was not answered yet: in its order, one at a time."""

from collections.abc import Sequence
from typing import Protocol

from django_rooms.connection.sending import MAX_UNSENT, Sending
from django_rooms.protocol.frames import Frame, FrameError

Asked = Frame | FrameError

# Characters that a frame counts for at least: `{}` is two of them, and an error with its sentence in memory.
FRAME = 512


class Owner(Protocol):
    async def handle(self, asked: Asked) -> None:
        """Do it, and answer it."""

    def flooded(self) -> None:
        """The client asks for more than it reads."""


class Requests:
    """A client that reads less than it asks for is not answered until it has read more.

    Its messages are still taken, because one of them has to say so: within a bound, beyond which it floods.
    """

    __slots__ = ("_characters", "_owner", "_sending", "_waiting", "under_way")

    def __init__(self, sending: Sending, owner: Owner) -> None:
        # One is being handled, or waits for room among the replies.
        self.under_way = False
        self._sending = sending
        self._owner = owner
        # With the characters that each counts for. No deque: most of the time it is empty.
        self._waiting: list[tuple[Asked, int]] = []
        self._characters = 0

    @property
    def waiting(self) -> bool:
        """Something was asked before, and could not be answered yet."""
        return bool(self._waiting)

    async def answer(self, asked: Sequence[Asked], characters: int) -> None:
        """Answer what waits and then ``asked``, a message of so many ``characters``, as far as may be now."""
        self.under_way = True
        try:
            if len(asked) == 1 and not self._waiting and not self._sending.crowded:
                await self._owner.handle(asked[0])
                return
            each = max(FRAME, characters // max(len(asked), 1))
            self._waiting.extend((frame, each) for frame in asked)
            self._characters += each * len(asked)
            while self._waiting and (not self._sending.crowded or await self._sending.eased()):
                frame, characters = self._waiting.pop(0)
                self._characters -= characters
                await self._owner.handle(frame)
        finally:
            self.under_way = False
        if self._characters > MAX_UNSENT:
            self._owner.flooded()
