"""The items of a room's log, and a place in it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

from django_rooms.protocol.text import dumps


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

    @property
    def body(self) -> Any:
        return json.loads(self.body_text)

    @cached_property
    def text(self) -> str:
        """The entry as it goes over the wire, the same live, resumed and in a page. Pending ones have none yet."""
        if self.offset is None:
            raise ValueError(f"The entry {self.id!r} has no offset before its transaction has committed.")
        author = dumps(self.author.as_dict()) if self.author else "null"
        return (
            f'{{"offset":{self.offset},"kind":"{self.kind}","id":{dumps(self.id)},"author":{author},'
            f'"at":"{timestamp(self.at)}","body":{self.body_text},"changed":{self.changed}}}'
        )


def gone(offset: int) -> Entry:
    """What stands for an entry whose row the host deleted: its place is kept, and passed."""
    return Entry(offset, "gone", "", None, datetime.fromtimestamp(0, UTC), "null", offset)


def timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
