"""The items of a room's log, and a place in it."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from django_rooms.protocol.text import dumps


class Kind(StrEnum):
    MESSAGE = "message"
    # New words for the message at ``target``, and its end.
    EDIT = "edit"
    REMOVAL = "removal"
    # Somebody was erased: all that they said in the room is blank from now on, and they have no name.
    ERASURE = "erasure"
    # Stands for a row that the host deleted: its place is kept, and passed.
    GONE = "gone"


# The body of what was removed. No body that somebody publishes is this one: those are objects.
BLANK = "null"


class Position(NamedTuple):
    """Where a client is in a room's log. ``("", 0)`` is before the first entry of a room that has none."""

    epoch: str
    offset: int

    def as_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "offset": self.offset}


class Author(NamedTuple):
    """What others see of somebody: an opaque key and a name to show."""

    key: str
    name: str

    @property
    def guest(self) -> bool:
        return self.key.startswith("g")

    def as_dict(self) -> dict[str, str]:
        return {"key": self.key, "name": self.name}


@dataclass(frozen=True)
class Entry:
    """One entry. ``offset`` is ``None`` while the transaction that published it is still open."""

    offset: int | None
    kind: str
    id: str
    author: Author | None
    at: datetime
    body_text: str
    changed: int | None
    target: int | None = None

    @property
    def body(self) -> Any:
        return json.loads(self.body_text)

    @cached_property
    def text(self) -> str:
        """The entry as it goes over the wire, the same live, resumed and in a page. Pending ones have none yet."""
        if self.offset is None:
            raise ValueError(f"The entry {self.id!r} has no offset before its transaction has committed.")
        target = f'"target":{self.target},' if self.target is not None else ""
        return (
            f'{{"offset":{self.offset},"kind":"{self.kind}",{target}"id":{dumps(self.id)},"author":{author_text(self.author)},'
            f'"at":"{timestamp(self.at)}","body":{self.body_text},"changed":{self.changed}}}'
        )


def gone(offset: int) -> Entry:
    return Entry(offset, Kind.GONE, "", None, datetime.fromtimestamp(0, UTC), BLANK, offset)


# So begin the texts of entries after which others are to be blank. Every text that a feed delivers is asked.
_BLANKING = re.compile(r'\{"offset":\d+,"kind":"(?:removal","target":(\d+)|erasure")')


def blanking(text: str) -> int | None:
    """The offset of the message that this entry removes; 0 where it may blank any; ``None``: it blanks nothing."""
    found = _BLANKING.match(text)
    return found and int(found[1] or 0)


def is_edit(text: str, target: int) -> bool:
    return f'"kind":"{Kind.EDIT}","target":{target},' in text[:80]


def blank(text: str) -> str:
    """An entry's text without its body."""
    return dumps({**json.loads(text), "body": None})


@lru_cache(maxsize=1024)
def author_text(author: Author | None) -> str:
    """What others are shown of somebody, as JSON."""
    return f'{{"key":{dumps(author.key)},"name":{dumps(author.name)}}}' if author else "null"


# What is stored in one transaction has one time.
@lru_cache(maxsize=64)
def timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
