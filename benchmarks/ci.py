"""The scripts of .ci/ that the bench shares with the tests: they find programs, start services, and end both."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / ".ci"))

import needs  # noqa: E402
import processes  # noqa: E402
import services  # noqa: E402

__all__ = ["ROOT", "needs", "processes", "services"]
