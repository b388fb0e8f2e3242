"""What waits to be sent on one connection: replies and events, in order, within a bound of bytes.

Entries are not here. They stay in the feeds, at whose offsets the connection is.
"""

from collections import deque


class Overflow(Exception):
    """The client asks for more than it reads."""


class Outbox:
    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._frames: deque[str] = deque()

    def put(self, frame: str) -> None:
        """Queue a reply, or raise :class:`Overflow`: a reply is never dropped, so the connection has to end."""
        if self.bytes + len(frame) > self.max_bytes:
            raise Overflow
        self._frames.append(frame)
        self.bytes += len(frame)

    def offer(self, frame: str) -> bool:
        """Queue something passing, unless half of the room is taken: events are the first to be dropped."""
        if self.bytes + len(frame) > self.max_bytes // 2:
            return False
        self.put(frame)
        return True

    def take(self) -> str | None:
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self.bytes -= len(frame)
        return frame
