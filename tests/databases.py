"""A Django database from a URL, without a dependency. A socket's path goes into ?host=, as libpq has it."""

from urllib.parse import parse_qs, unquote, urlsplit

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
}

# Read, then write in one atomic block, fails with "database is locked" in any other mode of SQLite.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def database(url):
    """`sqlite://:memory:`, `sqlite:////tmp/x.sqlite3`, `postgresql://user:password@host:port/name`, `mysql://…`."""
    scheme, _, rest = url.partition("://")
    if scheme not in ENGINES:
        raise ValueError(f"{url!r} is no database URL that the tests know; they know {', '.join(ENGINES)}.")
    if scheme == "sqlite":
        name = rest if rest == ":memory:" else rest[1:]
        return {"ENGINE": ENGINES[scheme], "NAME": name, "OPTIONS": dict(SQLITE_OPTIONS)}
    if scheme == "mysql":
        install_pymysql()
    parts = urlsplit(url)
    return {
        "ENGINE": ENGINES[scheme],
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parse_qs(parts.query).get("host", [parts.hostname or ""])[0],
        "PORT": str(parts.port or ""),
        "OPTIONS": {"charset": "utf8mb4"} if scheme == "mysql" else {},
    }


def install_pymysql():
    """mysqlclient has no wheel for Linux; PyMySQL stands in for it and passes Django's checks."""
    import pymysql

    pymysql.install_as_MySQLdb()
