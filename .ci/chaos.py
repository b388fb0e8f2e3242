"""`make chaos`: the programs that it needs, a Python with the drivers, and tests/chaos/, which says the rest."""

import os
import signal
import sys
from pathlib import Path

import environment
import needs
import packages
import processes

TESTS = Path(__file__).resolve().parent.parent / "tests"

# The variables by which tests/chaos/ finds the programs that it starts, kills and starts again.
VARIABLES = {
    "redis": "TEST_REDIS_SERVER",
    "postgresql": "TEST_POSTGRESQL_INITDB",
    "mariadb": "TEST_MARIADB_SERVER",
    "mariadb_install": "TEST_MARIADB_INSTALL",
}


def programs(found):
    """The variables, for programs by their keys in needs.NEEDS."""
    return {variable: found[key] for key, variable in VARIABLES.items()}


def main():
    found = needs.find_or_install(*VARIABLES)
    python = environment.ensure(["daphne", "redis", "tests", "uvicorn"], ["psycopg[binary]", "PyMySQL"])
    variables = {**os.environ, **programs(found), "PYTHONPATH": str(TESTS)}
    # SIGINT is Ctrl-C to it: it ends every process that it started. What it could not end is ended here.
    with processes.running([python, "-m", "chaos"], end=signal.SIGINT, patience=60, cwd=TESTS, env=variables) as run:
        return run.wait()


if __name__ == "__main__":
    sys.exit(processes.leaving_nothing(main, needs.Missing, packages.Failed))
