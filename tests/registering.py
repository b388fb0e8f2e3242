"""Other registrations for one test."""

from functools import lru_cache

from django_rooms import registry


def replace_registrations(monkeypatch, registrations=()):
    """From here on these are all that there are, and none is remembered of those that were found before."""
    monkeypatch.setattr(registry, "_registrations", dict(registrations))
    monkeypatch.setattr(registry, "_find", lru_cache(registry._find.__wrapped__))
