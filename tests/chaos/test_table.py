from collections import Counter

import pytest
from readme import page

from chaos import table
from chaos.cell import Result
from chaos.cells import Cell, Path
from chaos.sabotage import SABOTAGES
from chaos.verdict import Fault, Finding


def result(findings=(), converged=1.25, taken=None, cell=Cell("mariadb", "core")):  # noqa: B008  (a frozen value)
    numbers = {"published": 1200, "acked": 1199, "delivered": 34567, "converged": converged}
    return Result(cell=cell, findings=list(findings), taken=Counter(taken or dict.fromkeys(Path, 2)), **numbers)


def test_a_line_says_what_came_of_a_cell():
    lost = Finding(Fault.LOST, "lobby: bob was never given 3")
    head, row = table.verdicts([result([lost])])
    assert dict(zip(head, row, strict=True)) == {
        "database": "MariaDB",
        "layer": "core, capacity 1",
        "published": "1,200",
        "acked": "1,199",
        "delivered": "34,567",
        "lost": "1",
        "doubled": "0",
        "out of order": "0",
        "wrong": "0",
        "wrongly here": "0",
        "seconds": "1.2",
    }


def test_a_path_that_a_cell_does_not_have_is_a_dash():
    head, row = table.paths([result(cell=Cell("sqlite", "memory"), taken={Path.KILLS: 1200})])
    taken = dict(zip(head, row, strict=True))
    assert taken["killed mid-publish"] == "1,200"
    assert taken["looks that healed"] == "0"
    assert taken["Redis stops"] == taken["database restarts"] == "–"


def test_a_cell_that_did_not_come_to_rest_never_did():
    assert table.verdicts([result(converged=None)])[1][-1] == "never"


@pytest.mark.parametrize(
    ("broken", "holds"),
    [
        ({}, True),
        ({"findings": [Finding(Fault.WRONG, "…")]}, False),
        ({"converged": None}, False),
        ({"taken": {path: path is not Path.GAPS for path in Path}}, False),
    ],
)
def test_a_cell_holds_if_nothing_is_found_and_every_path_was_taken(broken, holds):
    assert result(**broken).holds is holds


def test_plain_text_is_aligned():
    rows = [["database", "lost"], ["SQLite", "0"], ["PostgreSQL", "12"]]
    assert table.plain([[row[0], "", row[1]] for row in rows]).splitlines() == [
        "database      lost",
        "SQLite           0",
        "PostgreSQL      12",
    ]


def test_markdown_is_a_table():
    assert table.markdown([["database", "layer", "lost"], ["SQLite", "core", "0"]]).splitlines() == [
        "| database | layer | lost |",
        "| --- | --- | ---: |",
        "| SQLite | core | 0 |",
    ]


def test_the_docs_explain_every_column_and_every_sabotage():
    docs = page("docs/chaos.md")
    for head in (*table.verdicts([])[0][2:], *(path.value for path in Path)):
        assert f"| {head} |" in docs
    for name in SABOTAGES:
        assert f"`{name}`" in docs
