"""What waits to be sent on one connection: replies and events, in order, within a bound.

Entries are not here. They stay in the feeds, at whose offsets the connection is.
"""

from collections import deque


class Overflow(Exception):
    """The client asks for more than it reads."""


class Outbox:
    __slots__ = ("_frames", "characters", "max_characters")

    def __init__(self, max_characters: int) -> None:
        self.max_characters = max_characters
        self.characters = 0
        # None while nothing waits: an empty deque holds three quarters of a KiB, in each of ten thousand connections.
        self._frames: deque[str] | None = None

    def __len__(self) -> int:
        return len(self._frames or ())

    @property
    def crowded(self) -> bool:
        """Half of the room is taken: time to stop asking for more."""
        return self.characters > self.max_characters // 2

    def put(self, frame: str) -> None:
        """Queue a reply, or raise :class:`Overflow`: a reply is never dropped, so the connection has to end."""
        if not self._has_room_for(frame):
            raise Overflow
        if self._frames is None:
            self._frames = deque()
        self._frames.append(frame)
        self.characters += len(frame)

    def offer(self, frame: str) -> bool:
        """Queue something passing, unless half of the room is taken: events are the first to be dropped."""
        if self.crowded or not self._has_room_for(frame):
            return False
        self.put(frame)
        return True

    def take(self, most: int, characters: int) -> list[str]:
        """The first ``most`` frames, as far as so many ``characters`` go; the last of them may go beyond."""
        taken: list[str] = []
        while self._frames and len(taken) < most and characters > 0:
            taken.append(self._frames.popleft())
            characters -= len(taken[-1])
            self.characters -= len(taken[-1])
        if not self._frames:
            self._frames = None
        return taken

    def _has_room_for(self, frame: str) -> bool:
        return not self._frames or self.characters + len(frame) <= self.max_characters
