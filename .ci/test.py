"""`make test`: needs, services, Node's tests, the tox matrix; says what ran, leaves nothing behind."""

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cells
import chaos
import needs
import packages
import processes
import services
import tools

ROOT = Path(__file__).resolve().parent.parent


def main():
    processes.adopt_orphans()
    processes.stop_on_signals()
    began = time.monotonic()
    try:
        with no_orphans(), ExitStack() as stack:
            failures = suite(stack)
    except (needs.Missing, packages.Failed, services.Failed) as error:
        failures = [str(error)]
    except processes.Stopped as stopped:
        failures = [f"Stopped by {stopped}."]
    return close(failures, time.monotonic() - began)


def suite(stack):
    """Runs every step, also after a failed one, and returns a sentence for each failure."""
    programs = needs.find_or_install()
    tox = tools.tox()
    cells.forget()
    environment = {**os.environ, "PATH": tools.path(), **start_services(stack, programs)}
    node = [programs["node"], "--test", "--test-reporter=spec"]
    steps = {
        "Node's tests": [*node, *sorted(map(str, ROOT.glob("tests/js/*.test.mjs")))],
        "tox": [tox, "run-parallel", "--parallel", str(os.cpu_count() or 2), "--parallel-no-spinner"],
    }
    return [f"{name} failed." for name, command in steps.items() if not passes(name, command, environment)]


def start_services(stack, programs):
    """Starts the three servers and returns the variables by which tests find them and the other programs."""
    with said("Redis, PostgreSQL, MariaDB"):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="django-rooms-")))
        folder.chmod(0o755)
        homes = {name: services.make_folder(folder, name) for name in ("redis", "postgresql", "mariadb")}
        redis = services.redis(homes["redis"], programs["redis"])
        postgresql = services.postgresql(homes["postgresql"], programs["postgresql"])
        mariadb = services.mariadb(homes["mariadb"], programs["mariadb"], programs["mariadb_install"])
        return {
            "TEST_REDIS_URL": stack.enter_context(redis),
            "TEST_POSTGRESQL_URL": stack.enter_context(postgresql),
            "TEST_MARIADB_URL": stack.enter_context(mariadb),
            **chaos.programs(programs),
            "TEST_CHROMIUM": programs["chromium"],
            "TEST_FAKETIME": programs["faketime"],
            "TEST_NODE": programs["node"],
        }


def passes(name, command, environment):
    """SIGINT, if it must end early, so that pytest runs its fixtures' clean-up."""
    options = {"end": signal.SIGINT, "patience": 30, "cwd": ROOT, "env": environment}
    with said(name), processes.running(command, **options) as process:
        return process.wait() == 0


@contextmanager
def said(name):
    began = time.monotonic()
    print(f"── {name} …", flush=True)
    yield
    print(f"── {name}: {time.monotonic() - began:.0f} s", flush=True)


@contextmanager
def no_orphans():
    try:
        yield
    finally:
        if ended := processes.end_orphans():
            print(f"Ended what the tests left running: {', '.join(ended)}.", flush=True)


def close(failures, seconds):
    runs = cells.read()
    if absent := cells.missing(os.environ.get("REQUIRE_DJANGO", ""), runs):
        failures.append(f"No cell ran on Django {', '.join(absent)}.")
    print(f"── The whole suite took {seconds:.0f} s.")
    print(*failures, *cells.summary(runs), sep="\n", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
