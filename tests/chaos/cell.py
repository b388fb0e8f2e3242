"""One cell: three servers, everybody in their rooms, all troubles at once; then calm, and the verdict."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path as Folder
from random import Random

from chaos import verdict
from chaos.callers import Caller
from chaos.cells import LINES, OPTIONAL, Cell, Path
from chaos.evidence import EDIT, REMOVAL, Letters, Log, Record, Run
from chaos.havoc import RENEWED, Havoc
from chaos.letters import Outbox, letters
from chaos.people import Person, Servers
from chaos.shown import Screen
from chaos.site import Site
from chaos.troubles import schedule
from chaos.verdict import Fault, Finding
from chaos.waiting import blocking, until

ROOMS = tuple(f"notes/{number}" for number in range(1, 7))

# Followers of every room, whom the readers that stop are taken from; followers of two rooms each, of whom some publish
# and some come late; and sockets that are there to publish.
WIDE, NARROW, SPEAKING, LATE, PUBLISHING, CALLING = 10, 50, 4, 10, 4, 2

# How often troubles are drawn before a run ends that shows nothing of some path: where everything is slow, a server may
# be gone before what was done to it tells. With a sabotage once: some hide a path.
ROUNDS = 4

# Seconds between the letters of one publisher, on average: by socket, and to a view, which answers one at a time.
BY_SOCKET, BY_VIEW = 0.08, 0.2

# Seconds in which everybody has to be in before the troubles begin.
COMING = 30.0

# Seconds for which people listen on when they have everything: a look, and a gap's wait. What comes then is too much.
AFTERWARDS = 3.0

# Seconds until nobody is shown any more who is gone: the lease of settings.py, the grace, and as much again.
GONE = 15.0


@dataclass(frozen=True)
class Result:
    cell: Cell
    published: int
    acked: int
    delivered: int
    # Seconds from the last trouble's end until everybody had everything; None: not in the time given.
    converged: float | None
    findings: list[Finding]
    taken: Counter[Path]

    @property
    def faults(self) -> dict[Fault, int]:
        return verdict.counts(self.findings)

    @property
    def never_taken(self) -> list[Path]:
        return never_taken(self.cell, self.taken)

    @property
    def holds(self) -> bool:
        return not self.findings and self.converged is not None and not self.never_taken


async def run(
    cell: Cell,
    *,
    seed: str,
    seconds: float,
    folder: Folder,
    programs: dict[str, str],
    sabotage: str | None = None,
    patience: float = 30.0,
) -> Result:
    """``seconds`` of trouble, and at most ``patience`` more until everybody has everything.

    ``folder`` is for the servers' own files and, in the end, for what they said.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(24))
    async with AsyncExitStack() as stack:
        site = await blocking(Site, cell, folder, programs, sabotage)
        stack.push_async_callback(blocking, site.end)
        await blocking(site.start)
        chaos = Chaos(cell, site, seed, seconds, rounds=1 if sabotage else ROUNDS)
        return await chaos.run(patience)


def never_taken(cell: Cell, taken: Counter[Path]) -> list[Path]:
    return [path for path in Path if path in cell.paths - OPTIONAL and not taken[path]]


class Chaos:
    def __init__(self, cell: Cell, site: Site, seed: str, seconds: float, rounds: int) -> None:
        self.cell, self.site, self.seed, self.seconds, self.rounds = cell, site, seed, seconds, rounds
        self._servers = Servers(site.servers)
        self._loop = asyncio.get_running_loop()

    async def run(self, patience: float) -> Result:
        await self._invite()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._live(person, 0.0)) for person in self.persons]
            async with asyncio.timeout(COMING):
                await until(lambda: all(person.everywhere for person in self.persons))
            tasks += [group.create_task(self._live(person, at)) for person, at in self.late]
            self.persons += [person for person, _ in self.late]
            publishing = [group.create_task(who.publish(over)) for who in self.publishers]
            havoc = await self._trouble()
            over.set()
            converged = await self._converge(publishing, patience)
            here = await self._gather_here() if converged is not None else []
            if converged is not None:
                await asyncio.sleep(AFTERWARDS)
                await self._come_afterwards()
            for task in (*tasks, *publishing):
                task.cancel()
        logs = await blocking(self.site.database.logs, havoc.epochs)
        return self._result(logs, havoc, converged, here)

    # People.

    async def _invite(self) -> None:
        """Everybody there will be. Who publishes has a cookie, so that they are the same person on every socket."""
        rooms = [*ROOMS, RENEWED]
        cookies = [await blocking(self.site.servers[0].visit, "rooms/lobby/") for _ in range(SPEAKING + PUBLISHING)]

        def person(name: str, rooms: list[str], cookie: str | None = None, **options: bool) -> Person:
            script = letters(name, rooms, self._random(name, "letters"), BY_SOCKET, changes=True) if cookie else None
            number = int(name.split()[1])
            options |= {"twice": number % 2 == 0, "impatient": number % 4 < 2}
            return Person(name, rooms, self._servers, self._random(name), script=script, cookie=cookie, **options)

        def few(name: str) -> list[str]:
            return self._random(name, "rooms").sample(ROOMS, 2)

        def caller(name: str) -> Caller:
            script = letters(name, rooms, self._random(name, "letters"), BY_VIEW)
            return Caller(name, self._servers, self._random(name), script, rooms)

        self.wide = [person(name, rooms, small_buffer=True) for name in names("wide", WIDE)]
        narrow = names("narrow", NARROW)
        speaking = [person(name, few(name), cookies.pop()) for name in narrow[:SPEAKING]]
        reading = [person(name, few(name)) for name in narrow[SPEAKING:-LATE]]
        late = self._random("late")
        self.late = [(person(name, few(name)), late.uniform(0, 0.7 * self.seconds)) for name in narrow[-LATE:]]
        publishing = [person(name, rooms, cookies.pop()) for name in names("publisher", PUBLISHING)]
        self.persons = [*self.wide, *speaking, *reading, *publishing]
        self.callers = [caller(name) for name in names("caller", CALLING)]
        self.publishers: list[Person | Caller] = [*speaking, *publishing, *self.callers]

    def _random(self, *what: str) -> Random:
        return Random(" ".join([self.seed, *what]))

    async def _live(self, person: Person, at: float) -> None:
        await asyncio.sleep(at)
        await person.live()

    @property
    def _outboxes(self) -> Iterator[Outbox]:
        return (outbox for who in self.publishers for outbox in who.outboxes.values())

    # Trouble, and calm.

    async def _trouble(self) -> Havoc:
        """All that is done, until the last of it is undone: a round, and another while some path was never taken."""
        havoc = Havoc(self.site, self._servers, self.persons, self.wide)
        numbers = {"servers": len(self.site.servers), "sockets": len(self.persons), "readers": WIDE}
        for seed in (self.seed, *(f"{self.seed} again {number}" for number in range(1, self.rounds))):
            await havoc.run(schedule(self.cell, seed, self.seconds, **numbers), self.seconds)
            if not never_taken(self.cell, self._taken(havoc)):
                break
        return havoc

    async def _converge(self, publishing: list[asyncio.Task], patience: float) -> float | None:
        """Seconds until everything is answered, everything has its place, and everybody is at each log's head."""
        began = self._loop.time()
        try:
            async with asyncio.timeout(patience):
                await asyncio.gather(*publishing)
                await until(lambda: all(who.has_all_answers for who in self.publishers))
                await until(lambda: all(person.everywhere for person in self.persons))
                # Nobody joins and nobody says anything after it: of that letter only a doorbell or a look can tell.
                await self.callers[0].have_the_last_word()
                while await blocking(self.site.database.pending):  # noqa: ASYNC110  (SQL tells of no event)
                    await asyncio.sleep(0.1)
                heads = await blocking(self.site.database.ends)
                await until(lambda: all(person.is_at(heads) for person in self.persons))
        except TimeoutError:
            return None
        return self._loop.time() - began

    async def _gather_here(self) -> list[Finding]:
        """Who is shown to whom, once those who were killed or cut off have had their time to be gone."""
        with suppress(TimeoutError):  # Then they are judged by what they show.
            async with asyncio.timeout(GONE):
                await until(lambda: all(person.shows(self._here) for person in self.persons))
        return [
            finding
            for person in self.persons
            for finding in verdict.judge_here(
                person.name, {room: here.keys for room, here in person.here.items()}, self._here
            )
        ]

    @property
    def _here(self) -> dict[str, set[str]]:
        return {
            room: {person.key for person in self.persons if room in person.records and person.key}
            for room in (*ROOMS, RENEWED)
        }

    async def _come_afterwards(self) -> None:
        """To each server somebody who reads every room from its beginning."""
        heads = await blocking(self.site.database.ends)
        newcomers = []
        for number, server in enumerate(self.site.servers, 1):
            name = f"newcomer {number}"
            newcomer = Person(name, list(heads), Servers([server]), self._random(name))
            for room, (epoch, _) in heads.items():
                newcomer.records[room] = Record(name, room, [Run(epoch, 0)], afterwards=True)
            newcomers.append(newcomer)
        living = [asyncio.create_task(newcomer.live()) for newcomer in newcomers]
        with suppress(TimeoutError):  # Then they are judged by what they have.
            async with asyncio.timeout(COMING):
                await until(lambda: all(newcomer.is_at(heads) for newcomer in newcomers))
        for task in living:
            task.cancel()
        await asyncio.wait(living)
        self.persons += newcomers

    # The verdict.

    def _result(self, logs: list[Log], havoc: Havoc, converged: float | None, here: list[Finding]) -> Result:
        records, sent = self._records, self._sent
        odd = [*havoc.odd, *(odd for person in self.persons for odd in person.odd)]
        return Result(
            cell=self.cell,
            published=sum(len(each.sent) for each in sent),
            acked=sum(len({acked for acked, _ in each.acks}) for each in sent),
            delivered=sum(len(run.page) + len(run.seen) for record in records for run in record.runs),
            converged=converged,
            findings=[*verdict.judge(logs, records, sent), *here, *odd],
            taken=self._taken(havoc),
        )

    @property
    def _records(self) -> list[Record]:
        return [record for person in self.persons for record in person.records.values()]

    @property
    def _sent(self) -> list[Letters]:
        return [outbox.letters for outbox in self._outboxes]

    def _taken(self, havoc: Havoc) -> Counter[Path]:
        """What was done, what servers have said of it, and what people have."""
        sent = self._sent
        acked = {entry_id for each in sent for entry_id, _ in each.acks}
        kinds = Counter(said.kind for each in sent for said in each.sent if said.id in acked)
        return havoc.taken + Counter(
            {
                **{path: self.site.count(line) for path, line in LINES.items()},
                Path.GOODBYES: sum(person.goodbyes for person in self.persons),
                Path.SILENCES: sum(person.silences for person in self.persons),
                Path.TIMEOUTS: sum(caller.given_up for caller in self.callers),
                Path.EDITS: kinds[EDIT],
                Path.REMOVALS: kinds[REMOVAL],
                Path.REFUSALS: sum(len({*each.refused}) for each in sent),
                Path.KNOWN: sum(Screen.of(run).known for record in self._records for run in record.runs),
            }
        )


def names(kind: str, number: int) -> list[str]:
    return [f"{kind} {place}" for place in range(1, number + 1)]
