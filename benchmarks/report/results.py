"""The results of a run, as they are kept: everything that tables and plots are made of, in one JSON file."""

import json
from dataclasses import asdict, dataclass, field
from itertools import product
from statistics import median

from benchmarks.claims import CLAIMS, Met, judge

# The digits that are kept of a figure.
DIGITS = 5


@dataclass
class Results:
    # Which run it was: a sentence's beginning, as rounds.Kind has it.
    kind: str
    # How many rounds were to be measured; a run that was stopped has fewer.
    wanted: int
    machine: dict
    # When it began.
    day: str
    # Title, measure, parameters, entrants, and by what and which values a curve goes, by the case's name.
    cases: dict
    # Versions and settings, by the entrant's name.
    entrants: dict
    left_out: dict
    # What the crowd takes of a server that makes nothing, by how it is served.
    ceilings: dict = field(default_factory=dict)
    # Outcomes by case and entrant: figures, or what was raised.
    rounds: list = field(default_factory=list)

    def note(self, number, case, entrant, outcome):
        while len(self.rounds) <= number:
            self.rounds.append({})
        self.rounds[number].setdefault(case, {})[entrant] = rounded(outcome)

    def outcomes(self, case, entrant):
        """Of all rounds in which there is one."""
        return [each[case][entrant] for each in self.rounds if entrant in each.get(case, {})]

    def values(self, case):
        """Those by which a curve goes. What is none has one figure where a curve has a point for each: at None."""
        return self.cases[case]["values"] or [None]

    def figures(self, case, entrant, name, at=None):
        """One figure, of all rounds that have it."""
        outcomes = self.outcomes(case, entrant)
        if at is not None:
            outcomes = [point for outcome in outcomes for point in outcome.get("points", ()) if point["at"] == at]
        return [outcome[name] for outcome in outcomes if name in outcome]

    def median(self, case, entrant, name, at=None):
        """None where there is none."""
        return median(figures) if (figures := self.figures(case, entrant, name, at)) else None

    def any_has(self, case, name):
        places = product(self.cases[case]["entrants"], self.values(case))
        return any(self.figures(case, entrant, name, at) for entrant, at in places)

    def verdicts(self):
        """Of the claims of all cases that were to be measured."""
        return [judge(claim, self.rounds) for claim in CLAIMS if claim.case in self.cases]

    def raised(self):
        """Outcomes that are none, by case and entrant and the number of the round."""
        found = {}
        for number, cases in enumerate(self.rounds, 1):
            for case, entrants in cases.items():
                for entrant, outcome in entrants.items():
                    if "raised" in outcome:
                        found.setdefault((case, entrant), {})[number] = outcome
        return found

    def failed(self):
        """Whether something went wrong that is not for a peer to answer for."""
        return any(
            entrant.startswith("rooms") or any("failed" in outcome for outcome in outcomes.values())
            for (_, entrant), outcomes in self.raised().items()
        )


def rounded(outcome):
    return {name: _rounded(value) for name, value in outcome.items()}


def _rounded(value):
    if isinstance(value, list):
        return [rounded(point) for point in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def write(results, path):
    """With the verdicts, for whoever reads the file without this package. They are made anew where it is read here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {**asdict(results), "verdicts": [told(each) for each in results.verdicts()]}, indent=1, ensure_ascii=False
    )
    path.write_text(f"{text}\n")


def told(verdict):
    claim = verdict.claim
    head = {"claim": claim.text, "case": claim.case, "figure": claim.figure, "ours": claim.ours, "theirs": claim.theirs}
    if verdict.met is Met.UNKNOWN or not verdict.ratios:
        return {**head, "asked": str(claim.bound), "met": verdict.met.value}
    numbers = rounded({"median": verdict.median, "low": verdict.quartiles[0], "high": verdict.quartiles[1]})
    return {**head, "asked": str(claim.bound), **numbers, "met": verdict.met.value}


def read(path):
    kept = json.loads(path.read_text())
    del kept["verdicts"]
    return Results(**kept)
