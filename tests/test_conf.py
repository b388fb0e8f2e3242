"""Settings are read when they are asked for, and forgotten when a test changes them."""

import pytest
from django.test import override_settings

from django_rooms.conf import DEFAULTS, settings


def test_what_the_project_does_not_set_has_a_default():
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


def test_what_the_project_sets_is_read():
    with override_settings(DJANGO_ROOMS={"LOOK": 0.5}):
        assert settings.LOOK == 0.5
        assert DEFAULTS["BODY_BYTES"] == settings.BODY_BYTES
    assert DEFAULTS["LOOK"] == settings.LOOK


def test_a_project_without_the_dictionary_has_the_defaults():
    with override_settings():
        from django.conf import settings as django_settings

        if hasattr(django_settings, "DJANGO_ROOMS"):
            del django_settings.DJANGO_ROOMS
        assert settings.DATABASE == "default"


def test_a_setting_that_does_not_exist_is_an_error_that_lists_those_that_do():
    with pytest.raises(AttributeError, match=r"LOOKS.*DATABASE.*LOOK"):
        getattr(settings, "LOOKS")  # noqa: B009


def test_there_are_fewer_than_15_settings():
    assert len(DEFAULTS) < 15


@pytest.mark.parametrize("odd", [None, [], "LOOK", 5])
def test_what_is_no_dictionary_gives_the_defaults_until_the_checks_tell(odd):
    with override_settings(DJANGO_ROOMS=odd):
        assert DEFAULTS["LOOK"] == settings.LOOK
