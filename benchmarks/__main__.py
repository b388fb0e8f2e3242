"""`python -m benchmarks`: ours and every peer in turn, round by round; then tables of ratios and figures, and plots.

It ends with 1 only if a measurement of ours failed, or could not be made. A claim that is not met is a result.
"""

import sys
import time
from datetime import UTC, datetime

from benchmarks import peers, rounds
from benchmarks.ci import needs, processes, services
from benchmarks.load.feeder import FOODS, ceiling
from benchmarks.options import parse
from benchmarks.peers import PEERS
from benchmarks.report import results, table, text
from benchmarks.report.machine import machine
from benchmarks.site import Failed, Site


def main():
    options = parse()
    if options.table:
        print(text.document(results.read(options.table)))
        return 0
    if problem := peers.prepare():
        print(problem, flush=True)
    plan = rounds.plan(
        quick=options.quick, rounds=options.rounds, only=options.only, peers=options.peers, seconds=options.seconds
    )
    began = time.monotonic()
    with Site() as site:
        made = begun(site, plan)
        print(text.head(made), *text.failures(made), sep="\n", flush=True)
        try:
            run(site, plan, made, options.out)
        finally:
            close(made, options.out)
    print(f"── The bench took {time.monotonic() - began:.0f} s.", flush=True)
    return 1 if made.failed() else 0


def begun(site, plan):
    """Results without a round."""
    entrants = {each.name: each for case in plan.cases for each in case.entrants}
    return results.Results(
        kind=plan.kind,
        wanted=plan.rounds,
        machine=machine(site),
        day=f"{datetime.now(UTC):%d %B %Y}",
        cases={case.name: described(case, plan) for case in plan.cases},
        entrants={name: introduced(PEERS[each.peer], each.choice) for name, each in entrants.items()},
        left_out=plan.left_out,
    )


def introduced(peer, choice):
    return {"settings": peer.settings(choice), "versions": peer.versions(choice)}


def described(case, plan):
    parameters = plan.parameters(case)
    return {
        "title": case.title.format(**parameters),
        "measure": case.measure.__name__,
        "parameters": parameters,
        "entrants": [each.name for each in case.entrants],
        "along": case.along,
        "values": list(case.values),
    }


def run(site, plan, made, folder):
    print("── What the crowd can take …", flush=True)
    for name, food in FOODS.items():
        made.ceilings[name] = ceiling(food)
    now, began = None, time.monotonic()
    for number, case, entrant in rounds.turns(plan):
        if number != now:
            now = number
            print(f"── Round {number + 1} of {plan.rounds}, after {time.monotonic() - began:.0f} s", flush=True)
        print(f"   {case.name:12} {entrant.name:27} ", end="", flush=True)
        outcome = rounds.outcome(site, case, entrant, plan.parameters(case))
        said = outcome.pop("said", "")
        print(line(case, outcome), *said.splitlines(), sep="\n      ", flush=True)
        made.note(number, case.name, entrant.name, outcome)
        # After each, so that a run that is stopped has what it has.
        results.write(made, folder / "results.json")


def line(case, outcome):
    """A measurement in short."""
    if "raised" in outcome:
        return f"FAILED: {outcome['raised']}"
    figures = [f"{point['at']:,} {case.along}: {said(case, point)}" for point in outcome.get("points", ())]
    return f"{'; '.join(figures or [said(case, outcome)])}; took {outcome['took_s']:.0f} s"


def said(case, figures):
    """Of a curve's point no more than the first two."""
    told = [(head, figures[key]) for key, head in table.FIGURES[case.measure.__name__].items() if key in figures]
    words = [f"{table.number(value)} {head}" for head, value in told[: 2 if case.along else None]]
    crowd = [f"crowd {figures['crowd_cpu_share']:.0%}"] if "crowd_cpu_share" in figures else []
    return ", ".join([*words, *crowd])


def close(made, folder):
    """The tables; the plots, by a library that no measurement should carry; and where all of it is."""
    from benchmarks.report import plots

    if made.rounds:
        print("", text.terminal(made), "", sep="\n", flush=True)
        drawn = plots.draw(made, folder)
        print(f"In {folder}: {', '.join(['results.json', *drawn])}", flush=True)


if __name__ == "__main__":
    processes.adopt_orphans()
    processes.stop_on_signals()
    try:
        code = main()
    except processes.Stopped as stopped:
        code = f"Stopped by {stopped}."
    except (needs.Missing, services.Failed, Failed) as failed:
        code = str(failed)
    finally:
        processes.end_orphans()
    sys.exit(code)
