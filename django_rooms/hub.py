"""All feeds of one event loop, and what they hear.

The writer of this process rings the hub directly; other processes ring through the channel layer (``listener.py``);
and a look at the log finds what no doorbell told. Nothing here waits for the layer.
"""

import asyncio
import logging
import os
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any, Protocol

from django_rooms import doorbell, log, pages
from django_rooms.conf import settings
from django_rooms.listener import listen
from django_rooms.log import News
from django_rooms.names import group_name
from django_rooms.pages import Extract, Page
from django_rooms.protocol.entries import Position
from django_rooms.protocol.feed import Feed, Heard
from django_rooms.threads import reading

logger = logging.getLogger("django_rooms")

# The order of commits is not the order of doorbells: a gap is given this many seconds to close by itself.
GAP_WAIT = 0.05

# What a feed reads when it opens: a page, so that most who join find all they want in memory.
OPENING = 64

# Characters of one feed's tail: enough for a slow reader's minute in a busy room. All tails together have a bound too.
MAX_TAIL = 1024 * 1024

# Bytes in which Python keeps a character, at most (PEP 393).
CHARACTER = 4


class Follower(Protocol):
    """A connection in a room."""

    def wake(self, room: str) -> None:
        """The room has something new: ask its feed for what comes after you."""

    def hear_event(self, room: str, frame: str) -> None:
        """Something passing was said in the room."""

    def hear_message(self, message: dict[str, Any]) -> None:
        """The layer brought a message of the host's own for everybody in the room."""


class RoomFeed:
    """A feed with its connections and with access to the log."""

    def __init__(self, name: str, look_soon: Callable[[], None], max_characters: int) -> None:
        self.name = name
        self.followers: set[Follower] = set()
        self.waiting = 0
        self.feed = Feed(name, max_characters=max_characters)
        self.floor = 0
        self.opening = asyncio.create_task(self._open())
        self._healing: asyncio.Task[None] | None = None
        # What was rung before the layer was listening to is found by a look.
        listening = listen([group_name(name)], self.hear_layer, lambda channel: look_soon())
        self._listening = asyncio.create_task(listening)
        self._heard: dict[str, int] = {}
        self._reads: dict[int, asyncio.Task[Extract]] = {}

    @property
    def position(self) -> Position:
        return Position(self.feed.epoch, self.feed.delivered)

    @property
    def failed(self) -> bool:
        """The log could not be read."""
        return self.opening.done() and (self.opening.cancelled() or self.opening.exception() is not None)

    def hear_layer(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case doorbell.BELL:
                self.hear(message["epoch"], message["first"], message["entries"], message["head"])
            case doorbell.EVENT:
                if message["from"] != doorbell.process():
                    self.hear_event(message["frame"])
            case _:
                for follower in tuple(self.followers):
                    follower.hear_message(deepcopy(message))  # as each consumer would get its own from the layer

    def hear(self, epoch: str, first: int, texts: list[str], head: int) -> None:
        if not self.opening.done():
            self._heard[epoch] = max(self._heard.get(epoch, 0), head)
            return
        match self.feed.hear(epoch, first, texts, head):
            case Heard.DELIVERED:
                self._wake()
            case Heard.GAP:
                self._wake()
                self._heal(GAP_WAIT)
            case Heard.RESET:
                self.reopen()

    def hear_event(self, frame: str, sender: Follower | None = None) -> None:
        for follower in tuple(self.followers):
            if follower is not sender:
                follower.hear_event(self.name, frame)

    async def extract(self, offset: int) -> Extract:
        """The log after ``offset``, read once for all who wait for the same."""
        if offset not in self._reads:
            self._reads[offset] = asyncio.create_task(self._extract(offset))
            self._reads[offset].add_done_callback(lambda task: self._reads.pop(offset))
        return await asyncio.shield(self._reads[offset])

    async def page(self, limit: int, before: int | None = None) -> Page:
        """Messages for people: the newest, or those before an offset."""
        page = await reading.run(pages.page, self.name, limit, before)
        if before is None:
            self._learn(page.position)
        return page

    def close(self) -> None:
        for task in (self.opening, self._healing, self._listening, *self._reads.values()):
            if task is not None:
                task.cancel()

    async def _extract(self, offset: int) -> Extract:
        extract = await reading.run(pages.after, self.name, offset)
        self._learn(Position(extract.epoch, extract.head))
        return extract

    def _learn(self, head: Position) -> None:
        """Whoever reads the log tells the feed how far it goes, which may have missed a first epoch, or a log's end."""
        self.hear(head.epoch, head.offset + 1, [], head.offset)

    async def _open(self) -> None:
        self._heard.clear()
        extract = await reading.run(pages.newest, self.name, OPENING)
        delivered = extract.entries[-1].offset if extract.entries else extract.head
        self.floor = extract.floor
        self.feed.open(extract.epoch, delivered or 0, extract.texts)
        # More than one read takes, or rung meanwhile.
        if self.feed.hear(extract.epoch, 0, [], max(extract.head, self._heard.get(extract.epoch, 0))) is Heard.GAP:
            self._heal(0)

    def reopen(self) -> None:
        """The log has another epoch, or could not be read. Followers see the epoch when they wake, and start over."""
        if self.opening.done():
            self.opening = asyncio.create_task(self._open())
            self.opening.add_done_callback(lambda task: self._wake())

    def _wake(self) -> None:
        for follower in tuple(self.followers):
            follower.wake(self.name)

    def _heal(self, wait: float) -> None:
        if self._healing is None or self._healing.done():
            self._healing = asyncio.create_task(self._read_gap(wait))

    async def _read_gap(self, wait: float) -> None:
        await asyncio.sleep(wait)
        while self.feed.behind:
            position = self.position
            try:
                extract = await self.extract(position.offset)
            except Exception as error:
                # The look comes again, and finds the same gap.
                logger.warning("The log of the room %r could not be read: %s", self.name, error)
                return
            if not extract.recovers(position) or not extract.entries:
                # Another log, or pruned under our feet: everybody who is behind starts over from a newer page.
                self.reopen()
                return
            self.feed.hear(extract.epoch, position.offset + 1, extract.texts, extract.head)
            self._wake()


class Hub:
    """The feeds of the rooms that somebody in this event loop is in."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.feeds: dict[str, RoomFeed] = {}
        self._soon = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def feed(self, name: str) -> RoomFeed:
        """The room's feed, open. Follow it before the next ``await``, or let it go."""
        feed = self.feeds.get(name)
        if feed is None:
            feed = self.feeds[name] = RoomFeed(name, self._soon.set, self._share())
        if feed.failed:
            feed.reopen()
        if self._looking is None or self._looking.done():
            self._looking = self.loop.create_task(self._look())
        feed.waiting += 1
        try:
            # One waiter's end does not end the reading for the others.
            await asyncio.shield(feed.opening)
        except BaseException:
            feed.waiting -= 1
            self.let_go(feed)
            raise
        feed.waiting -= 1
        return feed

    def let_go(self, feed: RoomFeed, follower: Follower | None = None) -> None:
        """Follow no more; a feed that nobody wants is closed."""
        if follower is not None:
            feed.followers.discard(follower)
        if not feed.followers and not feed.waiting:
            feed.close()
            if self.feeds.get(feed.name) is feed:
                del self.feeds[feed.name]

    def hear(self, news: list[News]) -> None:
        for item in news:
            if feed := self.feeds.get(item.room):
                feed.hear(item.epoch, item.first, item.texts, item.head)

    def hear_event(self, room: str, frame: str, sender: Follower | None = None) -> None:
        if feed := self.feeds.get(room):
            feed.hear_event(frame, sender)

    def _share(self) -> int:
        """The tail that one of so many feeds may keep."""
        return min(MAX_TAIL, settings.MEMORY_BYTES // CHARACTER // (len(self.feeds) + 1))

    async def _look(self) -> None:
        """Find what no doorbell told, for as long as anybody is here."""
        while self.feeds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), settings.LOOK * random.uniform(0.8, 1.2))
            self._soon.clear()
            share = self._share()
            for feed in self.feeds.values():
                feed.feed.trim(share)
                if feed.failed:
                    feed.reopen()
            try:
                heads = await reading.run(pages.heads, list(self.feeds))
            except Exception as error:
                logger.warning("The rooms' logs could not be looked at; the next look comes soon: %s", error)
                continue
            for name, position in heads.items():
                if name in self.feeds:
                    self.feeds[name].hear(position.epoch, position.offset + 1, [], position.offset)


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}
_lock = threading.Lock()


def hub() -> Hub:
    """The running loop's hub."""
    loop = asyncio.get_running_loop()
    with _lock:
        if loop not in _hubs:
            for closed in [other for other in _hubs if other.is_closed()]:
                del _hubs[closed]
            _hubs[loop] = Hub()
        return _hubs[loop]


def tell(room: str, frame: str, sender: Follower | None = None) -> None:
    """Pass an event's frame to everybody in the room but its sender, here and in other processes. From any thread."""
    _in_each_hub(Hub.hear_event, room, frame, sender)
    doorbell.ring_event(room, frame)


def _hear(news: list[News]) -> None:
    """From whichever thread has just committed."""
    _in_each_hub(Hub.hear, news)
    doorbell.ring(news)


def _in_each_hub(method: Callable[..., None], *args: object) -> None:
    with _lock:
        hubs = [hub for hub in _hubs.values() if not hub.loop.is_closed()]
    for hub in hubs:
        # A loop that is closed between the check and the call has nobody left to tell.
        with suppress(RuntimeError):
            hub.loop.call_soon_threadsafe(method, hub, *args)


def _forget() -> None:
    """A forked child has none of its parent's loops, only their sockets."""
    global _lock
    _hubs.clear()
    _lock = threading.Lock()


log.listeners.append(_hear)
os.register_at_fork(after_in_child=_forget)
