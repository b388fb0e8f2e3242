"""What the whole suite needs beside Python packages: found, installed on Debian as root, or named.

The system's own services are never started or used: the suite starts servers of its own from these programs.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from importlib.util import find_spec
from pathlib import Path

ADMIN_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")


@dataclass(frozen=True)
class Need:
    """Something to find, and the Debian packages that bring it."""

    what: str
    packages: tuple[str, ...]
    find: Callable[[], str | None]


def program(*names):
    """Finds the first of `names` on PATH, or in the folders that only root's PATH has on Debian."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *ADMIN_FOLDERS])
    return lambda: next(filter(None, (shutil.which(name, path=folders) for name in names)), None)


def postgres():
    """PostgreSQL's newest initdb: Debian keeps its server programs off PATH, one folder a version."""
    debian = sorted(glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return debian[-1] if debian else program("initdb")()


def faketime():
    """The library that gives a process another time of day; Debian has it in a folder of the machine's kind."""
    return next(iter(sorted(glob("/usr/lib/*/faketime/libfaketime.so.1"))), None)


def ensurepip():
    return sys.executable if find_spec("ensurepip") else None


NEEDS = {
    "venv": Need("venv and ensurepip", (f"python3.{sys.version_info.minor}-venv",), ensurepip),
    "redis": Need("Redis", ("redis-server",), program("redis-server")),
    "postgresql": Need("PostgreSQL", ("postgresql",), postgres),
    "mariadb": Need("MariaDB", ("mariadb-server",), program("mariadbd")),
    "mariadb_install": Need("MariaDB's install script", ("mariadb-server",), program("mariadb-install-db")),
    "faketime": Need("libfaketime", ("libfaketime",), faketime),
    "chromium": Need("Chromium", ("chromium",), program("chromium", "chromium-browser", "google-chrome")),
    "node": Need("Node.js", ("nodejs",), program("node", "nodejs")),
}


class Missing(Exception):
    """The sentence for whoever has to install something."""


def find_or_install(*keys):
    """Returns the path of each need's program, by its key in NEEDS: of those named, or of all."""
    needs = {key: NEEDS[key] for key in keys or NEEDS}
    missing = [need for need in needs.values() if need.find() is None]
    if missing:
        packages = sorted({package for need in missing for package in need.packages})
        if not debian_as_root():
            raise Missing(advice(missing, packages))
        install(packages)
    found = {key: need.find() for key, need in needs.items()}
    still = [needs[key] for key, path in found.items() if path is None]
    if still:
        raise Missing(advice(still, []))
    return found


def advice(missing, packages):
    names = ", ".join(need.what for need in missing)
    how = f"apt-get install {' '.join(packages)}" if packages else "install them and have them on PATH"
    return f"Missing for the whole suite: {names}. On Debian, as root: {how}. Without them: make test-quick."


def debian_as_root():
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get")


def install(packages):
    print(f"Installing with apt-get: {' '.join(packages)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with daemons_off():
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(["apt-get", "-qq", *arguments], env=quiet, capture_output=True, text=True)
            if done.returncode:
                raise Missing(f"apt-get {' '.join(arguments)} failed: {done.stderr.strip()[-600:]}")


@contextmanager
def daemons_off(policy=Path("/usr/sbin/policy-rc.d")):
    """Debian starts a server when it installs one, unless this file says no: invoke-rc.d(8)."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)
