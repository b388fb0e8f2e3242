"""`make bench`: the programs that it needs, a Python with ours and the peers, and benchmarks/, which says the rest.

Node is not asked for: where there is none, its peers are left out by name; where there is no Python 3.11, that is.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import environment
import needs
import packages
import processes

ROOT = Path(__file__).resolve().parent.parent

EXTRAS = ["daphne", "redis", "uvicorn"]
# What servers are run with at their best; whom ours is compared with, and what draws.
BEST = ["psycopg[binary]", "uvloop", "httptools"]
OTHERS = [*BEST, "python-socketio", "matplotlib"]

# Ours is measured on an older Python too, in an environment of its own. benchmarks/pythons.py reads the variable.
OLDER, VENV, VARIABLE = "python3.11", ROOT / "build" / "python3.11", "BENCH_PYTHON311"

# The variables of the make targets, and what they are to `python -m benchmarks`.
VARIABLES = {"ROUNDS": "--rounds", "SECONDS": "--seconds", "ONLY": "--only", "PEERS": "--peers", "OUT": "--out"}


def options():
    """Those of the command line, and those of the variables that are set."""
    said = {option: os.environ.get(variable, "").split() for variable, option in VARIABLES.items()}
    return [*sys.argv[1:], *(word for option, words in said.items() if words for word in (option, *words))]


def main():
    needs.find_or_install("redis", "postgresql")
    python = environment.ensure(EXTRAS, OTHERS)
    # The quick run has no time for it.
    variables = {} if "--quick" in sys.argv else older()
    # SIGINT is Ctrl-C to it: it ends every process that it started, and shows what it has measured.
    command = [python, "-m", "benchmarks", *options()]
    with processes.running(command, end=signal.SIGINT, patience=60, cwd=ROOT, env={**os.environ, **variables}) as run:
        return run.wait()


def older():
    """Where the older Python is, as a variable; nothing where it is not."""
    find, variables = ["sh", ROOT / ".ci" / "python"], {**os.environ, "PYTHONS": OLDER}
    found = subprocess.run(find, env=variables, capture_output=True, text=True)
    if found.returncode:
        return {}
    return {VARIABLE: str(environment.ensure(EXTRAS, BEST, venv=VENV, base=found.stdout.strip()))}


if __name__ == "__main__":
    sys.exit(processes.leaving_nothing(main, needs.Missing, packages.Failed))
