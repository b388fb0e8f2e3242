"""What may be said to `python -m benchmarks`."""

import argparse
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.ci import ROOT
from benchmarks.rounds import QUICK_ROUNDS, ROUNDS

# Where results are unless somebody says otherwise; nothing of build/ is committed. Those of the docs are made with
# `--out docs/benchmarks`.
OUT = ROOT / "build" / "bench"

MEASURES = {name for case in CASES for name in (case.name, case.measure.__name__)}
PEERS = {name for case in CASES for each in case.entrants for name in (each.name, each.peer)}


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours beside every peer, round by round.")
    add = parser.add_argument
    add("--quick", action="store_true", help="in less than two minutes: fewer, shorter, PostgreSQL only")
    add("--only", nargs="+", default=(), choices=sorted(MEASURES), metavar="MEASURE", help=", ".join(sorted(MEASURES)))
    add("--peers", nargs="+", default=(), choices=sorted(PEERS), metavar="PEER", help=", ".join(sorted(PEERS)))
    add("--rounds", type=positive(int), help=f"{ROUNDS} by default, and {QUICK_ROUNDS} of the quick run")
    add("--seconds", type=positive(float), help="for which fan-out and storing are measured")
    add("--out", type=Path, default=OUT, metavar="FOLDER", help="for results.json and the plots")
    add("--table", type=Path, metavar="RESULTS", help="measure nothing: print the Markdown of a results.json")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    return options


def positive(kind):
    def number(text):
        if (value := kind(text)) <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not more than nothing")
        return value

    return number
