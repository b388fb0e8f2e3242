"""The conversation on one socket: what is asked and what is answered."""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django_rooms import sending
from django_rooms.conf import settings
from django_rooms.hub import hub, tell
from django_rooms.names import BadName
from django_rooms.people import sender_of
from django_rooms.place import Place
from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.entries import Author, Position
from django_rooms.protocol.frames import Event, FrameError, History, Join, Leave, Ping, Pong, Publish
from django_rooms.publishing import Publishing
from django_rooms.registry import UnknownRoom, get_room
from django_rooms.rooms import Action, Room
from django_rooms.sending import Sending, State

logger = logging.getLogger("django_rooms")

# Seconds of silence after which a peer is asked for a sign of life, and then given up.
PING = 25.0
PONG = 10.0
# Seconds that one write may take before the peer counts as stuck.
WRITE_TIMEOUT = 10.0
TICK = 5.0

MAX_ROOMS = 100
# Seconds for which a policy's answer is believed.
VERDICT_AGE = 5.0


class Socket(sending.Socket, Protocol):
    """What a connection needs of the consumer."""

    def abort(self) -> None:
        """Drop the socket without a word: it takes none."""

    def hear_message(self, message: dict[str, Any]) -> None:
        """A message of the host's own for this consumer."""


class Connection:
    def __init__(self, socket: Socket, user: Any, author: Author, room: str | None = None) -> None:
        self.id = secrets.token_urlsafe(9)
        self.user = user
        self.author = author
        self.places: dict[str, Place] = {}
        self.sending = Sending(socket, entries=self._entries, flooded=self._flooded, failed=self._abort)
        self._socket = socket
        self._sender = sender_of(user)
        self._default_room = room
        # The rooms that may have something new, in the order in which they said so.
        self._news: dict[str, None] = {}
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._pinged_at: float | None = None
        self._timer = self._loop.call_later(TICK, self._tick)

    # What the consumer tells.

    def welcome(self) -> None:
        limits = {
            "frame": settings.FRAME_BYTES,
            "body": settings.BODY_BYTES,
            "batch": frames.MAX_BATCH,
            "id": frames.MAX_ID,
            "rooms": MAX_ROOMS,
            "history": frames.MAX_HISTORY,
        }
        hello = frames.welcome(connection=self.id, user=self.author, ping=PING, pong=PONG, limits=limits)
        self.sending.put(hello)

    async def receive(self, text: str) -> None:
        """Handle one WebSocket message: a frame or an array of them, one after the other."""
        self._heard_at, self._pinged_at = self._loop.time(), None
        if len(text) > settings.FRAME_BYTES or len(text.encode("utf-8", "replace")) > settings.FRAME_BYTES:
            message = f"A message may have {settings.FRAME_BYTES} bytes."
            self.sending.put(frames.error(FrameError(ErrorCode.TOO_LARGE, message)))
            self.end(CloseCode.TOO_LARGE, message)
            return
        for frame in frames.decode(text, body_bytes=settings.BODY_BYTES):
            await self.sending.eased()
            if self.sending.state is not State.OPEN:
                return
            await self._handle(frame)

    async def join_alone(self, position: Position | None) -> None:
        """Join the room of the socket's own URL. A refusal ends the socket, for it was made for that room."""
        try:
            await self._join(Join(None, None, position))
        except FrameError as error:
            self.refuse(error.with_frame(None, self._default_room))

    def refuse(self, error: FrameError) -> None:
        """Say why, and end."""
        self.sending.put(frames.error(error))
        self.end(_CLOSE_CODES.get(error.code, CloseCode.REFUSED), error.message)

    def end(self, code: CloseCode, reason: str) -> None:
        """Send what is queued and a last word, then close."""
        self._leave_all()
        self.sending.end(code, reason)

    def closed(self) -> None:
        """The socket is gone."""
        self.sending.stop()
        self._timer.cancel()
        self._leave_all()

    # What feeds tell.

    def wake(self, room: str) -> None:
        self._news[room] = None
        self.sending.wake()

    def hear_event(self, room: str, frame: str) -> None:
        self.sending.offer(frame)

    def hear_message(self, message: dict[str, Any]) -> None:
        self._socket.hear_message(message)

    # Frames.

    async def _handle(self, frame: frames.Frame | FrameError) -> None:
        if isinstance(frame, FrameError):
            self.sending.put(frames.error(frame))
            return
        try:
            await self._act(frame)
        except FrameError as error:
            self.sending.put(frames.error(error.with_frame(frame.ref, frame.room or self._default_room)))

    async def _act(self, frame: frames.Frame) -> None:
        match frame:
            case Publish():
                await self._publish(frame)
            case Event():
                await self._event(frame)
            case Join():
                await self._join(frame)
            case Leave():
                self._leave(frame)
            case History():
                await self._history(frame)
            case Ping():
                self.sending.put(frames.pong(frame.n))
            case Pong():
                pass

    async def _join(self, frame: Join) -> None:
        name = self._named(frame)
        room = _find(name)
        if name not in self.places and len(self.places) >= MAX_ROOMS:
            raise FrameError(ErrorCode.TOO_MANY_ROOMS, f"One connection may be in {MAX_ROOMS} rooms.")
        if not await room.aallows("join", self.user):
            self._give_up(name)
            raise FrameError(ErrorCode.FORBIDDEN, _refusal(room, "join"))
        asked_at = self._loop.time()
        may_publish = await room.aallows("publish", self.user)
        with _database():
            feed = await hub().feed(name)
        if self.sending.state is not State.OPEN:
            hub().let_go(feed)
            return
        feed.followers.add(self)
        # Who joins again, as a client does to resume, goes on with what it has under way.
        here = self.places.get(name)
        publishing = here.publishing if here else Publishing(name, self._sender, self.author, self.sending.put)
        place = self.places[name] = Place(room, feed, publishing, may_publish=may_publish, asked_at=asked_at)
        try:
            with _database():
                reply = await place.join(frame)
        except FrameError:
            if self.places.get(name) is place:
                self._give_up(name)
            raise
        if self.places.get(name) is place:
            self.sending.put(reply)
            self.wake(name)

    def _leave(self, frame: Leave) -> None:
        name = self._named(frame)
        self._give_up(name)
        if frame.ref is not None:
            self.sending.put(frames.left(frame.ref, name))

    async def _publish(self, frame: Publish) -> None:
        place = self._place(frame)
        try:
            await self._ask_publish(place)
        except FrameError:
            place.publishing.give_up(frame.id)
            raise
        place.publishing.submit(frame)

    async def _event(self, frame: Event) -> None:
        place = self._place(frame)
        await self._ask_publish(place)
        tell(place.room.name, frames.event(place.room.name, frame.event, self.author, frame.body), self)
        if frame.ref is not None:
            self.sending.put(frames.ok(frame.ref, None))

    async def _history(self, frame: History) -> None:
        place = self._place(frame)
        with _database():
            page = await place.feed.page(frame.limit, frame.before)
        self.sending.put(frames.history(frame.ref, place.room.name, page.texts, more=page.more))

    async def _ask_publish(self, place: Place) -> None:
        """By a verdict that is at most ``VERDICT_AGE`` old."""
        if self._loop.time() - place.asked_at > VERDICT_AGE:
            asked_at = self._loop.time()
            place.may_publish = await place.room.aallows("publish", self.user)
            place.asked_at = asked_at
        if not place.may_publish:
            raise FrameError(ErrorCode.FORBIDDEN, _refusal(place.room, "publish"))

    # Rooms.

    def _named(self, frame: frames.Frame) -> str:
        name = frame.room if frame.room is not None else self._default_room
        if name is None:
            raise FrameError(ErrorCode.BAD_FRAME, "'room' is missing: this socket is not of one room's own.")
        return name

    def _place(self, frame: frames.Frame) -> Place:
        name = self._named(frame)
        if name not in self.places:
            message = f"This connection is not in the room {name!r:.300}; join it first."
            raise FrameError(ErrorCode.NOT_JOINED, message)
        return self.places[name]

    def _give_up(self, name: str) -> None:
        if (place := self.places.pop(name, None)) is not None:
            hub().let_go(place.feed, self)

    def _leave_all(self) -> None:
        for name in list(self.places):
            self._give_up(name)

    async def _entries(self) -> str | None:
        """The next frame of entries of any room that has news."""
        while self._news:
            name = next(iter(self._news))
            del self._news[name]
            place = self.places.get(name)
            frame = await self._rest(name, place) if place is not None else None
            if frame is not None and self.places.get(name) is place:
                self._news[name] = None  # There may be more; the other rooms come first.
                return frame
        return None

    async def _rest(self, name: str, place: Place) -> str | None:
        try:
            return await place.rest()
        except Exception as error:
            logger.warning("The log of the room %r could not be read: %s", name, error)
            self._loop.call_later(1.0, self.wake, name)
            return None

    # Signs of life.

    def _tick(self) -> None:
        now = self._loop.time()
        self._timer = self._loop.call_later(TICK, self._tick)
        if self.sending.writing_since is not None and now - self.sending.writing_since > WRITE_TIMEOUT:
            self._abort()
        elif self._pinged_at is not None and now - self._pinged_at > PONG:
            self.end(CloseCode.SILENT, "No answer to a ping.")
        elif self._pinged_at is None and now - self._heard_at > PING:
            self._pinged_at = now
            self.sending.put(frames.ping(int(now)))

    def _flooded(self) -> None:
        self.end(CloseCode.FLOOD, "You ask for more than you read.")

    def _abort(self) -> None:
        self.closed()
        self._socket.abort()


_CLOSE_CODES = {
    ErrorCode.UNAVAILABLE: CloseCode.FAILED,
    ErrorCode.UNKNOWN_ROOM: CloseCode.NOT_FOUND,
    ErrorCode.BAD_NAME: CloseCode.NOT_FOUND,
    ErrorCode.NOT_FOUND: CloseCode.NOT_FOUND,
}


@contextmanager
def _database() -> Iterator[None]:
    """What fails in here is the database, and may be tried again."""
    try:
        yield
    except Exception as error:
        logger.exception("The rooms' database could not be read.")
        message = "The room's history cannot be read just now."
        raise FrameError(ErrorCode.UNAVAILABLE, message, retry_after=1.0) from error


def _find(name: str) -> Room:
    try:
        return get_room(name)
    except BadName as error:
        raise FrameError(ErrorCode.BAD_NAME, str(error)) from None
    except UnknownRoom as error:
        raise FrameError(ErrorCode.UNKNOWN_ROOM, str(error)) from None


def _refusal(room: Room, action: Action) -> str:
    return " ".join([f"You may not {action} the room {room.name!r}.", *room.lesson(action)])
