"""Where database work runs.

Channels has one thread for all of a process's ORM calls, and one slow call of the host's stalls them all. The rooms'
own work has threads of its own, with connections of their own. Under a host's tests there is but one connection that
sees the test's transaction, so there it runs where the ORM runs.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, InternalError, OperationalError, close_old_connections, connections

from django_rooms.conf import settings

T = TypeVar("T")

# What may succeed the next time: a lost connection, a deadlock, a lock that was not had in time. PostgreSQL calls it an
# internal error when it has ended the transaction of a process that was stopped.
PASSING = (OperationalError, InterfaceError, InternalError)

# A room that a stopped process holds is free again after 5 s; each try waits for 2 s.
TRIES = 4

# PostgreSQL's and MariaDB's ways to say: read what is committed now; give up a lock after 2 s; and should this process
# be stopped inside a transaction, let the server take its locks away after 5 s.
_SESSION = {
    "PostgreSQL": [
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET lock_timeout = '2s'",
        "SET idle_in_transaction_session_timeout = '5s'",
    ],
    "MariaDB": [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION innodb_lock_wait_timeout = 2",
        "SET SESSION lock_wait_timeout = 2",
        "SET SESSION idle_transaction_timeout = 5",
    ],
}


def under_test() -> bool:
    """Whether Django's test environment is set up in this process."""
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


def use_own_connection() -> None:
    """Make the current thread's connection a lasting one of our own. Call before each piece of work."""
    connection = connections[settings.DATABASE]
    given = connection.settings_dict["OPTIONS"]
    options = {key: value for key, value in given.items() if key not in ("pool", "isolation_level")}
    # No health checks: they would reconnect behind our back, and the new connection would lack what is set here.
    lasting = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False, "AUTOCOMMIT": True, "OPTIONS": options}
    connection.settings_dict = {**connection.settings_dict, **lasting}
    connection.close_if_unusable_or_obsolete()
    if connection.connection is None:
        with connection.cursor() as cursor:
            for statement in _SESSION.get(connection.display_name, ()):
                cursor.execute(statement)


def _reading(function: Callable[..., T], *args: Any) -> T:
    """A connection may have been lost since the last read; a read may be done twice."""
    for _ in range(2):
        try:
            use_own_connection()
            return function(*args)
        except (OperationalError, InterfaceError) as error:
            lost = error
    raise lost


def _asking(function: Callable[..., T], *args: Any) -> T:
    """The host's code, with the clean-up that Channels and Django give it."""
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


def apart(function: Callable[..., T], *args: Any) -> T:
    """Run ``function`` on a thread and connection of its own, and wait: not in whatever transaction the caller has."""
    if under_test():
        return function(*args)
    with ThreadPoolExecutor(1, thread_name_prefix="django_rooms.apart") as pool:
        return pool.submit(_apart, function, *args).result()


def apart_patiently(function: Callable[..., T], *args: Any) -> T:
    """:func:`apart`, and again while what fails may succeed the next time."""
    for _ in range(TRIES - 1):
        try:
            return apart(function, *args)
        except PASSING:
            continue
    return apart(function, *args)


def _apart(function: Callable[..., T], *args: Any) -> T:
    use_own_connection()
    try:
        return function(*args)
    finally:
        connections[settings.DATABASE].close()


class Threads:
    """A few threads for one kind of work. ``await threads.run(function, *args)``."""

    def __init__(self, name: str, size: int, work: Callable[..., Any]) -> None:
        self._name = name
        self._size = size
        self._work = work
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)

    def _start_over(self) -> None:
        """A forked child has none of its parent's threads."""
        self._pool = ThreadPoolExecutor(self._size, thread_name_prefix=f"django_rooms.{self._name}")

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        if under_test():
            return await sync_to_async(function, thread_sensitive=True)(*args)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._work, function, *args)

    def wait(self, function: Callable[..., T], *args: Any) -> T:
        """:meth:`run`, from a thread that may wait."""
        return function(*args) if under_test() else self._pool.submit(self._work, function, *args).result()


# The rooms' reads of the log.
reading = Threads("reading", 2, _reading)

# The host's policies and lookups, beside each other: one slow query of a host stalls no other room.
asking = Threads("asking", 4, _asking)
