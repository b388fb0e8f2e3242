"""The blocks of code in a page of documentation, for tests that hold it to its word."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"(?:#|//|\{#) ([\w/]+\.\w+)(?:, (.*?))?(?: #\})?")


@dataclass(frozen=True)
class Block:
    """``path`` and ``note`` come from a first line like ``# mysite/settings.py, at the end``."""

    language: str
    text: str

    @property
    def path(self):
        return self._first_line[1] if self._first_line else None

    @property
    def note(self):
        return self._first_line[2] if self._first_line else None

    @property
    def commands(self):
        """What is typed at the prompts of a ``console`` block."""
        return [line.removeprefix("$ ").split("  #")[0].rstrip() for line in self.text.splitlines()]

    @property
    def _first_line(self):
        return _PATH.fullmatch(self.text.splitlines()[0])

    def put(self, folder):
        """Write it to its file below ``folder``, as somebody who follows the page would."""
        path = folder / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        before = f"{path.read_text()}\n\n" if self.note == "at the end" else ""
        path.write_text(before + self.text)


def page(name):
    return (ROOT / name).read_text()


def section(text, heading):
    """What stands under ``heading``, up to the next one of its level."""
    level = heading.split()[0]
    _, _, rest = text.partition(f"\n{heading}\n")
    return re.split(rf"^{level} ", rest, flags=re.MULTILINE)[0]


def blocks(text):
    return [Block(*found) for found in _FENCED.findall(text)]


def rows(text, heading):
    """The cells of the table whose first column is headed so, without its head."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table
