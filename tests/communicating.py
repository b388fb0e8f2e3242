"""Talking to the consumers without a server, in tests that may be rolled back."""

import functools

from asgiref.sync import async_to_sync

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
    """All that came until now and that the test has not looked at: the answer to a ping comes after it."""
    await communicator.send({"type": "ping", "n": "now"})
    while (await communicator.receive("pong"))["n"] != "now":
        pass
    frames = [frame for frame in communicator.kept if frame["type"] != "welcome"]
    communicator.kept.clear()
    return frames
