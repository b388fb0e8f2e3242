"""The tables: a row a room, a row an entry, and what was published in transactions that have just been committed.

There are no database constraints between them, and none to the host's tables: a host's open transaction that has
inserted a row must hold no lock that the writer waits for. Rooms and ids are keyed by digests (``names.py``), so that
no collation takes one for another. Only ``log/`` and ``upkeep/`` write here.
"""

from datetime import datetime
from typing import TypeVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_rooms.conf import settings
from django_rooms.protocol import entries
from django_rooms.protocol.entries import BLANK, Author, Kind

M = TypeVar("M", bound=models.Model)


def rows(model: type[M]) -> models.QuerySet[M]:
    """All rows of ``model``, in the database that is written: a replica is behind."""
    return model._base_manager.using(settings.DATABASE)


def now() -> datetime:
    """Now, as the project keeps its times, in the milliseconds that the wire has."""
    time = timezone.now()
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class RoomLog(models.Model):
    """A room that has a log. The row is made by the first publish, never by a join, a read or a refusal."""

    key = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(_("name"), max_length=255)
    epoch = models.CharField(_("epoch"), max_length=32, help_text=_("Changes when the log was lost or restored."))
    last_offset = models.BigIntegerField(_("last offset"), default=0)
    floor = models.BigIntegerField(_("floor"), default=0, help_text=_("Entries up to here were pruned."))
    created_at = models.DateTimeField(_("created at"))
    last_at = models.DateTimeField(_("last entry at"), db_index=True)

    class Meta:
        verbose_name = _("room")
        verbose_name_plural = _("rooms")

    def __str__(self) -> str:
        return self.name


class Said(models.Model):
    """What an entry says and who said it, before and after it has its place in the log."""

    room = models.UUIDField(_("room"), editable=False)
    kind = models.CharField(_("kind"), max_length=16, default=Kind.MESSAGE)
    target = models.BigIntegerField(_("target"), null=True, help_text=_("Offset of the message that this changes."))
    sender = models.CharField(_("sender"), max_length=255)
    entry_id = models.CharField(_("id"), max_length=64)
    author_key = models.CharField(_("author's key"), max_length=64, blank=True)
    author_name = models.CharField(_("author's name"), max_length=150, blank=True)
    body = models.TextField(_("body"))
    at = models.DateTimeField(_("at"))

    class Meta:
        abstract = True

    @property
    def author(self) -> Author | None:
        return Author(self.author_key, self.author_name) if self.author_key else None

    def as_entry(self, offset: int | None = None, changed: int | None = None) -> entries.Entry:
        at = self.at if timezone.is_aware(self.at) else timezone.make_aware(self.at)
        return entries.Entry(offset, self.kind, self.entry_id, self.author, at, self.body, changed, self.target)


class Entry(Said):
    offset = models.BigIntegerField(_("offset"))
    # Room, sender and id in one: the same thing sent again is found, on every database and for every script.
    key = models.UUIDField(unique=True, editable=False)
    changed = models.BigIntegerField(_("changed"), help_text=_("Offset of the last change."))

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        constraints = (models.UniqueConstraint(fields=("room", "offset"), name="django_rooms_entry_offset"),)

    def __str__(self) -> str:
        return f"{self.offset}: {self.body:.80}"

    @property
    def blank(self) -> bool:
        return self.body == BLANK

    def value(self) -> entries.Entry:
        return self.as_entry(self.offset, self.changed)


class PrunedId(models.Model):
    """What is left of a pruned entry for a while, so that the same thing sent again is still not stored twice."""

    # As in ``Entry``.
    key = models.UUIDField(primary_key=True, editable=False)
    offset = models.BigIntegerField(_("offset"))
    pruned_at = models.DateTimeField(_("pruned at"), db_index=True)

    class Meta:
        verbose_name = _("id of a pruned entry")
        verbose_name_plural = _("ids of pruned entries")

    def __str__(self) -> str:
        return f"{self.offset}: {self.key}"


class Pending(Said):
    """Published inside a host's transaction: seen by nobody before that commits, and numbered right after."""

    name = models.CharField(_("room's name"), max_length=255)

    class Meta:
        verbose_name = _("pending entry")
        verbose_name_plural = _("pending entries")
        indexes = (models.Index(fields=("room", "id"), name="django_rooms_pending_room"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.body:.80}"
