"""Who reads and publishes on sockets of their own, keeps to docs/wire.md, and notes down what came, as it came.

They drop nothing and put nothing in order: an entry that comes twice is noted twice. Only a ``joined`` that does not
recover and a ``reset`` begin a new run. What each of them does is drawn from the seed and its own name; when they get
around to it is up to the servers.
"""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from random import Random

import serving
from here import Here
from messages import frames_of

from chaos.evidence import EDIT, MESSAGE, REMOVAL, Record, Run, Said, Seen
from chaos.letters import Letter, Outbox
from chaos.verdict import Fault, Finding

# Seconds for a connection to be opened.
OPENING = 5.0

# Seconds of silence after which the impatient ask for a sign of life, and for which they wait for it. A browser's
# client waits longer than any server stands still here; who reloads the page does not.
SILENCE, SIGN = 2.0, 2.0

# Seconds between tries; twice as much after each that failed.
PAUSE, LONGEST_PAUSE = 0.1, 1.0

# Letters without an answer, of one publisher in one room.
MAX_WAITING = 32

# Bytes of a segment as on a real network: on a loopback's of 64 KiB the system buffers 4 MiB for a reader that stopped.
SEGMENT = 1400
# Bytes that a reader's side takes in. With so few a server feels within 50 KB that somebody stopped.
RECEIVE_BUFFER = 2048

AGAIN = ("busy", "unavailable", "rate_limited")
# There is no message any more that could be changed: such a letter is answered.
FOR_GOOD = "unknown_target"

FRAMES = {MESSAGE: "publish", EDIT: "edit", REMOVAL: "remove"}

RESTARTS = 4001


class Servers:
    """The servers as people know them: addresses, and what is under way to each."""

    def __init__(self, servers: list[serving.Server]) -> None:
        self.all = servers
        # Publishes that were sent and have no answer yet.
        self.under_way: Counter[int] = Counter()


class Person:
    """Somebody with a socket, in some rooms. With ``script`` they publish too."""

    def __init__(
        self,
        name: str,
        rooms: list[str],
        servers: Servers,
        random: Random,
        *,
        script: Iterator[Letter] | None = None,
        cookie: str | None = None,
        twice: bool = False,
        impatient: bool = False,
        small_buffer: bool = False,
    ) -> None:
        self.name = name
        self.records = {room: Record(name, room) for room in rooms}
        self.outboxes = {room: Outbox(name, room) for room in rooms} if script else {}
        # Set while they read; cleared, they leave everything where it is: in the system's buffers and the server's.
        self.reading = asyncio.Event()
        self.reading.set()
        self._servers = servers
        self._random = random
        self._script = script
        self._cookie = cookie
        # Who the server says they are: with a cookie the same on every socket.
        self.key: str | None = None
        self._twice = twice
        self._impatient = impatient
        self._small_buffer = small_buffer
        # What the wire's page does not allow.
        self.odd: list[Finding] = []
        # How often a server that ends told them when to come back, and how often they left one that fell silent.
        self.goodbyes = 0
        self.silences = 0
        self._history = random.choice([0, 10, 50])
        self._loop = asyncio.get_running_loop()
        self._refs = count(1)
        self._forget_socket()

    def _forget_socket(self) -> None:
        self._socket = None
        self._out: asyncio.Queue[dict] = asyncio.Queue()
        self._in: set[str] = set()
        self._left: set[str] = set()
        # Who is with them, of each room that they are in.
        self.here: dict[str, Here] = {}
        self._asked: dict[int, tuple[str, str]] = {}
        self._pinged = False
        self._after: float | None = None

    @property
    def everywhere(self) -> bool:
        """Let into all their rooms, on the socket that they have now."""
        return self._in >= self.records.keys()

    def is_on(self, server: int) -> bool:
        """Let into all their rooms there."""
        return self._socket is not None and self._server == server and self.everywhere

    @property
    def has_all_answers(self) -> bool:
        return not any(outbox.waiting for outbox in self.outboxes.values())

    def is_at(self, heads: dict[str, tuple[str, int]]) -> bool:
        """Let into all their rooms, and given all that is in them, in its epoch. A room without a row is at 0."""
        return self.everywhere and all(
            record.position == heads.get(room, ("", 0)) for room, record in self.records.items()
        )

    def shows(self, here: dict[str, set[str]]) -> bool:
        """Whether in each of their rooms they are shown those who are there, and nobody else."""
        return self.everywhere and all(self.here[room].keys == here[room] for room in self.records)

    def leave(self) -> bool:
        """Leave a room on the socket that they have, and come back as soon as the server says that they have left."""
        if not self._in:
            return False
        room = self._random.choice(sorted(self._in))
        self._in.discard(room)
        self._ask(type="leave", ref=f"leave {room}", room=room)
        return True

    def cut(self) -> bool:
        """As a network does it: no close frame, and nobody is told. Whether there was anything to cut."""
        if self._socket is None:
            return False
        self._socket.transport.abort()
        return True

    def _odd(self, what: str) -> None:
        self.odd.append(Finding(Fault.WRONG, f"{self.name} {what}"))

    # The socket.

    async def live(self) -> None:
        """Come, and come back, until cancelled."""
        pause = PAUSE
        while True:
            server = self._random.randrange(len(self._servers.all))
            if await self._visit(server):
                pause = PAUSE
            await asyncio.sleep(self._after if self._after is not None else pause * self._random.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _visit(self, server: int) -> bool:
        """One socket, from its opening to its end, whatever ends it. Say whether somebody was there."""
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        self._forget_socket()
        self._server = server
        try:
            async with asyncio.timeout(OPENING):
                self._socket = await self._open(self._servers.all[server].port)
        except (OSError, TimeoutError, InvalidHandshake, EOFError):
            return False
        writing = asyncio.create_task(self._write(self._socket))
        try:
            for room in self.records:
                self._join(room)
            while True:
                await self.reading.wait()
                for frame in frames_of(await self._receive()):
                    self._hear(frame)
        except TimeoutError:
            self.silences += 1
        except ConnectionClosed:
            if 4500 <= (self._socket.close_code or 0) < 5000:
                self._odd(f"was told not to come back: {self._socket.close_code}")
        finally:
            self._socket.transport.abort()
            self._servers.under_way[server] -= len(self._asked)
            self._asked.clear()
            writing.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await writing
            with suppress(ConnectionClosed):
                await self._socket.wait_closed()
        return True

    async def _open(self, port: int):
        from websockets.asyncio.client import connect

        raw = socket.socket()
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
            if self._small_buffer:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            raw.setblocking(False)
            await self._loop.sock_connect(raw, ("127.0.0.1", port))
            headers = {"Cookie": self._cookie} if self._cookie else {}
            options = {"max_size": None, "compression": None, "ping_interval": None, "proxy": None}
            url = f"ws://127.0.0.1:{port}/ws/rooms/"
            return await connect(
                url, sock=raw, origin=f"http://127.0.0.1:{port}", additional_headers=headers, **options
            )
        except BaseException:
            raw.close()
            raise

    async def _receive(self) -> str:
        """What comes next. Who is impatient asks in a silence, and raises ``TimeoutError`` if nobody answers."""
        if not self._impatient:
            return await self._socket.recv()
        try:
            async with asyncio.timeout(SILENCE):
                return await self._socket.recv()
        except TimeoutError:
            self._pinged = True
            self._ask(type="ping", n=next(self._refs))
        async with asyncio.timeout(SIGN):
            return await self._socket.recv()

    async def _write(self, socket) -> None:
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed):
            while True:
                await socket.send(json.dumps(await self._out.get()))

    def _ask(self, **frame) -> None:
        self._out.put_nowait(frame)

    # What is heard.

    def _hear(self, message: dict | list) -> None:
        for frame in message if isinstance(message, list) else [message]:
            self._take(frame)

    def _take(self, frame: dict) -> None:
        notes: dict[str, Callable[[dict], None]] = {
            "welcome": self._note_welcome,
            "joined": self._note_joined,
            "left": self._note_left,
            "reset": self._start,
            "entries": self._note,
            "presence": self._note_presence,
            "ok": self._note_ok,
            "error": self._note_error,
            "ping": self._pong,
            "closing": self._note_closing,
        }
        if self._pinged:
            notes["pong"] = lambda frame: None
        note = notes.get(frame["type"])
        if note is None:
            self._odd(f"was sent {frame['type']!r}")
        else:
            note(frame)

    def _pong(self, frame: dict) -> None:
        self._ask(type="pong", n=frame["n"])

    def _note_left(self, frame: dict) -> None:
        self._left.add(frame["room"])
        self.here.pop(frame["room"], None)
        self._join(frame["room"])

    def _note_presence(self, frame: dict) -> None:
        room = frame["room"]
        if room not in self.here:
            self._odd(f"is told who is in {room}, where it is not")
            return
        self.here[room].take(frame)
        while self.here[room].odd:
            self._odd(f"in {room} {self.here[room].odd.pop()}")

    def _note_welcome(self, frame: dict) -> None:
        key = frame["user"]["key"]
        if self._cookie and self.key not in (None, key):
            self._odd(f"is taken for somebody else: {frame['user']}")
        self.key = key

    def _note_closing(self, frame: dict) -> None:
        self._after = frame.get("after")
        if frame["code"] == RESTARTS:
            self.goodbyes += 1
            if not self._after:
                self._odd(f"was not told when to come back: {frame}")

    def _join(self, room: str) -> None:
        record = self.records[room]
        position = None
        if record.runs:
            epoch, offset = record.position
            position = {"epoch": epoch, "offset": offset}
        self._ask(type="join", ref=f"join {room}", room=room, position=position, history=self._history)

    def _note_joined(self, frame: dict) -> None:
        room, position = frame["room"], frame["position"]
        if frame["recovered"] and not self.records[room].runs:
            self._odd(f"resumed in {room} from nowhere")
        if frame["recovered"] and self.records[room].runs:
            run = self.records[room].runs[-1]
            if run.epoch != position["epoch"] and (run.epoch or run.seen):
                self._odd(f"resumed {run.epoch!r} in {room} and is in {position}")
            run.epoch = position["epoch"]
            run.seen += map(_seen, frame["entries"])
            if self.records[room].position[1] != position["offset"]:
                self._odd(f"is at {self.records[room].position} in {room}, and told {position}")
        else:
            self._start(frame)
        self._in.add(room)
        self._left.discard(room)
        self.here[room] = Here()
        self._note_presence({"room": room, **frame["present"]})
        if room in self.outboxes:
            self._send_again(room)

    def _start(self, frame: dict) -> None:
        position, page = frame["position"], [_seen(entry) for entry in frame["entries"]]
        self.records[frame["room"]].runs.append(Run(position["epoch"], position["offset"], page=page))

    def _note(self, frame: dict) -> None:
        if frame["room"] in self._left:
            self._odd(f"was given entries of {frame['room']}, which it has left: {frame['entries'][0]['offset']}")
        run = self.records[frame["room"]].runs[-1]
        run.epoch = frame.get("epoch", run.epoch)
        run.seen += map(_seen, frame["entries"])

    # What is published.

    async def publish(self, over: asyncio.Event) -> None:
        """Go through the script until it is ``over``. What has no answer is kept, and sent again on the next socket."""
        for letter in self._script:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), letter.pause)
            outbox = self.outboxes[letter.room]
            if over.is_set():
                return
            if len(outbox.waiting) < MAX_WAITING:  # Else this one is never said.
                said = outbox.add(letter)
                if letter.room in self._in and not outbox.refused:
                    self._send(letter.room, said)

    def _send(self, room: str, said: Said) -> None:
        ref = next(self._refs)
        self._asked[ref] = room, said.id
        self._servers.under_way[self._server] += 1
        frame: dict = {"type": FRAMES[said.kind], "ref": ref, "room": room, "id": said.id}
        if said.target is not None:
            frame["target"] = said.target
        if said.text is not None:
            frame["body"] = {"text": said.text}
        self._ask(**frame)

    def _send_again(self, room: str) -> None:
        """All that has no answer, in order; twice, by those whose clients are like that.

        Who is not in the room now comes here again when they are.
        """
        if room not in self._in:
            return
        outbox = self.outboxes[room]
        outbox.refused = False
        for _ in range(2 if self._twice else 1):
            for said in outbox.waiting.values():
                self._send(room, said)

    def _answered(self, frame: dict) -> tuple[str, str]:
        self._servers.under_way[self._server] -= 1
        return self._asked.pop(frame["ref"])

    def _note_ok(self, frame: dict) -> None:
        room, letter_id = self._answered(frame)
        self.outboxes[room].acknowledged(letter_id, frame["offset"])

    def _note_error(self, frame: dict) -> None:
        if frame["code"] not in (*AGAIN, FOR_GOOD):
            self._odd(f"was refused: {frame}")
        ref = frame.get("ref")
        if ref is None:
            return  # Said before a close: 4004 follows.
        after = frame.get("retry_after", 1.0)
        if isinstance(ref, str):
            self._later(after, self._join, frame["room"])
            return
        room, letter_id = self._answered(frame)
        if frame["code"] == FOR_GOOD:
            self.outboxes[room].refused_for_good(letter_id)
        elif not self.outboxes[room].refused:
            self.outboxes[room].refused = True
            self._later(after, self._send_again, room)

    def _later(self, after: float, act: Callable[[str], None], room: str) -> None:
        """If it is still the same socket then."""
        socket = self._socket
        self._loop.call_later(after, lambda: act(room) if self._socket is socket else None)


def _seen(entry: dict) -> Seen:
    text = (entry["body"] or {}).get("text")
    kind, target, changed = entry["kind"], entry.get("target"), entry["changed"]
    return Seen(entry["offset"], entry["id"], text, kind=kind, target=target, changed=changed)
