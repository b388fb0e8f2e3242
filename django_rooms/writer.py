"""The one writer of a process: many publishes, one transaction.

Its bound: ``MAX_WAITING`` items. Beyond it a publish is refused as busy, never queued without end and never dropped.
"""

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, transaction

from django_rooms import log
from django_rooms.conf import settings
from django_rooms.log import Append, Held, Number
from django_rooms.protocol.entries import Entry
from django_rooms.threads import under_test, use_own_connection

logger = logging.getLogger("django_rooms")

MAX_WAITING = 10_000
MAX_BATCH = 500

# Seconds between tries after a lost connection, a deadlock, or a lock that was not had in time.
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)

# A room that another process holds is free again in milliseconds.
HELD_PAUSE = 0.005

# A view that has committed waits this long for its entries' numbers. They come in any case.
NUMBERING_PATIENCE = 2.0

Item = Append | Number
Job = tuple[Item, "Future[Entry | None]"]


class Busy(Exception):
    """The writer's queue is full; nothing was stored, and it may be tried again."""


def write(item: Append) -> Entry | None:
    """Store ``item`` and return its entry, committed; inside the caller's transaction, with that transaction."""
    if entry := pend(item):
        return entry
    return write_here(item) if under_test() else writer().submit(item).result()


def pend(item: Append) -> Entry | None:
    """Inside a transaction of the caller's, have ``item`` stored with it; else do nothing."""
    if not log.in_host_transaction():
        return None
    entry = log.insert_pending(item)
    # In manual transaction management there is no on_commit; then the next read of the room numbers it.
    if transaction.get_connection(settings.DATABASE).in_atomic_block:
        # No partial(): where it fails, Django 5.2 asks it for a name, and the host would get an AttributeError.
        transaction.on_commit(lambda: _number(item.room), using=settings.DATABASE, robust=True)
    return entry


def awrite(item: Append) -> "asyncio.Future[Entry | None]":
    """Have ``item`` stored outside of any transaction of the caller's. Items are stored in the order of the calls."""
    if under_test():
        return asyncio.ensure_future(sync_to_async(write_here, thread_sensitive=True)(item))
    return asyncio.wrap_future(writer().submit(item))


def write_here(item: Item) -> Entry | None:
    """Store ``item`` on this thread's own connection, as a host's tests need it."""
    while isinstance(outcome := log.append([item])[0], Held):
        time.sleep(HELD_PAUSE)
    return outcome


def _number(room: str) -> None:
    if under_test():
        write_here(Number(room))
    else:
        writer().submit(Number(room)).result(NUMBERING_PATIENCE)


class Writer:
    """A thread that commits what it is handed, in the order in which it was handed over."""

    def __init__(self, append: Callable[[list[Item]], list[Entry | Held | None]] = log.append) -> None:
        self._append = append
        self._waiting: deque[Job] = deque()
        self._something = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, item: Item) -> "Future[Entry | None]":
        """Have ``item`` stored; the future ends after the commit. Raise :class:`Busy` when too much waits."""
        future: Future[Entry | None] = Future()
        future.set_running_or_notify_cancel()  # From here on nobody can cancel it: it will be stored.
        with self._something:
            if len(self._waiting) >= MAX_WAITING:
                raise Busy(f"{MAX_WAITING} publishes are waiting to be stored.")
            self._waiting.append((item, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="django_rooms.writer", daemon=True)
                self._thread.start()
            self._something.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._something:
                while not self._waiting:
                    self._something.wait()
            batch = self._take(MAX_BATCH)
            if held := self._store(batch):
                time.sleep(HELD_PAUSE)
                with self._something:
                    self._waiting.extendleft(reversed(held))  # In front: a sender's order holds.

    def _take(self, most: int) -> list[Job]:
        with self._something:
            return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def _store(self, batch: list[Job]) -> list[Job]:
        """Commit ``batch`` and end its futures; return what another process's locks kept out."""
        try:
            outcomes = self._commit([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, (OperationalError, InterfaceError)):
                # One bad item never fails its neighbours.
                return [held for job in batch for held in self._store([job])]
            if isinstance(error, (OperationalError, InterfaceError)):
                # Those behind must not be stored before these, which will be sent again.
                batch = [*batch, *self._take(MAX_WAITING)]
            logger.error("%d publishes were not stored.", len(batch), exc_info=error)
            for _, future in batch:
                future.set_exception(error)
            return []
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not isinstance(outcome, Held):
                future.set_result(outcome)
        return [job for job, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Held)]

    def _commit(self, items: list[Item]) -> list[Entry | Held | None]:
        """Try again what may succeed the next time, also where the answer to COMMIT was lost: ids tell repeats."""
        for pause in PAUSES:
            try:
                return self._try(items)
            except (OperationalError, InterfaceError) as error:
                logger.warning(
                    "The rooms' database did not answer as it should; trying again in %s s: %s", pause, error
                )
                time.sleep(pause)
        return self._try(items)

    def _try(self, items: list[Item]) -> list[Entry | Held | None]:
        use_own_connection()
        return self._append(items)


_writer: Writer | None = None


def writer() -> Writer:
    """This process's writer, with its thread started by the first use."""
    global _writer
    if _writer is None:
        _writer = Writer()
    return _writer


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _writer
    _writer = None


os.register_at_fork(after_in_child=_forget)
