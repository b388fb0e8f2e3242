"""One connection among the members of the rooms that it is in."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from django_rooms.conf import settings
from django_rooms.connection.pulse import PING, PONG, Pulse
from django_rooms.presence import recorder
from django_rooms.protocol.presence import Member

# Seconds of silence after which nobody is shown any more, however the connection ends. A server may find out late, and
# find out before us: then what is left of the grace is what is left of this.
SILENCE = PING + PONG + 10.0

# Seconds for which somebody still counts as there who left by choice: a part of a page may leave, and join again.
BY_CHOICE = 1.0


class Owner(Protocol):
    def ask(self, number: int) -> None:
        """Send the peer a ping with this number."""

    def put_out(self, room: str) -> None:
        """You were put out of the room."""


class Attending:
    __slots__ = ("_key", "_loop", "_owner", "_proof", "_pulse", "_rooms")

    def __init__(self, owner: Owner, pulse: Pulse) -> None:
        self._owner = owner
        self._pulse = pulse
        self._loop = asyncio.get_running_loop()
        # Where it is shown, under the same key everywhere. No set: nearly all are in one room, or in a few.
        self._rooms: tuple[str, ...] = ()
        self._key = ""
        self._proof: int | None = None

    def enter(self, room: str, member: Member | None) -> None:
        """Be in the room as ``member``; ``None``: not shown there."""
        if member is None:
            self.leave(room)
        else:
            if room not in self._rooms:
                self._rooms += (room,)
            self._key = member.key
            recorder.enter(room, member, self)

    def leave(self, room: str, after: float = 0.0, most: float = SILENCE) -> None:
        """Be there no more. ``after``: the seconds after which the client was told to come back.

        ``most``: the seconds for which they count as there at most, if they do not come back.
        """
        if room in self._rooms:
            self._rooms = tuple(other for other in self._rooms if other != room)
            left = max(0.0, SILENCE - self._pulse.silent_for)
            recorder.leave(room, self._key, self, min(settings.GRACE, left, most) + after)

    def answered(self, number: object) -> None:
        """The peer answered a ping. If it is the one that asks for a sign of life, it is there again."""
        if self._proof is not None and number == self._proof:
            self._proof = None
            for room in self._rooms:
                recorder.confirm(room, self._key, self)

    # From any thread.

    def prove(self) -> None:
        self._call(self._prove)

    def expel(self, room: str) -> None:
        self._call(self._expel, room)

    def _call(self, method: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # A loop that is closed has nobody left to tell.
            self._loop.call_soon_threadsafe(method, *args)

    def _prove(self) -> None:
        # What it may have answered before it was doubted proves nothing: that waits in the socket.
        self._proof = secrets.randbits(48)
        self._owner.ask(self._proof)

    def _expel(self, room: str) -> None:
        if room in self._rooms:
            self.leave(room, most=0.0)
            self._owner.put_out(room)
