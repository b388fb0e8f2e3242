"""The database's own clock, in milliseconds since 1970: the one clock that all server processes share.

Not Django's ``Now()``, which MySQL gives in the time zone of the session. On PostgreSQL it is the time at which a
statement begins: the clock's own, ``clock_timestamp()``, changes while a statement runs, so no index serves it.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import connections
from django.db.models import BigIntegerField, Expression, Func
from django.db.models.sql import Query

from django_rooms.conf import settings


class Now(Func):
    """The moment at which a statement runs, in UTC."""

    output_field = BigIntegerField()
    template = "(%(moment)s)"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        moment = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
        return super().as_sql(compiler, connection, moment=moment, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        moment = "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS bigint)"
        return super().as_sql(compiler, connection, moment=moment, **context)

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        moment = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000"
        return super().as_sql(compiler, connection, moment=moment, **context)


def now() -> Expression:
    """The present moment, inside of another statement."""
    return Now()


def read() -> int:
    """The present moment."""
    sql, params = Query(None).get_compiler(settings.DATABASE).compile(now())
    with connections[settings.DATABASE].cursor() as cursor:
        cursor.execute(f"SELECT {sql}", params)
        return int(cursor.fetchone()[0])


def moment(milliseconds: int) -> datetime:
    """What the clock has shown, as Python has it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
