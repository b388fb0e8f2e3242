"""What somebody is told who cannot have what they asked for: the error of a frame, or the code of a close."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django_rooms.names import BadName
from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.frames import FrameError
from django_rooms.registry import UnknownRoom, get_room
from django_rooms.rooms import Action, Room

logger = logging.getLogger("django_rooms")


def find(name: str) -> Room:
    try:
        return get_room(name)
    except BadName as error:
        raise FrameError(ErrorCode.BAD_NAME, str(error)) from None
    except UnknownRoom as error:
        raise FrameError(ErrorCode.UNKNOWN_ROOM, str(error)) from None


def forbidden(room: Room, action: Action) -> FrameError:
    what = {"join": "join", "publish": "publish in", "edit": "edit this message in", "remove": "remove this message in"}
    message = " ".join([f"You may not {what[action]} the room {room.name!r}.", *room.lesson(action)])
    return FrameError(ErrorCode.FORBIDDEN, message)


@contextmanager
def database() -> Iterator[None]:
    """What fails in here is the database, and may be tried again."""
    try:
        yield
    except Exception as error:
        logger.exception("The rooms' database could not be read.")
        message = "The room's history cannot be read just now."
        raise FrameError(ErrorCode.UNAVAILABLE, message, retry_after=1.0) from error


def close_code(error: FrameError) -> CloseCode:
    """For a socket that was made for what was refused."""
    return _CLOSE_CODES.get(error.code, CloseCode.REFUSED)


_CLOSE_CODES = {
    ErrorCode.UNAVAILABLE: CloseCode.FAILED,
    ErrorCode.UNKNOWN_ROOM: CloseCode.NOT_FOUND,
    ErrorCode.BAD_NAME: CloseCode.NOT_FOUND,
    ErrorCode.NOT_FOUND: CloseCode.NOT_FOUND,
}
