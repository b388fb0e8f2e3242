"""What a server process is told to show of itself, for tests of what goes on inside. Imported by asgi.py."""

import os
import sys
import threading
import time

from django.db.backends.signals import connection_created
from django.dispatch import receiver

from django_rooms import signals
from django_rooms.doorbell import echo
from django_rooms.feeds import feed
from django_rooms.presence import claims


def call_often(interval):
    """The layer's deafness is noticed within so many seconds."""
    echo.INTERVAL, echo.PATIENCE = interval, interval / 2


def show_reads_of_entries(sender, connection, **kwargs):
    def show(execute, sql, params, many, context):
        if sql.startswith(("SELECT `django_rooms_entry`", 'SELECT "django_rooms_entry"')):
            print("READ of entries", file=sys.stderr)
        return execute(sql, params, many, context)

    connection.execute_wrappers.append(show)


def write_line(text):
    """At once, so that no other thread's words come in between, as they do into a print()."""
    os.write(sys.stderr.fileno(), f"{text}\n".encode())


def show_members(how):
    """Say whom the signals tell of; with "hang" never get further than the first one."""

    def show(kind, room, member, id):
        write_line(f"TOLD {kind} {room.name} {member.key} {id}")
        if how == "hang":
            threading.Event().wait()

    @receiver(signals.member_joined, weak=False)
    def joined(sender, room, member, id, **kwargs):
        show("joined", room, member, id)

    @receiver(signals.member_left, weak=False)
    def left(sender, room, member, id, **kwargs):
        show("left", room, member, id)


def show_records(record):
    """Say how many people each transaction records."""

    def shown(lease, wanted, **options):
        write_line(f"RECORDED {len(wanted)}")
        return record(lease, wanted, **options)

    return shown


def show_writes(sender, connection, **kwargs):
    def show(execute, sql, params, many, context):
        if not sql.startswith(("SELECT", "SET ", "PRAGMA")):
            write_line(f"WROTE {sql:.60}")
        return execute(sql, params, many, context)

    connection.execute_wrappers.append(show)


def sleep(seconds):
    """libfaketime 0.9.10 answers the call by which Python sleeps with EINVAL, unless it fakes monotonic time too."""
    threading.Event().wait(seconds)


if "FAKETIME" in os.environ:
    time.sleep = sleep
if "SERVER_CALLS" in os.environ:
    call_often(float(os.environ["SERVER_CALLS"]))
if "SERVER_GAP_WAIT" in os.environ:
    feed.GAP_WAIT = float(os.environ["SERVER_GAP_WAIT"])
if "SERVER_READS" in os.environ:
    connection_created.connect(show_reads_of_entries)
if "SERVER_TELLS" in os.environ:
    show_members(os.environ["SERVER_TELLS"])
if "SERVER_RECORDS" in os.environ:
    claims.record = show_records(claims.record)
if "SERVER_WRITES" in os.environ:
    connection_created.connect(show_writes)
