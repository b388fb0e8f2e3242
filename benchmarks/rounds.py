"""The rounds: in each, every case is measured with every entrant in turn, each by a server of its own."""

import time
import traceback
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from benchmarks import pythons
from benchmarks.cases import CASES
from benchmarks.claims import CLAIMS
from benchmarks.load.crowd import Wrong
from benchmarks.peers import PEERS
from benchmarks.peers.peer import Choice

# What a full run has at least, and what the quick one has unless somebody says otherwise.
ROUNDS, QUICK_ROUNDS = 5, 1


class Kind(StrEnum):
    """Which run it is. Only a full one says something of every claim."""

    FULL = "The full run"
    PART = "A part of the full run"
    QUICK = "The quick run"


@dataclass(frozen=True)
class Plan:
    """What is measured how often. `seconds`, if there are any, go before those of the cases."""

    kind: Kind
    cases: tuple
    rounds: int
    seconds: float | None = None
    # Why who would be measured is not, by the name of the peer or of the entrant.
    left_out: dict = field(default_factory=dict)

    def parameters(self, case):
        return case.with_parameters(quick=self.kind is Kind.QUICK, seconds=self.seconds)


def plan(*, quick, rounds, only=(), peers=(), seconds=None):
    """`only` names cases or measures, and `peers` peers or entrants; nothing stands for all."""
    cases = [case for case in CASES if not only or {case.name, case.measure.__name__} & set(only)]
    kind = Kind.PART if only or peers or seconds or rounds < ROUNDS else Kind.FULL
    if quick:
        kind = Kind.QUICK
        cases = [case for case in map(shortened, cases) if case.quick is not None]
    cases = [with_entrants(case, lambda each: not peers or {each.name, each.peer} & set(peers)) for case in cases]
    left_out = {name: why for case in cases for each in case.entrants for name, why in missing(each).items() if why}
    cases = [with_entrants(case, lambda each: not {each.name, each.peer} & left_out.keys()) for case in cases]
    return Plan(kind, tuple(case for case in cases if case.entrants), rounds, seconds, left_out)


def shortened(case):
    """The quick run has time for PostgreSQL alone, and for those of whom something is claimed."""
    claimed = {name for claim in CLAIMS if claim.case == case.name for name in claim.entrants}
    return with_entrants(case, lambda each: each.name in claimed and each.choice.database != "sqlite")


def with_entrants(case, wanted):
    return replace(case, entrants=tuple(filter(wanted, case.entrants)))


def missing(entrant):
    """Why it cannot run here, by who is left out for it."""
    return {entrant.peer: PEERS[entrant.peer].missing(), entrant.name: pythons.missing(entrant.choice.python)}


def turns(plan):
    """Every measurement of all rounds in its order: round, case, entrant. Who is first is another in each round."""
    for number in range(plan.rounds):
        for case in plan.cases:
            if number >= (case.rounds or plan.rounds):
                continue
            first = number % len(case.entrants)
            for entrant in (*case.entrants[first:], *case.entrants[:first]):
                yield number, case, entrant


def outcome(site, case, entrant, parameters):
    """The figures, with the seconds that it took to have them; or what went wrong.

    `raised` says that in a sentence and `said` in full, with the server's own words. `failed` is there too unless it is
    only that the peer did not do what it should.
    """
    began = time.perf_counter()
    try:
        figures = measured(site, case, entrant, parameters)
    except Wrong as wrong:
        return {"raised": str(wrong), "said": traceback.format_exc(limit=-1)}
    except Exception as failure:  # The other measurements of an hour are not lost for this one.
        return {"raised": f"{type(failure).__name__}: {failure}", "said": traceback.format_exc(), "failed": True}
    return {**figures, "took_s": time.perf_counter() - began}


def measured(site, case, entrant, parameters):
    """Figures; of a curve, those of each of its points."""
    if case.along is None:
        return figures_of(site, case.measure, entrant, parameters)
    points = []
    for value in case.values:
        there, more = at(entrant, case.along, value)
        points.append({"at": value, **figures_of(site, case.measure, there, {**parameters, **more})})
    return {"points": case.complete(points)}


def at(entrant, along, value):
    """The entrant, and what is added to the parameters."""
    if along in {each.name for each in fields(Choice)}:
        return replace(entrant, choice=replace(entrant.choice, **{along: value})), {}
    return entrant, {along: value}


def figures_of(site, measure, entrant, parameters):
    peer = PEERS[entrant.peer]
    with peer.serve(site, entrant.choice) as server:
        return measure(server, peer.dialect, **parameters)
