"""A small client of the wire, and a strict one: it fails when an entry comes twice, too early or not at all.

So it does when somebody comes who is there, goes who is not, or a revision is left out.
"""

import asyncio
import json
import socket as sockets
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from here import Here
from messages import frames_of

PATIENCE = 15.0


@asynccontextmanager
async def connected(url, **options):
    """A :class:`Client` on the WebSocket at ``url`` ("http://…/ws/rooms/"), welcomed."""
    # Light cells collect these files and have no such package.
    from websockets.asyncio.client import connect

    options = {"origin": url.partition("/ws/")[0], "max_size": None, "proxy": None, "compression": None, **options}
    async with connect(url.replace("http", "ws", 1), **options) as socket:
        client = Client(socket)
        reading = asyncio.create_task(client.read())
        try:
            yield client
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading


def narrow_socket(url):
    """A connection to the server of ``url`` whose system takes in very little that the client does not read."""
    address = urlsplit(url)
    narrow = sockets.socket()
    narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    narrow.connect((address.hostname, address.port))
    narrow.setblocking(False)
    return narrow


class Lost(AssertionError):
    """The socket was closed before what was waited for came."""


class Client:
    def __init__(self, socket):
        self.socket = socket
        self.frames = []
        self.rooms = {}
        # Who is in each room, by its name.
        self.present = {}
        self.closed = None
        self.answers_pings = True
        self._more = asyncio.Condition()
        self._taken = set()
        self._ref = 0

    async def read(self):
        """Take in what comes, until the socket is closed; then ``closed`` holds the code."""
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed):
            while True:
                for frame in frames_of(await self.socket.recv(), parse_constant=self._no_json):
                    if frame["type"] == "ping" and self.answers_pings:
                        await self.socket.send(json.dumps({"type": "pong", "n": frame["n"]}))
                    async with self._more:
                        self._note(frame)
                        self._more.notify_all()
        async with self._more:
            self.closed = self.socket.close_code
            self._more.notify_all()

    def stop_reading(self):
        """As a laptop whose lid is closed: the system takes in what it has room for, and no more."""
        self.socket.transport.pause_reading()

    def read_on(self):
        # What is in a window of 4 KiB is acknowledged 25 times a second.
        self.socket.transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1024 * 1024)
        self.socket.transport.resume_reading()

    # What is sent.

    async def send(self, *frames):
        await self.raw(json.dumps(frames[0] if len(frames) == 1 else frames, ensure_ascii=False))

    async def raw(self, message):
        from websockets.exceptions import ConnectionClosed

        try:
            await self.socket.send(message)
        except ConnectionClosed as closed:
            raise Lost(str(closed)) from None

    async def ask(self, type, **fields):
        """Send a frame with a ``ref`` of its own and return the answer, whatever it is."""
        self._ref += 1
        await self.send({"type": type, "ref": self._ref, **fields})
        return await self.frame(ref=self._ref)

    async def join(self, room, position=None, **fields):
        joined = await self.ask("join", room=room, position=position and position.as_dict(), **fields)
        assert joined["type"] == "joined", joined
        return joined

    async def publish(self, room, text, id=None):
        """Returns the offset at which it was stored."""
        answer = await self.ask("publish", room=room, id=id or f"id {text}", body={"text": text})
        assert answer["type"] == "ok", answer
        return answer["offset"]

    # What came.

    async def frame(self, type=None, **fields):
        """The next frame that looks like this and was not asked for before."""
        wanted = {"type": type, **fields} if type else fields

        def find():
            for index, frame in enumerate(self.frames):
                if index not in self._taken and wanted.items() <= frame.items():
                    self._taken.add(index)
                    return frame
            return None

        return await self._until(find, f"a frame with {wanted}")

    async def texts(self, room, *, last=None, count=None):
        """What was said in ``room``, in order, once ``last`` is the newest of it or there are ``count``."""

        def enough():
            found = self.said(room)
            return found if (found[-1:] == [last] if count is None else len(found) >= count) else None

        return await self._until(enough, f"{last or count!r} in {room}")

    @property
    def key(self):
        """Who this is, to others."""
        return self.frames[0]["user"]["key"]

    async def until(self, holds, what, patience=PATIENCE):
        """Wait until something that came makes it hold."""
        await self._until(lambda: holds() or None, what, patience)

    async def sees(self, room, *people):
        """Wait until exactly these clients' people are in the room."""
        keys = {client.key for client in people}
        await self.until(lambda: set(self.present[room].members or ()) == keys, f"{keys} in {room}")

    async def counts(self, room, count, patience=PATIENCE):
        """Wait until so many are in the room."""
        await self.until(lambda: self.present[room].count == count, f"{count} people in {room}", patience)

    def moves(self, room):
        """Who was seen to come and go since the join, in the order in which that was told."""
        return self.present[room].moves

    def presence_frames(self, room):
        return [frame for frame in self.frames if frame["type"] == "presence" and frame["room"] == room]

    async def close_code(self, patience=PATIENCE):
        return await self._until(lambda: self.closed, "a close", patience)

    async def catch_up_with(self, other, room, patience):
        """Wait until both know the same of ``room``; say whether that came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.position(room).offset != other.position(room).offset:
                    behind = min(self, other, key=lambda client: client.position(room).offset)
                    async with behind._more:
                        await behind._more.wait()
        return self.position(room).offset == other.position(room).offset

    def said(self, room):
        return [entry["body"]["text"] for entry in self.rooms[room].entries] if room in self.rooms else []

    def position(self, room):
        return self.rooms[room]

    def _note(self, frame):
        self.frames.append(frame)
        match frame["type"]:
            case "joined" | "reset":
                self._start(frame)
                if frame.get("present"):
                    self.present[frame["room"]] = Present(frame["present"])
            case "presence":
                self.present[frame["room"]].take(frame)
            case "left":
                self.present.pop(frame["room"], None)
            case "entries":
                room = self.rooms[frame["room"]]
                room.epoch = frame.get("epoch", room.epoch)
                room.add(frame["entries"])

    def _start(self, frame):
        position = frame["position"]
        old = self.rooms.get(frame["room"])
        if old is not None and frame.get("recovered"):
            old.add(frame["entries"])
            # Who joined before the first entry learns the epoch with it.
            old.epoch = old.epoch or position["epoch"]
            assert old.as_dict() == position
        else:
            self.rooms[frame["room"]] = Log(position, frame["entries"])

    def resume(self, other, room):
        """Know what ``other`` knew, as a page does that lost its socket and opens a new one."""
        self.rooms[room] = other.rooms[room]

    async def _until(self, find, what, patience=PATIENCE):
        async with self._more:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    while (found := find()) is None and self.closed is None:
                        await self._more.wait()
                    if found is not None:
                        return found
        error = AssertionError if self.closed is None else Lost
        raise error(f"There never came {what}; the close code is {self.closed}; the frames are {self.frames}")

    @staticmethod
    def _no_json(name):
        raise AssertionError(f"The server sent {name}, at which every browser's JSON.parse throws.")


class Log:
    """What a client knows of a room: a run of entries that goes on without a gap."""

    def __init__(self, position, entries):
        self.epoch = position["epoch"]
        self.offset = position["offset"]
        self.entries = list(entries)
        assert not entries or entries[-1]["offset"] == self.offset

    def add(self, entries):
        for entry in entries:
            assert entry["offset"] == self.offset + 1, f"{entry} came after the offset {self.offset}"
            self.offset += 1
            self.entries.append(entry)

    def as_dict(self):
        return {"epoch": self.epoch, "offset": self.offset}


class Present(Here):
    """Who is in a room by its first state, and in ``moves`` who has come and gone since."""

    def __init__(self, state):
        super().__init__()
        super().take(state)
        self.moves = []
        self._check(state)

    def take(self, frame):
        before = self.keys if self.members is not None else None
        super().take(frame)
        self._check(frame)
        if before is not None and self.members is not None:
            self.moves += [("left", key) for key in before - self.keys]
            self.moves += [("joined", key) for key in self.keys - before]

    def _check(self, frame):
        assert not self.odd, f"{frame}: {self.odd}"
