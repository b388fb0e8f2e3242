"""Readers whose connections are cut again and again, and who come back each time, with the position that they had."""

from dataclasses import dataclass, field
from random import Random

from benchmarks.load.listeners import PATIENCE, Listeners, Member, Wrong, reset

# The seconds after which a connection is cut, and for which its reader is away: so long do Socket.IO's clients wait
# before their first try. It is the same for all, drawn from the same seed, so that all miss as much.
STAYS, AWAY = (3.0, 5.0), (0.5, 1.5)


@dataclass(eq=False)
class Reader:
    room: str
    random: Random
    member: Member | None = None
    # When it is cut, or comes back.
    due: float = 0.0
    position: dict = field(default_factory=dict)
    # What it was delivered on all of its connections, in the order of arrival.
    numbers: list[int] = field(default_factory=list)


class Restless(Listeners):
    """``tend`` cuts whose time it is, until ``end``, and lets come back whose time it is."""

    def __init__(self, ports, dialect, rooms, *, seed):
        super().__init__(ports, dialect)
        self.follows_positions = True
        self.end = 0.0
        self.cuts = 0
        self.readers = [Reader(room, Random(f"{seed} {place}")) for place, room in enumerate(rooms)]

    def begin(self, now, end):
        """All come in. From now on they are cut, each at times of its own, until ``end``."""
        self.end = end
        for reader in self.readers:
            self._come(reader, now)
            reader.due = now + reader.random.uniform(0, max(STAYS))
        while self._entering:
            if not self.turn():
                raise Wrong(f"{len(self._entering)} readers have waited {PATIENCE:.0f} s to be let in.")

    def tend(self, now):
        for reader in self.readers:
            if reader.due > now:
                continue
            if reader.member is None:
                self._come(reader, now)
            elif now < self.end:
                self._cut(reader, now)

    def _come(self, reader, now):
        self._connect(reader.room, reader.position, observe=1)
        reader.member = self.members[-1]
        reader.member.numbers = reader.numbers
        reader.due = now + reader.random.uniform(*STAYS)

    def _cut(self, reader, now):
        """What has come and was not read yet is lost with the connection, as it is with any."""
        member, fd = reader.member, reader.member.socket.fileno()
        reset(self._epoll, member.socket)
        self.members.remove(member)
        self._entering.discard(fd)
        for known in (self._by_fd, self._observed, self._tails):
            known.pop(fd, None)
        self.cuts += 1
        reader.member, reader.position = None, member.position
        reader.due = now + reader.random.uniform(*AWAY)
