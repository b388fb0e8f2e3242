"""Leases: how long the people of a server process count as here without a sign of life of that process."""

from uuid import UUID

from django.db import transaction
from django.db.models import BigIntegerField, ExpressionWrapper, Q, QuerySet

from django_rooms import models
from django_rooms.conf import settings
from django_rooms.models import Announcement, Lease, Presence, rows
from django_rooms.presence import clock

# How long one that has run out is kept: longer than any transaction that may still record somebody under it.
KEPT = 3600.0


def take(lease: UUID) -> None:
    """Begin to be alive. A lease that was had before is not taken again: whoever lost one takes another."""
    rows(Lease).create(id=lease, expires_at=_in(settings.LEASE))


def renew(lease: UUID, seconds: float | None = None) -> bool:
    """A sign of life; ``False``: too late, the lease has run out, and others act on that.

    ``seconds``: how long it shall be good for, if not as long as always.
    """
    with transaction.atomic(using=settings.DATABASE):
        # The clock stands still in a statement that has to wait, so it is another one that does.
        before = models.lock(Lease, lease, "expires_at")
        own = alive().filter(id=lease)
        renewed = own.update(expires_at=_in(settings.LEASE if seconds is None else seconds))
    # Until it was committed others saw it as it was before: this process may have been stopped in between.
    return bool(renewed) and before is not None and clock.read() < before.expires_at


def alive() -> QuerySet[Lease]:
    return rows(Lease).filter(expires_at__gt=clock.now())


def expired() -> QuerySet[Lease]:
    return rows(Lease).filter(expires_at__lte=clock.now())


def counting() -> QuerySet[Presence]:
    """The presences whose time is not over, nor that of their process."""
    staying = Q(leaving=None) | Q(leaving__gt=clock.now())
    return rows(Presence).filter(staying, lease__in=alive().values("id"))


def forget() -> None:
    """Delete the leases that nobody can have anything under any more."""
    old = set(rows(Lease).filter(expires_at__lte=_in(-KEPT)).values_list("id", flat=True)[:100])
    for model in (Presence, Announcement):
        old -= set(rows(model).filter(lease__in=old).values_list("lease", flat=True)) if old else set()
    models.delete(Lease, list(old))


def _in(seconds: float) -> ExpressionWrapper:
    return ExpressionWrapper(clock.now() + clock.milliseconds(seconds), output_field=BigIntegerField())
