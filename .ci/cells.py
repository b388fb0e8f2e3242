"""What the cells of the matrix say of themselves: tests/conftest.py adds a line for each pytest run.

The cells are asked, not tox: it exits 0 with most of them skipped, and cannot know which Django was imported.
"""

import json
from collections import Counter
from pathlib import Path

REPORTS = Path(__file__).resolve().parent.parent / ".tox" / "reports"


def forget():
    for report in REPORTS.glob("*.jsonl"):
        report.unlink()


def read():
    lines = (line for path in sorted(REPORTS.glob("*.jsonl")) for line in path.read_text().splitlines())
    return [json.loads(line) for line in lines]


def missing(required, runs):
    """The Django versions of `required` ("5.2 6.0") that no run with a passed test imported."""
    seen = {run["django"] for run in runs if run["passed"]}
    return [version for version in required.split() if version not in seen]


def summary(runs):
    total = Counter()
    for run in runs:
        total.update({key: run[key] for key in ("passed", "failed", "skipped")})
        where = f"Python {run['python']}, Django {run['django']}, {run['database']}"
        yield f"  {run['cell']}: {where}: {counts(run)}, {run['seconds']:.0f} s"
    yield counts(total)


def counts(run):
    return f"{run['passed']} passed, {run['failed']} failed, {run['skipped']} skipped"
