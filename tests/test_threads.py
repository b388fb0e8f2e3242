"""Where database work runs: in threads of the rooms' own, and under a host's tests where the ORM runs."""

import subprocess
import sys
import threading

import pytest
import serving
from asgiref.sync import async_to_sync
from django.db import InterfaceError, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_rooms import threads
from django_rooms.threads import Threads, under_test, use_own_connection


@pytest.fixture
def outside_of_tests(monkeypatch):
    monkeypatch.setattr(threads, "under_test", lambda: False)


def plainly(function, *args):
    return function(*args)


async def test_work_runs_in_a_thread_of_the_rooms_own(outside_of_tests):
    name = await Threads("sawing", 1, plainly).run(lambda: threading.current_thread().name)
    assert name.startswith("django_rooms.sawing")


async def test_an_error_in_a_thread_is_the_callers(outside_of_tests):
    with pytest.raises(ZeroDivisionError):
        await Threads("sawing", 1, plainly).run(lambda: 1 / 0)


def test_under_a_hosts_tests_work_runs_on_the_tests_own_thread():
    ran_in = async_to_sync(threads.reading.run)(threading.current_thread)
    assert ran_in is threading.current_thread()


def test_a_test_is_told_from_a_server():
    assert under_test()
    code = "import django; django.setup(); from django_rooms.threads import under_test; print(under_test())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=serving.environment("sqlite://:memory:"), cwd=serving.TESTS, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.fixture
def no_connection(monkeypatch):
    monkeypatch.setattr(threads, "use_own_connection", lambda: None)


class Failing:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "read"


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_read_whose_connection_was_lost_is_read_again(no_connection, error):
    assert threads._reading(Failing(error("lost"))) == "read"


def test_a_read_is_not_tried_for_ever(no_connection):
    function = Failing(*[OperationalError("lost")] * 5)
    with pytest.raises(OperationalError):
        threads._reading(function)
    assert function.calls == 2


def test_a_read_that_fails_by_itself_is_not_tried_again(no_connection):
    function = Failing(ValueError("odd"))
    with pytest.raises(ValueError):
        threads._reading(function)
    assert function.calls == 1


def test_a_hosts_code_has_the_clean_up_of_django_around_it(monkeypatch):
    done = []
    monkeypatch.setattr(threads, "close_old_connections", lambda: done.append("clean"))
    assert threads._asking(done.append, "host") is None
    with pytest.raises(ZeroDivisionError):
        threads._asking(lambda: 1 / 0)
    assert done == ["clean", "host", "clean", "clean", "clean"]


ASK = {
    "postgresql": {
        "SHOW transaction_isolation": "read committed",
        "SHOW lock_timeout": "2s",
        "SHOW idle_in_transaction_session_timeout": "5s",
    },
    "mysql": {
        "SELECT @@tx_isolation": "READ-COMMITTED",
        "SELECT @@innodb_lock_wait_timeout": 2,
        "SELECT @@lock_wait_timeout": 2,
        "SELECT @@idle_transaction_timeout": 5,
    },
    "sqlite": {"SELECT 1": 1},
}


@pytest.mark.django_db(transaction=True)
def test_the_rooms_connection_lasts_and_gives_up_locks():
    found, before = [], connection.settings_dict

    def look():
        try:
            for _ in range(2):
                use_own_connection()
                mine = connections["default"]
                found.append((id(mine.connection), mine.settings_dict["CONN_MAX_AGE"]))
            with mine.cursor() as cursor:
                for question in ASK[mine.vendor]:
                    cursor.execute(question)
                    found.append(cursor.fetchone()[0])
        finally:
            BaseDatabaseWrapper.close(connections["default"])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found[0] == found[1]
    assert found[0][1] is None
    assert found[2:] == list(ASK[connection.vendor].values())
    assert connection.settings_dict is before
    assert before["CONN_MAX_AGE"] == 0


# What a host may have set for its own connections, and what must hold on ours all the same.
ODD_OPTIONS = {"postgresql": {"isolation_level": 4}, "mysql": {"isolation_level": "serializable"}, "sqlite": {}}
ISOLATION = {
    "postgresql": ("SHOW transaction_isolation", "read committed"),
    "mysql": ("SELECT @@tx_isolation", "READ-COMMITTED"),
    "sqlite": ("SELECT 1", 1),
}


@pytest.mark.django_db(transaction=True)
def test_what_a_host_set_for_its_own_connections_does_not_change_the_rooms(monkeypatch):
    host = connections.settings["default"]
    options = {**host["OPTIONS"], **ODD_OPTIONS[connection.vendor]}
    monkeypatch.setitem(host, "AUTOCOMMIT", False)
    monkeypatch.setitem(host, "OPTIONS", options)
    found = []

    def look():
        try:
            use_own_connection()
            mine = connections["default"]
            found.append(mine.autocommit)
            with transaction.atomic(), mine.cursor() as cursor:
                question, _ = ISOLATION[mine.vendor]
                cursor.execute(question)
                found.append(cursor.fetchone()[0])
        finally:
            BaseDatabaseWrapper.close(connections["default"])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [True, ISOLATION[connection.vendor][1]]
    assert (host["AUTOCOMMIT"], host["OPTIONS"]) == (False, options)


class Wrapper:
    """A connection that is open already, as far as ``use_own_connection`` looks at one."""

    connection, closed = object(), 0

    def __init__(self, **settings):
        self.settings_dict = {"OPTIONS": {}, **settings}

    def close_if_unusable_or_obsolete(self):
        self.closed += 1


def test_the_settings_of_a_hosts_connection_are_ours_where_it_matters(monkeypatch):
    options = {"isolation_level": "serializable", "pool": True, "charset": "utf8mb4"}
    given = {"AUTOCOMMIT": False, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True, "OPTIONS": options, "NAME": "shop"}
    wrapper = Wrapper(**given)
    monkeypatch.setattr(threads, "connections", {"default": wrapper})
    use_own_connection()
    assert wrapper.settings_dict == {
        "AUTOCOMMIT": True,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {"charset": "utf8mb4"},
        "NAME": "shop",
    }
    assert wrapper.closed == 1
    assert options == {"isolation_level": "serializable", "pool": True, "charset": "utf8mb4"}
