"""The one writer of a process: many publishes, one transaction.

Its bound: ``MAX_WAITING`` items. Beyond it a publish is refused as busy, never queued without end and never dropped.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.db import OperationalError, transaction

from django_rooms.conf import settings
from django_rooms.log import pages, pending, store
from django_rooms.log.appends import Append, Held, Number, UnknownTarget
from django_rooms.log.backlog import Backlog, Job
from django_rooms.log.receipt import Receipt
from django_rooms.names import room_key
from django_rooms.once import OncePerProcess
from django_rooms.protocol.entries import Entry
from django_rooms.threads import PASSING, under_test, use_own_connection

logger = logging.getLogger("django_rooms")

MAX_WAITING = 10_000

# Seconds between tries.
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)

# A room that another process holds is free again in milliseconds; a process that was stopped in the middle loses it
# after some seconds (threads.py). Beyond this many the publish fails.
HELD_PAUSE = 0.005
HELD_PATIENCE = 15.0

# A view that has committed waits this long for its entries' numbers. They come in any case.
NUMBERING_PATIENCE = 2.0

Item = Append | Number
Outcome = Entry | Held | UnknownTarget | None


class Busy(Exception):
    """The item was not taken; nothing was stored, and it may be tried again."""


def write(item: Append) -> Entry | None:
    """Store ``item`` and return its entry, committed; inside the caller's transaction, with that transaction."""
    if entry := pend(item):
        return entry
    return write_here(item) if under_test() else writer().submit(item).result()


def pend(item: Append) -> Entry | None:
    """Inside a transaction of the caller's, have ``item`` stored with it; else do nothing."""
    if not pending.in_host_transaction():
        return None
    # Stored before, it is a repeat, also where what it changed is no more; its place is told when it is numbered.
    if item.target is not None and pages.message(item.room, item.target) is None and not store.has(item):
        raise UnknownTarget(item)
    entry = pending.insert(item)
    # In manual transaction management there is no on_commit; then the next read of the room numbers it.
    if transaction.get_connection(settings.DATABASE).in_atomic_block:
        # No partial(): where it fails, Django 5.2 asks it for a name, and the host would get an AttributeError.
        transaction.on_commit(lambda: _number(item.room), using=settings.DATABASE, robust=True)
    return entry


def submit(item: Append, after: Receipt | None = None) -> Receipt:
    """Have ``item`` stored outside of any transaction of the caller's, from async code. See ``Writer.submit``."""
    if not under_test():
        return writer().submit(item, after)
    receipt = Receipt()
    here = asyncio.ensure_future(sync_to_async(write_here, thread_sensitive=True)(item))
    here.add_done_callback(lambda done: _pass_on(done, receipt))
    return receipt


def write_here(item: Item) -> Entry | None:
    """Store ``item`` on this thread's own connection, as a host's tests need it."""
    while isinstance(outcome := store.append([item])[0], Held):
        time.sleep(HELD_PAUSE)
    if isinstance(outcome, UnknownTarget):
        raise outcome
    return outcome


def _number(room: str) -> None:
    """After a host's commit. Of many publishes in one transaction the first in each room numbers all.

    Whoever has waited in vain a moment ago waits for no other: a view is late by one wait, not by one for each publish.
    """
    if not pending.waiting([room_key(room)]):
        return
    if under_test():
        write_here(Number(room))
        return
    numbered = writer().submit(Number(room))
    if time.monotonic() < getattr(_in_vain, "until", 0.0):
        return
    try:
        numbered.result(NUMBERING_PATIENCE)
    except TimeoutError:
        _in_vain.until = time.monotonic() + NUMBERING_PATIENCE
        raise


# Of each thread: until when it waits for no numbers.
_in_vain = threading.local()


def _pass_on(done: "asyncio.Future[Entry | None]", receipt: Receipt) -> None:
    if done.cancelled():
        receipt.failed(asyncio.CancelledError())
    elif error := done.exception():
        receipt.failed(error)
    else:
        receipt.stored(done.result())


class Writer:
    """A thread that commits what it is handed, in the order in which it was handed over for each room."""

    def __init__(self, append: Callable[[list[Item]], list[Outcome]] = store.append) -> None:
        self._append = append
        self._backlog = Backlog()
        # The batch that is being stored.
        self._taken: list[Job] = []
        self._something = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, item: Item, after: Receipt | None = None) -> Receipt:
        """Have ``item`` stored; what is given for it ends after the commit.

        Raise :class:`Busy` when too much waits, or when ``after``, which was submitted before, has failed: it will
        come again, and must not come behind this one.
        """
        job = Job(item)
        with self._something:
            if len(self._backlog) >= MAX_WAITING:
                raise Busy(f"{MAX_WAITING} publishes are waiting to be stored.")
            if after is not None and has_failed(after):
                raise Busy("An earlier message was not stored.")
            self._backlog.add(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="django_rooms.writer", daemon=True)
                self._thread.start()
            self._something.notify()
        return job.receipt

    def _run(self) -> None:
        while True:
            with self._something:
                while not self._backlog:
                    self._something.wait()
                if self._backlog.only_held:
                    self._something.wait(HELD_PAUSE)
                self._taken = self._backlog.take()
            held = self._store(self._taken)
            with self._something:
                self._backlog.put_back(self._taken, [job for job in held if not job.receipt.done])

    def _store(self, batch: list[Job]) -> list[Job]:
        """Commit ``batch`` and end its receipts; return what another process's locks kept out."""
        try:
            outcomes = self._commit([job.item for job in batch])
        except PASSING as error:
            self._fail(error)
            return []
        except Exception as error:
            return self._store_alone(batch, error)
        for job, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, UnknownTarget):
                job.receipt.failed(outcome)
            elif not isinstance(outcome, Held):
                job.receipt.stored(outcome)
        held = [job for job, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Held)]
        self._lose_patience(held)
        return held

    def _lose_patience(self, held: list[Job]) -> None:
        """Fail the rooms that were held for too long."""
        now = time.monotonic()
        for room in {job.room for job in held if now - job.since >= HELD_PATIENCE}:
            message = f"The room {room!r} was held by another process for {HELD_PATIENCE:g} s."
            self._fail(OperationalError(message), room)

    def _store_alone(self, batch: list[Job], error: Exception) -> list[Job]:
        """One bad item never fails its neighbours."""
        if len(batch) == 1:
            logger.error("A publish in the room %r was not stored.", batch[0].room, exc_info=error)
            batch[0].receipt.failed(error)
            return []
        held: list[Job] = []
        for job in batch:
            if not job.receipt.done:  # It failed with an earlier one.
                in_order = job.room not in {other.room for other in held}
                held += self._store([job]) if in_order else [job]
        return held

    def _fail(self, error: Exception, room: str | None = None) -> None:
        """What waits, in one room or in all, fails together: what failed will be sent again, and then comes first."""
        with self._something:
            taken = [job for job in self._taken if not job.receipt.done and room in (None, job.room)]
            failed = [*taken, *self._backlog.clear(room)]
            logger.error("%d publishes were not stored.", len(failed), exc_info=error)
            for job in failed:
                job.receipt.failed(error)

    def _commit(self, items: list[Item]) -> list[Outcome]:
        """Try again what may succeed the next time, also where the answer to COMMIT was lost: ids tell repeats."""
        for pause in PAUSES:
            try:
                return self._try(items)
            except PASSING as error:
                logger.warning("The rooms' database did not do as it should; trying again in %s s: %s", pause, error)
                time.sleep(pause)
        return self._try(items)

    def _try(self, items: list[Item]) -> list[Outcome]:
        use_own_connection()
        return self._append(items)


def has_failed(receipt: Receipt) -> bool:
    """It was not stored, and may be sent again."""
    return isinstance(receipt.error, PASSING)


# This process's writer, with its thread started by the first use.
writer = OncePerProcess(Writer)
