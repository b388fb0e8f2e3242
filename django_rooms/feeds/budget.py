"""How much of an event loop's time is spent on telling who is here.

*Naively* it is told once a second. Where a thousand come, to a room each of whose members has to be told of them, that
is a quarter of all that the loop does while they wait to be let in. *Chosen*: a twentieth of it, beyond a moment that a
quiet loop always has. What is not told yet gathers, so it costs less in all.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Of the loop's time; and the seconds that may be spent before that counts.
SHARE = 0.05
MOMENT = 0.01

# Seconds after which something is told in any case: by them who has left is gone for everybody as soon as is promised.
LONGEST = 1.8


class Budget:
    # Not the loop's own clock: uvloop's stands still while callbacks run.
    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._even_at = 0.0

    @contextmanager
    def spending(self) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            even_at = max(self._even_at, began) + (now - began) / SHARE
            # What the longest rest does not pay back is forgiven: a crowd is over when it is over.
            self._even_at = min(even_at, now + MOMENT / SHARE + LONGEST)

    @property
    def rest(self) -> float:
        """Seconds until more may be spent."""
        return min(LONGEST, max(0.0, self._even_at - MOMENT / SHARE - self._clock()))
