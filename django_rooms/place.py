"""A connection's place in a room: an offset into the room's feed, and how it comes on from there.

Joining, resuming and being too slow are one and the same: read the log until the rest is in the feed's tail, then take
that and be live. No entry waits here for anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django_rooms.hub import RoomFeed
from django_rooms.protocol import frames
from django_rooms.protocol.entries import Position
from django_rooms.protocol.frames import Join
from django_rooms.publishing import Publishing
from django_rooms.rooms import Room


@dataclass(eq=False)
class Place:
    room: Room
    feed: RoomFeed
    publishing: Publishing
    # Where it is; None while it is joining.
    position: Position | None = None
    may_publish: bool = False
    # When the policy was asked, by the loop's clock.
    asked_at: float = 0.0

    async def join(self, frame: Join) -> str:
        """Come as near to the end as one frame allows, and return that frame: ``joined``.

        From its return on the feed's news are for this place; the caller sends the frame before the next ``await``.
        """
        if frame.position is not None and (reply := await self._resume(frame, frame.position)):
            return reply
        tail = self._newest_in_tail(frame.history)
        if tail is not None:
            self.position = self.feed.position
            return self._joined(frame, tail, more=self.feed.position.offset - len(tail) > self.feed.floor)
        page = await self.feed.page(frame.history)
        self.position = page.position
        return self._joined(frame, page.texts, more=page.more)

    async def rest(self) -> str | None:
        """The next frame of entries: from the feed's tail, else from the log; ``None``: wait for the feed's news."""
        position, feed = self.position, self.feed.feed
        if position is None or not self.feed.opening.done():
            return None
        if position == ("", 0):
            position = Position(feed.epoch, 0)
        if position.epoch != feed.epoch:
            return await self._reset("The room's log was restored.")
        if (run := feed.after(position.offset)) is not None:
            self.position = Position(position.epoch, run.last)
            return run.frame
        if position.offset >= feed.delivered:
            return None
        extract = await self.feed.extract(position.offset)
        if not extract.recovers(position):
            return await self._reset("The room's log no longer goes back so far.")
        if not extract.entries:
            return None
        self.position = Position(extract.epoch, position.offset + len(extract.entries))
        first = extract.epoch if position.offset == 0 else None
        return frames.entries(self.room.name, extract.texts, epoch=first)

    async def _resume(self, frame: Join, position: Position) -> str | None:
        """Everything since ``position``, if it can be had; else ``None``."""
        feed = self.feed.feed
        if position.epoch == feed.epoch and feed.tail_start <= position.offset <= feed.delivered:
            epoch, texts, head = feed.epoch, feed.texts_after(position.offset), feed.delivered
        else:
            extract = await self.feed.extract(position.offset)
            if not extract.recovers(position):
                return None
            epoch, texts, head = extract.epoch, extract.texts, extract.head
        self.position = Position(epoch, position.offset + len(texts))
        return self._joined(frame, texts, more=self.position.offset < head, recovered=True)

    def _newest_in_tail(self, count: int) -> list[str] | None:
        """The newest ``count`` entries, if the tail holds them and one frame takes them."""
        feed = self.feed.feed
        start = max(self.feed.floor, feed.delivered - count)
        if start < feed.tail_start:
            return None
        texts = feed.texts_after(start)
        return texts if start + len(texts) == feed.delivered else None

    def _joined(self, frame: Join, texts: Sequence[str], *, more: bool, recovered: bool = False) -> str:
        assert self.position is not None
        can = {"publish": self.may_publish}
        name, position = self.room.name, self.position
        return frames.joined(frame.ref, name, position, texts, recovered=recovered, more=more, can=can)

    async def _reset(self, reason: str) -> str:
        page = await self.feed.page(frames.DEFAULT_HISTORY)
        self.position = page.position
        return frames.reset(self.room.name, page.position, page.texts, reason, more=page.more)
