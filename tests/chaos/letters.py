"""What people say: drawn from the seed, kept until it is answered, and sent again in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import count
from random import Random

from chaos.evidence import EDIT, MESSAGE, REMOVAL, Letters, Said


class Aim(Enum):
    """What a letter is, and what it is about: one of the publisher's own messages that were acknowledged."""

    MESSAGE = "something new"
    EDIT = "an edit of any message"
    EDIT_AGAIN = "an edit of the message that was edited last"
    REMOVE = "the removal of any message"
    REMOVE_NEWEST = "the removal of the last message that was acknowledged"
    # Its removal may be under way, or refused and not yet sent again.
    EDIT_REMOVED = "an edit of what was just removed"
    REMOVE_REMOVED = "another removal of what was just removed"


KINDS = {Aim.EDIT: EDIT, Aim.EDIT_AGAIN: EDIT, Aim.EDIT_REMOVED: EDIT}
KINDS |= dict.fromkeys((Aim.REMOVE, Aim.REMOVE_NEWEST, Aim.REMOVE_REMOVED), REMOVAL)
# Of a hundred letters of somebody who changes what they have said.
SHARES = {Aim.MESSAGE: 60, Aim.EDIT: 12, Aim.EDIT_AGAIN: 12}
SHARES |= dict.fromkeys((Aim.REMOVE, Aim.REMOVE_NEWEST, Aim.EDIT_REMOVED, Aim.REMOVE_REMOVED), 4)


@dataclass(frozen=True)
class Letter:
    room: str
    id: str
    text: str
    # Seconds that the publisher waits before it.
    pause: float
    aim: Aim = Aim.MESSAGE
    # Which of the messages that it may be about: 0 is the first of them, just below 1 the last.
    pick: float = 0.0


def letters(who: str, rooms: list[str], random: Random, mean: float, *, changes: bool = False) -> Iterator[Letter]:
    """What somebody says, without end. One in five is long, so that buffers and tails fill."""
    for number in count(1):
        filler = random.randint(2000, 6000) if random.random() < 0.2 else random.randint(0, 200)
        said, pause = f"{who} {number}", random.uniform(0, 2 * mean)
        [aim] = random.choices([*SHARES], [*SHARES.values()]) if changes else [Aim.MESSAGE]
        yield Letter(random.choice(rooms), said, f"{said} {'.' * filler}", pause, aim, random.random())


class Outbox:
    """What one publisher said in one room."""

    def __init__(self, who: str, room: str, *, tells_offsets: bool = True) -> None:
        self.letters = Letters(who, room, tells_offsets=tells_offsets)
        self.waiting: dict[str, Said] = {}
        # After a refusal nothing is sent here until the refused ones are sent again.
        self.refused = False
        # The offsets of their messages: those that they may change, in the order of their acks, and those whose removal
        # they have sent. And the one that they edited last.
        self._here: list[int] = []
        self._removed: list[int] = []
        self._edited: int | None = None

    def add(self, letter: Letter) -> Said:
        """Behind all that was said before. Where there is nothing yet that it could be about, it is a message."""
        target = self._target(letter)
        if target is None:
            said = Said(letter.id, letter.text)
        else:
            kind = KINDS[letter.aim]
            said = Said(letter.id, letter.text if kind == EDIT else None, kind, target)
            self._note_change(kind, target)
        self.letters.sent.append(said)
        self.waiting[said.id] = said
        return said

    def acknowledged(self, id: str, offset: int | None) -> None:
        self.letters.acks.append((id, offset))
        said = self.waiting.pop(id, None)
        if said is not None and said.kind == MESSAGE and offset is not None:
            self._here.append(offset)

    def refused_for_good(self, id: str) -> None:
        """There is nothing that it could change: it is answered."""
        self.letters.refused.append(id)
        self.waiting.pop(id, None)

    def _target(self, letter: Letter) -> int | None:
        match letter.aim:
            case Aim.MESSAGE:
                return None
            case Aim.EDIT_AGAIN:
                return self._edited
            case Aim.EDIT | Aim.REMOVE:
                targets = self._here
            case Aim.REMOVE_NEWEST:
                targets = self._here[-1:]
            case Aim.EDIT_REMOVED | Aim.REMOVE_REMOVED:
                targets = self._removed[-2:]
        return targets[int(letter.pick * len(targets))] if targets else None

    def _note_change(self, kind: str, target: int) -> None:
        if target not in self._here:
            return  # It is removed already.
        if kind == EDIT:
            self._edited = target
            return
        self._here.remove(target)
        self._removed.append(target)
        if self._edited == target:
            self._edited = None
