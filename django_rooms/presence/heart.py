"""The sign of life of this process: one write every third of a lease, on a thread and a connection of its own.

A lease that has run out is not renewed. Others act on its end: they take this process's people out. So a process that
was stopped for too long, or had no database, takes another one, and who is connected has to prove to be still there.
"""

import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID, uuid4

from django_rooms.conf import settings
from django_rooms.once import OncePerProcess
from django_rooms.presence import leases
from django_rooms.threads import use_own_connection

logger = logging.getLogger("django_rooms")

# Heartbeats in a lease: two may be late or lost.
BEATS = 3

# Seconds after which a heartbeat that failed is tried again, at most.
RETRY = 1.0


class Heart:
    """``lost`` is called when the lease has run out, before there is another."""

    def __init__(self, lost: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._lost = lost
        self._clock = clock
        # ``None`` before the first heartbeat.
        self.lease: UUID | None = None
        self._beaten_at = 0.0
        # The first of those that followed each other without a failure, on this lease.
        self._unbroken_since = 0.0
        self._ever_broken = self._failed = False
        self._now = threading.Event()
        self._has_lease = threading.Event()
        self._stopped = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="django_rooms.heart", daemon=True).start()

    def wait_for_lease(self) -> UUID:
        self._has_lease.wait()
        assert self.lease is not None
        return self.lease

    @property
    def steady(self) -> bool:
        """It has beaten twice, unbroken and a heartbeat apart, and just now: whoever is alive has beaten meanwhile.

        Not so in the beginning, nor in an outage of the database nor right after one: it would bury everybody.
        """
        return self._recent and self._beaten_at - self._unbroken_since >= 0.9 * _interval()

    @property
    def sure(self) -> bool:
        """By the clock nobody is dead who is alive: no heartbeat ever failed or was late, or that is long over."""
        return self.lease is None or (self._recent and (self.steady or not self._ever_broken))

    def hurry(self) -> None:
        """Beat now: somebody found the lease to have run out."""
        self._now.set()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped = True
        self._now.set()

    def beat(self) -> None:
        """One sign of life. Raises what the database raises."""
        first, began = self.lease is None, self._clock()
        renewed = self.lease is not None and leases.renew(self.lease)
        if not renewed:
            self._begin()
        # A database that takes so long was away for others too, and what stopped this process may have stopped them.
        if not renewed or self._failed or not self._recent:
            self._unbroken_since, self._ever_broken = self._clock(), self._failed or not first
        self._beaten_at, self._failed = began, False

    @property
    def _recent(self) -> bool:
        return self._clock() - self._beaten_at < 1.5 * _interval()

    def _begin(self) -> None:
        lease = uuid4()
        leases.take(lease)
        if self.lease is not None:
            self._ever_broken = True
            logger.warning("No sign of life for %g s: the people of this process are asked for theirs.", settings.LEASE)
            self._lost()  # Before anything is recorded under the new lease.
        self.lease = lease
        self._has_lease.set()

    def _run(self) -> None:
        while not self._stopped:
            self._now.clear()
            pause = _interval()
            try:
                use_own_connection()
                self.beat()
            except Exception as error:
                self._failed = True
                pause = min(pause, RETRY)
                logger.warning("A heartbeat failed, and is tried again in %g s: %s", pause, error)
            self._now.wait(pause)


def _interval() -> float:
    return float(settings.LEASE / BEATS)


def _lost() -> None:
    for listener in listeners:
        listener()


# Called when the lease had run out, in the heart's thread.
listeners: list[Callable[[], None]] = []

heart = OncePerProcess(lambda: Heart(_lost))
