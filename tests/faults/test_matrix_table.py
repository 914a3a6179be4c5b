"""The page about reliability says what the matrices say."""

import pytest

from tests.faults import troubles
from tests.faults.matrix import CASES, CELLS
from tests.faults.matrix_table import PAGE, TABLES, mark, renewed, table, table_of_mechanisms


def test_the_tables_in_the_page_are_the_matrices_of_the_tests() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(page.count(mark(name, side)) == 1 for name in TABLES for side in ("begin", "end"))
    assert renewed(page) == page, "run: python -m tests.faults.matrix_table --write"


@pytest.mark.slow
def test_every_fault_and_every_cell_is_counted() -> None:
    assert f"{len(CASES)} faults, {len(CELLS):,} cells." in table()
    assert all(case.name in table() for case in CASES)
    second = table_of_mechanisms()
    assert f"{len(troubles.TROUBLES)} faults, {len(troubles.CELLS):,} cells." in second
    assert all(trouble.name in second for trouble in troubles.TROUBLES)


def test_no_two_cells_are_the_same() -> None:
    for cells in (CELLS, troubles.CELLS):
        assert len({str(cell) for cell in cells}) == len(cells)
