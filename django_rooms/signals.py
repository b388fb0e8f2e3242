"""``member_joined`` and ``member_left``: somebody has come into a room, or has left it.

Sent by the one server process that found it out and claimed it in the database, in a thread of its own, with the room's
class as the ``sender``, and ``room``, ``member``, ``id`` (a UUID) and ``at`` (a datetime) as keywords. Each is sent
once in every ordinary case. If a process dies between its claim and the end of the handlers, another one sends what was
left again, with the same ``id``; none is left out. So a handler that must not do a thing twice remembers the id. What a
handler raises is logged, by Django, and counts as done.

What one process claims is told in its order; what two processes claim may be told in any, and ``at`` has the order.
Connect in ``AppConfig.ready()``: while nobody is connected, nothing is kept to be told.
"""

import logging

from django.dispatch import Signal

from django_rooms.names import BadName
from django_rooms.presence import telling
from django_rooms.presence.telling import Told
from django_rooms.registry import UnknownRoom, get_room

logger = logging.getLogger("django_rooms")

member_joined = Signal()
member_left = Signal()

SIGNALS = {"joined": member_joined, "left": member_left}


class Handlers:
    """The host's, as presence/ knows them."""

    def wanted(self) -> bool:
        return any(signal.receivers for signal in SIGNALS.values())

    def tell(self, told: Told) -> None:
        try:
            room = get_room(told.room)
        except (BadName, UnknownRoom) as error:
            logger.warning("Nobody is told who %s: %s", told.kind, error)
            return
        SIGNALS[told.kind].send_robust(type(room), room=room, member=told.member, id=told.id, at=told.at)


telling.handlers.append(Handlers())
