"""`make chaos`, steered by SEED, SECONDS, CELLS and SABOTAGE; the programs are named by TEST_*."""

import asyncio
import os
import platform
import secrets
import shutil
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from chaos import stores, table
from chaos.cell import Result, run
from chaos.cells import chosen
from chaos.sabotage import SABOTAGES

# Where the report is written, and what the servers of a cell that failed have said.
REPORTS = Path(__file__).resolve().parents[2] / "build" / "chaos"
FINDINGS_SHOWN = 10


def main() -> int:
    seed = os.environ.get("SEED") or str(secrets.randbelow(10**6))
    seconds = float(os.environ.get("SECONDS") or 60)
    cells = chosen(os.environ.get("CELLS", ""))
    sabotage = os.environ.get("SABOTAGE") or None
    if sabotage is not None and sabotage not in SABOTAGES:
        sys.exit(f"There is no sabotage {sabotage!r}; there are {', '.join(SABOTAGES)}.")
    programs = {key: os.environ[variable] for key, variable in stores.PROGRAMS.items()}
    command = f"make chaos SEED={seed} SECONDS={seconds:g}" + "".join(
        f" {name}='{os.environ[name]}'" for name in ("CELLS", "SABOTAGE") if os.environ.get(name)
    )
    print(f"{len(cells)} cells of {seconds:g} s each. The same troubles again: {command}", flush=True)
    shutil.rmtree(REPORTS, ignore_errors=True)
    results = []
    for cell in cells:
        began = time.monotonic()
        print(f"── {cell.name} …", flush=True)
        with stores.home() as folder:
            result = asyncio.run(
                run(cell, seed=seed, seconds=seconds, folder=folder, programs=programs, sabotage=sabotage)
            )
            results.append(result)
            tell(result)
            if not result.holds:
                keep(folder, cell.name)
        print(f"── {cell.name}: {'holds' if result.holds else 'FAILED'}, {time.monotonic() - began:.0f} s", flush=True)
    print("", table.plain(table.verdicts(results)), "", table.plain(table.paths(results)), "", sep="\n", flush=True)
    write(command, results)
    return 0 if all(result.holds for result in results) else 1


def tell(result: Result) -> None:
    """What is wrong, in sentences."""
    for finding in result.findings[:FINDINGS_SHOWN]:
        print(f"   {finding.fault.value}: {finding.sentence}")
    if (more := len(result.findings) - FINDINGS_SHOWN) > 0:
        print(f"   … and {more} more")
    for path in result.never_taken:
        print(f"   never taken: {path.value}")
    if result.converged is None:
        print("   Not everybody had everything in the end.")


def keep(folder: Path, name: str) -> None:
    kept = REPORTS / name
    kept.mkdir(parents=True)
    for log in folder.glob("server-*.log"):
        shutil.copy(log, kept)
    print(f"   What the servers said is in {kept}")


def write(command: str, results: list[Result]) -> None:
    """The same as Markdown, with what it was made by."""
    packages = ("Django", "channels", "channels-redis", "redis", "uvicorn", "daphne", "websockets")
    made_by = ", ".join(f"{name} {version(name)}" for name in packages)
    when, cores = f"{datetime.now(UTC):%d %B %Y}", os.cpu_count()
    text = [
        f"`{command}`, {when}, {cores} cores: Python {platform.python_version()}, {made_by}.",
        table.markdown(table.verdicts(results)),
        table.markdown(table.paths(results)),
    ]
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / "report.md").write_text("\n\n".join(text) + "\n")
    print(f"As Markdown: {REPORTS / 'report.md'}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped; all that was started has ended.")
