"""Who is in a room, for all who follow it in this event loop.

What others claim is read when a doorbell or a look tells that it changed, at most once a second for all rooms together,
and more seldom where it takes long to tell (``budget.py``). Who is here by this process is there at once, and stays
there while the database is away.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any
from uuid import UUID

from django_rooms.feeds.budget import Budget
from django_rooms.presence import claims, queries, recorder
from django_rooms.presence.attendance import Here, attendance
from django_rooms.presence.heart import heart
from django_rooms.presence.queries import Seen, Snapshot, Wanted
from django_rooms.presence.statements import Stamp
from django_rooms.protocol.presence import Present
from django_rooms.threads import reading

logger = logging.getLogger("django_rooms")

# Seconds over which what changes is gathered.
GATHER = 1.0


class RoomPresence:
    """``wake`` is called when there is something to be told. ``limit``: see ``protocol.presence.Present``."""

    def __init__(self, name: str, limit: int, wake: Callable[[], None], reader: "Reader") -> None:
        self.name = name
        self.present = Present(name, limit)
        self._stamp: Stamp | None = None
        self._wake = wake
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._told_at = -GATHER
        self.opening = reader.open(self)

    def come(self) -> None:
        """Somebody has come by this process. Where others just have, they are shown together, a while later.

        The first one of all finds themselves there at once, whatever telling that costs: it comes once.
        """
        known = self.present.members
        if known is None:
            return  # A crowd is counted as it is recorded.
        if self.present.revision and (self._loop.time() - self._told_at < GATHER or self._reader.budget.rest):
            self.changed()  # Also while nothing can be recorded, which would tell us.
        elif self.present.add(attendance().beside(self.name, known)):
            self._tell()

    def changed(self) -> None:
        """What is recorded has changed."""
        self._reader.want(self)

    def look(self, stamp: Stamp | None) -> None:
        """A look found this stamp."""
        if stamp != self._stamp:
            self.changed()

    def learn(self, snapshot: Snapshot, before: Here) -> None:
        """Take in what was read. Who was here ``before`` that, or is now, may not be recorded yet, nor how they said to
        be known.
        """
        self._stamp = snapshot.stamp
        now = attendance().here(self.name)
        ours = before.members | now.members
        members, count = None, max(snapshot.count, len(ours))
        if snapshot.members is not None:
            read = {member.key: member for member in snapshot.members}
            # What is known of the others is newer than what this process knows of them: they may have joined elsewhere.
            unknown = {key: member for key, member in ours.items() if key not in read}
            found = read | unknown | before.introduced | now.introduced
            members, count = found.values(), len(found)
            if not found.keys() <= read.keys() | now.members.keys():
                self.changed()  # Somebody has left meanwhile: recorded after that was read, or taken out before.
        if self.present.become(members, count):
            self._tell()

    def close(self) -> None:
        self._reader.forget(self)

    def _tell(self) -> None:
        if self.opening.done():  # Else nobody is told yet: who comes first is among those whom they find.
            self._told_at = self._loop.time()
        with self._reader.budget.spending():
            self._wake()


class Reader:
    """Reads who is in the rooms of an event loop."""

    def __init__(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.budget = Budget()
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._opening: dict[RoomPresence, asyncio.Future[None]] = {}
        self._changed: dict[RoomPresence, None] = {}
        # One of each at a time, so that what gathers meanwhile is one more.
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def open(self, room: RoomPresence) -> "asyncio.Future[None]":
        """Read it for the first time, together with others; the future ends then, also where that failed."""
        future = self._opening[room] = self._loop.create_future()
        self._start(self._open_all)
        return future

    def want(self, room: RoomPresence) -> None:
        """Read it again soon."""
        self._changed[room] = None
        self._start(self._read_changed)

    def forget(self, room: RoomPresence) -> None:
        self._changed.pop(room, None)

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._tasks.get(work.__name__)
        if task is None or task.done():
            self._tasks[work.__name__] = self._loop.create_task(work())

    async def _open_all(self) -> None:
        while self._opening:
            opening, self._opening = self._opening, {}
            try:
                await self._read(opening)
            finally:
                for future in opening.values():
                    if not future.done():
                        future.set_result(None)

    async def _read_changed(self) -> None:
        while self._changed:
            changed, self._changed = self._changed, {}
            await self._read(changed)
            await self._pause(max(GATHER, self.budget.rest))

    async def _read(self, rooms: Iterable[RoomPresence]) -> None:
        """What cannot be read is found by the next look."""
        before = {room: attendance().here(room.name) for room in rooms}
        wanted = {room.name: Wanted(room.present.wanted, room.present.members or {}) for room in before}
        lease = recorder.own_lease()
        try:
            seen = await self._seen(wanted, lease)
            if seen.expelled and lease is not None:
                await self._expel(lease, list(wanted))
        except Exception as error:
            logger.warning("Who is in the rooms could not be read; the next look comes soon: %s", error)
            for room in before:
                room.come()
            return
        for room, here in before.items():
            room.learn(seen.rooms[room.name], here)

    async def _seen(self, wanted: dict[str, Wanted], lease: UUID | None) -> Seen:
        """Who is sure now may not be any more when it is read: the database may have been away in between."""
        if _sure():
            seen = await reading.run(queries.snapshots, wanted, lease, True)
            if _sure():
                return seen
        return await reading.run(queries.snapshots, wanted, lease, False)

    async def _expel(self, lease: UUID, rooms: list[str]) -> None:
        for room, connection in attendance().expel(await reading.run(claims.expelled, lease, rooms), rooms):
            connection.expel(room)


def _sure() -> bool:
    return heart.made is None or heart.made.sure
