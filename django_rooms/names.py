"""What a room's name may be, and the keys that are made of it.

Names are what people and URLs say; a channel layer takes about 65 ASCII characters, and a database's collation may
take ``Lobby`` for ``lobby``. So a group is named by an escaped form that can be read back, and rows are keyed by
digests. Two names never share a key.
"""

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

MAX_LENGTH = 255

# Channels wants fewer than 100 characters (channels.layers.BaseChannelLayer.MAX_NAME_LENGTH).
GROUP_LENGTH = 99

# Cc control, Cf format (invisible: two names would look the same), Cs surrogate, Zl and Zp line breaks.
_FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class BadName(ValueError):
    """The name can be no room's name; ``str()`` says why, in a sentence."""


def check_name(name: object) -> str:
    """Return ``name`` if it may name a room, else raise :class:`BadName`.

    1–255 characters in Unicode normal form C, without control, format or surrogate characters, and without empty,
    ``.`` or ``..`` segments (browsers rewrite those in URLs, and nginx merges ``//``).
    """
    if not isinstance(name, str):
        raise BadName(f"A room's name is a string, not {type(name).__name__}.")
    if not 1 <= len(name) <= MAX_LENGTH:
        raise BadName(f"A room's name has 1 to {MAX_LENGTH} characters; this one has {len(name)}.")
    for character in name:
        if unicodedata.category(character) in _FORBIDDEN:
            raise BadName(
                f"A room's name has no control or invisible characters, but this one has U+{ord(character):04X}."
            )
    if not unicodedata.is_normalized("NFC", name):
        raise BadName(f"A room's name is in Unicode normal form C, which would be {canonical(name)!a} for {name!a}.")
    if {"", ".", ".."} & set(name.split("/")):
        raise BadName(f"A room's name has no empty, '.' or '..' part between its slashes: {name!r}.")
    return name


def canonical(name: str) -> str:
    """What a person most likely meant: normal form C, without space around it. Still to be checked."""
    return unicodedata.normalize("NFC", name.strip())


def group_name(name: str) -> str:
    """The channel-layer group of the room ``name``: valid on every layer, and no other room's.

    Readable where it can be: ``orders/42`` is in ``rooms.orders.42``.
    """
    escaped = "rooms." + _UNSAFE.sub(_escape, check_name(name))
    if len(escaped) <= GROUP_LENGTH:
        return escaped
    # The other prefix keeps the two forms apart.
    digest = blake2b(name.encode(), digest_size=20).hexdigest()
    return f"rooms-long.{escaped[6:46]}.{digest}"


_UNSAFE = re.compile(r"[^A-Za-z0-9-]")


def _escape(match: re.Match[str]) -> str:
    """``/`` is ``.``, ``_`` is ``__``, and the rest is its code point in hex between underscores: reversible."""
    character = match[0]
    if character == "/":
        return "."
    return "__" if character == "_" else f"_{ord(character):x}_"


@lru_cache(maxsize=10_000)
def room_key(name: str) -> UUID:
    """The database key of the room ``name``: the same on every database, whatever its collation."""
    return _uuid(blake2b(check_name(name).encode(), digest_size=16, person=b"rooms.name").digest())


def entry_key(room: UUID, sender: str, id: str) -> UUID:
    """The key under which one id counts once per room and sender. A sender holds no NUL, so the parts stay apart."""
    return _uuid(blake2b(f"{sender}\0{id}".encode(), digest_size=16, key=room.bytes, person=b"rooms.entry").digest())


def member_key(room: UUID, person: str) -> UUID:
    """The key of one person in one room."""
    return _uuid(blake2b(person.encode(), digest_size=16, key=room.bytes, person=b"rooms.member").digest())


def presence_key(member: UUID, lease: UUID) -> UUID:
    """The key of a member's connections to one process."""
    return _uuid(blake2b(lease.bytes, digest_size=16, key=member.bytes, person=b"rooms.presence").digest())


def _uuid(digest: bytes) -> UUID:
    """A name-based UUID, as RFC 9562 marks them: MariaDB refuses some of the bytes that have no such mark."""
    return UUID(bytes=digest, version=5)
