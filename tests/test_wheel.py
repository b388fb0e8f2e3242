"""The suite tests what people install: the wheel, whole, and nothing of the checkout."""

import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

import django_rooms

pytestmark = pytest.mark.wheel

INSTALLED = [str(path) for path in distribution("django-rooms").files]


def test_the_package_under_test_is_the_installed_one():
    assert Path(django_rooms.__file__).is_relative_to(sysconfig.get_path("purelib"))


@pytest.mark.parametrize(
    "start",
    [
        "django_rooms/templates/django_rooms/",
        "django_rooms/static/django_rooms/",
        "django_rooms/locale/de/LC_MESSAGES/",
        "django_rooms/migrations/0001_",
        "django_rooms/py.typed",
    ],
)
def test_the_wheel_holds(start):
    assert [path for path in INSTALLED if path.startswith(start)]


def test_the_wheel_holds_the_package_and_its_metadata_alone():
    assert {path.split("/")[0].partition("-")[0] for path in INSTALLED} == {"django_rooms"}


def test_the_version_and_the_licence_are_in_the_metadata():
    metadata = distribution("django-rooms").metadata
    assert metadata["Version"] == django_rooms.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert any(path.endswith("licenses/LICENSE") for path in INSTALLED)
