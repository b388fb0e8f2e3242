"""The example project, served by uvicorn on this machine: `make demo`, steered by PORT and DEMO_*."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import environment
import packages
import processes

PROJECT = Path(__file__).resolve().parent.parent / "example_project"
HOST = "127.0.0.1"


def main():
    port, workers = number("PORT", 8000), number("DEMO_WORKERS", 1)
    refuse_taken(port)
    python = environment.ensure(*needs())
    manage(python, "migrate", "--verbosity=0")
    print("People:", flush=True)
    manage(python, "seed")
    if workers > 1 and not os.environ.get("DEMO_REDIS_URL"):
        print("Without DEMO_REDIS_URL a message takes up to two seconds from one process to another.")
    return serve(python, port, workers)


def number(variable, default):
    value = os.environ.get(variable) or str(default)
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        sys.exit(f"{variable} is {value!r}, which is no number from 1 to 65535.")
    return int(value)


def refuse_taken(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            sys.exit(f"Port {port} is not free ({error.strerror}). Take another: make demo PORT={port + 1}")


def needs():
    """The extras and packages to install: drivers only for those who set the variable that needs them."""
    extras, others = ["uvicorn"], []
    if os.environ.get("DEMO_REDIS_URL"):
        extras.append("redis")
    if url := os.environ.get("DEMO_DATABASE_URL"):
        others += ["dj-database-url", "PyMySQL" if url.startswith("mysql:") else "psycopg[binary]"]
    return extras, others


def manage(python, *arguments):
    done = subprocess.run([python, "manage.py", *arguments], cwd=PROJECT)
    if done.returncode:
        sys.exit(f"manage.py {arguments[0]} failed; its words are above.")


def serve(python, port, workers):
    options = ["--timeout-graceful-shutdown=3", "--log-level=warning", f"--workers={workers}"]
    where = [f"--host={HOST}", f"--port={port}"]
    command = [python, "-m", "uvicorn", *where, *options, "config.asgi:application"]
    with processes.running(command, cwd=PROJECT) as server:
        while server.poll() is None and not answers(port):
            time.sleep(0.1)
        if server.poll() is None:
            print(f"Rooms are open at http://{HOST}:{port}/ (Ctrl-C closes them)", flush=True)
        return server.wait()


def answers(port):
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


if __name__ == "__main__":
    processes.stop_on_signals()
    try:
        sys.exit(main())
    except processes.Stopped:
        sys.exit(0)
    except packages.Failed as failed:
        sys.exit(str(failed))
