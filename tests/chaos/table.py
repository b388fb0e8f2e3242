"""The tables: a line for each cell, as plain text and as Markdown."""

from collections.abc import Sequence

from chaos.cell import Result
from chaos.cells import Path
from chaos.verdict import Fault


def verdicts(results: Sequence[Result]) -> list[list[str]]:
    """What was promised and what came of it."""
    head = ["database", "layer", "published", "acked", "delivered", *(fault.value for fault in Fault), "seconds"]
    return [head, *([*_names(result), *_numbers(result)] for result in results)]


def paths(results: Sequence[Result]) -> list[list[str]]:
    """How often each path was taken; ``–`` where it cannot be."""
    head = ["database", "layer", *(path.value for path in Path)]
    return [head, *([*_names(result), *(_taken(result, path) for path in Path)] for result in results)]


def plain(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(row, widths)).rstrip() for row in rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    rule = ["---" if place < NAMES else "---:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rest])


# The columns that are words.
NAMES = 2


def _names(result: Result) -> list[str]:
    layers = {"memory": "in-memory, separate", "core": "core, capacity 1", "pubsub": "pub/sub"}
    databases = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
    return [databases[result.cell.database], layers[result.cell.layer]]


def _numbers(result: Result) -> list[str]:
    amounts = [result.published, result.acked, result.delivered, *result.faults.values()]
    seconds = "never" if result.converged is None else f"{result.converged:.1f}"
    return [*(f"{amount:,}" for amount in amounts), seconds]


def _taken(result: Result, path: Path) -> str:
    return f"{result.taken[path]:,}" if path in result.cell.paths else "–"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = zip(row, widths, strict=True)
    return [text.ljust(width) if place < NAMES else text.rjust(width) for place, (text, width) in enumerate(cells)]
