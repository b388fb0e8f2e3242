"""The rooms that one connection is in, and which of them may have something new."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Protocol

from django_rooms.connection.attending import Attending
from django_rooms.connection.place import Place
from django_rooms.connection.publishing import Publishing
from django_rooms.feeds.feed import Follower
from django_rooms.feeds.hub import hub
from django_rooms.feeds.told import Told

logger = logging.getLogger("django_rooms")

# Rooms that one connection may be in.
MAX_ROOMS = 100

# Seconds after which a log that could not be read is tried again.
RETRY = 1.0


class Owner(Follower, Protocol):
    def read_on(self) -> None:
        """A log was read, which nothing had waited for: ask for ``entries()`` again."""


class Places:
    __slots__ = (
        *("_attending", "_being_read", "_found", "_lagging", "_loop", "_news", "_owner", "_places", "_publishings"),
        "_reading",
    )

    def __init__(self, owner: Owner, attending: Attending) -> None:
        self._owner = owner
        self._attending = attending
        self._places: dict[str, Place] = {}
        # Of rooms in which something was published; and of those that were left with something under way, or which has
        # to come again: it keeps its order if they are joined again. None for those who only read.
        self._publishings: dict[str, Publishing] | None = None
        # In the order in which they said so.
        self._news: dict[str, None] = {}
        # Those whose logs have to be read, if any; the one that is being read, and the frame that came of it.
        self._lagging: dict[str, None] | None = None
        self._being_read: Place | None = None
        self._found: tuple[str, Place, str] | None = None
        self._loop = asyncio.get_running_loop()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def publishings(self) -> Collection[Publishing]:
        return self._publishings.values() if self._publishings is not None else ()

    def publishing(self, name: str, make: Callable[[], Publishing]) -> Publishing:
        """What this connection has published in the room, as far as that is still of interest."""
        if self._publishings is None:
            self._publishings = {}
        if (found := self._publishings.get(name)) is None:
            found = self._publishings[name] = make()
        return found

    def get(self, name: str) -> Place | None:
        return self._places.get(name)

    def enter(self, name: str, place: Place) -> None:
        self._places[name] = place

    def leave(self, name: str, after: float = 0.0) -> None:
        """``after``: the seconds after which the client was told to come back."""
        self._attending.leave(name, after)
        if (place := self._places.pop(name, None)) is not None:
            hub().let_go(place.feed, self._owner)
            self._leave_publishing(name)

    def _leave_publishing(self, name: str) -> None:
        if self._publishings is None or (publishing := self._publishings.pop(name, None)) is None:
            return
        if publishing.unfinished:
            self._publishings[name] = publishing  # Behind those that were left before.
            left = [other for other in self._publishings if other not in self._places]
            for other in left[:-MAX_ROOMS]:
                del self._publishings[other]

    def leave_all(self, after: float = 0.0) -> None:
        for name in list(self._places):
            self.leave(name, after)

    def may_pass(self, told: Told) -> bool:
        """Whether ``told`` is what comes next here, and can be sent as it is: most connections, most of the time."""
        if told.start is None:
            return True
        place = self._places.get(told.room)
        return place is not None and place.position == told.start and self.is_live(place)

    def is_live(self, place: Place) -> bool:
        """Nothing comes before what its room tells now."""
        return place.room.name not in self._news and self._found is None and self._being_read is not place

    def passed(self, told: Told) -> None:
        """It was sent."""
        if told.end is not None and (place := self._places.get(told.room)) is not None:
            place.position = told.end
            if told.more:
                self._owner.wake(told.room)

    def note_news(self, name: str) -> None:
        self._news[name] = None

    def entries(self) -> str | None:
        """The next frame of entries of any room that has news, each in its turn.

        Nothing is waited for: where a log has to be read, that goes on beside, for one room at a time, and not before
        what was read last has been taken.
        """
        if (frame := self._take_found()) is not None:
            return frame
        frame = self._from_tails()
        self._read_on()
        return frame

    def _from_tails(self) -> str | None:
        while (name := next(filter(self._may_be_asked, self._news), None)) is not None:
            del self._news[name]
            if (place := self._places.get(name)) is None:
                continue
            if (frame := place.tail() or place.presence()) is not None:
                self._come_again(name, place)
                return frame
            if place.lags:
                self._lagging = {**(self._lagging or {}), name: None}
        return None

    def _may_be_asked(self, name: str) -> bool:
        """What is read of its log comes before what is told of it meanwhile."""
        return self._being_read is None or self._places.get(name) is not self._being_read

    def _come_again(self, name: str, place: Place) -> None:
        if place.behind:
            self._news[name] = None  # There is more; the other rooms come first.

    def _take_found(self) -> str | None:
        if self._found is None:
            return None
        (name, place, frame), self._found = self._found, None
        if self._places.get(name) is not place:
            return None  # It was left, or joined again.
        self._come_again(name, place)
        return frame

    def _read_on(self) -> None:
        while self._lagging and self._being_read is None:
            name = next(iter(self._lagging))
            del self._lagging[name]
            if (place := self._places.get(name)) is not None:
                self._being_read = place
                self._reading = self._loop.create_task(self._read_log(name, place))

    async def _read_log(self, name: str, place: Place) -> None:
        try:
            if (frame := await place.read()) is not None:
                self._found = name, place, frame
        except Exception as error:
            logger.warning("The log of the room %r could not be read: %s", name, error)
            self._loop.call_later(RETRY, self._owner.wake, name)
        finally:
            self._being_read = None
            self._owner.read_on()
