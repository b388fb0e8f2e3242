"""How fast one connection may say what is passing: a bucket that fills by itself."""

from collections.abc import Callable

# Events a second, and at once after a pause.
RATE = 20.0
BURST = 40


class Bucket:
    __slots__ = ("_at", "_burst", "_clock", "_left", "_rate")

    def __init__(self, clock: Callable[[], float], rate: float = RATE, burst: int = BURST) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at = clock()

    def take(self) -> float:
        """Take one; ``0.0``, or where there is none the seconds until there is."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0
