"""For a host's tests: a client of the rooms that speaks frames, and what servers do by and by, at once.

Needs daphne, as ``channels.testing`` does.
"""

import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any, Self

from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator

from django_rooms.presence import recorder
from django_rooms.threads import under_test

# Seconds within which an answer has to come; nothing waits for as long as that unless a test is about to fail.
PATIENCE = 10.0


class RoomCommunicator(WebsocketCommunicator):
    """Channels' communicator, for frames. ``application`` is your ``URLRouter``, or what you have around it.

        async with RoomCommunicator(application, "/ws/rooms/", user=ann) as client:
            joined = await client.ask("join", room="orders/42")
            await client.ask("publish", room="orders/42", id="1", body={"text": "hi"})
            entries = await client.receive("entries")

    ``user`` goes into the scope, where an ``AuthMiddlewareStack`` would put its own: leave that out, or log in by the
    headers. A frame that is passed over is kept for a later ``receive``; ``seen`` has all that came, in order. The
    server's pings are answered, unless ``answers_pings`` is made false.
    """

    answers_pings = True

    def __init__(
        self,
        application: Any,
        path: str = "/ws/rooms/",
        *,
        user: Any = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
        subprotocols: list[str] | None = None,
    ) -> None:
        super().__init__(application, path, list(headers), subprotocols)
        if user is not None:
            self.scope["user"] = user  # type: ignore[typeddict-unknown-key]
        self.seen: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        self._refs = itertools.count(1)

    async def __aenter__(self) -> Self:
        connected, code = await self.connect(PATIENCE)
        assert connected, f"The connection was refused: {code}."
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.disconnect(timeout=PATIENCE)

    async def send(self, *frames: dict[str, Any]) -> None:
        """Send one frame, or several in one message."""
        await self.send_to(text_data=json.dumps(frames[0] if len(frames) == 1 else frames))

    async def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        """Send a frame with a ref of its own, and return the answer to it, which may be an ``error``."""
        ref = next(self._refs)
        await self.send({"type": type, "ref": ref, **fields})
        return await self._first(lambda frame: frame.get("ref") == ref)

    async def receive(self, type: str) -> dict[str, Any]:
        """The first frame of that type that was not asked for yet."""
        return await self._first(lambda frame: frame["type"] == type)

    async def closed(self) -> int:
        """The code with which the server closes."""
        while (message := await self.receive_output(PATIENCE))["type"] != "websocket.close":
            await self._keep(message)
        return message["code"]

    async def _first(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not (found := [frame for frame in self.kept if wanted(frame)]):
            message = await self.receive_output(PATIENCE)
            assert message["type"] == "websocket.send", f"The server closed the socket: {message}, after {self.seen}."
            await self._keep(message)
        self.kept.remove(found[0])
        return found[0]

    async def _keep(self, message: dict[str, Any]) -> None:
        """A message is one frame or an array of them."""
        value = json.loads(message["text"])
        frames = value if isinstance(value, list) else [value]
        self.seen += frames
        self.kept += frames
        for frame in frames:
            if frame["type"] == "ping" and self.answers_pings:
                await self.send({"type": "pong", "n": frame["n"]})


def sweep(after: float = 0.0) -> None:
    """Take out of the rooms who has left them, as if ``after`` more seconds had passed since, and tell ``member_left``.

    Servers do so by and by, a test does when it says so: whoever has disconnected is still there for the ``GRACE`` of
    the settings, and ``sweep(after=GRACE)`` is its end. On the test's own connection.
    """
    if not under_test():
        raise RuntimeError("sweep() is for tests: servers take people out by themselves.")
    recorder.sweep_here(after)


async def asweep(after: float = 0.0) -> None:
    """:func:`sweep`, from async code."""
    await sync_to_async(sweep, thread_sensitive=True)(after)
