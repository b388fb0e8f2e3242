"""Three of the nine cells, for a quarter of a minute each; `make chaos` runs them all, for a minute each."""

import pytest

from chaos.cells import Cell, Path
from chaos.verdict import Fault

pytestmark = pytest.mark.servers

CELLS = (
    pytest.param(Cell("sqlite", "memory"), id="sqlite-memory"),
    pytest.param(Cell("postgresql", "pubsub"), id="postgresql-pubsub"),
    pytest.param(Cell("mariadb", "core"), id="mariadb-core"),
)


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_is_lost_doubled_or_out_of_order(chaos, cell):
    result = chaos(cell, seed="3", seconds=15)

    assert [finding.sentence for finding in result.findings[:10]] == []
    assert result.faults == dict.fromkeys(Fault, 0)
    assert result.converged is not None
    assert result.acked + result.taken[Path.REFUSALS] == result.published > 500
    assert result.never_taken == []
