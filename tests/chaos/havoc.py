"""Does what troubles.py has drawn to servers, sockets, Redis and database, and undoes it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from chaos import stores
from chaos.cells import Path
from chaos.people import Person, Servers
from chaos.site import Site
from chaos.troubles import Kind, Trouble
from chaos.verdict import Fault, Finding
from chaos.waiting import blocking, within

# Its epoch is renewed again and again, as after a restore.
RENEWED = "notes/renewed"

# Seconds in which somebody has to publish to a server before it is killed; and in which some have to be there before it
# is stopped or told to end.
MOMENT, FILLING, VISITORS = 0.5, 3.0, 5


class Havoc:
    """``wide`` are the persons who may be made to stop reading."""

    def __init__(self, site: Site, servers: Servers, persons: list[Person], wide: list[Person]) -> None:
        self.taken: Counter[Path] = Counter()
        self.odd: list[Finding] = []
        # Those that rooms had before the one that they have now.
        self.epochs: dict[str, list[str]] = {}
        self._site, self._servers, self._persons, self._wide = site, servers, persons, wide
        self._loop = asyncio.get_running_loop()
        # The servers that something is being done to.
        self._away: set[int] = set()

    async def run(self, lanes: dict[str, list[Trouble]], seconds: float) -> None:
        """All lanes, until the last of what was done is undone."""
        ends = self._loop.time() + seconds
        async with asyncio.TaskGroup() as group:
            for lane in lanes.values():
                group.create_task(self._lane(lane, ends - seconds, ends))
            group.create_task(asyncio.sleep(seconds))

    async def _lane(self, lane: list[Trouble], began: float, ends: float) -> None:
        """One after the other, with the pauses that were drawn: else a machine that is slow to start a server would do
        nothing but kill them. What was not begun before the end is left out.
        """
        late = 0.0
        for trouble in lane:
            await asyncio.sleep(began + late + trouble.at - self._loop.time())
            left = ends - self._loop.time()
            if left <= 0:
                return
            await self._do(replace(trouble, lasts=min(trouble.lasts, left)))
            late = max(0.0, self._loop.time() - began - trouble.at - trouble.lasts)

    async def _do(self, trouble: Trouble) -> None:
        deeds: dict[Kind, Callable[[Trouble], Awaitable[None]]] = {
            Kind.KILL: self._kill,
            Kind.STOP_SERVER: self._stop_server,
            Kind.DEPLOY: self._deploy,
            Kind.CUT: self._cut,
            Kind.LEAVE: self._leave,
            Kind.STOP_READING: self._stop_reading,
            Kind.RESTART_REDIS: self._restart_redis,
            Kind.STOP_REDIS: self._stop_redis,
            Kind.RESTART_DATABASE: self._restart_database,
            Kind.RENEW: self._renew,
        }
        await deeds[trouble.kind](trouble)

    async def _away_for(
        self, trouble: Trouble, stop: Callable[[], None], start: Callable[[], None], path: Path
    ) -> None:
        await blocking(stop)
        await asyncio.sleep(trouble.lasts)
        await blocking(start)
        self.taken[path] += 1

    # Servers.

    @asynccontextmanager
    async def _server(self, trouble: Trouble) -> AsyncIterator[int]:
        """The place of the first that nothing is being done to."""
        place = next(place for place in trouble.targets if place not in self._away)
        self._away.add(place)
        try:
            yield place
        finally:
            self._away.discard(place)

    async def _kill(self, trouble: Trouble) -> None:
        """If it can be had, while something is being published there."""
        async with self._server(trouble) as place:
            self.taken[Path.KILLS] += await within(MOMENT, lambda: self._servers.under_way[place] > 0, every=0.001)
            server = self._site.servers[place]
            await blocking(server.kill)
            await asyncio.sleep(trouble.lasts)
            await blocking(server.start)

    async def _stop_server(self, trouble: Trouble) -> None:
        async with self._server(trouble) as place:
            await within(FILLING, lambda: self._is_visited(place))
            server = self._site.servers[place]
            await self._away_for(trouble, server.pause, server.go_on, Path.SERVER_STOPS)

    async def _deploy(self, trouble: Trouble) -> None:
        async with self._server(trouble) as place:
            await within(FILLING, lambda: self._is_visited(place))
            wrong = await blocking(self._site.deploy, self._site.servers[place])
            self.taken[Path.DEPLOYS] += 1
            if wrong:
                self.odd.append(Finding(Fault.WRONG, f"Server {place + 1}: {wrong}"))

    def _is_visited(self, place: int) -> bool:
        """It may have been killed a moment ago, and what is done where nobody is shows nothing."""
        return sum(person.is_on(place) for person in self._persons) >= VISITORS

    # Redis and database.

    async def _restart_redis(self, trouble: Trouble) -> None:
        await self._away_for(trouble, self._site.redis.kill, self._site.redis.start, Path.REDIS_RESTARTS)

    async def _stop_redis(self, trouble: Trouble) -> None:
        await self._away_for(trouble, self._site.redis.pause, self._site.redis.go_on, Path.REDIS_STOPS)

    async def _restart_database(self, trouble: Trouble) -> None:
        await self._away_for(trouble, self._site.database.kill, self._site.database.start, Path.DATABASE_RESTARTS)

    # People, and rooms.

    async def _cut(self, trouble: Trouble) -> None:
        self.taken[Path.CUTS] += sum(self._persons[place].cut() for place in trouble.targets)

    async def _leave(self, trouble: Trouble) -> None:
        self.taken[Path.LEAVES] += sum(self._persons[place].leave() for place in trouble.targets)

    async def _stop_reading(self, trouble: Trouble) -> None:
        stopped = [self._wide[place] for place in trouble.targets]
        for person in stopped:
            person.reading.clear()
            self.taken[Path.STOPS] += 1
        await asyncio.sleep(trouble.lasts)
        for person in stopped:
            person.reading.set()

    async def _renew(self, trouble: Trouble) -> None:
        """As after a restore. The database may be down, so until it was done; each epoch that there was is noted."""
        async with asyncio.timeout(stores.PATIENCE):
            while True:
                with suppress(*stores.errors()):
                    known = await blocking(self._site.database.epochs)
                    if RENEWED not in known:
                        return  # Nobody has published there yet.
                    self.epochs.setdefault(RENEWED, []).append(known[RENEWED])
                    if await blocking(self._site.renew, RENEWED):
                        return
                await asyncio.sleep(0.1)
