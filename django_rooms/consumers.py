"""The consumer: what Channels knows of a connection. Importing it touches no model.

It is a Channels consumer like any other: subclass it, use ``self.scope`` and ``self.channel_name``, send
``{"type": "chat.alert"}`` to ``group_name("lobby")`` and have ``chat_alert(event)`` called on every consumer in that
room, in every process.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

from channels.consumer import get_handler_name
from channels.db import aclose_old_connections
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import InstanceSessionWrapper
from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import SynchronousOnlyOperation

from django_rooms.doorbell.layers import layer
from django_rooms.doorbell.listener import listen
from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.entries import Position
from django_rooms.protocol.frames import FrameError

if TYPE_CHECKING:
    from django_rooms.connection.conversation import Connection

logger = logging.getLogger("django_rooms")

# Messages of the host's own that wait for one consumer. Beyond it they are dropped, with a warning.
MAX_INBOX = 100


class Inbox:
    """What the channel layer brought for one consumer, handled one by one, within a bound."""

    def __init__(self, handle: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._handle = handle
        self._waiting: deque[dict[str, Any]] = deque()
        self._handling: asyncio.Task[None] | None = None

    def put(self, message: dict[str, Any]) -> None:
        if len(self._waiting) >= MAX_INBOX:
            logger.warning("A consumer has %d messages waiting; this one is dropped: %.200r", MAX_INBOX, message)
            return
        self._waiting.append(message)
        if self._handling is None:
            self._handling = asyncio.create_task(self._handle_all())

    def cancel(self) -> None:
        if self._handling is not None:
            self._handling.cancel()

    async def _handle_all(self) -> None:
        try:
            while self._waiting:
                await self._handle(self._waiting.popleft())
        finally:
            self._handling = None


class RoomConsumer(AsyncWebsocketConsumer):
    """One WebSocket in any number of rooms, or in the one of its URL.

    Override ``connect()`` and ``disconnect(code)`` as in any consumer, with ``super()``, and add handlers for
    messages of your own. ``channel_name`` is there once the layer gave one: at once on the in-memory and the core
    layer, a moment later on the pub/sub layer, which has to ask Redis. Nothing waits for it. Where a class of yours
    does not use it, ``own_channel = False`` saves its memory; this one has none.
    """

    own_channel = True
    channel_name: str | None = None  # type: ignore[assignment]
    connection: "Connection | None" = None

    # Channels' stubs know each ASGI message's shape; to this module a message is a dictionary.
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # AsyncConsumer.__call__ waits for the layer's new_channel() first: with a stopped Redis nobody could connect.
        self.scope = scope
        self.base_send = _past_sessions(send)
        self.channel_layer = layer()  # type: ignore[assignment]
        self._turn = asyncio.Lock()
        self._inbox: Inbox | None = None
        self._task = task = asyncio.current_task()
        assert task is not None
        self._receiving = self._over = False
        self._failure: Exception | None = None
        listening = await self._listen()
        try:
            # Channels has a task for each message that is received, and one more that waits for it: twice the time.
            while not self._over:
                self._receiving = True
                message = await receive()
                self._receiving = False
                async with self._turn:
                    await self.dispatch(message)
        except StopConsumer:
            pass
        except asyncio.CancelledError:
            if not (self._over and self._receiving):
                raise
            task.uncancel()
        finally:
            for ending in (listening, self._inbox):
                if ending is not None:
                    ending.cancel()
            if self.connection is not None:
                self.connection.closed()
        if self._failure is not None:
            raise self._failure
        # Not where the loop ends under it, as that of a host's test: on another thread it would wait for this one.
        if self.connection is not None:
            await self.connection.settled()

    async def _listen(self) -> "asyncio.Task[None] | None":
        """Nobody can ask this very class for its channel: without a class of the host's nothing of theirs runs here."""
        if not self.groups and (not self.own_channel or type(self) is RoomConsumer):
            return None
        listening = asyncio.create_task(listen(self.groups, self.hear_message, self._named))
        await asyncio.sleep(0)  # Layers that need no network have named the channel after this.
        return listening

    async def _handle(self, message: dict[str, Any]) -> None:
        """A message that the layer brought. What fails ends the consumer, as in Channels."""
        try:
            async with self._turn:
                await self.dispatch(message)
        except StopConsumer:
            self.abort()
        except Exception as error:
            self._failure = error
            self.abort()

    async def dispatch(self, message: Any) -> None:
        """Our own messages skip the thread hop that Channels makes for each; the host's keep it and its clean-up."""
        match message["type"]:
            case "websocket.receive":
                await self.websocket_receive(message)
            case "websocket.connect":
                await self.websocket_connect(message)
            case _ if handler := getattr(self, get_handler_name(message), None):
                await _clean_up()
                await handler(message)
            case kind:
                # Not every consumer in a room knows every message; Channels would end the socket here.
                logger.warning("%s has no handler for messages of type %r.", type(self).__name__, kind)

    async def websocket_connect(self, message: Any) -> None:
        # The groups of a subclass are joined by listen(), without waiting.
        groups, self.groups = self.groups, []
        try:
            await super().websocket_connect(message)
        finally:
            self.groups = groups

    async def websocket_disconnect(self, message: Any) -> None:
        if self.connection is not None:
            self.connection.closed()
        await self.disconnect(message["code"])
        await _clean_up()
        raise StopConsumer

    async def connect(self) -> None:
        """Accept, say welcome, and join the room of the URL. A foreign Origin is refused before accepting."""
        origin = self._header(b"origin")
        if origin is not None and not self.allows_origin(origin):
            logger.warning("A WebSocket from the foreign Origin %.200r was refused.", origin)
            await self.close()
            return
        offered = [name for name in self.scope.get("subprotocols", ()) if name.startswith("rooms.v")]
        # Where none that was offered is chosen, a browser drops the connection before it can be told why.
        await self.accept(frames.SUBPROTOCOL if frames.SUBPROTOCOL in offered else offered[0] if offered else None)
        if not apps.is_installed("django_rooms"):
            message = "Add 'django_rooms' to INSTALLED_APPS and run migrate."
            logger.error(message)
            await self._refuse(CloseCode.REFUSED, message)
            return
        from django_rooms.connection.conversation import Connection

        room = self.room_name()
        try:
            user, author = await _introduced(self.scope)
        except Exception:
            logger.exception("Nobody knows who this is, so the connection is closed.")
            await self._refuse(CloseCode.FAILED, "Who you are cannot be read just now.")
            return
        self.connection = Connection(self, user, author, room)
        self.connection.welcome()
        if offered and frames.SUBPROTOCOL not in offered:
            wanted = f"This server speaks {frames.SUBPROTOCOL}, not {', '.join(offered)}."
            self.connection.end(CloseCode.VERSION, wanted)
        elif room is not None:
            await self._join_alone()

    def room_name(self) -> str | None:
        """The room of the URL, or ``None`` where a socket is for many rooms."""
        return self.scope.get("url_route", {}).get("kwargs", {}).get("room")

    def allows_origin(self, origin: str) -> bool:
        """Whether a page of ``origin`` may open a socket: by ``ALLOWED_HOSTS``, as Channels' validator has it.

        Without an Origin it is no browser, and this is not asked. Override it where pages of other hosts are welcome,
        and put an ``OriginValidator`` with those around the routes.
        """
        return _is_allowed(origin, tuple(django_settings.ALLOWED_HOSTS), django_settings.DEBUG)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.connection is not None:
            # JSON is text. Bytes that are none are answered like other bad JSON.
            text = text_data if text_data is not None else (bytes_data or b"").decode("utf-8", "replace")
            await self.connection.receive(text)

    def send_text(self, text: str) -> Coroutine[Any, Any, None]:
        return self.base_send({"type": "websocket.send", "text": text})  # type: ignore[arg-type,return-value]

    def abort(self) -> None:
        """Wait for nothing more. What is being handled is handled to its end."""
        self._over = True
        if self._receiving and self._task is not None:
            self._task.cancel()

    def hear_message(self, message: dict[str, Any]) -> None:
        if self._over:
            return
        if self._inbox is None:
            self._inbox = Inbox(self._handle)
        self._inbox.put(message)

    def _named(self, channel: str) -> None:
        self.channel_name = channel

    async def _join_alone(self) -> None:
        assert self.connection is not None
        try:
            position = _position_in(self.scope.get("query_string", b""))
        except FrameError as error:
            self.connection.refuse(error.with_frame(None, self.room_name()))
        else:
            await self.connection.join_alone(position)

    def _header(self, wanted: bytes) -> str | None:
        return next((value.decode("latin1") for name, value in self.scope["headers"] if name == wanted), None)

    async def _refuse(self, code: CloseCode, message: str) -> None:
        """Say why and close, where there is no connection yet that could."""
        await self.send_text(frames.error(FrameError(ErrorCode.UNAVAILABLE, message)))
        await self.send_text(frames.closing(code, message))
        await self.close(int(code), message)


class NotFoundConsumer(RoomConsumer):
    """For WebSocket paths that nothing is routed to: says so, where Channels would answer with HTTP 500."""

    own_channel = False

    def room_name(self) -> None:
        return None

    async def connect(self) -> None:
        await super().connect()
        if self.connection is not None:
            path = self.scope.get("path", "")
            self.connection.refuse(FrameError(ErrorCode.NOT_FOUND, f"There is no WebSocket at {path!r:.300}."))


@lru_cache(maxsize=1000)
def _is_allowed(origin: str, allowed_hosts: tuple[str, ...], debug: bool) -> bool:
    """By Channels' own validator. It reads the two settings itself; here they say for which ones the answer is kept."""
    try:
        validator: Any = AllowedHostsOriginValidator(None)  # type: ignore[arg-type]
        return validator.valid_origin(urlparse(origin))
    except ValueError:  # No URL at all, such as "http://[".
        return False


def _past_sessions(send: Any) -> Any:
    """``send`` without Channels' session middleware, which saves the session with an HTTP response and does no more.

    For each message it looks at a lazy session four times: 40 % of the time that a server took for a frame.
    """
    while type(wrapper := getattr(send, "__self__", None)) is InstanceSessionWrapper:
        send = wrapper.real_send
    return send


async def _clean_up() -> None:
    """Channels' own around a host's handlers. It would close the connection in whose transaction a host's test is."""
    from django_rooms.threads import under_test

    if not under_test():
        await aclose_old_connections()


async def _introduced(scope: Any) -> tuple[Any, Any]:
    """Who it is and what others see of them. In a thread where it may load a session, a user or a profile."""
    from django_rooms.people import is_loaded
    from django_rooms.threads import asking

    if is_loaded(scope):
        with suppress(SynchronousOnlyOperation):  # A user of the host's whose name is a query.
            return _introduce(scope)
    return await asking.run(_introduce, scope)


def _introduce(scope: dict[str, Any]) -> tuple[Any, Any]:
    from django_rooms.people import person_in, show

    user = person_in(scope)
    return user, show(user)


def _position_in(query_string: bytes) -> Position | None:
    """``?epoch=…&offset=…``"""
    query = parse_qs(query_string.decode("latin1"), keep_blank_values=True)
    if "offset" not in query:
        return None
    offset = query["offset"][0]
    value = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 16 else None
    return frames.position({"epoch": query.get("epoch", [""])[0], "offset": value})
