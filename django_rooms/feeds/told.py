"""What a room tells in one round: entries, or events, as one message that is encoded once for all who follow it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django_rooms.protocol.entries import Position
from django_rooms.protocol.feed import Run
from django_rooms.protocol.frames import MAX_BATCH, pack
from django_rooms.protocol.text import size_of

# Events that wait for a room's round, beyond which they are dropped; and the characters of one message of them.
MAX_EVENTS = 1000
MAX_CHARACTERS = 64 * 1024

# A frame, and who is not told it because it is theirs.
Event = tuple[str, Any]


class Told(NamedTuple):
    """A message for whoever is at ``start``, and is at ``end`` with it; both ``None`` where it is of events.

    Who cannot be sent it as it is asks the feed, or is offered the events one by one.
    """

    room: str
    text: str
    size: int
    start: Position | None = None
    end: Position | None = None
    # The feed has more than this message: ask it.
    more: bool = False
    events: Sequence[Event] = ()

    def concerns(self, follower: Any) -> bool:
        """Whether all of it is news to ``follower``."""
        return not self.events or all(sender is not follower for _, sender in self.events)


class Gathered:
    """What a room has to tell in its next round."""

    def __init__(self, room: str) -> None:
        self._room = room
        self._events: list[Event] = []
        # How many events came before the round's first entry.
        self._entries_at: int | None = None

    def add_event(self, frame: str, sender: Any) -> None:
        if len(self._events) < MAX_EVENTS:
            self._events.append((frame, sender))

    def add_entries(self) -> None:
        if self._entries_at is None:
            self._entries_at = len(self._events)

    def take(self, entries: Told | None) -> Iterable[Told]:
        """All of it, in the order in which it came."""
        if self._events:
            return self._in_order(entries)
        self._entries_at = None
        return (entries,) if entries is not None else ()

    def _in_order(self, entries: Told | None) -> Iterator[Told]:
        events, at, self._events, self._entries_at = self._events, self._entries_at or 0, [], None
        yield from self._messages(events[:at])
        if entries is not None:
            yield entries
        yield from self._messages(events[at:])

    def _messages(self, events: list[Event]) -> Iterator[Told]:
        while events:
            count, characters = 0, 0
            while count < min(len(events), MAX_BATCH) and (not count or characters < MAX_CHARACTERS):
                characters += len(events[count][0])
                count += 1
            text = pack([frame for frame, _ in events[:count]])
            yield Told(self._room, text, size_of(text), events=events[:count])
            events = events[count:]


def entries(room: str, epoch: str, start: int, run: Run, *, more: bool) -> Told:
    return Told(room, run.frame, run.size, Position(epoch, start), Position(epoch, run.last), more)
