"""The database's own clock, in milliseconds since 1970: the one clock that all server processes share.

Not Django's ``Now()``, which MySQL gives in the time zone of the session. On PostgreSQL it is the time at which a
statement begins: the clock's own, ``clock_timestamp()``, changes while a statement runs, so no index serves it.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import connections
from django.db.models import BigIntegerField, Expression, Func

from django_rooms.conf import settings

_TEXTS = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS bigint)",
    "mysql": "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
}


class Now(Func):
    """The moment at which a statement runs, in UTC."""

    output_field = BigIntegerField()
    template = "%(moment)s"

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, *args, **context, moment=text())


def text() -> str:
    """The present moment, inside of a statement by hand."""
    return _TEXTS[connections[settings.DATABASE].vendor]


def now() -> Expression:
    """The present moment, inside of one of the ORM's."""
    return Now()


def read() -> int:
    """The present moment."""
    with connections[settings.DATABASE].cursor() as cursor:
        cursor.execute(f"SELECT {text()}")
        return int(cursor.fetchone()[0])


def moment(milliseconds: int) -> datetime:
    """What the clock has shown, as Python has it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
