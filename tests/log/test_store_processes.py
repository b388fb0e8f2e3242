"""Several processes publish at once, each with its own writer thread, in every way there is."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import serving
from django.db import connection

PROCESSES, THREADS, EACH = 3, 3, 21

WRITE = """
import json, sys, threading
import django
django.setup()
from django.db import transaction
from django_rooms import get_room

process, threads, each = map(int, sys.argv[1:])
acknowledged = []

def write(thread):
    for n in range(each):
        room = get_room(["lobby", "closed", "notes/one"][n % 3])
        body = {"by": f"{process}-{thread}", "n": n}
        if n % 7 == 0:
            with transaction.atomic():
                room.publish(body)
        else:
            entry = room.publish(body, id=f"{process}-{thread}-{n}")
            assert entry == room.publish(body, id=f"{process}-{thread}-{n}")
            acknowledged.append([room.name, entry.offset, body])

workers = [threading.Thread(target=write, args=[thread]) for thread in range(threads)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(json.dumps(acknowledged))
"""

READ = """
import json
import django
django.setup()
from django_rooms.log import pages
from django_rooms.models import Pending, RoomLog
logs = {}
for name in RoomLog.objects.values_list("name", flat=True):
    logs[name] = [[entry["offset"], entry["body"]] for entry in map(json.loads, pages.after(name, 0).texts)]
assert not Pending.objects.exists()
print(json.dumps(logs))
"""


@pytest.fixture
def variables(request):
    """The environment of processes that work on a database of this test's own."""
    if connection.vendor == "sqlite":
        with serving.migrated_sqlite() as path:
            yield serving.environment(f"sqlite:///{path}")
    else:
        request.getfixturevalue("transactional_db")
        server = urlsplit(os.environ["TEST_DATABASE_URL"])
        yield serving.environment(server._replace(path=f"/{connection.settings_dict['NAME']}").geturl())


def start(code, variables, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, env=variables, cwd=serving.TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    return json.loads(output)


@pytest.mark.slow
def test_processes_that_publish_at_once_leave_no_hole_and_lose_nothing(variables):
    with ExitStack() as stack:
        started = [start(WRITE, variables, number, THREADS, EACH) for number in range(PROCESSES)]
        for process in started:
            stack.callback(process.kill)
            stack.enter_context(process)
        acknowledged = [item for process in started for item in finish(process)]
        logs = finish(stack.enter_context(start(READ, variables)))

    total = PROCESSES * THREADS * EACH
    assert sum(map(len, logs.values())) == total
    assert len(acknowledged) == total - PROCESSES * THREADS * EACH // 7
    for name, entries in logs.items():
        assert [offset for offset, _ in entries] == list(range(1, len(entries) + 1)), name
    for name, offset, body in acknowledged:
        assert [offset, body] in logs[name]
    for entries in logs.values():
        by = defaultdict(list)
        for _, body in entries:
            by[body["by"]].append(body["n"])
        assert all(said == sorted(said) for said in by.values())
