"""Makes virtual environments and installs into them, in silence unless it fails: then in pip's own words."""

import subprocess
import sys

OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-input")


class Failed(Exception):
    """The sentence, and what pip said."""


def make(folder, python=sys.executable):
    run(python, "-m", "venv", "--clear", folder)


def install(folder, *packages):
    run(folder / "bin" / "python", "-m", "pip", "install", *OPTIONS, *packages)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))} failed:\n{(done.stderr or done.stdout).strip()[-3000:]}")


def works(program, *arguments):
    """A virtual environment dies with the Python that made it: its programs are there and do not start."""
    try:
        return subprocess.run([program, *arguments], capture_output=True).returncode == 0
    except OSError:
        return False
