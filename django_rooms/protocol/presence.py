"""Who is in a room, as values: a member, and a room's members as they are told, by a state and then by what changes.

A state has a revision, which counts on one process and in one room. Whoever is one behind is told the difference,
which is encoded once for all of them; whoever is further behind is told the state again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django_rooms.protocol.entries import Author
from django_rooms.protocol.text import dumps, loads

# Of a room's limit: one that became too large tells names again when so much of the limit is left free.
ROOM_AGAIN = 0.8


@dataclass(frozen=True)
class Member:
    """A person in a room, however many connections they have.

    ``since`` is when they came, by the database's clock. Two members are equal that others see as the same.
    """

    key: str
    name: str
    info_text: str = "{}"
    since: datetime = field(default=datetime.fromtimestamp(0, UTC), compare=False)
    connections: int = field(default=0, compare=False)

    @property
    def author(self) -> Author:
        return Author(self.key, self.name)

    @property
    def guest(self) -> bool:
        return self.author.guest

    @property
    def info(self) -> dict[str, Any]:
        """What the room class tells of them (``presence_info``)."""
        return loads(self.info_text)

    @cached_property
    def text(self) -> str:
        return f'{dumps(self.author.as_dict())[:-1]},"info":{self.info_text}}}'


class Present:
    """The members of one room. ``limit``: up to how many are told by name; beyond it the room tells how many."""

    def __init__(self, room: str, limit: int) -> None:
        self.revision = 0
        self.count = 0
        self.members: dict[str, Member] | None = {}
        self._room = room
        self._limit = limit
        # What leads to the present revision from the one before; ``None`` where names were not told, or are not now.
        self._difference: str | None = None
        self._frames: dict[str, str] = {}

    @property
    def wanted(self) -> int:
        """How many members are to be told by name, if there are no more than that."""
        return self._limit if self.members is not None else int(self._limit * ROOM_AGAIN)

    def become(self, members: Iterable[Member] | None, count: int) -> bool:
        """Take in who is there now, ``None`` for too many to be named; whether that is another state than before."""
        now = None if members is None else {member.key: member for member in members}
        if now is not None and len(now) > self.wanted:
            now = None
        if (now, count) == (self.members, self.count):
            return False
        self._frames = {}
        self._difference = None if now is None or self.members is None else _difference(self.members, now)
        self.members, self.count = now, count
        self.revision += 1
        return True

    def add(self, members: Iterable[Member]) -> bool:
        """Take in who has come beside those that are known; whether anybody has."""
        if self.members is None:
            return False
        everybody = {**self.members, **{member.key: member for member in members}}
        return self.become(everybody.values(), len(everybody))

    def state(self, *, names: bool = True) -> str:
        """What ``joined`` tells. Without ``names``, as to somebody who may not know them: how many."""
        named = names and self.members is not None
        return self._made(f"state {named}", lambda: self._head() + (self._named() if named else "}"))

    def after(self, revision: int, *, names: bool = True) -> str:
        """The frame that leads from ``revision`` to the present one."""
        difference = self._difference
        if names and revision == self.revision - 1 and difference is not None:
            return self._made("difference", lambda: self._frame(difference))
        named = names and self.members is not None
        return self._made(f"frame {named}", lambda: self._frame(self._named() if named else "}"))

    def _made(self, kind: str, make: Any) -> str:
        """Made once, for all who are told it."""
        if kind not in self._frames:
            self._frames[kind] = make()
        return self._frames[kind]

    def _frame(self, rest: str) -> str:
        return f"{dumps({'type': 'presence', 'room': self._room})[:-1]},{self._head()[1:]}{rest}"

    def _head(self) -> str:
        return dumps({"revision": self.revision, "count": self.count})[:-1]

    def _named(self) -> str:
        assert self.members is not None
        return f',"members":[{",".join(member.text for member in self.members.values())}]}}'


def _difference(before: dict[str, Member], now: dict[str, Member]) -> str:
    joined = ",".join(member.text for key, member in now.items() if before.get(key) != member)
    left = dumps([key for key in before if key not in now])
    return f',"joined":[{joined}],"left":{left}}}'
