"""The checkout's own .venv, for the demo and the inner loop; and others beside it, of another Python.

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


def ensure(extras, others=(), *, venv=VENV, base=sys.executable):
    """Returns the Python of `venv`, with django_rooms, its `extras` and `others` in it; takes nothing away.

    Where it has to be made it is one of `base`.
    """
    python = venv / "bin" / "python"
    if not packages.works(python, "-c", "import pip"):
        if venv.is_file():  # A redirect to somebody else's environment (PEP 832).
            venv.unlink()
        packages.make(venv, base)
    wanted, have = {*extras, *others}, installed(venv)
    if not wanted <= have or not have:
        print(f"Installing django_rooms with {', '.join(sorted(wanted))} into {venv.relative_to(ROOT)} …", flush=True)
        project = f"{ROOT}[{','.join(extras)}]" if extras else ROOT
        packages.install(venv, "--editable", project, *others)
        done(venv).write_text(json.dumps({"recipe": recipe(), "have": sorted(wanted | have)}))
    return python


def installed(venv):
    """What was installed by today's setup.cfg."""
    try:
        said = json.loads(done(venv).read_text())
    except (OSError, ValueError):
        return set()
    return set(said["have"]) if said["recipe"] == recipe() else set()


def done(venv):
    return venv / "installed.json"


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
