"""Records who is here: what changed in this process (``attendance.py``) in batches, and who is gone from others.

One thread of a process with a connection of its own. Under a host's tests there is no such thread: there ``settle()``
records at once, on the test's connection.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async

from django_rooms.conf import settings
from django_rooms.once import OncePerProcess
from django_rooms.presence import claims, leases, telling
from django_rooms.presence.attendance import Connection, attendance
from django_rooms.presence.claims import LeaseLost, Stay
from django_rooms.presence.heart import heart, listeners
from django_rooms.protocol.presence import Member
from django_rooms.threads import PASSING, under_test, use_own_connection

logger = logging.getLogger("django_rooms")

# Seconds for which changes are gathered: a storm of them is a few batches.
GATHER = 0.1
BATCH = 500

# Seconds between sweeps, at most; and before the next try of one that came too early or failed.
SWEEP = 5.0
RETRY = 1.0

# Seconds that a process which ends waits for its people to be recorded as leaving.
ENDING = 3.0


def enter(room: str, member: Member, connection: Connection) -> None:
    """A connection is in the room from now on. Waits for nothing; again, it changes nothing."""
    attendance().enter(room, member, connection)
    _wake()


def confirm(room: str, key: str, connection: Connection) -> None:
    """A connection that was doubted has proved to be there."""
    attendance().confirm(room, key, connection)
    _wake()


def leave(room: str, key: str, connection: Connection, grace: float) -> None:
    """A connection is there no more. If it was the person's last they have left after ``grace`` seconds."""
    attendance().leave(room, key, connection, grace)
    _wake()


def _wake() -> None:
    if not under_test():
        recorder().wake()


async def settle() -> None:
    """Under a host's tests: have all that changed recorded."""
    if under_test():
        await sync_to_async(record_here, thread_sensitive=True)()


def own_lease() -> UUID | None:
    """Under which the people of this process are recorded, once there is one."""
    if under_test():
        return _of_tests.made
    return heart.made.lease if heart.made is not None else None


def flush() -> None:
    """The process ends: have its people recorded as leaving, so that they are not shown as those of a killed one."""
    if recorder.made is not None:
        recorder.made.end()


class Recorder:
    def __init__(self) -> None:
        self._something = threading.Event()
        self._ended = threading.Event()
        self._ending = False
        # By the monotonic clock: the next sweep, the last leave, and when old leases are to be forgotten.
        self._sweep_at = self._longest = self._forget_at = 0.0
        heart().start()
        threading.Thread(target=self._run, name="django_rooms.recorder", daemon=True).start()

    def wake(self) -> None:
        if not self._something.is_set():
            self._something.set()

    def end(self) -> None:
        attendance().leave_all(settings.GRACE)
        self._ending = True
        self.wake()
        self._ended.wait(ENDING)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._something.wait(max(0.0, self._sweep_at - time.monotonic()))
            self._something.clear()
            time.sleep(GATHER)
            try:
                self._work()
            except LeaseLost:
                heart().hurry()
                self._pause()
            except Exception as error:
                logger.warning("Who is here could not be recorded; it is tried again in %g s: %s", RETRY, error)
                self._pause()

    def _pause(self) -> None:
        time.sleep(RETRY)
        self.wake()

    def _work(self) -> None:
        use_own_connection()
        self._record()
        if self._ending and not attendance().waiting:
            self._end()
        elif time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + RETRY  # Should it fail.
            self._sweep_at = time.monotonic() + self._sweep()

    def _record(self) -> None:
        lease = heart().wait_for_lease()
        while stays := attendance().take(BATCH):
            held = record(lease, stays)
            leaving = [stay.grace for stay in stays if not stay.connections]
            self._sweep_at = min([self._sweep_at, *(time.monotonic() + grace for grace in leaving)])
            self._longest = max([self._longest, *(time.monotonic() + grace for grace in leaving)])
            if held or len(stays) < BATCH:
                break
        if attendance().waiting:  # Whoever came meanwhile is gathered too.
            self.wake()

    def _sweep(self) -> float:
        """Take out who is gone; return the seconds until there may be more."""
        if not heart().steady:
            return RETRY
        sweep(heart().wait_for_lease(), lambda: heart().steady)
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + leases.KEPT
            leases.forget()
            claims.forget()
        soonest = claims.soonest()
        return SWEEP if soonest is None else min(SWEEP, max(GATHER, soonest / 1000))

    def _end(self) -> None:
        """The lease outlives the process, for as long as its people have."""
        heart().stop()
        leases.renew(heart().wait_for_lease(), max(0.0, self._longest - time.monotonic()) + SWEEP)
        self._ended.set()


def record(lease: UUID, stays: list[Stay]) -> list[Stay]:
    """Record ``stays``; return those that somebody else kept out. They come again, as what fails does."""
    try:
        held = claims.record(lease, stays, announce=telling.wanted())
    except (LeaseLost, *PASSING):
        attendance().put_back(stays)
        raise
    except Exception as error:
        return _record_alone(lease, stays, error)
    attendance().put_back(held)
    kept_out = {stay.key for stay in held}
    attendance().recorded([stay for stay in stays if stay.key not in kept_out])
    _wake_teller()
    return held


def _record_alone(lease: UUID, stays: list[Stay], error: Exception) -> list[Stay]:
    """One that the database refuses never keeps the others out."""
    if len(stays) > 1:
        return _record_each(lease, stays)
    logger.error("Somebody in the room %r could not be recorded as being there.", stays[0].room, exc_info=error)
    attendance().recorded(stays)
    return []


def _record_each(lease: UUID, stays: list[Stay]) -> list[Stay]:
    held = []
    for done, stay in enumerate(stays, start=1):
        try:
            held += record(lease, [stay])
        except Exception:
            attendance().put_back(stays[done:])
            raise
    return held


def sweep(lease: UUID, steady: Callable[[], bool]) -> None:
    while claims.sweep(lease, announce=telling.wanted(), steady=steady):
        pass
    if telling.wanted() and steady():
        claims.adopt(lease)
    _wake_teller()


def _wake_teller() -> None:
    if telling.wanted() and not under_test():
        telling.teller().wake()


# Under a host's tests: the lease, which a rolled-back test takes along.
_of_tests = OncePerProcess(uuid4)


def record_here() -> None:
    """What the threads do, at once and on this thread's own connection."""
    if not attendance().waiting:
        return
    lease = _lease_here()
    while stays := attendance().take(BATCH):
        if record(lease, stays):
            break
    if telling.wanted():
        telling.tell(lease)


def sweep_here(after: float) -> None:
    """What the threads do by and by, as if ``after`` more seconds had passed, at once and on this thread."""
    record_here()
    claims.hasten(after)
    lease = _lease_here()  # The only one here that is alive: it gives a sign of life.
    sweep(lease, lambda: True)
    if telling.wanted():
        telling.tell(lease)


def _lease_here() -> UUID:
    lease = _of_tests()
    if not leases.renew(lease):
        _of_tests.forget()
        leases.take(lease := _of_tests())
    return lease


def _doubt() -> None:
    for connection in attendance().doubt():
        connection.prove()


listeners.append(_doubt)


recorder = OncePerProcess(Recorder)
atexit.register(flush)
