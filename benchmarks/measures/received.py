"""What readers noted, against what was published. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Received:
    """Of one reader, or of several together. What came twice is counted as doubled only, and not as out of order."""

    expected: int
    delivered: int
    doubled: int
    disordered: int

    @property
    def missed(self):
        return self.expected - self.delivered

    @property
    def percent(self):
        return 100 * self.delivered / self.expected


def received(order, numbers):
    """`order` has what was published, once each, as the room had it; `numbers` what one reader was delivered.

    Raises ValueError if that was something else.
    """
    places = {number: place for place, number in enumerate(order)}
    if unknown := set(numbers) - places.keys():
        raise ValueError(f"{sorted(unknown)} were delivered, and never published.")
    firsts = list(dict.fromkeys(numbers))
    return Received(len(order), len(firsts), len(numbers) - len(firsts), disordered([places[one] for one in firsts]))


def disordered(places):
    """How many came after one that should have come later."""
    behind, last = 0, -1
    for place in places:
        behind += place < last
        last = max(last, place)
    return behind


def together(each):
    return Received(*(sum(getattr(one, name) for one in each) for name in Received.__dataclass_fields__))
