"""The conversation on one socket: what is asked and what is answered."""

import asyncio
import random
from typing import Any, Protocol

from django_rooms.conf import settings
from django_rooms.connection import sending
from django_rooms.connection.attending import BY_CHOICE, Attending
from django_rooms.connection.drain import SETTLING, drain
from django_rooms.connection.place import Place
from django_rooms.connection.places import MAX_ROOMS, Places
from django_rooms.connection.publishing import MAX_IN_FLIGHT, Publishing
from django_rooms.connection.pulse import PING, PONG, Pulse
from django_rooms.connection.refusals import close_code, database, find, forbidden
from django_rooms.connection.requests import Asked, Requests
from django_rooms.connection.sending import LastWord, Sending, State
from django_rooms.connection.throttle import Bucket
from django_rooms.connection.watch import watch
from django_rooms.feeds.hub import hub, tell
from django_rooms.feeds.told import Told
from django_rooms.log import pages
from django_rooms.people import sender_of
from django_rooms.presence import recorder
from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.entries import Author, Position
from django_rooms.protocol.frames import Edit, Event, FrameError, History, Join, Leave, Ping, Pong, Publish, Remove
from django_rooms.protocol.text import size_of
from django_rooms.rooms import Action, Room
from django_rooms.threads import reading

# Seconds for which a policy's answer is believed.
VERDICT_AGE = 5.0


class Socket(sending.Socket, Protocol):
    """What a connection needs of the consumer."""

    def abort(self) -> None:
        """Drop the socket without a word: it takes none."""

    def hear_message(self, message: dict[str, Any]) -> None:
        """A message of the host's own for this consumer."""


class Connection:
    __slots__ = (
        *("_after", "_attending", "_default_room", "_events", "_loop", "_places", "_pulse", "_requests"),
        *("_socket", "author", "sending", "user"),
    )

    def __init__(self, socket: Socket, user: Any, author: Author, room: str | None = None) -> None:
        self.user = user
        self.author = author
        self._loop = asyncio.get_running_loop()
        self._pulse = Pulse(self._loop.time)
        self._events: Bucket | None = None
        self._attending = Attending(self, self._pulse)
        self._places = Places(self, self._attending)
        self.sending = Sending(socket, self._pulse, self)
        self._socket = socket
        self._default_room = room
        # Of whom only listens there are none.
        self._requests: Requests | None = None
        # When the client is to come back, once the server restarts.
        self._after: float | None = None
        watch().add(self)
        drain().add(self)

    # What the consumer tells.

    def welcome(self) -> None:
        limits = {
            "frame": settings.FRAME_BYTES,
            "body": settings.BODY_BYTES,
            "batch": frames.MAX_BATCH,
            "id": frames.MAX_ID,
            "rooms": MAX_ROOMS,
            "history": frames.MAX_HISTORY,
            "in_flight": MAX_IN_FLIGHT,
        }
        # For people who read logs, so no secret: those are a system call each.
        name = f"{random.getrandbits(64):016x}"
        hello = frames.welcome(connection=name, user=self.author, ping=PING, pong=PONG, limits=limits)
        self.sending.put(hello)
        if (after := drain().after()) is not None:
            self.restart(after)

    async def receive(self, text: str) -> None:
        """Handle one WebSocket message: a frame or an array of them, one after the other."""
        if self.sending.state is not State.OPEN:
            return
        self._pulse.heard()
        if len(text) > settings.FRAME_BYTES or size_of(text, "replace") > settings.FRAME_BYTES:
            message = f"A message may have {settings.FRAME_BYTES} bytes."
            self.sending.put(frames.error(FrameError(ErrorCode.TOO_LARGE, message)))
            self.end(CloseCode.TOO_LARGE, message)
            return
        asked = []
        for frame in frames.decode(text, body_bytes=settings.BODY_BYTES):
            if isinstance(frame, Pong):  # What waits for this would wait for ever if it had to wait for its turn.
                self._hear_pong(frame)
            else:
                asked.append(frame)
        if asked and self._requests is None:
            self._requests = Requests(self.sending, self)
        if self._requests is not None and (asked or self._requests.waiting):
            await self._requests.answer(asked, len(text))
        self._settle()

    def _hear_pong(self, pong: Pong) -> None:
        was_full = self._pulse.full
        self._pulse.answered(pong.n)
        self._attending.answered(pong.n)
        if was_full:
            self.sending.wake()

    async def join_alone(self, position: Position | None) -> None:
        """Join the room of the socket's own URL. A refusal ends the socket, for it was made for that room."""
        if self.sending.state is not State.OPEN:
            return
        try:
            await self._join(Join(None, None, position))
        except FrameError as error:
            self.refuse(error.with_frame(None, self._default_room))

    def refuse(self, error: FrameError) -> None:
        """Say why, and end."""
        self.sending.put(frames.error(error))
        self.end(close_code(error), error.message)

    def end(self, code: CloseCode, reason: str, after: float | None = None) -> None:
        """Send what is queued and a last word, then close."""
        self._places.leave_all(after or 0.0)
        self.sending.end(LastWord(code, reason, after))

    def closed(self) -> None:
        """The socket is gone."""
        self.sending.stop()
        watch().discard(self)
        self._places.leave_all()
        drain().discard(self)

    async def settled(self) -> None:
        """Under a host's tests: who came and went by this connection is recorded. Elsewhere that goes on beside."""
        await recorder.settle()

    # What the drain tells.

    def restart(self, after: float) -> None:
        """Take no more, and end when what was taken is answered; at once where nothing is under way."""
        self._after = after
        self._loop.call_later(SETTLING, self.end, CloseCode.RESTART, _RESTARTS, after)
        self._settle()

    def _settle(self) -> None:
        """Where it is to end, and nothing is under way any more: end."""
        if self._after is None or (self._requests is not None and self._requests.under_way):
            return  # It comes here again.
        if not any(publishing.unanswered for publishing in self._places.publishings):
            self.end(CloseCode.RESTART, _RESTARTS, self._after)

    # What feeds tell.

    def wake(self, room: str) -> None:
        self._places.note_news(room)
        self.sending.wake()

    def read_on(self) -> None:
        self.sending.wake()

    def entries(self) -> str | None:
        return self._places.entries()

    def hear(self, told: Told) -> None:
        if told.concerns(self) and self._places.may_pass(told) and self.sending.pass_on(told.text, told.size):
            self._places.passed(told)
            return
        for frame, sender in told.events:
            if sender is not self:
                self.sending.offer(frame)
        if told.end is not None:
            self.wake(told.room)

    def hear_presence(self, room: str) -> None:
        place = self._places.get(room)
        frame = place.presence() if place is not None and self.sending.idle and self._places.is_live(place) else None
        if frame is None:
            self.wake(room)
        else:
            self.sending.pass_on(frame, size_of(frame))

    def hear_message(self, message: dict[str, Any]) -> None:
        self._socket.hear_message(message)

    # Frames.

    async def handle(self, frame: Asked) -> None:
        if isinstance(frame, FrameError):
            self.sending.put(frames.error(frame))
            return
        try:
            await self._act(frame)
        except FrameError as error:
            self.sending.put(frames.error(error.with_frame(frame.ref, frame.room or self._default_room)))

    async def _act(self, frame: frames.Frame) -> None:
        if self._after is not None and not isinstance(frame, Leave | Ping):
            raise FrameError(ErrorCode.UNAVAILABLE, _RESTARTS, retry_after=1.0)
        match frame:
            case Publish():
                await self._publish(frame)
            case Edit() | Remove():
                await self._change(frame)
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

    async def _join(self, frame: Join) -> None:
        name = self._named(frame)
        room = find(name)
        if name not in self._places and len(self._places) >= MAX_ROOMS:
            raise FrameError(ErrorCode.TOO_MANY_ROOMS, f"One connection may be in {MAX_ROOMS} rooms.")
        if not await room.aallows("join", self.user):
            self._places.leave(name)
            raise forbidden(room, "join")
        if (place := await self._enter(room)) is None:
            return
        await self.settled()
        try:
            with database():
                reply = await place.join(frame)
        except FrameError:
            if self._places.get(name) is place:
                self._places.leave(name)
            raise
        if self._places.get(name) is place:
            self.sending.put(reply)
            self.wake(name)
        elif self.sending.state is State.OPEN:
            raise FrameError(ErrorCode.DISCONNECTED, _DISCONNECTED)

    async def _enter(self, room: Room) -> Place | None:
        """Follow the room and be among its members; ``None`` if the connection ended meanwhile."""
        name, asked_at = room.name, self._loop.time()
        may_publish = await room.aallows("publish", self.user)
        member = await room.introduce(self.user, self.author)
        sees_members = await room.aallows("see_members", self.user)
        with database():
            feed = await hub().feed(name, room.presence_names)
        if self.sending.state is not State.OPEN:
            hub().let_go(feed)
            return None
        feed.followers.add(self)
        place = Place(room, feed, may_publish=may_publish, asked_at=asked_at, sees_members=sees_members)
        self._places.enter(name, place)
        self._attending.enter(name, member)
        if feed.presence is not None:
            feed.presence.come()
        return place

    def _leave(self, frame: Leave) -> None:
        name = self._named(frame)
        self._attending.leave(name, most=BY_CHOICE)
        self._places.leave(name)
        if frame.ref is not None:
            self.sending.put(frames.left(frame.ref, name))

    async def _publish(self, frame: Publish) -> None:
        place = self._place(frame)
        try:
            await self._ask_publish(place)
        except FrameError:
            self._publishing(place).give_up(frame.id)
            raise
        self._publishing(place).submit(frame)

    async def _change(self, frame: Edit | Remove) -> None:
        place = self._place(frame)
        action: Action = "edit" if isinstance(frame, Edit) else "remove"
        try:
            await self._ask_publish(place)
            with database():
                message = await reading.run(pages.message, place.room.name, frame.target)
            # Without a message the log refuses it, unless it was stored before and its answer was lost.
            if message is not None and not await place.room.aallows(action, self.user, message):
                raise forbidden(place.room, action)
        except FrameError as error:
            publishing = self._publishing(place)
            publishing.hold(frame.id) if error.retry_after else publishing.give_up(frame.id)
            raise
        self._publishing(place).submit(frame)

    def _publishing(self, place: Place) -> Publishing:
        """Who joins again, as a client does to resume, goes on with what it has under way."""
        name = place.room.name
        return self._places.publishing(
            name, lambda: Publishing(name, sender_of(self.user), self.author, self.sending.put, self._settle)
        )

    async def _event(self, frame: Event) -> None:
        place = self._place(frame)
        await self._ask_publish(place)
        if self._events is None:
            self._events = Bucket(self._loop.time)
        if (wait := self._events.take()) and frame.ref is None:
            return
        if wait:
            raise FrameError(ErrorCode.RATE_LIMITED, "Too many events at once.", retry_after=round(wait, 3))
        tell(place.room.name, frames.event(place.room.name, frame.event, self.author, frame.body), self)
        if frame.ref is not None:
            self.sending.put(frames.ok(frame.ref, None))

    async def _history(self, frame: History) -> None:
        place = self._place(frame)
        with database():
            page = await place.feed.page(frame.limit, frame.before)
        self.sending.put(frames.history(frame.ref, place.room.name, page.texts, more=page.more))

    async def _ask_publish(self, place: Place) -> None:
        """By a verdict that is at most ``VERDICT_AGE`` old."""
        if self._loop.time() - place.asked_at > VERDICT_AGE:
            asked_at = self._loop.time()
            place.may_publish = await place.room.aallows("publish", self.user)
            place.asked_at = asked_at
        if not place.may_publish:
            raise forbidden(place.room, "publish")

    # Rooms.

    def _named(self, frame: frames.Frame) -> str:
        name = frame.room if frame.room is not None else self._default_room
        if name is None:
            raise FrameError(ErrorCode.BAD_FRAME, "'room' is missing: this socket is not of one room's own.")
        return name

    def _place(self, frame: frames.Frame) -> Place:
        name = self._named(frame)
        if (place := self._places.get(name)) is None:
            message = f"This connection is not in the room {name!r:.300}; join it first."
            raise FrameError(ErrorCode.NOT_JOINED, message)
        return place

    # Signs of life.

    def tick(self) -> None:
        if self.sending.stuck:
            self._places.leave_all()
            self.sending.drop(LastWord(CloseCode.SLOW, _SLOW))
        elif (code := self._pulse.check()) is not None:
            self.end(code, _SLOW if code is CloseCode.SLOW else "No answer to a ping.")
        elif self._pulse.due:
            self.sending.ask()

    def flooded(self) -> None:
        self.end(CloseCode.FLOOD, "You ask for more than you read.")

    def failed(self) -> None:
        self.closed()
        self._socket.abort()

    # Presence.

    def ask(self, number: int) -> None:
        self.sending.put(frames.ping(number))

    def put_out(self, room: str) -> None:
        """Somebody who may has put this person out of the room."""
        self._places.leave(room)
        self.sending.put(frames.expelled(room, ErrorCode.DISCONNECTED, _DISCONNECTED))


_RESTARTS = "The server restarts."
_SLOW = "You read too slowly."
_DISCONNECTED = "You were disconnected from this room."
