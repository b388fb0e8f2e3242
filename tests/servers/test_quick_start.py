"""What the README says, done to the letter in an empty folder, makes two people chat."""

import os
import shlex
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from signal import SIGINT

import pytest
import serving
from readme import blocks, page, section
from servers.client import connected

pytestmark = pytest.mark.servers

# What is typed there, and what that is in the environment of these tests.
PROGRAMS = {"python": [sys.executable], "django-admin": [sys.executable, "-m", "django"]}

RUNSERVER = "python manage.py runserver"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The folder, after everything up to the last command, which serves."""
    folder = tmp_path_factory.mktemp("quick-start")
    commands = []
    for block in blocks(section(page("README.md"), "## Quick start")):
        if block.language == "console":
            for command in block.commands:
                commands.append(command)
                if not command.startswith("pip install ") and command != RUNSERVER:
                    type_in(command, folder)
        else:
            block.put(folder)
    assert commands[0].startswith("pip install ")
    assert commands[-1] == RUNSERVER
    return folder


def variables():
    """Nothing of these tests' own: the project has to find its settings by itself."""
    ours = ("SERVER_", "DJANGO_SETTINGS_MODULE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**kept, "PYTHONPATH": str(serving.PACKAGE), "PYTHONUNBUFFERED": "1"}


def type_in(command, folder):
    program, *arguments = shlex.split(command)
    done = subprocess.run([*PROGRAMS[program], *arguments], cwd=folder, env=variables(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "django_rooms." not in done.stderr, "Our own checks complain of the quick start."


@contextmanager
def served(folder, *arguments, port):
    process = serving.Process([sys.executable, *arguments], cwd=folder, env=variables())
    try:
        if port is None:
            port = process.wait_for(serving.LISTENS)[1]
        else:
            wait_until_it_listens(process, port)
        yield f"http://127.0.0.1:{port}"
        assert not serving.UNHANDLED.search(process.output), process.output
    finally:
        process.end(SIGINT)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_until_it_listens(process, port):
    """runserver says that it serves before it does."""
    deadline = time.monotonic() + serving.PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline, process.output
            time.sleep(0.05)
        else:
            return


async def two_people_chat(url):
    async with connected(f"{url}/ws/rooms/lobby/") as ann, connected(f"{url}/ws/rooms/lobby/") as bob:
        for client in (ann, bob):
            await client.frame("joined")
        before = len(ann.said("lobby"))
        await ann.publish("lobby", f"Hello from {url}")
        await bob.publish("lobby", f"Hello to {url}")
        said = await ann.texts("lobby", count=before + 2)
        assert said[before:] == [f"Hello from {url}", f"Hello to {url}"]
        assert await bob.texts("lobby", count=before + 2) == said


async def test_two_people_chat_under_runserver(project):
    port = free_port()
    with served(project, "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload", port=port) as url:
        await two_people_chat(url)
        page = serving.get(f"{url}/rooms/lobby/")
        assert "Hello to" in page
        assert "customElements" in serving.get(f"{url}/static/django_rooms/page.js")


async def test_two_people_chat_under_uvicorn(project):
    arguments = ["-m", "uvicorn", "--port=0", "--timeout-graceful-shutdown=2", "mysite.asgi:application"]
    with served(project, *arguments, port=None) as url:
        await two_people_chat(url)
