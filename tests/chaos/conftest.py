"""One run for one test, with the programs that `make test` names."""

import asyncio

import pytest
from conftest import needed

from chaos import cell, stores


@pytest.fixture
def chaos():
    """``chaos(a_cell, seed=…, seconds=…)`` runs it in an event loop of its own and returns its result."""
    programs = {key: needed(variable) for key, variable in stores.PROGRAMS.items()}

    def run(which, **options):
        with stores.home() as folder:
            return asyncio.run(cell.run(which, folder=folder, programs=programs, **options))

    return run
