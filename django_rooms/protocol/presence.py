"""Who is in a room, as values: a member, and a room's members as they are told, by a state and then by what changes.

A state has a revision, which counts on one process and in one room. Whoever is one behind is told the difference,
which is encoded once for all of them; whoever is further behind is told the state again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django_rooms.protocol.entries import Author
from django_rooms.protocol.text import dumps, loads

# Of a room's limit: one that became too large tells names again when so much of the limit is left free.
ROOM_AGAIN = 0.8


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a room, however many connections they have.

    ``since`` is when they came, by the database's clock. Two members are equal that others see as the same.
    """

    key: str
    name: str
    info_text: str = "{}"
    since: datetime = field(default=datetime.fromtimestamp(0, UTC), compare=False)
    connections: int = field(default=0, compare=False)
    _text: str = field(default="", init=False, repr=False, compare=False)

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

    @property
    def text(self) -> str:
        """What others are told, encoded once."""
        if not self._text:
            text = f'{dumps(self.author.as_dict())[:-1]},"info":{self.info_text}}}'
            object.__setattr__(self, "_text", text)
        return self._text


class Present:
    """The members of one room. ``limit``: up to how many are told by name; beyond it the room tells how many."""

    __slots__ = ("_difference", "_frames", "_limit", "_room", "count", "members", "revision")

    def __init__(self, room: str, limit: int) -> None:
        self.revision = 0
        self.count = 0
        # Never changed, but replaced: other threads read it.
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
        self._change(now, count, None if now is None or self.members is None else _difference(self.members, now))
        return True

    def add(self, members: Iterable[Member]) -> bool:
        """Take in who has come beside those that are known; whether anybody has."""
        known = self.members
        if known is None or not (new := {one.key: one for one in members if known.get(one.key) != one}):
            return False
        now = known | new
        if len(now) > self.wanted:
            self._change(None, len(now), None)
        else:
            self._change(now, len(now), _moves(new.values(), []))
        return True

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

    def _change(self, members: dict[str, Member] | None, count: int, difference: str | None) -> None:
        self.members, self.count, self._difference = members, count, difference
        self.revision += 1
        self._frames = {}

    def _made(self, kind: str, make: Callable[[], str]) -> str:
        """Made once, for all who are told it."""
        if kind not in self._frames:
            self._frames[kind] = make()
        return self._frames[kind]

    def _frame(self, rest: str) -> str:
        return f"{dumps({'type': 'presence', 'room': self._room})[:-1]},{self._head()[1:]}{rest}"

    def _head(self) -> str:
        return f'{{"revision":{self.revision},"count":{self.count}'

    def _named(self) -> str:
        assert self.members is not None
        return f',"members":[{_texts(self.members.values())}]}}'


def _difference(before: dict[str, Member], now: dict[str, Member]) -> str:
    joined = [member for key, member in now.items() if before.get(key) != member]
    return _moves(joined, [key for key in before if key not in now])


def _moves(joined: Iterable[Member], left: list[str]) -> str:
    return f',"joined":[{_texts(joined)}],"left":{dumps(left)}}}'


def _texts(members: Iterable[Member]) -> str:
    return ",".join([member.text for member in members])
