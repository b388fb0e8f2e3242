"""What goes wrong on the first evening, said before it does."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.core.checks import register as register_check
from django.db import connections

from django_rooms.conf import DEFAULTS, settings
from django_rooms.registry import registrations
from django_rooms.rooms import Room

WANTED = {int: "a positive integer", float: "a positive number", bool: "True or False", str: "a string"}

# Without a grace a reload is a leave, which some may want.
MAY_BE_ZERO = {"GRACE"}

# Seconds. A heartbeat that failed is tried again after one, and its write may wait for a lock for two.
SHORTEST_LEASE = 10.0


def register() -> None:
    for check in (check_settings, check_layer, check_server, check_database, check_rooms):
        register_check(check, "django_rooms")


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    given = settings.given()
    if not isinstance(given, dict):
        return [Error("DJANGO_ROOMS must be a dictionary.", id="django_rooms.E001")]
    return list(_unknown(given)) + (list(_mistyped(given)) or list(_short_lease()))


def _unknown(given: dict[str, Any]) -> Iterator[CheckMessage]:
    for name in given.keys() - DEFAULTS.keys():
        near = get_close_matches(str(name).upper(), DEFAULTS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(DEFAULTS)}."
        yield Error(f"DJANGO_ROOMS has an unknown setting {name!r}.", hint=hint, id="django_rooms.E002")


def _mistyped(given: dict[str, Any]) -> Iterator[CheckMessage]:
    for name in given.keys() & DEFAULTS.keys():
        kind, value = type(DEFAULTS[name]), given[name]
        if not _fits(name, kind, value):
            wanted = "0 or a positive number" if name in MAY_BE_ZERO else WANTED[kind]
            yield Error(f"DJANGO_ROOMS[{name!r}] must be {wanted}, not {value!r}.", id="django_rooms.E003")


def _fits(name: str, kind: type, value: Any) -> bool:
    if kind in (bool, str):
        return isinstance(value, kind)
    number = isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
    return number and (value > 0 or (name in MAY_BE_ZERO and value == 0))


def _short_lease() -> Iterator[CheckMessage]:
    if settings.LEASE < SHORTEST_LEASE:
        yield Caution(
            f"DJANGO_ROOMS['LEASE'] is {settings.LEASE:g} s: a server that is busy for that long, or waits for its "
            "database, is taken for dead, and all its people have left and come again.",
            hint=f"{SHORTEST_LEASE:g} s or more; {DEFAULTS['LEASE']:g} s are the default.",
            id="django_rooms.W007",
        )


def check_layer(**kwargs: Any) -> list[CheckMessage]:
    layers = getattr(django_settings, "CHANNEL_LAYERS", {})
    alias = settings.CHANNEL_LAYER
    if alias in layers:
        return list(_old_redis(layers[alias].get("BACKEND", "")))
    if alias != DEFAULTS["CHANNEL_LAYER"]:
        return [
            Error(f"DJANGO_ROOMS['CHANNEL_LAYER'] is {alias!r}, which CHANNEL_LAYERS has not.", id="django_rooms.E004")
        ]
    return [
        Caution(
            f"There is no channel layer {alias!r}: with more than one server process, messages reach the others up to "
            f"{settings.LOOK:g} s late, and events do not.",
            hint="Add CHANNEL_LAYERS to your settings; for one process channels.layers.InMemoryChannelLayer is enough.",
            id="django_rooms.W001",
        )
    ]


def _old_redis(backend: str) -> Iterator[CheckMessage]:
    if backend.startswith("channels_redis."):
        try:
            installed = version("redis")
        except PackageNotFoundError:
            return
        if int(installed.split(".")[0]) >= 8 and int(version("channels-redis").split(".")[0]) <= 4:
            yield Caution(
                f"With redis {installed} the layers of channels_redis go deaf after a restart of Redis.",
                hint="pip install 'redis<8'",
                id="django_rooms.W002",
            )


def check_server(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not getattr(django_settings, "ASGI_APPLICATION", None):
        hint = "Set it to the dotted path of your ProtocolTypeRouter, such as 'mysite.asgi.application'."
        found.append(Caution("ASGI_APPLICATION is not set.", hint=hint, id="django_rooms.W003"))
    if django_settings.DEBUG and not apps.is_installed("daphne"):
        found.append(
            Caution(
                "runserver serves no WebSockets without daphne.",
                hint="Put 'daphne' first in INSTALLED_APPS, or serve with uvicorn (then silence this check).",
                id="django_rooms.W004",
            )
        )
    found += [
        Caution(
            f"{name} is not installed: people are told apart by its users and its sessions.",
            hint=f"Add {name!r} to INSTALLED_APPS.",
            id="django_rooms.W005",
        )
        for name in ("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions")
        if not apps.is_installed(name)
    ]
    return found


def check_database(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    alias = settings.DATABASE
    if alias not in django_settings.DATABASES:
        return [Error(f"DJANGO_ROOMS['DATABASE'] is {alias!r}, which DATABASES has not.", id="django_rooms.E005")]
    connection = connections[alias]
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]
        return []
    if (connection.settings_dict["OPTIONS"].get("transaction_mode") or "").upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        Caution(
            "SQLite without transaction_mode IMMEDIATE: requests that read and then write fail with “database is "
            "locked” when several write at once.",
            hint="In DATABASES: 'OPTIONS': {'transaction_mode': 'IMMEDIATE', 'timeout': 20, "
            "'init_command': 'PRAGMA journal_mode=WAL'}",
            id="django_rooms.W006",
        )
    ]


def check_rooms(**kwargs: Any) -> list[CheckMessage]:
    kinds = {item.room_class for item in registrations()}
    return [problem for kind in kinds for check in (_retention, _presence_names) for problem in check(kind)]


def _retention(kind: type[Room]) -> Iterator[CheckMessage]:
    name = f"{kind.__module__}.{kind.__name__}"
    age, count = kind.retention, kind.retention_entries
    if age is not None and not (isinstance(age, timedelta) and age > timedelta()):
        wanted = "a positive timedelta, or None to keep entries for ever"
        yield Error(f"{name}.retention must be {wanted}, not {age!r}.", obj=kind, id="django_rooms.E006")
    if count is not None and not (isinstance(count, int) and not isinstance(count, bool) and count > 0):
        wanted = "a positive integer, or None to keep all entries"
        yield Error(f"{name}.retention_entries must be {wanted}, not {count!r}.", obj=kind, id="django_rooms.E007")


def _presence_names(kind: type[Room]) -> Iterator[CheckMessage]:
    most = kind.presence_names
    if most is not None and not (isinstance(most, int) and not isinstance(most, bool) and most >= 0):
        wanted = "0 or a positive integer, or None where nobody shall know who is here"
        name = f"{kind.__module__}.{kind.__name__}.presence_names"
        yield Error(f"{name} must be {wanted}, not {most!r}.", obj=kind, id="django_rooms.E008")
