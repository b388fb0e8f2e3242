"""What the figures are of: the machine, and the versions of what runs on it."""

import os
import platform
import sqlite3
from pathlib import Path

import psycopg
from redis import Redis


def machine(site):
    """As text, by name. Of the system no more than its kind: it is the same figures under another name of the host."""
    return {
        "cores": str(os.cpu_count()),
        "processor": processor(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "Python": platform.python_version(),
        "Redis": redis(site),
        "PostgreSQL": postgresql(site),
        "SQLite": sqlite3.sqlite_version,
    }


def processor(path=Path("/proc/cpuinfo")):
    """The model's name, as the kernel has it."""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == "model name"), platform.machine())


def redis(site):
    with Redis.from_url(site.redis_urls[0]) as client:
        return client.info("server")["redis_version"]


def postgresql(site):
    with psycopg.connect(site.postgresql_url) as connection:
        return str(connection.info.server_version // 10_000)
