"""How each peer is spoken to: text in, text out. Nothing here knows a socket, and nothing here keeps anything.

A payload is the bytes of one WebSocket message as it came; what is to be sent is text, one WebSocket message each.
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode
from uuid import uuid4

# It stands exactly once in every delivered message, on the wire of every peer, and nowhere else.
MARK = b'"~'

# What the numbers of delivered messages are read by.
NUMBER = re.compile(rb'"~(\d{8})~')


def text_of(number, length=64):
    """The text of a message: its number, and padding up to `length` characters."""
    return f"~{number:08d}~".ljust(length, "x")


def dumps(value):
    return json.dumps(value, separators=(",", ":"))


@dataclass(frozen=True)
class Dialect:
    """The least that is said: a room has a path, whoever is let in is in it, and nobody asks anything of a client.

    A room's name is letters and digits, as the tutorial's routes have it.

    A position is a dictionary of what a peer wants to be told by who comes back: empty at first, and
    `{**before, **dialect.position(payload)}` after a payload. It is empty for ever where nothing can be resumed.
    """

    # Whether the publisher gets its own message.
    to_sender = True
    # Whether a client is in the room as soon as the upgrade is answered; else `ready` says it of a payload.
    ready_at_once = True
    # It stands once in what answers a publish.
    acknowledgment = MARK

    def path(self, room, position=None):
        """Of the upgrade request."""
        return f"/{quote(room)}"

    def hello(self, room):
        """What a client says once the upgrade is done."""
        return []

    def greeted(self, room, payload, position=None) -> list[str] | None:
        """What it says to a payload that came before it was ready."""

    def ready(self, payload):
        """Whether it is in the room from this payload on."""
        return self.ready_at_once

    def publish(self, room, number, text):
        """A number is published once in a server's life."""
        raise NotImplementedError

    def answer(self, payload) -> str | None:
        """What is said to a ping of the peer's own protocol. It is asked of every payload."""

    def position(self, payload):
        """What a payload says of where its reader is now."""
        return {}


@dataclass(frozen=True)
class Plain(Dialect):
    """The path is the room, and what is published is passed on as it came."""

    def publish(self, room, number, text):
        return dumps({"text": text})


@dataclass(frozen=True)
class Tutorial(Dialect):
    """Its connect() has joined the group before it accepts."""

    def path(self, room, position=None):
        return f"/ws/chat/{quote(room)}/"

    def publish(self, room, number, text):
        return dumps({"message": text})


@dataclass(frozen=True)
class TutorialHistory(Tutorial):
    """Every message has the id of its row, and who comes back names the last one that it has."""

    def path(self, room, position=None):
        path = super().path(room)
        return f"{path}?{urlencode(position)}" if position else path

    def position(self, payload):
        return {"after": json.loads(payload)["id"]}


@dataclass(frozen=True)
class SocketIO(Dialect):
    """Socket.IO 5 in Engine.IO 4, by WebSocket from the beginning."""

    ready_at_once = False

    def path(self, room, position=None):
        return "/socket.io/?EIO=4&transport=websocket"

    def greeted(self, room, payload, position=None):
        if payload.startswith(b"0{"):
            return [f"40{dumps(position)}" if position else "40"]
        if payload.startswith(b"40"):
            return [f"42{dumps(['join', room])}"]
        return None

    def ready(self, payload):
        return payload.startswith(b'42["joined"')

    def publish(self, room, number, text):
        return f"42{dumps(['message', room, text])}"

    def answer(self, payload):
        return "3" if payload == b"2" else None


@dataclass(frozen=True)
class SocketIORecovering(SocketIO):
    """With connection state recovery: a private id of the connection, and behind every event its offset.

    What was missed comes between the "40" and the "joined": who comes back counts from the first payload.
    """

    def position(self, payload):
        if payload.startswith(b"40{"):
            pid = json.loads(payload[2:]).get("pid")
            return {"pid": pid} if pid else {}
        if payload.startswith(b"42["):
            return {"offset": json.loads(payload[2:])[-1]}
        return {}


_PING = b'"type":"ping"'
_PINGED = re.compile(rb'"type":"ping","n":(\d+)')


def frames_of(payload):
    """The frames of one message: it is one of them, or an array."""
    value = json.loads(payload)
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Rooms(Dialect):
    """As docs/wire.md has it, on the socket of one room. Positions are for who resumes."""

    ready_at_once = False
    acknowledgment = b'"type":"ok"'

    # Ids are the client's choice, and what has an id that was there before is not stored again.
    prefix: str = field(default_factory=lambda: uuid4().hex[:12])

    def path(self, room, position=None):
        path = f"/ws/rooms/{quote(room)}/"
        return f"{path}?{urlencode(position)}" if position else path

    def ready(self, payload):
        return b'"type":"joined"' in payload

    def publish(self, room, number, text):
        return dumps({"type": "publish", "ref": number, "id": f"{self.prefix}{number}", "body": {"text": text}})

    def answer(self, payload):
        if payload.find(_PING) < 0:
            return None
        pongs = [f'{{"type":"pong","n":{int(n)}}}' for n in _PINGED.findall(payload)]
        return pongs[0] if len(pongs) == 1 else f"[{','.join(pongs)}]"

    def position(self, payload):
        position = {}
        for frame in frames_of(payload):
            position |= self._position_in(frame)
        return position

    def _position_in(self, frame):
        match frame["type"]:
            case "joined" | "reset":
                return frame["position"]
            case "entries":
                epoch = {"epoch": frame["epoch"]} if "epoch" in frame else {}
                return {**epoch, "offset": frame["entries"][-1]["offset"]}
        return {}


@dataclass(frozen=True)
class RoomsUnseen(Rooms):
    """In rooms where nobody is told who is here."""

    def path(self, room, position=None):
        return super().path(f"unseen-{room}", position)


@dataclass(frozen=True)
class RoomsPassing(Rooms):
    """Events: nothing is stored, and the sender does not get its own."""

    to_sender = False
    acknowledgment = MARK

    def publish(self, room, number, text):
        return dumps({"type": "event", "event": "say", "body": {"text": text}})
