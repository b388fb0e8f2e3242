"""What goes wrong on the first evening is said by manage.py check."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from django_rooms import checks
from host.rooms import ClosedRoom


def ids(found):
    return [message.id.removeprefix("django_rooms.") for message in found]


def given(**rooms):
    return override_settings(DJANGO_ROOMS=rooms)


def test_the_hosts_project_has_nothing_to_complain_of():
    assert run_checks(tags=["django_rooms"]) == []


@pytest.mark.parametrize("odd", [None, [], "LOOK", 5])
def test_settings_that_are_no_dictionary_are_an_error(odd):
    with override_settings(DJANGO_ROOMS=odd):
        assert ids(run_checks(tags=["django_rooms"])) == ["E001"]


@pytest.mark.parametrize(("wrong", "near"), [("LOK", "LOOK"), ("look", "LOOK"), ("BODY_SIZE", "BODY_BYTES")])
def test_an_unknown_setting_is_an_error_that_names_the_nearest(wrong, near):
    with given(**{wrong: 1}):
        (error,) = checks.check_settings()
    assert (error.id, repr(wrong) in error.msg, repr(near) in error.hint) == ("django_rooms.E002", True, True)


def test_an_unknown_setting_that_is_near_to_nothing_lists_them_all():
    with override_settings(DJANGO_ROOMS={"ZZZ": 1, 7: 2}):
        found = checks.check_settings()
    assert ids(found) == ["E002", "E002"]
    assert all("MEMORY_BYTES" in error.hint for error in found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOOK", "2"),
        ("LOOK", 0),
        ("LOOK", -1.0),
        ("LOOK", float("nan")),
        ("LOOK", True),
        ("BODY_BYTES", 1.5),
        ("BODY_BYTES", 0),
        ("BODY_BYTES", None),
        ("FRAME_BYTES", True),
        ("DATABASE", None),
        ("AUTODISCOVER", 1),
        ("WEBSOCKET_PATH", b"/ws/"),
        ("LEASE", 0),
        ("GRACE", -1),
        ("GRACE", False),
        ("GRACE", float("nan")),
    ],
)
def test_a_setting_of_the_wrong_kind_is_an_error_with_the_bad_value_in_it(name, value):
    with given(**{name: value}):
        (error,) = checks.check_settings()
    assert (error.id, repr(value) in error.msg) == ("django_rooms.E003", True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOOK", 1), ("LOOK", 0.1), ("BODY_BYTES", 1), ("AUTODISCOVER", False), ("GRACE", 0), ("LEASE", 10)],
)
def test_a_setting_of_the_right_kind_is_none(name, value):
    with given(**{name: value}):
        assert checks.check_settings() == []


def test_a_lease_that_a_busy_server_outlives_is_warned_of():
    with given(LEASE=2):
        (warning,) = checks.check_settings()
    assert (warning.id, "is 2 s" in warning.msg) == ("django_rooms.W007", True)


def test_a_project_without_a_layer_is_warned():
    with override_settings(CHANNEL_LAYERS={}):
        (warning,) = checks.check_layer()
    assert (warning.id, "2 s" in warning.msg) == ("django_rooms.W001", True)


def test_a_layer_that_was_named_and_is_missing_is_an_error():
    with given(CHANNEL_LAYER="rooms"):
        (error,) = checks.check_layer()
    assert (error.id, "'rooms'" in error.msg) == ("django_rooms.E004", True)


@pytest.mark.parametrize(
    ("redis", "channels_redis", "found"), [("8.1.0", "4.3.0", ["W002"]), ("7.4.1", "4.3.0", []), ("8.1.0", "5.0.0", [])]
)
def test_a_redis_that_channels_redis_cannot_take_is_warned_of(monkeypatch, redis, channels_redis, found):
    monkeypatch.setattr(checks, "version", {"redis": redis, "channels-redis": channels_redis}.__getitem__)
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}):
        assert ids(checks.check_layer()) == found


def test_a_project_without_asgi_is_warned():
    with override_settings(ASGI_APPLICATION=None):
        assert ids(checks.check_server()) == ["W003"]


def test_runserver_without_daphne_is_warned_of_in_debug():
    with override_settings(DEBUG=True):
        assert ids(checks.check_server()) == ["W004"]


@pytest.mark.parametrize("app", ["django.contrib.sessions"])
def test_a_missing_app_is_warned_of(settings, app):
    with override_settings(INSTALLED_APPS=[name for name in settings.INSTALLED_APPS if name != app]):
        (warning,) = checks.check_server()
    assert (warning.id, app in warning.msg) == ("django_rooms.W005", True)


def test_a_database_that_is_missing_is_an_error():
    with given(DATABASE="rooms"):
        (error,) = checks.check_database()
    assert (error.id, "'rooms'" in error.msg) == ("django_rooms.E005", True)


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("/tmp/site.sqlite3", {}, ["W006"]),
        ("/tmp/site.sqlite3", {"transaction_mode": "DEFERRED"}, ["W006"]),
        ("/tmp/site.sqlite3", {"transaction_mode": None}, ["W006"]),
        ("/tmp/site.sqlite3", {"transaction_mode": "IMMEDIATE"}, []),
        ("/tmp/site.sqlite3", {"transaction_mode": "immediate"}, []),
        (":memory:", {}, []),
    ],
)
def test_sqlite_that_reads_before_it_writes_is_warned_of(monkeypatch, name, options, found):
    from django.db.backends.sqlite3.base import DatabaseWrapper

    wrapper = DatabaseWrapper({"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}, "default")
    monkeypatch.setattr(checks, "connections", {"default": wrapper})
    assert ids(checks.check_database()) == found


@pytest.mark.parametrize("wrong", [-1, True, False, 1.5, "100", timedelta(seconds=1)])
def test_a_room_class_that_names_an_odd_number_of_people_is_an_error(monkeypatch, wrong):
    monkeypatch.setattr(ClosedRoom, "presence_names", wrong)
    (error,) = checks.check_rooms()
    assert (error.id, error.obj) == ("django_rooms.E008", ClosedRoom)
    assert "ClosedRoom.presence_names must be 0 or a positive integer" in error.msg
    assert repr(wrong) in error.msg


@pytest.mark.parametrize("right", [None, 0, 1, 100])
def test_a_room_class_that_names_none_or_some_people_is_none(monkeypatch, right):
    monkeypatch.setattr(ClosedRoom, "presence_names", right)
    assert checks.check_rooms() == []
