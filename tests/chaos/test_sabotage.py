"""The chaos run can fail: with one safety taken out it says which promise is broken, and how often."""

import pytest

from chaos.cells import Cell
from chaos.sabotage import SABOTAGES
from chaos.verdict import Fault

pytestmark = pytest.mark.servers

# In memory, processes hear of each other by looks alone; doorbells are rung on the core layer.
MEMORY, CORE = Cell("sqlite", "memory"), Cell("sqlite", "core")

CAUGHT = (
    pytest.param("ack-before-commit", MEMORY, Fault.LOST, "was acknowledged and is not in the log"),
    pytest.param("no-gap-read", CORE, Fault.LOST, "was never given"),
    pytest.param("no-look", MEMORY, Fault.LOST, "was never given"),
    pytest.param("no-check-for-repeats", MEMORY, Fault.DOUBLED, "is in the log"),
    pytest.param("doorbell-trusted", CORE, Fault.DISORDERED, "was given"),
    pytest.param("removal-keeps-edits", MEMORY, Fault.WRONG, "was removed, and its words are there"),
    pytest.param("the-dead-stay", MEMORY, Fault.HERE, "who is not there"),
)


def test_every_sabotage_is_tested():
    assert [case.values[0] for case in CAUGHT] == list(SABOTAGES)


@pytest.mark.parametrize(("sabotage", "cell", "fault", "words"), CAUGHT)
def test_a_safety_taken_out_is_noticed(chaos, sabotage, cell, fault, words):
    # Who is there is asked only when everybody has everything; what is lost is waited for in vain.
    patience = 30 if fault is Fault.HERE else 5
    result = chaos(cell, seed="3", seconds=10, patience=patience, sabotage=sabotage)

    found = [finding.sentence for finding in result.findings if finding.fault is fault]
    assert [sentence for sentence in found if words in sentence], result.faults
    assert not result.holds
