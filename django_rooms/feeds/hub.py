"""All feeds of one event loop, and what they hear.

The writer of this process rings the hub directly; other processes ring through the channel layer (``doorbell/``);
and a look at the log finds what no doorbell told. Nothing here waits for the layer.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from django_rooms.conf import settings
from django_rooms.doorbell import bell
from django_rooms.doorbell.bell import peal_groups
from django_rooms.doorbell.echo import Echo
from django_rooms.doorbell.layers import layer, reaches_other_processes
from django_rooms.doorbell.listener import Listener
from django_rooms.feeds.blocks import Shelf
from django_rooms.feeds.feed import Follower, RoomFeed
from django_rooms.feeds.presence import Reader, RoomPresence
from django_rooms.feeds.rounds import Rounds
from django_rooms.handover import handover
from django_rooms.log import pages, store
from django_rooms.log.pages import Head
from django_rooms.log.store import News
from django_rooms.once import OncePerLoop
from django_rooms.presence import claims, queries
from django_rooms.threads import reading

logger = logging.getLogger("django_rooms")

# Characters of one feed's tail: enough for a slow reader's minute in a busy room. All tails have a bound together too.
MAX_TAIL = 1024 * 1024

# Seconds for which the reasons to look soon are gathered: a thousand feeds that join the layer are one look.
GATHER = 0.1

# Bytes in which Python keeps a character, at most (PEP 393).
CHARACTER = 4

# Where a room ends that has no row.
NO_LOG = Head("", 0, 0)


class Hub:
    """The feeds of the rooms that somebody in this event loop is in."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.handover = handover()
        self.feeds: dict[str, RoomFeed] = {}
        self._shelf = Shelf(_half())
        self._reader = Reader()
        self._rounds = Rounds()
        self._soon = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._calling: asyncio.Task[None] | None = None
        self._listener: Listener | None = None

    async def feed(self, name: str, names: int | None = None) -> RoomFeed:
        """The room's feed, open. Follow it before the next ``await``, or let it go.

        ``names``: up to how many members the room tells by name; ``None`` where it does not tell who is there.
        """
        feed = self.feeds.get(name)
        if feed is None:
            feed = self.feeds[name] = RoomFeed(name, self._soon.set, self._shelf, self._share(), self._rounds)
            if names is not None:
                feed.presence = RoomPresence(name, names, feed.tell_presence, self._reader)
        if feed.failed:
            feed.reopen()
        if self._looking is None or self._looking.done():
            self._looking = self.loop.create_task(self._look())
        if reaches_other_processes():
            self._listen()
        feed.waiting += 1
        try:
            # One waiter's end does not end the reading for the others.
            await asyncio.shield(feed.opening)
            if feed.presence is not None:
                await asyncio.shield(feed.presence.opening)
        except BaseException:
            feed.waiting -= 1
            self.let_go(feed)
            raise
        feed.waiting -= 1
        return feed

    def _listen(self) -> None:
        if self._calling is None or self._calling.done():
            self._calling = self.loop.create_task(Echo(self._join_anew).run())
        if self._listener is None:
            # What was pealed before the layer was listening to is found by a look.
            self._listener = Listener(peal_groups(layer()), self.hear_peal, lambda channel: self._soon.set())

    def let_go(self, feed: RoomFeed, follower: Follower | None = None) -> None:
        """Follow no more; a feed that nobody wants is closed."""
        if follower is not None:
            feed.followers.discard(follower)
        if not feed.followers and not feed.waiting:
            feed.close()
            if self.feeds.get(feed.name) is feed:
                del self.feeds[feed.name]
        if not self.feeds and self._calling is not None:
            self._calling.cancel()
            self._calling = None  # It is not done yet, and who comes in the same moment needs another one.
        if not self.feeds and self._listener is not None:
            self._listener.stop()
            self._listener = None

    def hear(self, news: list[News]) -> None:
        for item in news:
            if feed := self.feeds.get(item.room):
                feed.hear(item.epoch, item.first, item.texts, item.head)

    def hear_peal(self, message: dict[str, Any]) -> None:
        """News of many rooms, for all processes, of which this one follows some."""
        if message["from"] == bell.process():
            return
        for room, epoch, first, head, texts in message["news"]:
            if feed := self.feeds.get(room):
                feed.hear(epoch, first, texts, head)
        self.hear_presence(message["present"])

    def hear_event(self, room: str, frame: str, sender: Follower | None = None) -> None:
        if feed := self.feeds.get(room):
            feed.hear_event(frame, sender)

    def hear_presence(self, rooms: Collection[str]) -> None:
        """What is recorded of who is there has changed."""
        for name in rooms:
            if (feed := self.feeds.get(name)) and feed.presence is not None:
                feed.presence.changed()

    def _join_anew(self) -> None:
        if self._listener is not None:
            self._listener.anew()
        for feed in self.feeds.values():
            feed.join_anew()

    def _share(self) -> int:
        """The tail that one of so many feeds may keep."""
        return min(MAX_TAIL, _half() // (len(self.feeds) + 1))

    async def _look(self) -> None:
        """Find what no doorbell told, for as long as anybody is here."""
        while self.feeds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), settings.LOOK * random.uniform(0.8, 1.2))
                await asyncio.sleep(GATHER)
            self._soon.clear()
            share = self._share()
            for feed in self.feeds.values():
                feed.feed.trim(share)
                if feed.failed:
                    feed.reopen()
            # What is heard while the query runs is no reason to think that the log has lost it.
            known = {name: feed.position for name, feed in self.feeds.items()}
            try:
                heads = await reading.run(pages.heads, list(known))
            except Exception as error:
                logger.warning("The rooms' logs could not be looked at; the next look comes soon: %s", error)
                continue
            for name, position in known.items():
                if followed := self.feeds.get(name):
                    followed.look(position, heads.get(name, NO_LOG))
            await self._look_at_presence()

    async def _look_at_presence(self) -> None:
        """After the logs, and by itself: no entry is late for what is wrong here."""
        attended = [name for name, feed in self.feeds.items() if feed.presence is not None]
        try:
            stamps = await reading.run(queries.stamps, attended) if attended else {}
        except Exception as error:
            logger.warning("Who is in the rooms could not be looked at; the next look comes soon: %s", error)
            return
        for name in attended:
            if (followed := self.feeds.get(name)) and followed.presence is not None:
                followed.presence.look(stamps.get(name))


def _half() -> int:
    """The characters that all tails of a process may have, and all blocks."""
    return settings.MEMORY_BYTES // CHARACTER // 2


# The running loop's hub.
hub = OncePerLoop(Hub)


def tell(room: str, frame: str, sender: Follower | None = None) -> None:
    """Pass an event's frame to everybody in the room but its sender, here and in other processes. From any thread."""
    _in_each_hub(Hub.hear_event, room, frame, sender)
    bell.ring_event(room, frame)


def _hear(news: list[News]) -> None:
    """From whichever thread has just committed."""
    _in_each_hub(Hub.hear, news)
    bell.ring(news)


def _hear_presence(rooms: Collection[str]) -> None:
    _in_each_hub(Hub.hear_presence, rooms)
    bell.ring_presence(rooms)


def _in_each_hub(method: Callable[..., None], *args: object) -> None:
    for one in hub.all():
        one.handover.call(method, one, *args)


store.listeners.append(_hear)
claims.listeners.append(_hear_presence)
