"""Who publishes through a view, as a webhook does. No socket: requests, one after the other."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from random import Random
from urllib.parse import urlencode

import serving

from chaos.letters import Letter, Outbox
from chaos.people import PAUSE, Servers

# Seconds for which a view's answer is waited for: less than a server stands still.
ANSWER = 4.0


class Caller:
    """Each letter goes to one server and then another, until a view has answered it with 200."""

    def __init__(self, name: str, servers: Servers, random: Random, script: Iterator[Letter], rooms: list[str]) -> None:
        self.name = name
        self.outboxes = {room: Outbox(name, room, tells_offsets=False) for room in rooms}
        # Calls that had no answer in time.
        self.given_up = 0
        self._servers = servers
        self._random = random
        self._script = script

    @property
    def has_all_answers(self) -> bool:
        return not any(outbox.waiting for outbox in self.outboxes.values())

    async def publish(self, over: asyncio.Event) -> None:
        for letter in self._script:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), letter.pause)
            if over.is_set():
                return
            await self._say(letter)

    async def have_the_last_word(self) -> None:
        """One more letter in each room."""
        for room in self.outboxes:
            said = f"{self.name} at last"
            await self._say(Letter(room, said, said, pause=0.0))

    async def _say(self, letter: Letter) -> None:
        self.outboxes[letter.room].add(letter)
        while not await self._call(letter):  # noqa: ASYNC110  (it asks, and waits for no event)
            await asyncio.sleep(PAUSE)
        self.outboxes[letter.room].acknowledged(letter.id, None)

    async def _call(self, letter: Letter) -> bool:
        """Whether the view said that it is kept."""
        server = self._random.randrange(len(self._servers.all))
        self._servers.under_way[server] += 1
        try:
            return await asyncio.to_thread(call, self._servers.all[server].url, letter)
        except TimeoutError:
            self.given_up += 1
            return False
        except (OSError, HTTPException):  # An HTTPError is an OSError.
            return False
        finally:
            self._servers.under_way[server] -= 1


def call(url: str, letter: Letter) -> bool:
    data = urlencode({"id": letter.id, "text": letter.text}).encode()
    with serving.opened(f"{url}/say/{letter.room}/", data, timeout=ANSWER) as response:
        return response.status == 200
