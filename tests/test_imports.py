"""Half of all projects import the routing above get_asgi_application(): that may touch no model and no setting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import django_rooms

TESTS = Path(__file__).resolve().parent


def run(code, **variables):
    package = Path(django_rooms.__file__).resolve().parents[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "SERVER_"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": f"{TESTS}{os.pathsep}{package}", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


UNTOUCHED = """
import sys
import django_rooms, django_rooms.routing, django_rooms.consumers
from django_rooms import group_name
from django.apps import apps
from django.conf import settings
assert not apps.ready and not settings.configured
loaded = {name for name in sys.modules if name.endswith(".models")} - {"django.db.models", "django.forms.models"}
assert not loaded, loaded
assert "django_rooms.connection" not in sys.modules
print(group_name("orders/42"))
"""


def test_importing_the_package_its_routing_and_its_consumers_touches_no_model_and_no_setting():
    done = run(UNTOUCHED)
    assert (done.stdout, done.stderr) == ("rooms.orders.42\n", "")


def test_an_asgi_file_may_import_the_routing_first():
    done = run(
        "import host.asgi; from django.apps import apps; print(apps.ready)", DJANGO_SETTINGS_MODULE="host.settings"
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("name", django_rooms.__all__)
def test_what_the_package_offers_is_there(name):
    assert getattr(django_rooms, name) is not None


def test_what_the_package_does_not_offer_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'Channel'"):
        django_rooms.Channel  # noqa: B018
