"""One room in one process: a feed with its connections, and with access to the log and to the layer.

It delivers what it hears in the log's order (``protocol/feed.py``), reads what it missed from the log, and wakes those
who follow it. It knows no other room; what a process has of feeds is its hub's.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Protocol

from django_rooms.doorbell import bell
from django_rooms.doorbell.listener import Listener
from django_rooms.feeds.blocks import Blocks, Shelf
from django_rooms.feeds.presence import RoomPresence
from django_rooms.feeds.rounds import Rounds
from django_rooms.feeds.told import Gathered, Told, entries
from django_rooms.log import pages, store
from django_rooms.log.pages import EXTRACT, Extract, Head, Page
from django_rooms.names import group_name
from django_rooms.protocol.entries import Position
from django_rooms.protocol.feed import Feed, Heard
from django_rooms.threads import reading

logger = logging.getLogger("django_rooms")

# The order of commits is not the order of doorbells: a gap is given this many seconds to close by itself.
GAP_WAIT = 0.05

# What a feed reads when it opens: a page, so that most who join find all they want in memory.
OPENING = 64


class Follower(Protocol):
    """A connection in a room."""

    def wake(self, room: str) -> None:
        """The room has something new: ask its feed for what comes after you."""

    def hear(self, told: Told) -> None:
        """The room tells this to all who follow it."""

    def hear_presence(self, room: str) -> None:
        """Others are in the room now."""

    def hear_message(self, message: dict[str, Any]) -> None:
        """The layer brought a message of the host's own for everybody in the room."""


class RoomFeed:
    """A feed with its connections and with access to the log."""

    def __init__(
        self, name: str, look_soon: Callable[[], None], shelf: Shelf, max_characters: int, rounds: Rounds
    ) -> None:
        self.name = name
        # Who is in the room; ``None`` where its class does not tell.
        self.presence: RoomPresence | None = None
        self.followers: set[Follower] = set()
        self.waiting = 0
        self.feed = Feed(name, max_characters=max_characters)
        self._rounds = rounds
        self._gathered = Gathered(name)
        self._position = Position("", 0)
        # The offset that those who are live have been told.
        self._told = 0
        self._entries_wait = False
        self.floor = 0
        self.opening = asyncio.create_task(self._open())
        self._healing: asyncio.Task[None] | None = None
        # What was rung before the layer was listening to is found by a look.
        self._listener = Listener([group_name(name)], self.hear_layer, lambda channel: look_soon())
        self._heard: dict[str, int] = {}
        self._closed = False
        self._blocks = Blocks(shelf, self._read)
        # The newest pages that are being read, by how much was asked for.
        self._pages: dict[int, asyncio.Task[Page]] = {}

    @property
    def position(self) -> Position:
        """The same object for all who are at it."""
        if self._position != (self.feed.epoch, self.feed.delivered):
            self._position = Position(self.feed.epoch, self.feed.delivered)
        return self._position

    @property
    def failed(self) -> bool:
        """The log could not be read."""
        return self.opening.done() and (self.opening.cancelled() or self.opening.exception() is not None)

    def hear_layer(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case bell.BELL:
                self.hear(message["epoch"], message["first"], message["entries"], message["head"])
            case bell.EVENT:
                if message["from"] != bell.process():
                    self.hear_event(message["frame"])
            case bell.PRESENCE:
                if self.presence is not None and message["from"] != bell.process():
                    self.presence.changed()
            case _:
                for follower in tuple(self.followers):
                    follower.hear_message(deepcopy(message))  # as each consumer would get its own from the layer

    def hear(self, epoch: str, first: int, texts: Sequence[str], head: int) -> None:
        if self._closed:
            return  # By a read that somebody still waits for. Nobody would end what it began here.
        if not self.opening.done():
            self._heard[epoch] = max(self._heard.get(epoch, 0), head)
            return
        blanked = self.feed.blanked
        heard = self.feed.hear(epoch, first, texts, head)
        if self.feed.blanked != blanked:
            self._blocks.forget()
        match heard:
            case Heard.DELIVERED:
                self._entries_come()
            case Heard.GAP:
                self._entries_come()
                self._heal(GAP_WAIT)
            case Heard.RESET:
                self.reopen()

    def hear_event(self, frame: str, sender: Follower | None = None) -> None:
        self._gathered.add_event(frame, sender)
        self._rounds.want(self)

    def tell(self) -> None:
        """One round: all that has come since the last one. Who cannot take it as it is asks for what it wants."""
        start, self._told = self._told, self.feed.delivered
        run = self.feed.after(start) if self._entries_wait and self.opening.done() else None
        if self._entries_wait and run is None:
            self.wake()  # It is further than the tail goes back, or nothing but that the log goes on.
        self._entries_wait = False
        more = run is not None and run.last < self.feed.delivered
        news = entries(self.name, self.feed.epoch, start, run, more=more) if run is not None else None
        followers = tuple(self.followers)
        for told in self._gathered.take(news):
            for follower in followers:
                try:
                    follower.hear(told)
                except Exception as error:
                    self._could_not_tell(follower, error)

    def tell_presence(self) -> None:
        for follower in tuple(self.followers):
            try:
                follower.hear_presence(self.name)
            except Exception as error:
                self._could_not_tell(follower, error)

    def _could_not_tell(self, follower: Follower, error: Exception) -> None:
        """The others have the news all the same; and it comes on from where it is."""
        logger.error("The news of the room %r could not be told to a connection.", self.name, exc_info=error)
        asyncio.get_running_loop().call_soon(follower.wake, self.name)

    def _entries_come(self) -> None:
        self._entries_wait = True
        self._gathered.add_entries()
        self._rounds.want(self)

    def look(self, known: Position, head: Head) -> None:
        """A look that began when ``known`` was this feed's position found that the log reaches to ``head``."""
        if not head.epoch and not known.epoch:
            return
        if head.epoch == known.epoch and head.offset < known.offset:
            self.reopen()  # The log has lost what was in it.
            return
        if head.epoch == self.feed.epoch and head.offset > self.feed.head:
            logger.debug("A look found what no doorbell told: %r reaches %s", self.name, head.offset)
        self._learn(head)

    async def extract(self, offset: int, *, fresh: bool = False) -> Extract:
        """The log after ``offset``, read once for all who come for it; ``fresh``: as it is now."""
        return await self._blocks.after(offset, fresh=fresh)

    async def page(self, limit: int, before: int | None = None) -> Page:
        """Messages for people: the newest, read once for all who wait for them, or those before an offset.

        Who is given what was read a moment ago goes on from there: its position is older, and nothing is lost.
        """
        if before is not None:
            return await reading.run(pages.page, self.name, limit, before)
        if (task := self._pages.get(limit)) is None:
            task = self._pages[limit] = asyncio.create_task(self._read_page(limit))
            task.add_done_callback(partial(self._page_is_read, limit))
        return await asyncio.shield(task)

    def _page_is_read(self, limit: int, task: "asyncio.Task[Page]") -> None:
        del self._pages[limit]
        if not task.cancelled():
            task.exception()  # It is told to those who wait for it, if any still do.

    async def _read_page(self, limit: int) -> Page:
        page = await reading.run(pages.page, self.name, limit)
        self._learn(Head(*page.position, self.floor))
        return page

    def join_anew(self) -> None:
        """The layer was found to be deaf: nobody knows whether this room's group is heard."""
        self._listener.anew()

    def close(self) -> None:
        self._closed = True
        self._rounds.forget(self)
        self._blocks.close()
        self._listener.stop()
        if self.presence is not None:
            self.presence.close()
        for task in (self.opening, self._healing):
            if task is not None:
                task.cancel()

    async def _read(self, offset: int, limit: int) -> Extract:
        extract = await reading.run(pages.after, self.name, offset, limit)
        self._learn(Head(extract.epoch, extract.head, extract.floor))
        return extract

    def _learn(self, head: Head) -> None:
        """Whoever reads the log tells the feed how far it goes, which may have missed a first epoch, or a log's end."""
        if head.floor > self.floor:
            self.floor = head.floor
            self._blocks.forget()
        self.hear(head.epoch, head.offset + 1, [], head.offset)

    async def _open(self) -> None:
        while True:
            self._heard.clear()
            extract = await self._newest()
            # Another epoch was heard of meanwhile: what was read may be of before or after that.
            if not self._heard.keys() - {extract.epoch}:
                break
        self._blocks.forget()
        self.floor = extract.floor
        self.feed.open(extract.epoch, extract.last, extract.texts)
        self._told = extract.last
        # More than one read takes, or rung meanwhile.
        if self.feed.hear(extract.epoch, 0, [], max(extract.head, self._heard.get(extract.epoch, 0))) is Heard.GAP:
            self._heal(0)

    async def _newest(self) -> Extract:
        """The log's end, of a log that has not lost what was delivered before.

        One that has would give the same offsets to other entries, under the same epoch. So it gets a new one, from
        whoever comes first of those who know better.
        """
        known = self.position
        extract = await reading.run(pages.newest, self.name, OPENING)
        if extract.epoch == known.epoch and extract.head < known.offset:
            logger.warning(
                "The log of the room %r ends at %s, before %s, which was there already: the database was restored, or "
                "has lost its end. The room's epoch is renewed, and everybody in it starts over.",
                *(self.name, extract.head, known.offset),
            )
            await reading.run(store.renew, self.name, known.epoch, known.offset)
            extract = await reading.run(pages.newest, self.name, OPENING)
        return extract

    def reopen(self) -> None:
        """The log has another epoch, or could not be read. Followers see the epoch when they wake, and start over."""
        if self.opening.done():
            if self._healing is not None:
                self._healing.cancel()
            self.opening = asyncio.create_task(self._open())
            self.opening.add_done_callback(self._reopened)

    def _reopened(self, opening: asyncio.Task[None]) -> None:
        if not opening.cancelled() and (error := opening.exception()) is not None:
            logger.warning("The log of the room %r could not be read: %s", self.name, error)
        self.wake()

    def wake(self) -> None:
        """There is something new for those who follow."""
        for follower in tuple(self.followers):
            follower.wake(self.name)

    def _heal(self, wait: float) -> None:
        if self._healing is None or self._healing.done():
            self._healing = asyncio.create_task(self._read_gap(wait))

    async def _read_gap(self, wait: float) -> None:
        while self.feed.behind:
            # A doorbell may still come for what is missing now; while others ring, there is always something missing.
            head = self.feed.head
            await asyncio.sleep(wait)
            while self.feed.delivered < head:
                if not await self._read_on():
                    return

    async def _read_on(self) -> bool:
        """Read what comes next from the log; whether there was anything."""
        position = self.position
        try:
            extract = await self._read(position.offset, EXTRACT)
        except Exception as error:
            # The look comes again, and finds the same gap.
            logger.warning("The log of the room %r could not be read: %s", self.name, error)
            return False
        if not extract.recovers(position) or not extract.texts:
            # Another log, or pruned under our feet: everybody who is behind starts over from a newer page.
            self.reopen()
            return False
        logger.debug("A gap was read from the log: %r after %s", self.name, position.offset)
        self.hear(extract.epoch, position.offset + 1, extract.texts, extract.head)
        return True
