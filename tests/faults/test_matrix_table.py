"""The page about reliability says what the matrix says."""

from tests.faults.matrix import CASES, CELLS
from tests.faults.matrix_table import BEGIN, END, PAGE, renewed, table


def test_the_table_in_the_page_is_the_matrix_of_the_tests() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert renewed(page) == page, "run: python -m tests.faults.matrix_table --write"


def test_every_fault_and_every_cell_is_counted() -> None:
    assert f"{len(CASES)} faults, {len(CELLS):,} cells." in table()
    assert all(case.name in table() for case in CASES)


def test_no_two_cells_are_the_same() -> None:
    assert len({str(cell) for cell in CELLS}) == len(CELLS)
