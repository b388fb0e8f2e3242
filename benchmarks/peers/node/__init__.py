"""The peers that run in Node. `install()` brings them from npm, and says why if it cannot."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.peers.peer import Peer

FOLDER = Path(__file__).resolve().parent
MODULES = FOLDER / "node_modules"
NAMES = ("node", "nodejs")


def node():
    return next(filter(None, map(shutil.which, NAMES)), None)


def peer(name, dialect, script, package, settings, *arguments):
    return Peer(
        name,
        dialect,
        partial(command, script, arguments),
        ground,
        partial(versions, package),
        partial(described, settings),
        partial(missing, package),
    )


def command(script, arguments, choice, port):
    return [node(), str(FOLDER / script), str(port), *arguments]


@contextmanager
def ground(site, choice):
    yield {**os.environ, "NODE_ENV": "production", **choice.environment}, None


def missing(package):
    if node() is None:
        return "Node.js is not installed."
    return None if version(package) else f"npm's {package} is not installed."


def version(package):
    try:
        return json.loads((MODULES / package / "package.json").read_text())["version"]
    except OSError:
        return None


def described(settings, choice):
    return f"{settings}; one process, no Redis, no compression"


def versions(package, choice):
    number = subprocess.run([node(), "--version"], capture_output=True, text=True).stdout.strip()
    return f"Node {number.removeprefix('v')}, {package} {version(package)}"


def install():
    """What package.json names, if something of it is not there. Returns a sentence if it failed."""
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    if node() is None or all(map(version, wanted)):
        return None
    if (npm := shutil.which("npm")) is None:
        return "There is no npm to install Node's peers with."
    options = ["--no-package-lock", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
    done = subprocess.run([npm, "install", *options], cwd=FOLDER, capture_output=True, text=True)
    return f"npm install failed: {done.stderr.strip()[-1000:]}" if done.returncode else None
