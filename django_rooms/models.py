"""The tables: a row a room, a row an entry, what was published in transactions that have just been committed; and who
is in the rooms.

There are no database constraints between them, and none to the host's tables: a host's open transaction that has
inserted a row must hold no lock that the writer waits for. Rooms and ids are keyed by digests (``names.py``), so that
no collation takes one for another. Only ``log/``, ``upkeep/`` and ``presence/`` write here.
"""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from django.db import connections, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_rooms.conf import settings
from django_rooms.protocol import entries
from django_rooms.protocol.entries import BLANK, Author, Kind

M = TypeVar("M", bound=models.Model)


def rows(model: type[M]) -> models.QuerySet[M]:
    """All rows of ``model``, in the database that is written: a replica is behind."""
    return model._base_manager.using(settings.DATABASE)


def lock(model: type[M], key: Any, touched: str) -> M | None:
    """The row with this key, locked, if there is one; waits for whoever holds it.

    Inside a transaction, as its first statement. ``touched`` is a column that is written as it is, on SQLite.
    """
    found = rows(model).filter(pk=key)
    features = connections[settings.DATABASE].features
    if features.has_select_for_update:
        return found.select_for_update(no_key=features.has_select_for_no_key_update).first()
    # SQLite: the first statement of the transaction must be a write. One that reads and then writes finds the
    # database locked, and waiting does not help it.
    found.update(**{touched: models.F(touched)})
    return found.first()


def delete(model: type[M], keys: Collection[Any]) -> None:
    """Delete the rows with these primary keys, without waiting for rows that somebody has not committed yet.

    MariaDB reads the whole of a small table for a ``DELETE … WHERE id IN (…)`` of three or more, even where an index is
    forced, and then waits for each row that another open transaction has inserted. In a join from the keys it reads
    those rows alone.
    """
    connection = connections[settings.DATABASE]
    key: Any = model._meta.pk
    if connection.vendor != "mysql":
        rows(model).filter(pk__in=keys).delete()
    elif keys:
        prepared = [key.get_db_prep_value(value, connection) for value in keys]
        kind = "CHAR(36)" if isinstance(key, models.UUIDField) else "BIGINT"
        column, table = (connection.ops.quote_name(name) for name in (key.column, model._meta.db_table))
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE old FROM JSON_TABLE(%s, '$[*]' COLUMNS (pk {kind} PATH '$')) AS wanted "
                f"STRAIGHT_JOIN {table} AS old FORCE INDEX (PRIMARY) WHERE old.{column} = wanted.pk",
                [json.dumps(prepared, default=str)],
            )


def now() -> datetime:
    """Now, as the project keeps its times, in the milliseconds that the wire has."""
    time = timezone.now()
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def aware(at: datetime) -> datetime:
    """A time of the project's, with the zone that it is in."""
    return at if timezone.is_aware(at) else timezone.make_aware(at)


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
        at = aware(self.at)
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


class Lease(models.Model):
    """How long a server process's people count as here without a sign of life of that process.

    The times of this table and of those below are the database's own, in milliseconds since 1970: the clocks of
    server processes may differ.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    expires_at = models.BigIntegerField(_("expires at"), db_index=True)

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return str(self.id)


class Occupied(models.Model):
    """A room that somebody is in. Who changes its members locks it first, and gives it another stamp."""

    key = models.UUIDField(primary_key=True, editable=False)
    stamp = models.UUIDField(default=uuid4, editable=False)

    class Meta:
        verbose_name = _("occupied room")
        verbose_name_plural = _("occupied rooms")

    def __str__(self) -> str:
        return str(self.key)


class Person(models.Model):
    """What others see of somebody in a room."""

    room = models.UUIDField(_("room"), editable=False)
    room_name = models.CharField(_("room's name"), max_length=255)
    person_key = models.CharField(_("key"), max_length=64)
    person_name = models.CharField(_("name"), max_length=150)
    info = models.TextField(_("info"), default="{}")
    # When they came.
    since = models.BigIntegerField(_("since"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.person_name} ({self.room_name})"

    @property
    def author(self) -> Author:
        return Author(self.person_key, self.person_name)


class Member(Person):
    """Somebody is in a room: the row is the claim that they joined, and its end the claim that they left."""

    # Of room and person.
    key = models.UUIDField(primary_key=True, editable=False)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        indexes = (models.Index(fields=("room", "since"), name="django_rooms_member_room"),)


class Presence(models.Model):
    """The connections that somebody has in a room to one server process."""

    # Of member and lease.
    key = models.UUIDField(primary_key=True, editable=False)
    room = models.UUIDField(_("room"), editable=False)
    member = models.UUIDField(_("member"), editable=False, db_index=True)
    lease = models.UUIDField(_("lease"), editable=False, db_index=True)
    connections = models.PositiveIntegerField(_("connections"))
    leaving = models.BigIntegerField(_("leaving"), null=True, db_index=True, help_text=_("When they will have left."))
    expelled = models.BooleanField(_("expelled"), default=False)

    class Meta:
        verbose_name = _("presence")
        verbose_name_plural = _("presences")

    def __str__(self) -> str:
        return f"{self.member}: {self.connections}"


class Announcement(Person):
    """That somebody has joined or left, from the claim until the host's handlers were called."""

    event_id = models.UUIDField(_("id"), editable=False)
    kind = models.CharField(_("kind"), max_length=8)
    at = models.BigIntegerField(_("at"))
    # Of the process that tells it.
    lease = models.UUIDField(_("lease"), editable=False, db_index=True)

    class Meta:
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")
