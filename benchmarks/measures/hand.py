"""One measure of one peer by hand, on a site of its own: a line of figures for each time."""

import argparse
import sys
from inspect import signature

from benchmarks.peers import PEERS
from benchmarks.site import Site

CHOICE = ("database", "layer", "shards", "processes", "program", "loop", "pings")


def run(measure):
    """Each parameter of the measure is an option, beside those of the server."""
    parameters = {
        one.name: one.default for one in signature(measure).parameters.values() if one.kind is one.KEYWORD_ONLY
    }
    options = parse(measure, parameters)
    chosen = {name: getattr(options, name) for name in CHOICE}
    with Site() as site:
        for _ in range(options.times):
            for name in options.peers:
                with PEERS[name].serve(site, python=options.python, **chosen) as server:
                    figures = measure(server, PEERS[name].dialect, **{key: getattr(options, key) for key in parameters})
                print(f"{name:16}", line(figures), flush=True)


def parse(measure, parameters):
    parser = argparse.ArgumentParser(prog=f"python -m {measure.__module__}", description=measure.__doc__)
    parser.add_argument("peers", nargs="+", choices=PEERS, metavar="PEER", help=", ".join(PEERS))
    for name, value in parameters.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"{value}")
    parser.add_argument("--times", type=int, default=1, help="how often, in turn")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--layer", choices=("pubsub", "core", "memory", "none"), default="pubsub")
    parser.add_argument("--shards", type=int, choices=(1, 2), default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--program", choices=("uvicorn", "daphne"), default="uvicorn")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--no-pings", dest="pings", action="store_false", help="none of uvicorn's own")
    parser.add_argument("--python", default=sys.executable)
    return parser.parse_args()


def line(figures):
    return "  ".join(f"{name} {number(value)}" for name, value in figures.items())


def number(value):
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.3g}"
