"""The statements of ``statements.py`` as texts, in the words of three databases."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connections
from django.db.models import Model

from django_rooms.conf import settings
from django_rooms.models import Announcement, Lease, Member, Occupied, Presence
from django_rooms.presence import clock

# What is written of rows: a table, and the columns that a row has. Of those that are changed it has the key first.
_INSERTS = {
    "save": (Presence, ("key", "room", "member", "lease", "connections", "leaving", "expelled")),
    "join": (Member, ("key", "room", "room_name", "person_key", "person_name", "info", "since")),
    "announce": (
        Announcement,
        ("event_id", "kind", "at", "lease", "room", "room_name", "person_key", "person_name", "info", "since"),
    ),
}
_UPDATES = {
    "let leave": (Presence, ("key", "connections", "leaving")),
    "rename": (Member, ("key", "person_name", "info")),
}

# In braces stand tables and columns, to be quoted; {keys}, a list that was given, each ``wanted`` with its ``number``
# from 1, by which is told what was found of it; what databases have words of their own for; and {now}, the clock.
_STATEMENTS = {
    "occupied": "SELECT number FROM {keys} {join} {Occupied} AS o ON o.{key} = wanted",
    "occupy": (
        "INSERT {ignoring} INTO {Occupied} ({key}, {stamp}) SELECT wanted, {stamp_given} FROM {keys} {or_nothing}"
    ),
    "begin": "UPDATE {Occupied} SET {stamp} = {stamp} WHERE 1 = 0",
    "lock": "SELECT number FROM {keys} {join} {Occupied} AS o {forced} ON o.{key} = wanted {locking}",
    "before": (
        "SELECT number, m.{person_name}, m.{info}, CASE WHEN {counts} THEN 1 ELSE 0 END "
        "FROM {keys} {join} {Member} AS m ON m.{key} = wanted UNION ALL SELECT 0, NULL, NULL, {now} FROM {alive}"
    ),
    "due": "SELECT DISTINCT {room} FROM {due} LIMIT %(most)s",
    "over": (
        "SELECT * FROM (SELECT {key}, {member}, 0 FROM {keys} {join} {due} ON {room} = wanted LIMIT %(most)s) AS found "
        "UNION ALL SELECT NULL, NULL, {now} FROM {alive}"
    ),
    "left": (
        "SELECT m.{key}, m.{room}, m.{room_name}, m.{person_key}, m.{person_name}, m.{info}, m.{since} "
        "FROM {keys} {join} {Member} AS m ON m.{key} = wanted "
        "WHERE NOT EXISTS (SELECT 1 FROM {Presence} AS p WHERE p.{member} = m.{key})"
    ),
    "vacant": (
        "SELECT number FROM {keys} {join} {Occupied} AS o ON o.{key} = wanted "
        "WHERE NOT EXISTS (SELECT 1 FROM {Member} AS m WHERE m.{room} = o.{key})"
    ),
    "soonest": (
        "SELECT (SELECT MIN({leaving}) FROM {Presence}) - {now}, "
        "(SELECT MIN({expires_at}) FROM {Lease} WHERE {expires_at} > {now}) - {now}"
    ),
    "stamps": "SELECT number, {stamp_told} FROM {keys} {join} {Occupied} AS o ON o.{key} = wanted",
    "rooms": (
        "SELECT number, NULL, COUNT(*) FROM {keys} {join} {Member} AS m ON m.{room} = wanted {such} GROUP BY number "
        "UNION ALL SELECT number, {stamp_told}, 0 FROM {keys} {join} {Occupied} AS o ON o.{key} = wanted "
        "UNION ALL SELECT 0, NULL, 1 FROM (SELECT 1) AS one WHERE EXISTS "
        "(SELECT 1 FROM {Presence} AS p WHERE p.{lease} = {lease_given} AND p.{expelled})"
    ),
    "members": (
        "SELECT number, m.{person_key}, m.{person_name}, m.{info} "
        "FROM {keys} {join} {Member} AS m ON m.{room} = wanted {such} ORDER BY m.{since}, m.{key}"
    ),
}

# Some connections of the member m count: their time is not over, nor that of their process.
_COUNTS = (
    "EXISTS (SELECT 1 FROM {Presence} AS p JOIN {Lease} AS l ON l.{id} = p.{lease} WHERE p.{member} = m.{key} "
    "AND l.{expires_at} > {now} AND (p.{leaving} IS NULL OR p.{leaving} > {now}))"
)

# Of those whose time is over, or whose process gave no sign of life for too long. No index would find an OR of both.
_DUE = (
    "(SELECT p.{key}, p.{member}, p.{room} FROM {Presence} AS p WHERE p.{leaving} <= {now} "
    "UNION SELECT p.{key}, p.{member}, p.{room} FROM {Lease} AS l JOIN {Presence} AS p ON p.{lease} = l.{id} "
    "WHERE l.{expires_at} <= {now}) AS due"
)


@dataclass(frozen=True)
class Words:
    """How a kind of database says it."""

    keys: str
    uuid: str
    types: tuple[str, str, str, str]
    insert: str
    update: str
    # What ``update`` does to each column.
    change: str
    stamp: str
    remove: str
    upsert: str
    # A stamp that is read: to be compared, and for nothing else. psycopg would make a UUID of each, in Python.
    stamp_told: str = "o.{stamp}"
    # Reads the list first.
    join: str = "JOIN"
    forced: str = ""
    locking: str = ""
    ignoring: str = ""
    or_nothing: str = ""
    # A column in rows, and around a list of keys. Without the first, rows are written one by one.
    column: str = ""
    brackets: tuple[str, str] = ("[", "]")


_POSTGRESQL = Words(
    keys="unnest(%(keys)s::uuid[]) WITH ORDINALITY AS given (wanted, number)",
    uuid="{}::uuid",
    types=("uuid", "bigint", "boolean", "text"),
    insert=(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM json_to_recordset(%(rows)s::json) AS said ({typed})"
    ),
    update=(
        "UPDATE {table} AS old SET {changes} FROM json_to_recordset(%(rows)s::json) AS said ({typed}) "
        "WHERE old.{key} = said.{key}"
    ),
    change="{column} = said.{column}",
    stamp="UPDATE {Occupied} SET {stamp} = {stamp_given} WHERE {key} = ANY(%(keys)s::uuid[])",
    remove="DELETE FROM {table} WHERE {key} = ANY(%(keys)s::uuid[])",
    upsert="ON CONFLICT ({key}) DO UPDATE SET {connections} = EXCLUDED.{connections}, {leaving} = EXCLUDED.{leaving}",
    # Without an order they would be locked as the plan finds them.
    locking="ORDER BY o.{key} FOR NO KEY UPDATE OF o SKIP LOCKED",
    stamp_told="CAST(o.{stamp} AS text)",
    or_nothing="ON CONFLICT DO NOTHING",
    column="{column} {type}",
    brackets=("{", "}"),
)

# For three keys in an IN it may read the whole of a small table, and lock what it reads (models.delete). In a join from
# the keys it reads their rows alone, in the order of the keys.
_MARIADB = Words(
    keys="JSON_TABLE(%(keys)s, '$[*]' COLUMNS (number FOR ORDINALITY, wanted CHAR(32) PATH '$')) AS given",
    uuid="{}",
    types=("CHAR(32)", "BIGINT", "TINYINT", "LONGTEXT"),
    insert=(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM JSON_TABLE(%(rows)s, '$[*]' COLUMNS ({typed})) AS said"
    ),
    update=(
        "UPDATE JSON_TABLE(%(rows)s, '$[*]' COLUMNS ({typed})) AS said "
        "STRAIGHT_JOIN {table} AS old FORCE INDEX (PRIMARY) ON old.{key} = said.{key} SET {changes}"
    ),
    change="old.{column} = said.{column}",
    stamp=(
        "UPDATE {keys} STRAIGHT_JOIN {Occupied} AS o FORCE INDEX (PRIMARY) ON o.{key} = wanted "
        "SET o.{stamp} = {stamp_given}"
    ),
    remove="DELETE old FROM {keys} STRAIGHT_JOIN {table} AS old FORCE INDEX (PRIMARY) WHERE old.{key} = wanted",
    upsert="ON DUPLICATE KEY UPDATE {connections} = VALUES({connections}), {leaving} = VALUES({leaving})",
    join="STRAIGHT_JOIN",
    forced="FORCE INDEX (PRIMARY)",
    locking="FOR UPDATE SKIP LOCKED",
    ignoring="IGNORE",
    column="{column} {type} PATH '$.{name}'",
)

_SQLITE = Words(
    keys="(SELECT value AS wanted, key + 1 AS number FROM json_each(%(keys)s)) AS given",
    uuid="{}",
    types=("", "", "", ""),
    insert="INSERT INTO {table} ({columns}) VALUES ({places})",
    update="UPDATE {table} SET {changes} WHERE {key} = %(key)s",
    change="{column} = %({name})s",
    stamp="UPDATE {Occupied} SET {stamp} = {stamp_given} WHERE {key} IN (SELECT value FROM json_each(%(keys)s))",
    remove="DELETE FROM {table} WHERE {key} IN (SELECT value FROM json_each(%(keys)s))",
    upsert=_POSTGRESQL.upsert,
    join="CROSS JOIN",
    ignoring="OR IGNORE",
)

_WORDS = {"postgresql": _POSTGRESQL, "mysql": _MARIADB, "sqlite": _SQLITE}


def words() -> Words:
    return _WORDS[_vendor()]


def text(what: str) -> str:
    return _texts(_vendor())[what].replace("{now}", clock.text())


def _vendor() -> str:
    return connections[settings.DATABASE].vendor


@cache
def _texts(vendor: str) -> dict[str, str]:
    """All of them, in the words of one kind of database."""
    words, quote = _WORDS[vendor], connections[settings.DATABASE].ops.quote_name
    models: tuple[type[Model], ...] = (Announcement, Lease, Member, Occupied, Presence)
    names = {model.__name__: quote(model._meta.db_table) for model in models}
    names |= {
        field.name: quote(field.column or field.name) for model in models for field in model._meta.concrete_fields
    }
    names |= {"now": "{now}", "keys": words.keys, "join": words.join, "forced": words.forced}
    names |= {f"{it}_given": words.uuid.format(f"%({it})s") for it in ("lease", "stamp")}
    names |= {"ignoring": words.ignoring, "or_nothing": words.or_nothing, "locking": words.locking.format(**names)}
    names["stamp_told"] = words.stamp_told.format(**names)
    names["alive"] = "{Lease} WHERE {id} = {lease_given} AND {expires_at} > {now}".format(**names)
    names |= {"counts": _COUNTS.format(**names), "due": _DUE.format(**names)}
    surely = {**names, "such": f"WHERE {names['counts']}"}
    made = {what: text.format(**names, such="") for what, text in _STATEMENTS.items()}
    made |= {f"{what}, surely": _STATEMENTS[what].format(**surely) for what in ("rooms", "members")}
    made |= {what: _of_rows(words, words.insert, names, *of) for what, of in _INSERTS.items()}
    made |= {what: _of_rows(words, words.update, names, *of) for what, of in _UPDATES.items()}
    made["save"] += " " + words.upsert.format(**names)
    made["stamp"] = words.stamp.format(**names)
    removed = {"presences": "Presence", "members": "Member", "rooms": "Occupied"}
    made |= {f"remove {what}": words.remove.format(**names, table=names[table]) for what, table in removed.items()}
    return made


def _of_rows(words: Words, text: str, names: dict[str, str], model: type[Model], columns: tuple[str, ...]) -> str:
    fields = [(name, names[name], _type(words, model._meta.get_field(name))) for name in columns]
    said = {
        "columns": ", ".join(column for _, column, _ in fields),
        "places": ", ".join(f"%({name})s" for name in columns),
        "typed": ", ".join(words.column.format(column=column, type=kind, name=name) for name, column, kind in fields),
        "changes": ", ".join(words.change.format(column=column, name=name) for name, column, _ in fields[1:]),
    }
    return text.format(**names, **said, table=names[model.__name__])


def _type(words: Words, field: Any) -> str:
    uuid, integer, boolean, text = words.types
    integers = ("BigIntegerField", "PositiveIntegerField")
    kinds = {"UUIDField": uuid, "BooleanField": boolean, **dict.fromkeys(integers, integer)}
    return kinds.get(field.get_internal_type(), text)
