"""A connection's place in a room: an offset into the room's feed, and how it comes on from there.

Joining, resuming and being too slow are one and the same: read the log until the rest is in the feed's tail, then take
that and be live. No entry waits here for anybody.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django_rooms.feeds.feed import RoomFeed
from django_rooms.protocol import frames
from django_rooms.protocol.entries import Position
from django_rooms.protocol.frames import Join
from django_rooms.protocol.presence import Present
from django_rooms.rooms import Room

logger = logging.getLogger("django_rooms")


@dataclass(eq=False, slots=True)
class Place:
    room: Room
    feed: RoomFeed
    # Where it is; None while it is joining.
    position: Position | None = None
    may_publish: bool = False
    # When the policy was asked, by the loop's clock.
    asked_at: float = 0.0
    # Whether they may know who else is in the room; the revision that they were told.
    sees_members: bool = False
    told: int | None = None

    async def join(self, frame: Join) -> str:
        """Come as near to the end as one frame allows, and return that frame: ``joined``.

        From its return on the feed's news are for this place; the caller sends the frame before the next ``await``.
        """
        if frame.position is not None and (reply := await self._resume(frame, frame.position)):
            return reply
        texts, more = await self._start(frame.history)
        return self._joined(frame, texts, more=more)

    def tail(self) -> str | None:
        """The next frame of entries, if the feed's tail has it."""
        position, feed = self._here, self.feed.feed
        if position is None or position.epoch != feed.epoch or (run := feed.after(position.offset)) is None:
            return None
        self.position = Position(position.epoch, run.last)
        return run.frame

    def presence(self) -> str | None:
        """The next frame of who is in the room, if that is another than was told."""
        present = self._present
        if present is None or self.told is None or self.told == present.revision:
            return None
        frame = present.after(self.told, names=self.sees_members)
        self.told = present.revision
        return frame

    @property
    def _present(self) -> Present | None:
        return self.feed.presence.present if self.feed.presence is not None else None

    @property
    def lags(self) -> bool:
        """Where the tail had nothing: whether to read the log, or to wait for the feed's news.

        Beyond what the feed knows of, too: the log knows whether it has such an offset.
        """
        position, feed = self._here, self.feed.feed
        return position is not None and (
            position.epoch != feed.epoch or not feed.delivered <= position.offset <= feed.head
        )

    async def read(self) -> str | None:
        """The next frame of entries from the log; or a ``reset``, if it no longer has what comes next.

        ``None``: there is nothing, or nothing to be told before the feed has news.
        """
        if (frame := self.tail()) is not None or (position := self._here) is None or not self.lags:
            return frame  # The feed was opened anew since somebody looked.
        if position.epoch != self.feed.feed.epoch:
            return await self._reset("The room's log was restored.")
        logger.debug("A connection reads on from the log: %r after %s", self.room.name, position.offset)
        extract = await self.feed.extract(position.offset)
        if not extract.recovers(position):
            return await self._reset("The room's log no longer has what comes next.")
        if not extract.texts:
            return None
        self.position = Position(extract.epoch, extract.last)
        first = extract.epoch if position.offset == 0 else None
        return frames.entries(self.room.name, extract.texts, epoch=first)

    @property
    def _here(self) -> Position | None:
        """None while nothing can be told: it is joining, or the feed is being opened."""
        if self.position is None or not self.feed.opening.done():
            return None
        return Position(self.feed.feed.epoch, 0) if self.position == ("", 0) else self.position

    @property
    def behind(self) -> bool:
        """There may be more than the feed will tell of. At its end the next news is told, and none has to be asked."""
        position, feed, present = self.position, self.feed.feed, self._present
        if present is not None and self.told != present.revision:
            return True
        return position is None or position.offset != feed.delivered or position.epoch != feed.epoch

    async def _resume(self, frame: Join, position: Position) -> str | None:
        """Everything since ``position``, if it can be had; else ``None``."""
        feed = self.feed.feed
        texts: Sequence[str]
        if position.epoch == feed.epoch and feed.tail_start <= position.offset <= feed.delivered:
            epoch, texts, head = feed.epoch, feed.texts_after(position.offset), feed.delivered
        else:
            # Of another epoch there may be news that this process has not heard.
            extract = await self.feed.extract(position.offset, fresh=position.epoch != feed.epoch)
            if not extract.recovers(position):
                return None
            epoch, texts, head = extract.epoch, extract.texts, max(extract.head, feed.delivered)
        self.position = Position(epoch, position.offset + len(texts))
        return self._joined(frame, texts, more=self.position.offset < head, recovered=True)

    async def _start(self, count: int) -> tuple[Sequence[str], bool]:
        """Be at the log's end. Return its newest ``count`` entries, and whether there are older ones.

        All who are in a room start over together: what is in memory costs no query of each.
        """
        if (tail := self._newest_in_tail(count)) is not None:
            self.position = self.feed.position
            return tail, self.position.offset - len(tail) > self.feed.floor
        page = await self.feed.page(count)
        self.position = page.position
        return page.texts, page.more

    def _newest_in_tail(self, count: int) -> list[str] | None:
        """The newest ``count`` entries, or as many as one frame takes, if the tail holds them."""
        # While the feed is opened anew, or could not be, its tail is of the log as it was.
        if not self.feed.opening.done() or self.feed.failed:
            return None
        feed = self.feed.feed
        return feed.newest(min(count, feed.delivered - self.feed.floor))

    def _joined(self, frame: Join, texts: Sequence[str], *, more: bool, recovered: bool = False) -> str:
        assert self.position is not None
        can = {"publish": self.may_publish}
        name, position, present = self.room.name, self.position, "null"
        if self._present is not None:
            self.told, present = self._present.revision, self._present.state(names=self.sees_members)
        return frames.joined(frame.ref, name, position, texts, recovered=recovered, more=more, can=can, present=present)

    async def _reset(self, reason: str) -> str:
        logger.debug("A connection starts over: %r. %s", self.room.name, reason)
        texts, more = await self._start(frames.DEFAULT_HISTORY)
        assert self.position is not None
        return frames.reset(self.room.name, self.position, texts, reason, more=more)
