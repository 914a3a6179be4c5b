"""Every fault at every vendor and place, through the real server: the matrix of docs/reliability.md.

Every run plays each fault at one vendor and place, all of them in turn; the gate plays it at every one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import groupby

import pytest

from tests.faults.matrix import CELLS, Cell
from tests.faults.playing import House, opened_house, play

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with opened_house() as opened:
        yield opened


def find_turns() -> set[str]:
    """The cells of every run, by name: of each fault one, the vendors and places in turn."""
    each = [[str(cell) for cell in cells] for _, cells in groupby(CELLS, lambda cell: id(cell.case))]
    return {names[n % len(names)] for n, names in enumerate(each)}


TURNS = find_turns()


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, marks=() if str(cell) in TURNS else pytest.mark.slow) for cell in CELLS],
    ids=str,
)
async def test_an_answer_is_right_or_says_what_is_missing(cell: Cell, house: House) -> None:
    await play(cell, house)
