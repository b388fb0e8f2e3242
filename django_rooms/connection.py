"""The conversation on one socket: what is asked, what is answered, and where in each room's feed it is.

It knows frames and feeds, and of the socket only how to send a text and how to close it.
"""

import asyncio
import logging
import secrets
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol

from django.conf import settings as django_settings

from django_rooms import log, writer
from django_rooms.conf import settings
from django_rooms.hub import RoomFeed, hub, tell
from django_rooms.log import Append
from django_rooms.names import BadName
from django_rooms.people import sender_of
from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.entries import Author, Entry, Position
from django_rooms.protocol.frames import Event, FrameError, History, Join, Leave, Ping, Pong, Publish
from django_rooms.protocol.outbox import Outbox, Overflow
from django_rooms.registry import UnknownRoom, get_room
from django_rooms.rooms import Room
from django_rooms.threads import reading

logger = logging.getLogger("django_rooms")

# Seconds of silence after which a peer is asked for a sign of life, and then given up.
PING = 25.0
PONG = 10.0
# Seconds that one write may take before the peer counts as stuck.
WRITE_TIMEOUT = 10.0
TICK = 5.0

MAX_ROOMS = 100
MAX_IN_FLIGHT = 256
MAX_UNSENT = 1024 * 1024
# Seconds for which a policy's answer is believed.
VERDICT_AGE = 5.0


class Socket(Protocol):
    """What a connection needs of the consumer."""

    async def send_text(self, text: str) -> None: ...

    async def close(self, code: int | None = None, reason: str | None = None) -> None: ...

    def abort(self) -> None:
        """Drop the socket without a word: it takes none."""

    def hear_message(self, message: dict[str, Any]) -> None:
        """A message of the host's own for this consumer."""


class State(Enum):
    OPEN = auto()
    ENDING = auto()
    CLOSED = auto()


@dataclass(eq=False)
class Place:
    """A connection's place in a room: an offset into its feed. ``offset`` is ``None`` while it is joining."""

    room: Room
    feed: RoomFeed
    epoch: str = ""
    offset: int | None = None
    may_publish: bool = False
    asked_at: float = 0.0
    # The id that was refused and may be retried; until it comes again later ones are refused too, for order's sake.
    refused: str | None = None


class Connection:
    def __init__(self, socket: Socket, user: Any, author: Author, room: str | None = None) -> None:
        self.id = secrets.token_urlsafe(9)
        self.user = user
        self.author = author
        self.state = State.OPEN
        self.places: dict[str, Place] = {}
        self._socket = socket
        self._sender = sender_of(user)
        self._default_room = room
        self._outbox = Outbox(MAX_UNSENT)
        self._news: dict[str, None] = {}
        self._sending = False
        self._in_flight = 0
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._pinged_at: float | None = None
        self._writing_since: float | None = None
        self._ending: tuple[CloseCode, str] | None = None
        self._drained: asyncio.Future[None] = self._loop.create_future()
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
        self._put(frames.welcome(connection=self.id, user=self.author, ping=PING, pong=PONG, limits=limits))

    async def receive(self, text: str) -> None:
        """Handle one WebSocket message: a frame or an array of them, one after the other."""
        self._heard()
        if len(text) > settings.FRAME_BYTES or len(text.encode("utf-8", "replace")) > settings.FRAME_BYTES:
            message = f"A message may have {settings.FRAME_BYTES} bytes."
            self._put(frames.error(FrameError(ErrorCode.TOO_LARGE, message)))
            self.end(CloseCode.TOO_LARGE, message)
            return
        for frame in frames.decode(text, body_bytes=settings.BODY_BYTES):
            # Who reads less than it asks for is read from no more: the server pushes back.
            while self._outbox.crowded and self.state is State.OPEN:
                self._drained = self._loop.create_future()
                await self._drained
            if self.state is not State.OPEN:
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
        self._put(frames.error(error))
        not_found = error.code in (ErrorCode.UNKNOWN_ROOM, ErrorCode.BAD_NAME, ErrorCode.NOT_FOUND)
        failed = error.code is ErrorCode.UNAVAILABLE
        code = CloseCode.FAILED if failed else CloseCode.NOT_FOUND if not_found else CloseCode.REFUSED
        self.end(code, error.message)

    def end(self, code: CloseCode, reason: str) -> None:
        """Send what is queued and a last word, then close."""
        if self.state is not State.OPEN:
            return
        self.state = State.ENDING
        self._ending = code, reason
        self._leave_all()
        try:
            self._outbox.put(frames.closing(code, reason))
        except Overflow:
            logger.info("A connection that reads too little is closed without a last word: %s", reason)
        self._send_soon()

    def closed(self) -> None:
        """The socket is gone."""
        self.state = State.CLOSED
        self._timer.cancel()
        self._leave_all()
        self._go_on()

    # What feeds tell.

    def wake(self, room: str) -> None:
        self._news[room] = None
        self._send_soon()

    def hear_event(self, room: str, frame: str) -> None:
        if self._outbox.offer(frame):
            self._send_soon()

    def hear_message(self, message: dict[str, Any]) -> None:
        self._socket.hear_message(message)

    # Frames.

    async def _handle(self, frame: frames.Frame | FrameError) -> None:
        try:
            match frame:
                case FrameError():
                    self._put(frames.error(frame))
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
                    self._put(frames.pong(frame.n))
                case Pong():
                    pass
        except FrameError as error:
            assert not isinstance(frame, FrameError)
            self._put(frames.error(error.with_frame(frame.ref, frame.room or self._default_room)))

    async def _join(self, frame: Join) -> None:
        name = self._named(frame)
        room = _find(name)
        if name not in self.places and len(self.places) >= MAX_ROOMS:
            raise FrameError(ErrorCode.TOO_MANY_ROOMS, f"One connection may be in {MAX_ROOMS} rooms.")
        if not await room.aallows("join", self.user):
            raise FrameError(ErrorCode.FORBIDDEN, _refusal(room, "join"))
        may_publish = await room.aallows("publish", self.user)
        with _Database():
            feed = await hub().feed(name)
        if self.state is not State.OPEN:
            hub().let_go(feed)
            return
        if (other := self.places.pop(name, None)) is not None and other.feed is not feed:
            hub().let_go(other.feed, self)
        place = self.places[name] = Place(room, feed, may_publish=may_publish, asked_at=self._loop.time())
        feed.followers.add(self)
        try:
            with _Database():
                reply = await self._catch_up(place, frame)
        except FrameError:
            self._give_up(name, place)
            raise
        if self.places.get(name) is place:
            # From here on the feed's news are for it: nothing is awaited between its place and this.
            self._put(reply)
            self.wake(name)

    async def _catch_up(self, place: Place, frame: Join) -> str:
        """Take ``place`` as near to the feed's end as one frame allows, and return that frame."""
        feed = place.feed.feed
        answer = partial(frames.joined, frame.ref, place.room.name, can={"publish": place.may_publish})
        position = frame.position
        if (
            position is not None
            and position.epoch == feed.epoch
            and feed.tail_start <= position.offset <= feed.delivered
        ):
            texts = feed.texts_after(position.offset)
            place.epoch, place.offset = feed.epoch, position.offset + len(texts)
            reached = Position(place.epoch, place.offset)
            return answer(reached, texts, recovered=True, more=place.offset < feed.delivered)
        if position is not None:
            extract = await place.feed.extract(position.offset)
            if extract.recovers(position):
                place.epoch, place.offset = extract.epoch, position.offset + len(extract.entries)
                reached = Position(place.epoch, place.offset)
                texts = [entry.text for entry in extract.entries]
                return answer(reached, texts, recovered=True, more=place.offset < extract.head)
        start = max(place.feed.floor, feed.delivered - frame.history)
        tail = feed.texts_after(start) if feed.tail_start <= start else None
        if tail is not None and start + len(tail) == feed.delivered:
            place.epoch, place.offset = feed.epoch, feed.delivered
            return answer(place.feed.position, tail, recovered=False, more=start > place.feed.floor)
        page = await reading.run(log.page, place.room.name, frame.history)
        place.epoch, place.offset = page.position
        return answer(page.position, [entry.text for entry in page.entries], recovered=False, more=page.more)

    def _leave(self, frame: Leave) -> None:
        name = self._named(frame)
        if (place := self.places.get(name)) is not None:
            self._give_up(name, place)
        if frame.ref is not None:
            self._put(frames.left(frame.ref, name))

    async def _publish(self, frame: Publish) -> None:
        place = self._place(frame)
        await self._ask_publish(place)
        if place.refused not in (None, frame.id):
            raise FrameError(ErrorCode.BUSY, "An earlier message has to be sent again first.", retry_after=0.5)
        place.refused = None
        item = Append(place.room.name, self._sender, frame.id, frame.body_text, self.author)
        try:
            if self._in_flight >= MAX_IN_FLIGHT:
                raise writer.Busy
            future = writer.awrite(item)
        except writer.Busy:
            place.refused = frame.id
            raise FrameError(ErrorCode.BUSY, "Too much is being published just now.", retry_after=0.5) from None
        self._in_flight += 1
        future.add_done_callback(partial(self._published, place, frame))

    def _published(self, place: Place, frame: Publish, future: "asyncio.Future[Entry | None]") -> None:
        self._in_flight -= 1
        if future.cancelled():
            return
        if future.exception() is not None:
            place.refused = frame.id
            message = "The message could not be stored just now."
            error = FrameError(ErrorCode.UNAVAILABLE, message, frame.ref, place.room.name, retry_after=1.0)
            self._put(frames.error(error))
        elif frame.ref is not None:
            entry = future.result()
            self._put(frames.ok(frame.ref, entry.offset if entry else None))

    async def _event(self, frame: Event) -> None:
        place = self._place(frame)
        await self._ask_publish(place)
        tell(place.room.name, frames.event(place.room.name, frame.event, self.author, frame.body), self)
        if frame.ref is not None:
            self._put(frames.ok(frame.ref, None))

    async def _history(self, frame: History) -> None:
        place = self._place(frame)
        with _Database():
            page = await reading.run(log.page, place.room.name, frame.limit, frame.before)
        self._put(frames.history(frame.ref, place.room.name, [entry.text for entry in page.entries], more=page.more))

    async def _ask_publish(self, place: Place) -> None:
        """By a verdict that is at most ``VERDICT_AGE`` old."""
        if self._loop.time() - place.asked_at > VERDICT_AGE:
            place.may_publish = await place.room.aallows("publish", self.user)
            place.asked_at = self._loop.time()
        if not place.may_publish:
            raise FrameError(ErrorCode.FORBIDDEN, _refusal(place.room, "publish"))

    def _named(self, frame: frames.Frame) -> str:
        name = frame.room if frame.room is not None else self._default_room
        if name is None:
            raise FrameError(ErrorCode.BAD_FRAME, "'room' is missing: this socket is not of one room's own.")
        return name

    def _place(self, frame: frames.Frame) -> Place:
        name = self._named(frame)
        if name not in self.places:
            raise FrameError(ErrorCode.NOT_JOINED, f"This connection is not in the room {name!r:.300}; join it first.")
        return self.places[name]

    def _give_up(self, name: str, place: Place) -> None:
        if self.places.get(name) is place:
            del self.places[name]
            hub().let_go(place.feed, self)

    def _leave_all(self) -> None:
        for name, place in list(self.places.items()):
            self._give_up(name, place)

    # Sending. Frames first, then for each room with news what comes after the connection's place in its feed.

    def _put(self, frame: str) -> None:
        if self.state is State.CLOSED:
            return
        try:
            self._outbox.put(frame)
        except Overflow:
            self.end(CloseCode.FLOOD, "You ask for more than you read.")
        self._send_soon()

    def _send_soon(self) -> None:
        if not self._sending and self.state is not State.CLOSED:
            self._sending = True
            self._task = _start(self._send_all(), self._loop)

    async def _send_all(self) -> None:
        try:
            while (frame := await self._next()) is not None:
                self._writing_since = self._loop.time()
                await self._socket.send_text(frame)
                self._writing_since = None
                if not self._outbox.crowded:
                    self._go_on()
            if self._ending is not None and self.state is State.ENDING:
                self.state = State.CLOSED
                code, reason = self._ending
                # An IntEnum is no close code to autobahn, and so to daphne: it asks for the very type.
                await self._socket.close(int(code), _close_reason(reason))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # The peer went away while it was written to; the server tells the consumer by a disconnect.
            logger.debug("A frame could not be sent: %r", error)
            self._abort()
        finally:
            self._sending = False

    def _go_on(self) -> None:
        if not self._drained.done():
            self._drained.set_result(None)

    def _abort(self) -> None:
        self.closed()
        self._socket.abort()

    async def _next(self) -> str | None:
        if (frame := self._outbox.take()) is not None:
            return frame
        while self._news:
            name = next(iter(self._news))
            del self._news[name]
            place = self.places.get(name)
            if place is None or place.offset is None:
                continue
            try:
                frame = await self._rest(place, place.offset)
            except Exception as error:
                logger.warning("The log of the room %r could not be read: %s", name, error)
                self._loop.call_later(1.0, self.wake, name)
                continue
            if frame is not None and self.places.get(name) is place:
                self._news[name] = None
                return frame
        return None

    async def _rest(self, place: Place, offset: int) -> str | None:
        """The next frame of entries for ``place``: from the feed's tail, else from the log."""
        feed = place.feed.feed
        if place.epoch == "" and offset == 0:
            place.epoch = feed.epoch
        if place.epoch != feed.epoch:
            return await self._reset(place, "The room's log was restored.")
        if (run := feed.after(offset)) is not None:
            place.offset = run.last
            return run.frame
        if offset >= feed.delivered:
            return None
        extract = await place.feed.extract(offset)
        if not extract.recovers(Position(place.epoch, offset)):
            return await self._reset(place, "The room's log no longer goes back so far.")
        place.offset = offset + len(extract.entries)
        texts = [entry.text for entry in extract.entries]
        return frames.entries(place.room.name, texts, epoch=extract.epoch if offset == 0 else None)

    async def _reset(self, place: Place, reason: str) -> str:
        page = await reading.run(log.page, place.room.name, frames.DEFAULT_HISTORY)
        place.epoch, place.offset = page.position
        return frames.reset(place.room.name, page.position, [entry.text for entry in page.entries], reason)

    # Signs of life.

    def _heard(self) -> None:
        self._heard_at = self._loop.time()
        self._pinged_at = None

    def _tick(self) -> None:
        now = self._loop.time()
        self._timer = self._loop.call_later(TICK, self._tick)
        if self._writing_since is not None and now - self._writing_since > WRITE_TIMEOUT:
            self._abort()
        elif self._pinged_at is not None and now - self._pinged_at > PONG:
            self.end(CloseCode.SILENT, "No answer to a ping.")
        elif self._pinged_at is None and now - self._heard_at > PING:
            self._pinged_at = now
            self._put(frames.ping(int(now)))


class _Database:
    """What fails in here is the database, and may be tried again."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, FrameError):
            logger.error("The rooms' database could not be read.", exc_info=error)
            message = "The room's history cannot be read just now."
            raise FrameError(ErrorCode.UNAVAILABLE, message, retry_after=1.0) from error


def _find(name: str) -> Room:
    try:
        return get_room(name)
    except BadName as error:
        raise FrameError(ErrorCode.BAD_NAME, str(error)) from None
    except UnknownRoom as error:
        raise FrameError(ErrorCode.UNKNOWN_ROOM, str(error)) from None


def _refusal(room: Room, action: str) -> str:
    text = f"You may not {action} the room {room.name!r}."
    if not django_settings.DEBUG:
        return text
    kind = type(room)
    return f"{text} {kind.__module__}.{kind.__name__}.can_{action}(self, user) said no; rooms are closed by default."


def _close_reason(reason: str) -> str:
    """RFC 6455, section 5.5: a control frame has at most 125 bytes, two of them the code."""
    return reason.encode()[:120].decode(errors="ignore")


def _start(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
    """A task that, from Python 3.12 on, is done at once where nothing blocks: most sends."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, eager_start=True)
    return loop.create_task(work)
