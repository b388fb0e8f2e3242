"""A database clock that a test moves, and an attendance of its own for each test."""

import pytest

from django_rooms.presence import clock


class Time:
    """Milliseconds, as the database has them."""

    now = 1_000_000

    def pass_(self, seconds):
        self.now += round(seconds * 1000)

    def __call__(self):
        """Seconds, as a process has them."""
        return self.now / 1000


@pytest.fixture
def time(monkeypatch):
    time = Time()
    monkeypatch.setattr(clock, "text", lambda: str(time.now))
    return time


@pytest.fixture(autouse=True)
def own_attendance(nobody_here):
    pass
