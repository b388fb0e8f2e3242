"""Talking to the consumers without a server, in tests that may be rolled back."""

import functools

from asgiref.sync import async_to_sync

from django_rooms.people import show
from django_rooms.presence import recorder
from django_rooms.presence.attendance import attendance
from django_rooms.protocol.presence import Member
from django_rooms.testing import RoomCommunicator
from host.asgi import rooms


def one_loop(test):
    """Run an async test as a host's sync test does: the ORM works on the test's own thread and connection."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        return async_to_sync(test)(*args, **kwargs)

    return run


def client(path="/ws/rooms/", user=None, application=rooms, **options):
    return RoomCommunicator(application, path, user=user, **options)


async def heard(communicator):
    """All that came until now and that the test has not looked at: the answer to a ping comes after it.

    But for who is here, which is told when it was gathered.
    """
    await communicator.send({"type": "ping", "n": "now"})
    while (await communicator.receive("pong"))["n"] != "now":
        pass
    frames = [frame for frame in communicator.kept if frame["type"] not in ("welcome", "presence")]
    communicator.kept.clear()
    return frames


class Stay:
    """Somebody is in a room with one connection more, of which nothing is heard, and may leave with it again."""

    def __init__(self, room, user):
        self.room, self.member = room, Member(*show(user))
        attendance().enter(room, self.member, self)
        recorder.record_here()

    def leave(self, grace):
        attendance().leave(self.room, self.member.key, self, grace)
        recorder.record_here()
