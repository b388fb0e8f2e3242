"""Where database work runs: in threads of the rooms' own, and under a host's tests where the ORM runs."""

import subprocess
import sys
import threading

import pytest
import serving
from asgiref.sync import async_to_sync
from django.db import InterfaceError, OperationalError, connection, connections
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
