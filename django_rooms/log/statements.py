"""The statements of each publish and each look, by hand.

The ORM compiles its statements anew each time, with a parameter for each value: 340 µs of our CPU for a publish among
500 in 500 rooms, where these take 20. A list of keys is one parameter here, and so are the rows of a batch, which
PostgreSQL and MariaDB unfold. SQLite is but a function call away and is handed row by row. What happens seldom stays
with the ORM. This module does not know what an offset or a repeat is.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from django_rooms.conf import settings
from django_rooms.models import Entry, Pending, PrunedId, RoomLog

# The values of an entry's columns by their names, but for the time.
Row = dict[str, Any]

# In braces stand columns and tables, to be quoted; {log_by_key}, the rows of a table that have one of the keys in a
# list; and what each kind of database has words of its own for.
_TABLES: dict[str, type[Model]] = {"log": RoomLog, "entry": Entry, "pending": Pending, "pruned": PrunedId}
_LISTS = (("log", "key"), ("entry", "key"), ("pruned", "key"), ("pending", "room"))
_STATEMENTS = {
    "touch": "UPDATE {log} SET {last_offset} = {last_offset} WHERE {key} IN (SELECT value FROM json_each(%s))",
    "lock": "SELECT {name}, {epoch}, {last_offset}, {floor} FROM {log_by_key} {locking}",
    "unsettled": "SELECT DISTINCT {room}, 1 FROM {pending_by_room} UNION ALL SELECT {key}, 0 FROM {entry_by_key}",
    "stored": "SELECT {key} FROM {entry_by_key}",
    "pruned": "SELECT {key} FROM {pruned_by_key}",
    "waiting": "SELECT DISTINCT {room}, {name} FROM {pending_by_room}",
    "heads": (
        "SELECT {name}, {epoch}, {last_offset}, {floor} FROM {log_by_key} "
        "UNION ALL SELECT {name}, NULL, 0, 0 FROM (SELECT {name} FROM {pending_by_room} LIMIT 1) AS waiting"
    ),
    "move one": "UPDATE {log} SET {last_offset} = %(offset)s, {last_at} = %(at)s WHERE {key} = %(room)s",
    "insert one": "INSERT INTO {entry} ({columns}, {at}) VALUES ({values}, %(at)s)",
    "move": "{move}",
    "insert": "INSERT INTO {entry} ({columns}, {at}) SELECT {columns}, %(at)s FROM {given}",
}


@dataclass(frozen=True)
class Words:
    """How a kind of database says it."""

    by: str
    # Around a list of keys.
    brackets: str = "[]"
    # Rows are locked by what follows on their SELECT, or by an update before it.
    locking: str = ""
    touching: bool = False
    # Rows in one parameter, with columns of their types. Without these they are handed over one by one.
    given: str = ""
    column: str = ""
    types: dict[str, str] = field(default_factory=dict)
    text: str = ""
    move: str = ""
    # A way to send two statements in one, which spares a publish alone a sixth of its time.
    both: str = ""


_POSTGRESQL = Words(
    by="{table} WHERE {column} = ANY(%s::uuid[])",
    brackets="{}",
    # Without an order they would be locked as the plan finds them.
    locking="ORDER BY {key} FOR NO KEY UPDATE SKIP LOCKED",
    given="json_to_recordset(%(rows)s::json) AS given ({typed})",
    column="{quoted} {type}",
    types={"UUIDField": "uuid", "BigIntegerField": "bigint"},
    text="text",
    move=(
        "UPDATE {log} SET {last_offset} = ends.{offset}, {last_at} = %(at)s "
        "FROM json_to_recordset(%(ends)s::json) AS ends (room uuid, {offset} bigint) WHERE {key} = ends.room"
    ),
    both="WITH moved AS ({}) {}",
)

# For three keys in an IN it may read the whole of a small table, and locks what it reads (models.delete). In a join
# from the keys it reads their rows alone, in the order of the keys.
_MARIADB = Words(
    by=(
        "JSON_TABLE(%s, '$[*]' COLUMNS (wanted CHAR(32) PATH '$')) AS given "
        "STRAIGHT_JOIN {table} {forced} ON {column} = given.wanted"
    ),
    locking="FOR UPDATE SKIP LOCKED",
    given="JSON_TABLE(%(rows)s, '$[*]' COLUMNS ({typed})) AS given",
    column="{quoted} {type} PATH '$.{name}'",
    types={"UUIDField": "CHAR(32)", "BigIntegerField": "BIGINT"},
    text="LONGTEXT",
    move=(
        "UPDATE JSON_TABLE(%(ends)s, '$[*]' COLUMNS (room CHAR(32) PATH '$.room', {offset} BIGINT PATH '$.offset')) "
        "AS ends STRAIGHT_JOIN {log} FORCE INDEX (PRIMARY) ON {key} = ends.room "
        "SET {last_offset} = ends.{offset}, {last_at} = %(at)s"
    ),
)

# A transaction that reads and then writes finds the database locked, and waiting does not help it.
_SQLITE = Words(by="{table} WHERE {column} IN (SELECT value FROM json_each(%s))", touching=True)

_WORDS = {"postgresql": _POSTGRESQL, "mysql": _MARIADB, "sqlite": _SQLITE}


def lock(rooms: Iterable[UUID]) -> list[tuple[str, str, int, int]]:
    """Lock the rooms in the order of their keys, but for those that somebody holds.

    Of each its name, epoch, last offset and floor. Inside a transaction, as its first statement.
    """
    return _fetch("lock", sorted(rooms, key=attrgetter("int")))


def unsettled(rooms: Iterable[UUID], keys: Iterable[UUID]) -> tuple[set[UUID], set[UUID]]:
    """Those rooms in which something is pending, and those keys that an entry has."""
    found = _fetch("unsettled", rooms, keys)
    return {_uuid(room) for room, pending in found if pending}, {_uuid(key) for key, pending in found if not pending}


def stored(keys: Iterable[UUID]) -> set[UUID]:
    """Those keys that an entry has."""
    return {_uuid(key) for (key,) in _fetch("stored", keys)}


def pruned(keys: Iterable[UUID]) -> set[UUID]:
    """Those keys that an entry had which was pruned."""
    return {_uuid(key) for (key,) in _fetch("pruned", keys)}


def waiting(rooms: Iterable[UUID]) -> set[str]:
    """The names of those rooms in which something is pending."""
    return {name for _, name in _fetch("waiting", rooms)}


def heads(rooms: Sequence[UUID]) -> tuple[list[tuple[str, str, int, int]], bool]:
    """What :func:`lock` tells of rooms, unlocked; and whether something is pending in any of them."""
    found = _fetch("heads", rooms, rooms)
    ends = [row for row in found if row[1] is not None]
    return ends, len(ends) < len(found)


def write(rows: Sequence[Row], at: datetime) -> None:
    """Add entries, in each room in the order of their offsets, and have the rooms end with the last of them."""
    connection = _connection()
    time = connection.ops.adapt_datetimefield_value(at)
    ends = [{"room": room, "offset": last} for room, last in {row["room"]: row["offset"] for row in rows}.items()]
    if len(rows) == 1:
        _execute("write one", {**rows[0], "at": time})
    elif _WORDS[connection.vendor].given:
        _execute("write", {"rows": _encode(rows), "ends": _encode(ends), "at": time})
    else:
        with connection.cursor() as cursor:
            for sql, each in zip(_statements(connection.vendor)["write one"], (ends, rows), strict=True):
                cursor.executemany(sql, [{**row, "at": time} for row in each])


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _execute(what: str, parameters: Any) -> None:
    connection = _connection()
    with connection.cursor() as cursor:
        for sql in _statements(connection.vendor)[what]:
            cursor.execute(sql, parameters)


def _fetch(what: str, *lists: Iterable[UUID]) -> list[Any]:
    connection = _connection()
    brackets = _WORDS[connection.vendor].brackets
    parameters = [_list(keys, brackets) for keys in lists]
    with connection.cursor() as cursor:
        for sql in _statements(connection.vendor)[what]:
            cursor.execute(sql, parameters)
        return cursor.fetchall()


def _list(keys: Iterable[UUID], brackets: str) -> str:
    """Their hexadecimal digits: every database takes them, whether it keeps UUIDs as such or as characters."""
    texts = '","'.join([key.hex for key in keys])
    return f'{brackets[0]}"{texts}"{brackets[1]}' if texts else brackets


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _connection() -> BaseDatabaseWrapper:
    return connections[settings.DATABASE]


@cache
def _statements(vendor: str) -> dict[str, tuple[str, ...]]:
    """What is to be executed, one after the other, in the words of one kind of database."""
    words, names = _WORDS[vendor], _names(_WORDS[vendor])
    texts = {what: text.format(**names) for what, text in _STATEMENTS.items()}
    statements: dict[str, tuple[str, ...]] = {what: (text,) for what, text in texts.items()}
    if words.touching:
        statements["lock"] = (texts["touch"], texts["lock"])
    for each in ("", " one"):
        two = (texts[f"move{each}"], texts[f"insert{each}"])
        statements[f"write{each}"] = (words.both.format(*two),) if words.both else two
    return statements


def _names(words: Words) -> dict[str, str]:
    """What stands in braces."""
    quote = _connection().ops.quote_name
    fields = {field.name: field for model in _TABLES.values() for field in model._meta.concrete_fields}
    names = {name: quote(field.column or name) for name, field in fields.items()}
    names |= {name: quote(model._meta.db_table) for name, model in _TABLES.items()}
    for table, column in _LISTS:
        forced = "FORCE INDEX (PRIMARY)" if _TABLES[table]._meta.pk.name == column else ""
        names[f"{table}_by_{column}"] = words.by.format(table=names[table], column=names[column], forced=forced)
    columns = [name for name in (field.name for field in Entry._meta.concrete_fields) if name not in ("id", "at")]
    names["columns"] = ", ".join(names[name] for name in columns)
    names["values"] = ", ".join(f"%({name})s" for name in columns)
    kinds = {name: words.types.get(fields[name].get_internal_type(), words.text) for name in columns}
    names["typed"] = ", ".join(words.column.format(name=name, quoted=names[name], type=kinds[name]) for name in columns)
    own = {word: getattr(words, word).format(**names) for word in ("locking", "given", "move")}
    return {**names, **own}
