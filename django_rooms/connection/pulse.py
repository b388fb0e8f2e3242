"""One peer's signs of life, and how much of what was sent to it it may not have read yet.

Some servers take whatever is written to a socket into memory: daphne 187 MiB in 0.1 s, for a reader that never reads.
Nothing can be seen of that but the peer's own word. So a ping goes out behind every eighth of the bound, and its answer
says that what was sent before it was read. Knows neither sockets nor frames; the clock is passed in.
"""

import secrets
from collections.abc import Callable
from hashlib import blake2b
from itertools import count

from django_rooms.protocol.codes import CloseCode

# Seconds of silence after which a peer is asked for a sign of life, and then given up.
PING = 25.0
PONG = 10.0

# Bytes that a peer may not have said to have read. Beyond them it is sent pings alone.
UNANSWERED = 1024 * 1024
# A ping for so many bytes: a phone that reads 50 KiB/s answers one in three seconds.
STEP = UNANSWERED // 8

# Pings whose answers count: one that is left out is told by the next.
MAX_PINGS = 16


# No system call for each ping, as the system's own random numbers are: 400 a second where 10,000 are silent.
_SECRET = secrets.token_bytes(32)
_counted = count()


def _number() -> int:
    """48 bits that nobody can guess who has not read them; JavaScript keeps 53."""
    return int.from_bytes(blake2b(next(_counted).to_bytes(8), digest_size=6, key=_SECRET).digest())


class Pulse:
    __slots__ = ("_asked_at", "_clock", "_due", "_full_since", "_heard_at", "_pinged", "_pings", "_read", "_sent")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard_at = clock()
        # Since when an answer to a silence is waited for.
        self._asked_at: float | None = None
        self._due = False
        # Bytes: sent, sent before the last ping, and read by the peer's word.
        self._sent = 0
        self._pinged = 0
        self._read = 0
        # Since when the bound is reached, or when at the bound the last answer came.
        self._full_since: float | None = None
        # The last pings: their numbers, and what was sent before each.
        self._pings: tuple[tuple[int, int], ...] = ()

    @property
    def silent_for(self) -> float:
        """Seconds since the peer last said something."""
        return self._clock() - self._heard_at

    @property
    def full(self) -> bool:
        """The bound is reached: nothing but pings may be sent."""
        return self._full_since is not None

    def heard(self) -> None:
        """The peer said something, whatever it is."""
        self._heard_at, self._asked_at, self._due = self._clock(), None, False

    @property
    def clear(self) -> bool:
        """Anything may be sent, and no ping has to go before it."""
        return self._full_since is None and not self._due and self._sent - self._pinged < STEP

    def wrote(self, size: int) -> None:
        """So many bytes were sent."""
        self._sent += size
        if self._full_since is None and self._sent - self._read >= UNANSWERED:
            self._full_since = self._clock()

    def question(self) -> int | None:
        """The number of the ping that is to be sent now, if one is due.

        It cannot be guessed: only who has read the ping can say that it has read what came before.
        """
        if self._sent - self._pinged < STEP and not self._due:
            return None
        if self._due:
            self._due, self._asked_at = False, self._clock()
        number = _number()
        self._pings = (*self._pings[-MAX_PINGS + 1 :], (number, self._sent))
        self._pinged = self._sent
        return number

    def answered(self, number: object) -> None:
        """A pong. One that answers none of the last pings is a sign of life and no more."""
        for position, (asked, sent) in enumerate(self._pings):
            if asked == number:
                self._read = sent
                self._pings = self._pings[position + 1 :]
                self._full_since = self._clock() if self._sent - sent >= UNANSWERED else None
                return

    def check(self) -> CloseCode | None:
        """Look at the clock, every few seconds: the code with which to give the peer up, if that is due."""
        now = self._clock()
        if self._full_since is not None and now - self._full_since > PONG:
            return CloseCode.SLOW
        if self._asked_at is not None and now - self._asked_at > PONG:
            return CloseCode.SILENT
        if self._asked_at is None and now - self._heard_at > PING:
            self._due = True
        return None

    @property
    def due(self) -> bool:
        """The peer was silent for so long that it is to be asked."""
        return self._due
