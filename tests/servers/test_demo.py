"""What `make demo` shows, from a copy of the example project with an SQLite file of its own."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from signal import SIGINT
from urllib.parse import quote

import pytest
import serving

pytestmark = pytest.mark.servers

CHECKOUT = serving.TESTS.parent


@pytest.fixture
def project(tmp_path):
    """The folder and the environment of a migrated and seeded example project."""
    ours = shutil.ignore_patterns("db.sqlite3*", "__pycache__")
    folder = shutil.copytree(CHECKOUT / "example_project", tmp_path / "example", ignore=ours)
    variables = serving.environment("sqlite://:memory:")
    variables["PYTHONPATH"] = os.pathsep.join([str(folder), variables["PYTHONPATH"]])
    variables["DJANGO_SETTINGS_MODULE"] = "config.settings"
    serving.manage(variables, "migrate", "--verbosity=0")
    return folder, variables


@contextmanager
def served(folder, variables):
    command = [sys.executable, "-m", "uvicorn", "--port=0", "config.asgi:application"]
    process = serving.Process(command, env=variables, cwd=folder)
    try:
        yield f"http://127.0.0.1:{process.wait_for(serving.LISTENS)[1]}"
    finally:
        process.end(SIGINT)


def test_seeding_again_changes_nothing_and_prints_the_same(project):
    _, variables = project
    first = serving.manage(variables, "seed")
    assert "ann, password ann-rooms" in first
    assert serving.manage(variables, "seed") == first
    heads = "from django_rooms.models import RoomLog; print(set(RoomLog.objects.values_list('last_offset', flat=True)))"
    assert serving.manage(variables, "shell", "--verbosity=0", "--command", heads).strip() == "{1}"


def test_the_pages_of_the_demo(project):
    folder, variables = project
    serving.manage(variables, "seed")
    with served(folder, variables) as url:
        with serving.opened(f"{url}/") as home:
            assert "Guests pick a name" in home.read().decode()
            assert home.headers["Content-Security-Policy"].startswith("default-src 'self'")
        with serving.opened(f"{url}/rooms/") as rooms:
            assert "кухня" in rooms.read().decode()
        for path in (f"/rooms/{quote('会議室')}/", "/accounts/login/", "/static/chat/home.css", "/admin/login/"):
            assert serving.opened(f"{url}{path}").status == 200


def test_a_port_that_is_taken_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, CHECKOUT / ".ci" / "demo.py"]
        done = subprocess.run(command, env={**os.environ, "PORT": port}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {port} is not free")
    assert done.stderr.count("\n") == 1
