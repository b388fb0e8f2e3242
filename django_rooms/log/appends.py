"""What is to be stored, before it has a place."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any
from uuid import UUID

from django_rooms.names import entry_key, room_key
from django_rooms.protocol.entries import Author, Entry, Kind


@dataclass
class Append:
    """The same ``id`` of the same ``sender`` counts once in a room."""

    room: str
    sender: str
    id: str
    body_text: str
    author: Author | None = None
    kind: str = Kind.MESSAGE
    # The offset of the message that an edit or a removal is about.
    target: int | None = None

    @cached_property
    def room_key(self) -> UUID:
        return room_key(self.room)

    @cached_property
    def key(self) -> UUID:
        return entry_key(self.room_key, self.sender, self.id)

    def columns(self) -> dict[str, Any]:
        """As the columns of ``models.Said``, but for the time."""
        author_key, author_name = self.author or ("", "")
        return {
            "room": self.room_key,
            "kind": str(self.kind),
            "target": self.target,
            "sender": self.sender,
            "entry_id": self.id,
            "author_key": author_key,
            "author_name": author_name,
            "body": self.body_text,
        }

    def row(self, entry: Entry) -> dict[str, Any]:
        """As the columns of ``models.Entry``, once it has become ``entry``; keys in hexadecimal digits."""
        keys = {"room": self.room_key.hex, "key": self.key.hex}
        return {**self.columns(), **keys, "body": entry.body_text, "offset": entry.offset, "changed": entry.changed}


@dataclass(frozen=True)
class Number:
    """Give what is pending in ``room`` its place; nothing new is stored."""

    room: str

    @cached_property
    def room_key(self) -> UUID:
        return room_key(self.room)


class Held(Enum):
    """The room cannot be written just now: another process holds it, or more is pending there. Try again."""

    HELD = auto()


class UnknownTarget(LookupError):
    """There is no message at that offset, or none any more, that could be changed. Nothing was stored."""

    def __init__(self, item: Append) -> None:
        super().__init__(f"The room {item.room!r} has no message at {item.target} that could be changed.")
