"""The rows of each table: what was asked and what came of it, and the figures behind it. The first row is the head."""

import math

from benchmarks.claims import Met

# What is told of each measure: the figure, and its head with the unit.
FIGURES = {
    "fanout": {
        "deliveries_per_s": "deliveries/s",
        "cpu_us_per_delivery": "CPU µs/delivery",
        "cpu_us_per_member": "without the publish's own",
        "p50_ms": "p50 ms",
        "p99_ms": "p99 ms",
    },
    "idle": {"p50_ms": "p50 ms", "p99_ms": "p99 ms"},
    "storing": {
        "stored_per_s": "stored/s",
        "cpu_us_per_publish": "CPU µs/publish",
        "database_us_per_publish": "PostgreSQL µs/publish",
        "redis_us_per_publish": "Redis µs/publish",
    },
    "followed": {
        "cpu_us_one": "CPU µs/publish, one at a time",
        "cpu_us_many": "CPU µs/publish, in flight",
        "cpu_us_in_all": "with the rest",
        "published_per_s": "publishes/s",
        "resting_percent": "at rest: CPU % of a core",
    },
    "connections": {
        "connects_per_s": "connects/s",
        "cpu_us_per_connect": "CPU µs/connect",
        "kib_per_connection": "KiB/connection",
    },
    "storm": {"seconds": "seconds", "server_cpu_s": "CPU s", "entry_scans": "scans of entries"},
    "quiet": {"cpu_percent": "CPU % of a core", "postgresql_percent": "PostgreSQL %", "mib": "MiB"},
    "delivered": {
        "delivered_percent": "% delivered",
        "worst_percent": "% of the worst reader",
        "missed": "missed",
        "doubled": "doubled",
        "out_of_order": "out of order",
        "published": "published",
        "cuts": "cuts",
    },
    "layer": {
        "layer_messages_per_publish": "layer messages/publish",
        "layer_messages_per_publish_and_other": "by other processes",
        "redis_calls_per_publish": "Redis calls/publish",
        "redis_us_per_publish": "Redis µs/publish",
        "cpu_us_per_publish": "CPU µs/publish",
    },
}

# Beside them, where the measure has it: whose CPU it was, as shares of one core.
SHARES = {
    "server_cpu_share": "server",
    "redis-1_cpu_share": "Redis",
    "postgresql_cpu_share": "PostgreSQL",
    "crowd_cpu_share": "crowd",
    "crowd_waited_share": "crowd waited",
}


def claims(results):
    head = ["what", "ours", "beside", "rounds", "median", "quartiles", "asked", "met"]
    return [head, *(_claim(results, verdict) for verdict in results.verdicts())]


def _claim(results, verdict):
    claim = verdict.claim
    names = [claim.text, claim.ours, claim.theirs or "–", str(len(verdict.ratios))]
    if not verdict.ratios:
        return [*names, "–", "–", str(claim.bound), met(results, verdict)]
    low, high = map(number, verdict.quartiles)
    return [*names, number(verdict.median), f"{low} – {high}", str(claim.bound), met(results, verdict)]


def met(results, verdict):
    if verdict.failed:
        return f"no, failed in {verdict.failed} of {verdict.rounds}"
    if verdict.met is Met.UNKNOWN:
        return f"– {why_unknown(results, verdict.claim)}"
    if verdict.met is Met.YES:
        return "yes"
    return f"no, by {verdict.short_by:.0%}" if verdict.claim.bound.value else f"no, {number(verdict.short_by)}"


def why_unknown(results, claim):
    for name in claim.entrants:
        if {name, name.partition("/")[0]} & results.left_out.keys():
            return f"{name} is left out"
        if any("raised" in outcome for outcome in results.outcomes(claim.case, name)):
            return f"{name} failed"
    return "not run"


def figures(results, case):
    """A line for each entrant of a case: the medians of all rounds. A curve has one for each point."""
    measured, entrants = FIGURES[results.cases[case]["measure"]], results.cases[case]["entrants"]
    along, values = results.cases[case]["along"], results.values(case)
    heads = {key: head for key, head in (measured | SHARES).items() if results.any_has(case, key)}
    rows = [_figures(results, case, name, heads, at) for name in entrants for at in values]
    return [["", *([along] if along else []), *heads.values()], *rows]


def _figures(results, case, name, heads, at):
    outcomes = results.outcomes(case, name)
    failed = sum("raised" in outcome for outcome in outcomes)
    label = f"{name}, failed in {failed} of {len(outcomes)}" if failed else name
    place = [] if at is None else [number(at)]
    return [label, *place, *(_figure(results, case, name, key, at) for key in heads)]


def _figure(results, case, name, key, at):
    value = results.median(case, name, key, at)
    if value is None:
        return "–"
    return f"{value:.0%}" if key in SHARES else number(value)


def ceilings(results):
    """What the crowd takes of a server that makes nothing: more than it is given anywhere above."""
    head = ["", "deliveries/s", "by second of its CPU", "crowd"]
    return [head, *([name, *_ceiling(taken)] for name, taken in results.ceilings.items())]


def _ceiling(taken):
    by_clock, by_cpu = number(taken["deliveries_per_s"]), number(taken["deliveries_per_cpu_s"])
    return [by_clock, by_cpu, f"{taken['crowd_cpu_share']:.0%}"]


def settings(results):
    return [["who", "settings"], *_grouped(results, "settings")]


def versions(results):
    return [["who", "versions"], *_grouped(results, "versions")]


def _grouped(results, part):
    """Entrants of whom the same is to be said are in one line."""
    groups = {}
    for name, each in results.entrants.items():
        groups.setdefault(each[part], []).append(name)
    return [[", ".join(names), text] for text, names in groups.items()]


def number(value):
    """Three digits, or all that stand before the point; but what is less than a hundred is not told as one."""
    if 99 < value < 100:
        return f"{math.floor(value * 100) / 100:.2f}"
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.3g}"
