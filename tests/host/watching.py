"""What a server process is told to show of itself, for tests of what goes on inside. Imported by asgi.py."""

import os
import sys

from django.db.backends.signals import connection_created

from django_rooms.doorbell import echo
from django_rooms.feeds import feed


def call_often(interval):
    """The layer's deafness is noticed within so many seconds."""
    echo.INTERVAL, echo.PATIENCE = interval, interval / 2


def show_reads_of_entries(sender, connection, **kwargs):
    def show(execute, sql, params, many, context):
        if sql.startswith(("SELECT `django_rooms_entry`", 'SELECT "django_rooms_entry"')):
            print("READ of entries", file=sys.stderr)
        return execute(sql, params, many, context)

    connection.execute_wrappers.append(show)


if "SERVER_CALLS" in os.environ:
    call_often(float(os.environ["SERVER_CALLS"]))
if "SERVER_GAP_WAIT" in os.environ:
    feed.GAP_WAIT = float(os.environ["SERVER_GAP_WAIT"])
if "SERVER_READS" in os.environ:
    connection_created.connect(show_reads_of_entries)
