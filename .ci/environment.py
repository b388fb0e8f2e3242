"""The checkout's own .venv, for the demo and the inner loop.

Nothing is installed where nothing changed: both start at once then, and without a network.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import packages

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
DONE = VENV / "installed.json"


def ensure(extras, others=()):
    """Returns the .venv's Python, with django_rooms, its `extras` and `others` in it; takes nothing away."""
    if not packages.works(PYTHON, "-c", "import pip"):
        if VENV.is_file():  # A redirect to somebody else's environment (PEP 832).
            VENV.unlink()
        packages.make(VENV)
    wanted, have = {*extras, *others}, installed()
    if not wanted <= have or not have:
        print(f"Installing django_rooms with {', '.join(sorted(wanted))} into .venv …", flush=True)
        project = f"{ROOT}[{','.join(extras)}]" if extras else ROOT
        packages.install(VENV, "--editable", project, *others)
        DONE.write_text(json.dumps({"recipe": recipe(), "have": sorted(wanted | have)}))
    return PYTHON


def installed():
    """What was installed by today's setup.cfg."""
    try:
        done = json.loads(DONE.read_text())
    except (OSError, ValueError):
        return set()
    return set(done["have"]) if done["recipe"] == recipe() else set()


def recipe():
    return hashlib.sha256((ROOT / "setup.cfg").read_bytes() + str(ROOT).encode()).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="*")
    parser.add_argument("--with", dest="others", action="append", default=[])
    options = parser.parse_args()
    try:
        ensure(options.extras, options.others)
    except packages.Failed as failed:
        sys.exit(str(failed))
