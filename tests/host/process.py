"""A process of a host's that does what a test tells it, in threads that the test names: ``python -m host.process``.

A call is a line on stdin, ``{"number": 1, "thread": "a", "act": "publish", "with": ["lobby", "hi"]}``; its outcome is a
line on stdout. Django's test environment is not set up here: the writer, its thread and its connection are those of a
server. See ``servers/hosts.py`` for the other side.
"""

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import django
from django.db import OperationalError, connection, connections, transaction

ISOLATION = {"postgresql": {"repeatable read": 3, "serializable": 4}, "mysql": {"repeatable read": "repeatable read"}}

acts = {}
output = threading.Lock()
local = threading.local()


def act(function):
    acts[function.__name__] = function
    return function


def say(**outcome):
    with output:
        print(json.dumps(outcome), flush=True)


# What a host's code does.


@act
def begin():
    block = transaction.atomic()
    block.__enter__()
    local.blocks = [*getattr(local, "blocks", ()), block]


@act
def commit():
    local.blocks.pop().__exit__(None, None, None)


@act
def roll_back():
    error = ZeroDivisionError()
    local.blocks.pop().__exit__(ZeroDivisionError, error, None)


@act
def publish(room, *texts, author=None, id=None):
    """The offsets; ``None`` for those that have none before the commit."""
    from django.contrib.auth.models import User

    from django_rooms import get_room

    shown = author and User(pk=author, username="ann")
    return [get_room(room).publish({"text": text}, author=shown, id=id).offset for text in texts]


@act
def play(tree):
    """Publish what ``tree`` says: ``[room, text]``, or ``{"keep": bool, "in": [...]}`` for an atomic block."""
    for item in tree:
        if isinstance(item, dict):
            begin()
            play(item["in"])
            commit() if item["keep"] else roll_back()
        else:
            publish(*item)


@act
def said(room):
    """What the log has, read as a feed reads it: offsets and texts."""
    from django_rooms.log import pages

    entries = map(json.loads, pages.after(room, 0).texts)
    return [[entry["offset"], entry["body"]["text"]] for entry in entries]


@act
def heads(*rooms):
    """What a look finds."""
    from django_rooms.log import pages

    return {name: position.offset for name, position in pages.heads(rooms).items()}


@act
def rows(room):
    """What the tables hold, numbering nothing: entries, and what is pending."""
    from django_rooms.models import Entry, Pending
    from django_rooms.names import room_key

    found = (model.objects.filter(room=room_key(room)) for model in (Entry, Pending))
    return [rows.count() for rows in found]


@act
def make_user():
    from django.contrib.auth.models import User

    return User.objects.create_user(f"user-{time.time_ns()}").pk


@act
def touch_user(pk, how):
    from django.contrib.auth.models import User

    user = User.objects.filter(pk=pk)
    if how == "lock":
        user.select_for_update().get()
    elif how == "update":
        user.update(last_name="Lee")
    else:
        user.delete()


@act
def count_users():
    from django.contrib.auth.models import User

    return User.objects.count()


@act
def hold(room):
    """Lock the room's row, as nobody but a writer should; inside a transaction."""
    from django_rooms.log import store
    from django_rooms.names import room_key

    return len(store.lock([room_key(room)]))


@act
def hold_pending(room):
    """Lock what is pending in the room, so that nobody can delete it; inside a transaction."""
    from django_rooms.models import Pending
    from django_rooms.names import room_key

    return len(Pending.objects.select_for_update().filter(room=room_key(room)))


# Who is here.


@act
def present(room):
    """Each member's key, with the number of their connections."""
    from django_rooms import get_room

    return {member.key: member.connections for member in get_room(room).presence()}


@act
def count_present(*rooms):
    from django_rooms import count_present

    return count_present(rooms)


@act
def is_present(room, key):
    from django_rooms import get_room
    from django_rooms.protocol.entries import Author

    return get_room(room).is_present(Author(key, ""))


@act
def alive(room):
    """How many processes have people there, and gave a sign of life in time."""
    from django_rooms.models import Presence
    from django_rooms.names import room_key
    from django_rooms.presence import leases

    found = set(Presence.objects.filter(room=room_key(room)).values_list("lease", flat=True))
    return leases.alive().filter(id__in=found).count()


@act
def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [list(row) for row in cursor.fetchall()] if cursor.description else None


@act
def disconnect(room, key):
    from django_rooms import get_room
    from django_rooms.protocol.entries import Author

    return get_room(room).disconnect(Author(key, ""))


# The writer.


@act
def burst(batch, patience=30):
    """Hand the writer ``[[room, sender, id], …]`` while it stores something else; the offsets, or an error's name."""
    from django_rooms.log.appends import Append
    from django_rooms.log.writer import writer

    note_batches()
    local_batches.entered.clear()
    local_batches.wait.clear()
    first = writer().submit(Append("lobby", "s:", f"first-{time.time_ns()}", "{}"))
    local_batches.entered.wait(patience)
    receipts = [writer().submit(Append(room, sender, said, '{"text":"burst"}')) for room, sender, said in batch]
    local_batches.wait.set()
    first.result(patience)
    for receipt in receipts:
        receipt.wait(patience)
    return [type(one.error).__name__ if one.error else one.result().offset for one in receipts]


@act
def seconds_to_store(rooms, id):
    """Hand the writer an entry for each of ``rooms`` at once, and say for each how long it took."""
    from django_rooms.log.appends import Append
    from django_rooms.log.writer import writer

    start, took = time.monotonic(), {}
    receipts = {room: writer().submit(Append(room, "s:", id, '{"text":"timed"}')) for room in rooms}
    for room, receipt in receipts.items():
        receipt.then(lambda done, room=room: took.update({room: time.monotonic() - start}))
    for receipt in receipts.values():
        receipt.result(40)
    return took


class Batches:
    """The sizes of the writer's batches, and the connections that they were stored on."""

    def __init__(self):
        self.sizes, self.backends = [], []
        self.entered, self.wait = threading.Event(), threading.Event()
        self.wait.set()


local_batches = Batches()


@act
def note_batches():
    from django_rooms.log.writer import writer

    append, local_batches.sizes = writer()._append, []
    if getattr(append, "noted", False):
        return

    def noted(items):
        local_batches.entered.set()
        local_batches.wait.wait(30)
        local_batches.sizes.append(len(items))
        local_batches.backends.append([threading.current_thread().name, backend()])
        return append(items)

    noted.noted = True
    writer()._append = noted


@act
def batches():
    return {"sizes": local_batches.sizes, "backends": local_batches.backends}


@act
def backend():
    """The server's number of this thread's connection."""
    if connection.vendor == "sqlite":
        return id(connections["default"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT CONNECTION_ID()")
        return cursor.fetchone()[0]


# Violence, each at a point that is always the same.


def cut(number):
    """End a connection from the server's side, as a restart or an administrator does."""
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend({number})" if other.vendor == "postgresql" else f"KILL {number}")
    other.close()


def once(owner, name, do, times=1):
    """For the next ``times`` calls in the writer's thread, ``do(original, *args)`` in the place of ``owner.name``."""
    original, left = getattr(owner, name), [times]

    def replaced(*args, **kwargs):
        if threading.current_thread().name != "django_rooms.writer" or not left[0]:
            return original(*args, **kwargs)
        left[0] -= 1
        return do(original, *args, **kwargs)

    setattr(owner, name, replaced)


def cut_then(original, *args, **kwargs):
    cut(backend())
    return original(*args, **kwargs)


def then_cut(original, *args, **kwargs):
    number = backend()
    outcome = original(*args, **kwargs)
    cut(number)
    return outcome


def then_lose_the_answer(original, *args, **kwargs):
    original(*args, **kwargs)
    raise OperationalError("The answer was lost.")


@act
def lose_the_connection(when, times=1):
    """Of the writer, at a point of its next batch."""
    from django_rooms.log import store

    wrapper = type(connections["default"])
    match when:
        case "before the transaction":
            once(store, "append", cut_then, times)
        case "with the rooms locked":
            once(store, "number", cut_then, times)
        case "with everything written":
            once(store, "number", then_cut, times)
        case "at the commit":
            once(wrapper, "_commit", cut_then, times)
        case "after the commit":
            once(wrapper, "_commit", then_cut, times)
        case "after the commit, before its answer":
            once(wrapper, "_commit", then_lose_the_answer, times)
        case _:
            raise ValueError(when)
    from django_rooms.log.writer import writer

    writer()._append = store.append


RAISE = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{}'; END $$",
    "mysql": "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {}",
}


@act
def raise_in_the_next_batch(code, times=1):
    """Of the database's own errors the one with ``code``, after everything was written."""
    from django_rooms.log import store

    def fail(original, *args, **kwargs):
        original(*args, **kwargs)
        with connection.cursor() as cursor:
            cursor.execute(RAISE[connection.vendor].format(code))

    once(store, "number", fail, times)


@act
def stop_in_the_next_batch(when):
    """SIGSTOP to this process, with its rooms locked."""
    from django_rooms.log import store

    def stop(original, *args, **kwargs):
        outcome = original(*args, **kwargs)
        signal.raise_signal(signal.SIGSTOP)  # To this very thread: os.kill() would let it go on for a moment.
        return outcome

    once(store, {"with rooms locked": "lock", "with all written": "number"}[when], stop)


@act
def announce_commit():
    """Before its entries are numbered, say that a host's commit is done, and go no further."""
    from django_rooms.log import writer

    def announce(room):
        say(announced="committed")
        threading.Event().wait()

    writer._number = announce


@act
def fail_after_commit(how):
    """What is to number the entries after a host's commit fails."""
    from django_rooms.log import writer

    def fail(*args, **kwargs):
        raise {"busy": writer.Busy, "lost": OperationalError, "odd": ZeroDivisionError}[how]

    if how == "odd":
        writer.pending.waiting = fail
    else:
        writer.Writer.submit = fail


@act
def call_back_after_commit(texts):
    """A host's own hooks, before and after the rooms'. Returns what was called."""
    called = []
    with transaction.atomic():
        transaction.on_commit(lambda: called.append("before"))
        publish(*texts)
        transaction.on_commit(lambda: called.append("after"))
    return called


@act
def wait_at_commit():
    """Publish, and say whether it was acknowledged or told before the commit, and after it."""
    from django_rooms.log import store
    from django_rooms.log.appends import Append
    from django_rooms.log.writer import writer

    reached, go_on, told = threading.Event(), threading.Event(), []
    store.listeners.append(told.extend)

    def hold_back(original, *args):
        reached.set()
        go_on.wait(30)
        return original(*args)

    once(type(connections["default"]), "_commit", hold_back)
    receipt = writer().submit(Append("lobby", "s:", f"held-{time.time_ns()}", '{"text":"held"}'))
    assert reached.wait(30)
    before = [receipt.done, len(told)]
    go_on.set()
    receipt.result(30)
    with suppress(ValueError):
        store.listeners.remove(told.extend)
    return [before, [receipt.done, len(told)]]


@act
def statements(rooms):
    """How many the writer's work takes for a batch in ``rooms``, with something pending and a repeat in each."""
    from django.db import reset_queries
    from django.test.utils import CaptureQueriesContext

    from django_rooms.log import pending, store
    from django_rooms.log.appends import Append

    with transaction.atomic():
        for room in rooms:  # As after a commit whose process was killed.
            pending.insert(Append(room, "s:", f"pending-{time.time_ns()}", '{"text":"pending"}'))
    items = [
        Append(room, "s:", name, '{"text":"counted"}') for room in rooms for name in ("again", f"{time.time_ns()}")
    ]
    reset_queries()
    with CaptureQueriesContext(connection) as queries:
        store.append(items)
    return len(queries)


def perform(line):
    call = json.loads(line)
    start = time.monotonic()
    try:
        answer = acts[call["act"]](*call["with"], **call["also"])
        say(number=call["number"], answer=answer, seconds=time.monotonic() - start)
    except BaseException as error:
        say(number=call["number"], error=f"{type(error).__name__}: {error}")


def main():
    django.setup()
    if level := os.environ.get("SERVER_ISOLATION"):
        connections.settings["default"]["OPTIONS"]["isolation_level"] = ISOLATION[connection.vendor][level]
    threads = {}
    say(announced="ready")
    for line in sys.stdin:
        name = json.loads(line)["thread"]
        if name not in threads:
            threads[name] = ThreadPoolExecutor(1, thread_name_prefix=name)
        threads[name].submit(perform, line)
    os._exit(0)  # Some threads may be meant to hang.


if __name__ == "__main__":
    main()
