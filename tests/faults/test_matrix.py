"""Every fault at every vendor and place, through the real server: the matrix of docs/reliability.md."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.faults.matrix import CELLS, Cell
from tests.faults.playing import House, opened_house, play

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with opened_house() as opened:
        yield opened


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_an_answer_is_right_or_says_what_is_missing(cell: Cell, house: House) -> None:
    await play(cell, house)
