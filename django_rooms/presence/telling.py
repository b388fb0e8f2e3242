"""Hands each claim over to the host's handlers: once in every ordinary case, and never not at all.

A claim and its announcement are one commit, and the announcement stays until the handlers have returned. A process that
dies in between leaves it to whoever sweeps after it: then they are called again, with the same id.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from django_rooms import models
from django_rooms.models import Announcement, rows
from django_rooms.once import OncePerProcess
from django_rooms.presence import clock
from django_rooms.presence.heart import heart
from django_rooms.protocol.presence import Member
from django_rooms.threads import asking, use_own_connection

logger = logging.getLogger("django_rooms")

# Announcements that are read at once, and the seconds for which those that were told are kept, to be deleted together:
# they are told again if the process dies meanwhile.
BATCH = 100
DELETE = 1.0

# Seconds before the database is asked again.
RETRY = 1.0


@dataclass(frozen=True)
class Told:
    """What a handler is told. ``kind`` is "joined" or "left"."""

    id: UUID
    kind: str
    room: str
    member: Member
    at: datetime


class Handler(Protocol):
    def wanted(self) -> bool:
        """Whether there is anybody to be told."""

    def tell(self, told: Told) -> None:
        """What it raises is logged, and counts as done."""


handlers: list[Handler] = []


def wanted() -> bool:
    return any(handler.wanted() for handler in handlers)


def tell(lease: UUID, done: list[int] | None = None) -> None:
    """Hand over what was claimed under ``lease``, in that order.

    ``done``: what was handed over and could not be deleted the last time, and then this time. It is not told again.
    """
    done = [] if done is None else done
    _delete(done)
    while found := list(rows(Announcement).filter(lease=lease).order_by("id")[:BATCH]):
        deleted_at = time.monotonic()
        try:
            for announcement in found:
                asking.wait(_hand_over, _told(announcement))
                done.append(announcement.pk)
                if time.monotonic() - deleted_at > DELETE:
                    _delete(done)
                    deleted_at = time.monotonic()
        finally:  # A process that ends has no more threads for the rest of them.
            _delete(done)


def _delete(done: list[int]) -> None:
    models.delete(Announcement, done)
    done.clear()


def _hand_over(told: Told) -> None:
    """Whatever the host's code raises: a claim that is told for ever keeps out those behind it."""
    for handler in handlers:
        try:
            handler.tell(told)
        except BaseException:  # asyncio.CancelledError is no Exception, and would end the teller's thread.
            logger.exception("Nobody was told who %s: %r in %r", told.kind, told.member.key, told.room)


def _told(row: Announcement) -> Told:
    member = Member(*row.author, row.info, clock.moment(row.since))
    return Told(row.event_id, row.kind, row.room_name, member, clock.moment(row.at))


class Teller:
    """A thread of its own: a host's handler may be slow, and nobody is recorded late for it."""

    def __init__(self) -> None:
        self._something = threading.Event()
        self._done: list[int] = []
        threading.Thread(target=self._run, name="django_rooms.telling", daemon=True).start()

    def wake(self) -> None:
        self._something.set()

    def _run(self) -> None:
        while True:
            self._something.wait()
            self._something.clear()
            try:
                use_own_connection()
                tell(heart().wait_for_lease(), self._done)
            except Exception as error:
                logger.warning("Who joined and left could not be handed over; it is tried again: %s", error)
                time.sleep(RETRY)
                self.wake()


teller = OncePerProcess(Teller)
