"""The end of a server process, told to its clients before the server knows of it.

Servers close sockets on SIGTERM without a word, daphne without even telling the consumers. So a handler is chained
before theirs: connections take no more, what they have taken is stored and acknowledged, and each client is told when
to come back. Then the server's own handler is called. Where a server listens by ``loop.add_signal_handler`` it is told
at the same time; whoever has nothing under way is told in time then too.
"""

import asyncio
import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol

from django_rooms.doorbell import bell
from django_rooms.once import OncePerLoop
from django_rooms.presence import recorder
from django_rooms.threads import under_test

logger = logging.getLogger("django_rooms")

# Clients of one process that come back in a second, unless that takes longer than the longest delay; and the span
# over which even a few are spread. Seconds.
RETURNS = 200
MIN_SPREAD = 1.0
MAX_SPREAD = 30.0

# Seconds for which a connection waits for what is under way, and for which all together are waited for.
SETTLING = 5.0
ENDING = 7.0

# SIGTERMs within so many seconds are one: systemd signals all processes of a unit, and then uvicorn signals its
# workers once more. A later one is somebody who does not want to wait.
REPEAT = 2.0


class Connection(Protocol):
    def restart(self, after: float) -> None:
        """Take no more, and end when what was taken is answered; at once where nothing is under way."""


class Drain:
    """The connections of one event loop, and their end."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._spread: float | None = None
        self._empty = asyncio.Event()

    def add(self, connection: Connection) -> None:
        self._connections.add(connection)

    def discard(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def after(self) -> float | None:
        """The seconds after which somebody who comes now is to come again; ``None`` while all are welcome."""
        return None if self._spread is None else _rounded(random.uniform(0, self._spread))

    def begin(self) -> None:
        """Tell all that are here. Who has nothing under way is told before this returns, where its socket allows."""
        connections = tuple(self._connections)
        self._spread = span(len(connections))
        for connection, after in zip(connections, delays(len(connections)), strict=True):
            connection.restart(after)

    async def ended(self) -> None:
        """Wait until every socket is closed; for ``ENDING`` seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING):
                while self._connections:
                    self._empty.clear()
                    await self._empty.wait()
        if self._connections:
            logger.warning("%d connections did not end in %g s.", len(self._connections), ENDING)


class Sigterm:
    """The handler of the signal, chained before the one that was there."""

    def __init__(self, drain: Drain, previous: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.previous = previous
        self._drain = drain
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._heard_at: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Runs in the middle of anything, so it only passes the word on to the loop."""
        now = self._clock()
        if self._heard_at is None and not self._loop.is_closed():
            self._heard_at = now
            self._loop.call_soon_threadsafe(self._begin)
        elif self._heard_at is None or now - self._heard_at > REPEAT:
            self._pass_on()

    def _begin(self) -> None:
        try:
            self._drain.begin()
        finally:
            self._task = self._loop.create_task(self._end())

    async def _end(self) -> None:
        try:
            await self._drain.ended()
            await asyncio.to_thread(recorder.flush)
            await asyncio.to_thread(bell.flush)
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        """From here on the server has its signal to itself."""
        current: object = signal.getsignal(signal.SIGTERM)
        if current is not self:
            return
        signal.signal(signal.SIGTERM, self.previous)
        if callable(self.previous):
            self.previous(signal.SIGTERM, None)
        else:
            signal.raise_signal(signal.SIGTERM)


def span(count: int) -> float:
    """The seconds over which ``count`` clients come back."""
    return min(max(count / RETURNS, MIN_SPREAD), MAX_SPREAD)


def delays(count: int) -> list[float]:
    """A delay in seconds for each of ``count`` clients: one in each equal share of the span, in no order."""
    share = span(count) / count if count else 0.0
    shares = random.sample(range(count), count)
    return [_rounded((position + random.random()) * share) for position in shares]


def _rounded(seconds: float) -> float:
    """Milliseconds; never nothing, which would say that the client may choose."""
    return max(round(seconds, 3), 0.001)


def _drain() -> Drain:
    drain = Drain()
    _listen(drain)
    return drain


# The running loop's. With the first one in the main thread, where servers run, SIGTERM is listened to.
drain = OncePerLoop(_drain)


def _listen(drain: Drain) -> None:
    """Not in another thread, which may not; nor in tests, which end by themselves; nor where it is ignored."""
    if threading.current_thread() is not threading.main_thread() or under_test():
        return
    previous = signal.getsignal(signal.SIGTERM)
    if previous not in (None, signal.SIG_IGN):
        signal.signal(signal.SIGTERM, Sigterm(drain, previous))


def _stop_listening() -> None:
    """A forked child has none of its parent's sockets, and answers its signals as it would without us."""
    if isinstance(handler := signal.getsignal(signal.SIGTERM), Sigterm):
        signal.signal(signal.SIGTERM, handler.previous)


os.register_at_fork(after_in_child=_stop_listening)
