"""Runs tox from an environment of its own under .tox/, on a PATH where it finds pyenv's interpreters too."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import packages

FOLDER = Path(__file__).resolve().parent.parent / ".tox" / "tools"
TOX = FOLDER / "bin" / "tox"


def tox():
    """The path of a tox that works, installed first where it is missing."""
    if not packages.works(TOX, "--version"):
        print("Installing tox into .tox/tools …", flush=True)
        packages.make(FOLDER)
        packages.install(FOLDER, "tox>=4.22")
    return TOX


def path():
    """PATH with every interpreter of pyenv at its end: tox looks there, and not at PYENV_VERSION."""
    folders = [os.environ.get("PATH", os.defpath)]
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout.strip()
        folders += map(str, sorted(Path(root).glob("versions/*/bin")))
    return os.pathsep.join(folders)


if __name__ == "__main__":
    os.environ["PATH"] = path()
    try:
        os.execv(tox(), [TOX, *sys.argv[1:]])  # noqa: S606
    except packages.Failed as failed:
        sys.exit(str(failed))
