"""What the bench has to show, in the order in which it was asked for, and whether it does.

Ours and a peer are put beside each other within one round only: a round later the machine is another. A claim is judged
by the worse quartile of its rounds: the lower one of what shall be large, the upper one of what shall be small.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from benchmarks.cases import STORM_ROOMS
from benchmarks.measures.growth import greatest, off_flat, off_flat_but_first

DATABASES = ("postgresql", "sqlite")


def by_theirs(ours, theirs):
    return ours / theirs


def times_less(ours, theirs):
    return theirs / ours


@dataclass(frozen=True)
class Bound:
    """How large at least, or at most, a ratio shall be; or a figure, where nobody is beside it."""

    value: float
    least: bool

    def worse(self, low, high):
        return low if self.least else high

    def holds(self, value):
        return value >= self.value if self.least else value <= self.value

    def __str__(self):
        return f"{'≥' if self.least else '≤'} {self.value:,g}"


def at_least(value):
    return Bound(value, least=True)


def at_most(value):
    return Bound(value, least=False)


@dataclass(frozen=True)
class Claim:
    """A figure of `ours` beside the same of `theirs`, or alone; both are entrants of `case`, by their names.

    Where the name of ours has an asterisk, the claim is made of each database. Of a curve, `curve` makes one figure.
    """

    text: str
    case: str
    figure: str
    ours: str
    bound: Bound
    theirs: str | None = None
    ratio: Callable[[float, float], float] = by_theirs
    curve: Callable[[list, str], float] | None = None

    @property
    def entrants(self):
        return [self.ours, *([self.theirs] if self.theirs else [])]

    def on_each_database(self):
        if "*" not in self.ours:
            return [self]
        return [self._on(database) for database in DATABASES]

    def _on(self, database):
        theirs = self.theirs and self.theirs.replace("*", database)
        return replace(self, ours=self.ours.replace("*", database), theirs=theirs)

    def of(self, outcomes):
        """What one round's outcomes make of it, by entrant: a number, or None where somebody has no figure."""
        figures = [self._figure(outcomes.get(name, {})) for name in self.entrants]
        if None in figures:
            return None
        return self.ratio(*figures) if self.theirs else figures[0]

    def _figure(self, outcome):
        if self.curve is None:
            return outcome.get(self.figure)
        return self.curve(outcome["points"], self.figure) if "points" in outcome else None


ONE, BURST = "one at a time", "burst"

# As near to its median as every point of a flat curve is.
FLAT = at_most(0.25)

GROWTH_CLAIMS = [
    Claim(f"{text}, off flat", case, figure, "rooms/postgresql", FLAT, curve=curve)
    for text, case, figure, curve in (
        ("100 to 5,000 members: CPU a delivery", "members", "cpu_us_per_delivery", off_flat_but_first),
        ("the same, without the publish's own", "members", "cpu_us_per_member", off_flat),
        (f"1 to 10,000 rooms, {ONE}: CPU a publish", "rooms", "cpu_us_one", off_flat),
        ("1 to 10,000 rooms, 16 in flight: CPU a publish", "rooms", "cpu_us_many", off_flat),
    )
]

# A message of the layer for each publish; a process that calls itself every ten seconds is not to count.
ONCE = at_most(1.01)

# Each, where one message is published at a time and where many are in flight.
LAYER_CLAIMS = [
    each
    for case, load in (("layer-one", ONE), ("layer-many", "many"))
    for each in (
        Claim(
            f"{load}: layer messages, pub/sub", case, "layer_messages_per_publish", "rooms/pubsub", ONCE, curve=greatest
        ),
        Claim(
            f"{load}: layer messages by other processes, core",
            *(case, "layer_messages_per_publish_and_other", "rooms/core", ONCE),
            curve=greatest,
        ),
    )
]

CLAIMS = [
    each
    for claim in (
        Claim(f"{ONE}: deliveries/s", "fanout-4", "deliveries_per_s", "rooms/*", at_least(10), "tutorial"),
        Claim(f"{ONE}: CPU a delivery", "fanout-4", "cpu_us_per_delivery", "rooms/*", at_most(1.15), "socket.io"),
        Claim(f"{ONE}, passed on: CPU", "fanout-4", "cpu_us_per_delivery", "rooms-passing", at_most(1.15), "bare"),
        Claim(f"{BURST}: deliveries/s", "fanout-256", "deliveries_per_s", "rooms/*", at_least(4), "socket.io"),
        Claim(f"{BURST}: deliveries/s", "fanout-256", "deliveries_per_s", "rooms/*", at_least(60), "tutorial"),
        Claim(f"{BURST}: p99", "fanout-256", "p99_ms", "rooms/*", at_most(1), "socket.io"),
        Claim("idle: p50 until delivery", "idle", "p50_ms", "rooms/*", at_most(1), "tutorial-saves/*"),
        Claim("storing: acknowledged/s", "storing", "stored_per_s", "rooms/*", at_least(6), "tutorial-saves/*"),
        Claim("storing: acknowledged/s", "storing", "stored_per_s", "rooms/postgresql", at_least(5_000)),
        Claim("memory: KiB a connection", "connections", "kib_per_connection", "rooms/*", at_most(1), "tutorial"),
        Claim("memory, no own channel", "connections", "kib_per_connection", "rooms-lean", at_most(1.3), "bare"),
        Claim("connects + joins/s", "connections", "connects_per_s", "rooms/*", at_least(1), "tutorial"),
        Claim("storm: times faster", "storm", "seconds", "rooms/*", at_least(5), "tutorial-history/*", times_less),
        Claim("storm: scans of entries", "storm", "entry_scans", "rooms/postgresql", at_most(10 * STORM_ROOMS)),
        Claim("10,000 idle: % of a core", "quiet", "cpu_percent", "rooms/*/no-uvicorn-pings", at_most(5)),
        *GROWTH_CLAIMS,
        *LAYER_CLAIMS,
        Claim("cut and back: % delivered", "delivered", "delivered_percent", "rooms/postgresql", at_least(100)),
        Claim("cut and back: doubled", "delivered", "doubled", "rooms/postgresql", at_most(0)),
        Claim("cut and back: out of order", "delivered", "out_of_order", "rooms/postgresql", at_most(0)),
    )
    for each in claim.on_each_database()
]


class Met(Enum):
    YES = "yes"
    NO = "no"
    # There is no round in which all that it takes was measured.
    UNKNOWN = "–"


@dataclass(frozen=True)
class Verdict:
    """What the rounds say of a claim. Of those that ours was in, some may have `failed`: one is enough for a no."""

    claim: Claim
    ratios: tuple[float, ...]
    rounds: int
    failed: int

    @property
    def median(self):
        return statistics.median(self.ratios)

    @property
    def quartiles(self):
        """Of five rounds the second and the fourth, by size."""
        if len(self.ratios) == 1:
            return self.ratios * 2
        low, _, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, high

    @property
    def met(self):
        if self.failed:
            return Met.NO
        if not self.ratios:
            return Met.UNKNOWN
        return Met.YES if self.claim.bound.holds(self.claim.bound.worse(*self.quartiles)) else Met.NO

    @property
    def short_by(self):
        """The part of the bound by which the worse quartile is beside it; or what there is where none shall be."""
        bound, worse = self.claim.bound, self.claim.bound.worse(*self.quartiles)
        return abs(worse / bound.value - 1) if bound.value else worse


def judge(claim, rounds):
    """`rounds` are outcomes by case and entrant, of which any may be missing."""
    outcomes = [each.get(claim.case, {}) for each in rounds]
    ratios = [ratio for each in outcomes if (ratio := claim.of(each)) is not None]
    ours = [each[claim.ours] for each in outcomes if claim.ours in each]
    return Verdict(claim, tuple(ratios), len(ours), sum("raised" in each for each in ours))
