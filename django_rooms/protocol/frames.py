"""The wire, version 1: what a client may say, checked, and what a server says, as text."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.entries import Author, Position, author_text
from django_rooms.protocol.text import MAX_INTEGER, BadText, check, dumps, encoded, loads_sound, size_of

VERSION = 1
SUBPROTOCOL = f"rooms.v{VERSION}"

MAX_BATCH = 64
MAX_ID = 64
MAX_REF = 64
MAX_EVENT = 64
MAX_HISTORY = 256
DEFAULT_HISTORY = 50

Ref = int | str | None


@dataclass(eq=False)
class FrameError(Exception):
    """A refusal: of a frame that cannot be understood, or of what it asks for."""

    code: ErrorCode
    message: str
    ref: Ref = None
    room: str | None = None
    retry_after: float | None = None

    def with_frame(self, ref: Ref, room: str | None) -> "FrameError":
        return FrameError(self.code, self.message, ref, room, self.retry_after)


# None is frozen, here and where there is one for each publish: that makes it four times as slow to have one.
@dataclass
class Request:
    """What every frame of a client's may have: a number to be answered under, and the room it is about."""

    ref: Ref
    room: str | None


@dataclass
class Join(Request):
    position: Position | None = None
    history: int = DEFAULT_HISTORY


@dataclass
class Leave(Request):
    pass


@dataclass
class Publish(Request):
    id: str
    body_text: str


@dataclass
class Edit(Request):
    id: str
    target: int
    body_text: str


@dataclass
class Remove(Request):
    id: str
    target: int


@dataclass
class Event(Request):
    event: str
    body: Any


@dataclass
class History(Request):
    before: int | None = None
    limit: int = DEFAULT_HISTORY


@dataclass
class Ping(Request):
    n: Any


@dataclass
class Pong(Request):
    n: Any


Frame = Join | Leave | Publish | Edit | Remove | Event | History | Ping | Pong


# As browsers write it: nearly all that is heard of ten thousand people who say nothing.
_PONG = re.compile(r'\{"type":"pong","n":([0-9]{1,15})\}')


def decode(text: str, *, body_bytes: int) -> list[Frame | FrameError]:
    """The frames in one WebSocket message; in the place of a bad one, the error to answer it with."""
    if (pong := _PONG.fullmatch(text)) is not None:
        return [Pong(None, None, int(pong[1]))]
    try:
        value, sound = loads_sound(text)
    except BadText as error:
        return [FrameError(ErrorCode.BAD_JSON, str(error))]
    if not isinstance(value, list):
        return [_frame(value, body_bytes, sound=sound)]
    if not 1 <= len(value) <= MAX_BATCH:
        return [FrameError(ErrorCode.BAD_FRAME, f"An array has 1 to {MAX_BATCH} frames; this one has {len(value)}.")]
    return [_frame(item, body_bytes, sound=sound) for item in value]


def _frame(value: Any, body_bytes: int, *, sound: bool) -> Frame | FrameError:
    """``sound``: nothing in it can be refused by ``text.check``."""
    if not isinstance(value, dict):
        return FrameError(ErrorCode.BAD_FRAME, f"A frame is an object, not {_name_of(value)}.")
    ref, room = None, None
    try:
        # What is checked here as a whole needs no check of its parts; what fails still has a ref to be answered under.
        bad = None if sound else _problem(value)
        ref = _ref(value.get("ref"), bad)
        room = _optional_string(value, "room", bad)
        if bad is not None:
            raise bad
        read = _READERS.get(value["type"] if isinstance(value.get("type"), str) else "")
        if read is None:
            raise FrameError(ErrorCode.UNKNOWN_TYPE, f"There is no frame of type {value.get('type')!r:.80}.")
        return read(ref, room, value, body_bytes)
    except FrameError as error:
        return error.with_frame(ref, room)


def _join(ref: Ref, room: str | None, value: dict[str, Any], body_bytes: int) -> Join:
    history = _integer(value, "history", 0, MAX_HISTORY, DEFAULT_HISTORY)
    return Join(ref, room, position(value.get("position")), history)


def _publish(ref: Ref, room: str | None, value: dict[str, Any], body_bytes: int) -> Publish:
    return Publish(ref, room, _id(value.get("id")), _body_text(value.get("body"), body_bytes))


def _edit(ref: Ref, room: str | None, value: dict[str, Any], body_bytes: int) -> Edit:
    target = _integer(value, "target", 1, MAX_INTEGER)
    return Edit(ref, room, _id(value.get("id")), target, _body_text(value.get("body"), body_bytes))


def _remove(ref: Ref, room: str | None, value: dict[str, Any], body_bytes: int) -> Remove:
    return Remove(ref, room, _id(value.get("id")), _integer(value, "target", 1, MAX_INTEGER))


def _event(ref: Ref, room: str | None, value: dict[str, Any], body_bytes: int) -> Event:
    body = value.get("body", {})
    return Event(ref, room, check_event(value.get("event"), body, body_bytes), body)


def _history(ref: Ref, room: str | None, value: dict[str, Any], body_bytes: int) -> History:
    before = None if value.get("before") is None else _integer(value, "before", 1, MAX_INTEGER)
    return History(ref, room, before, _integer(value, "limit", 1, MAX_HISTORY, DEFAULT_HISTORY))


_READERS: dict[str, Callable[[Ref, str | None, dict[str, Any], int], Frame]] = {
    "join": _join,
    "leave": lambda ref, room, value, body_bytes: Leave(ref, room),
    "publish": _publish,
    "edit": _edit,
    "remove": _remove,
    "event": _event,
    "history": _history,
    "ping": lambda ref, room, value, body_bytes: Ping(ref, room, value.get("n")),
    "pong": lambda ref, room, value, body_bytes: Pong(ref, room, value.get("n")),
}


def position(value: Any) -> Position | None:
    if value is None:
        return None
    match value:
        case {"epoch": str(epoch), "offset": int(offset)} if len(epoch) <= 32 and offset >= 0 and type(offset) is int:
            return Position(epoch, offset)
    raise FrameError(
        ErrorCode.BAD_POSITION, '\'position\' is {"epoch": string, "offset": integer} as a server gave it.'
    )


def check_id(value: Any) -> str:
    """An id is 1–64 characters, chosen by the client, the same each time that the same thing is sent."""
    return _kept(_id(value))


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID:
        raise FrameError(ErrorCode.BAD_ID, f"'id' is a string of 1 to {MAX_ID} characters.")
    return value


def check_event(name: Any, body: Any, body_bytes: int) -> str:
    """Return the name of an event; its body is an object as large as an entry's may be, or ``null``."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_EVENT:
        raise FrameError(ErrorCode.BAD_FRAME, f"'event' is a string of 1 to {MAX_EVENT} characters.")
    if body is not None:
        body_text(body, body_bytes)
    return name


def body_text(body: Any, body_bytes: int) -> str:
    """The text of an entry's body, which is an object, so that fields can be added later."""
    return _body_text(body, body_bytes, dumps)


def _body_text(body: Any, body_bytes: int, encode: Callable[[Any], str] = encoded) -> str:
    if not isinstance(body, dict):
        raise FrameError(ErrorCode.BAD_BODY, f"'body' is an object, not {_name_of(body)}.")
    try:
        text = encode(body)
    except BadText as error:
        raise FrameError(ErrorCode.BAD_BODY, str(error)) from None
    if (size := size_of(text)) > body_bytes:
        raise FrameError(ErrorCode.TOO_LARGE, f"'body' may have {body_bytes} bytes; this one has {size}.")
    return text


def _ref(value: Any, bad: FrameError | None) -> Ref:
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        raise FrameError(ErrorCode.BAD_FRAME, "'ref' is an integer or a string.")
    if isinstance(value, str) and len(value) > MAX_REF:
        raise FrameError(ErrorCode.BAD_FRAME, f"'ref' has at most {MAX_REF} characters.")
    return value if bad is None else _kept(value)


def _optional_string(value: dict[str, Any], field: str, bad: FrameError | None) -> str | None:
    item = value.get(field)
    if item is not None and not isinstance(item, str):
        raise FrameError(ErrorCode.BAD_FRAME, f"'{field}' is a string, not {_name_of(item)}.")
    return item if bad is None else _kept(item)


def _kept(value: Any) -> Any:
    """What cannot be stored or sent is refused, and never repeated in the refusal."""
    if (bad := _problem(value)) is not None:
        raise bad
    return value


def _problem(value: Any) -> FrameError | None:
    try:
        check(value)
    except BadText as error:
        return FrameError(ErrorCode.BAD_JSON, str(error))
    return None


def _integer(value: dict[str, Any], field: str, least: int, most: int, default: int | None = None) -> int:
    item = value.get(field, default)
    if item is None and default is not None:
        return default
    if isinstance(item, bool) or not isinstance(item, int) or not least <= item <= most:
        raise FrameError(ErrorCode.BAD_FRAME, f"'{field}' is an integer from {least} to {most}.")
    return item


def _name_of(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


# What a server says.


def pack(frames: Sequence[str]) -> str:
    """Frames as one WebSocket message: one alone, or an array of at most ``MAX_BATCH``."""
    return frames[0] if len(frames) == 1 else f"[{','.join(frames)}]"


def welcome(*, connection: str, user: Author | None, ping: float, pong: float, limits: dict[str, int]) -> str:
    same = _same_for_all(ping, pong, tuple(limits.items()))
    return (
        f'{{"type":"welcome","version":{VERSION},"connection":{encoded(connection)},"user":{author_text(user)},{same}}}'
    )


@lru_cache(maxsize=8)
def _same_for_all(ping: float, pong: float, limits: tuple[tuple[str, int], ...]) -> str:
    return f'"ping":{ping:g},"pong":{pong:g},"limits":{dumps(dict(limits))}'


def joined(
    ref: Ref,
    room: str,
    position: Position,
    texts: Iterable[str],
    *,
    recovered: bool,
    more: bool,
    can: dict[str, bool],
    present: str,
) -> str:
    """``present``: who is there, as it was encoded once for all."""
    at = f'{{"epoch":{encoded(position.epoch)},"offset":{position.offset}}}'
    where = f'"ref":{_ref_text(ref)},"room":{encoded(room)},"position":{at}'
    how = f'"recovered":{_BOOLEAN[recovered]},"more":{_BOOLEAN[more]},"can":{_can_text(can)},"present":{present}'
    return f'{{"type":"joined",{where},{how},"entries":[{",".join(texts)}]}}'


def reset(room: str, position: Position, texts: Iterable[str], reason: str, *, more: bool) -> str:
    return _with_entries(
        {"type": "reset", "room": room, "position": position.as_dict(), "reason": reason, "more": more}, texts
    )


def entries(room: str, texts: Iterable[str], *, epoch: str | None = None) -> str:
    """``epoch`` goes along with the first entry of a room, which had none before."""
    also = f'"epoch":{encoded(epoch)},' if epoch else ""
    return f'{{"type":"entries","room":{encoded(room)},{also}"entries":[{",".join(texts)}]}}'


def history(ref: Ref, room: str, texts: Iterable[str], *, more: bool) -> str:
    return _with_entries({"type": "history", "ref": ref, "room": room, "more": more}, texts)


def _with_entries(head: dict[str, Any], texts: Iterable[str]) -> str:
    """Entries are encoded once and pasted here."""
    return f'{dumps(head)[:-1]},"entries":[{",".join(texts)}]}}'


def left(ref: Ref, room: str) -> str:
    return dumps({"type": "left", "ref": ref, "room": room})


def expelled(room: str, code: ErrorCode, reason: str) -> str:
    """Unasked: the connection is in the room no more, and is not to come back by itself."""
    return dumps({"type": "left", "ref": None, "room": room, "code": code.value, "reason": reason, "rejoin": False})


def ok(ref: Ref, offset: int | None) -> str:
    return f'{{"type":"ok","ref":{_ref_text(ref)},"offset":{"null" if offset is None else offset}}}'


_BOOLEAN = {True: "true", False: "false"}


def _can_text(can: dict[str, bool]) -> str:
    answers = ",".join([f'"{action}":{_BOOLEAN[may]}' for action, may in can.items()])
    return f"{{{answers}}}"


def _ref_text(ref: Ref) -> str:
    return f"{ref}" if type(ref) is int else encoded(ref)


def event(room: str, name: str, author: Author | None, body: Any) -> str:
    shown = author.as_dict() if author else None
    return dumps({"type": "event", "room": room, "event": name, "author": shown, "body": body})


def ping(n: int) -> str:
    return f'{{"type":"ping","n":{n}}}'


def pong(n: Any) -> str:
    return dumps({"type": "pong", "n": n})


def error(problem: FrameError) -> str:
    frame: dict[str, Any] = {"type": "error", "ref": problem.ref, "room": _sendable(problem.room)}
    frame |= {"code": problem.code.value, "message": problem.message}
    if problem.retry_after is not None:
        frame["retry_after"] = problem.retry_after
    return dumps(frame)


def _sendable(room: str | None) -> str | None:
    """A room of an address may be no text at all."""
    try:
        return check(room)
    except BadText:
        return None


def closing(code: CloseCode, reason: str, *, after: float | None = None) -> str:
    """``after``: the seconds after which to come back; without it the client chooses, with jitter."""
    frame = {"type": "closing", "code": code.value, "reason": reason, "reconnect": code.come_back}
    return dumps(frame if after is None else {**frame, "after": after})
