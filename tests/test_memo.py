"""Answers that are kept while they are true, and no longer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.memo import MOST, AnswerMemo
from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.config import Source
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.signal import ChangeSignal
from audience_mcp.vendors import Request
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.apart import apart
from tests.support.clock import FakeClock
from tests.support.served import connected

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


WHOP = built_in_vendors()["whop"]
Moment = Callable[..., dict[SourceReader, Snapshot]]


async def never(request: Request) -> object:
    """A way to a vendor that no test here goes."""
    raise AssertionError(request)


def begin() -> Pager:
    """A reading that nothing was asked for yet: only which one it is counts."""
    return Pager("whop", WHOP, {}, never)


@pytest.fixture
def snapshot() -> Moment:
    """Makes what stands of a reading of one and the same source."""

    async def make_reader() -> SourceReader:
        clock = FakeClock()
        runtime = Runtime(anyio.create_task_group(), ChangeSignal(clock), clock, Redactor())
        return SourceReader(Source("whop", WHOP, None), lambda account: never, runtime, 60)

    reader = apart(anyio.run, make_reader)

    def stand(pager: Pager, **changed: Any) -> dict[SourceReader, Snapshot]:
        values: dict[str, Any] = {"complete": True, "as_of": NOW, **changed}
        return {reader: Snapshot(pager, **values)}

    return stand


def answer(complete: bool = True) -> AudienceList:
    return AudienceList(
        matched=1, returned=0, sum_of_sizes=1, unknown_sizes=0, complete=complete, audiences=[], sources=[]
    )


def query(**arguments: Any) -> ListQuery:
    return parse_arguments(ListQuery, arguments)


def test_the_same_question_of_the_same_reading_has_the_same_answer(snapshot: Moment) -> None:
    memo, read, kept = AnswerMemo(), begin(), answer()
    memo.keep(query(search="vip"), snapshot(read), 4000, kept)
    assert memo.get(query(search="vip"), snapshot(read), 4000) is kept


@pytest.mark.parametrize(
    "arguments",
    [{}, {"search": "other"}, {"search": "vip", "limit": 100}, {"search": "vip", "min_size": None}],
    ids=["no search", "another search", "another limit", "a null to be told of"],
)
def test_another_question_has_not(arguments: dict[str, Any], snapshot: Moment) -> None:
    memo, read = AnswerMemo(), begin()
    memo.keep(query(search="vip"), snapshot(read), 4000, answer())
    assert memo.get(query(**arguments), snapshot(read), 4000) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"complete": False, "error": VendorError("timeout", "x")},
        {"as_of": NOW.replace(hour=13)},
        {"notes": ["3 duplicate rows, counted once"]},
    ],
)
def test_a_reading_that_stands_otherwise_has_not(changed: dict[str, Any], snapshot: Moment) -> None:
    memo, read = AnswerMemo(), begin()
    memo.keep(query(), snapshot(read), 4000, answer())
    assert memo.get(query(), snapshot(read, **changed), 4000) is None


def test_neither_has_another_reading_nor_another_budget(snapshot: Moment) -> None:
    memo, read = AnswerMemo(), begin()
    memo.keep(query(), snapshot(read), 4000, answer())
    assert memo.get(query(), snapshot(read), 5000) is None
    assert memo.get(query(), snapshot(begin()), 4000) is None


def test_an_answer_that_may_still_change_is_not_kept(snapshot: Moment) -> None:
    memo, read = AnswerMemo(), begin()
    memo.keep(query(), snapshot(read), 4000, answer(complete=False))
    assert memo.get(query(), snapshot(read), 4000) is None


def test_a_reading_that_is_done_with_is_not_held_for_its_answer(snapshot: Moment) -> None:
    memo, read = AnswerMemo(), begin()
    memo.keep(query(), snapshot(read), 4000, answer())
    held = weakref.ref(read)
    del read
    gc.collect()
    assert held() is None


def test_the_answers_used_last_are_kept_and_no_more_than_a_few(snapshot: Moment) -> None:
    memo, read, first = AnswerMemo(), begin(), answer()
    memo.keep(query(offset=0), snapshot(read), 4000, first)
    for n in range(1, MOST):
        memo.keep(query(offset=n), snapshot(read), 4000, answer())
    assert memo.get(query(offset=0), snapshot(read), 4000) is first
    memo.keep(query(offset=MOST), snapshot(read), 4000, answer())
    assert memo.get(query(offset=0), snapshot(read), 4000) is first
    assert memo.get(query(offset=1), snapshot(read), 4000) is None


@pytest.mark.anyio
async def test_what_changed_at_the_vendor_is_in_the_answer_as_soon_as_it_has_been_read_again() -> None:
    rows: list[object] = [{"id": "1", "name": "A", "user_count": 5, "type": "Static"}]
    clock = FakeClock()
    async with connected({"commbox": rows}, clock=clock) as server:

        async def total(**arguments: Any) -> object:
            asked = {"sources": ["commbox"], **arguments}
            result = await server.client.call_tool("list_audiences", asked)
            assert isinstance(result.structured_content, dict), result.content
            return result.structured_content["sum_of_sizes"]

        assert [await total(), await total()] == [5, 5]
        server.sandbox.rows["commbox"] = [{"id": "1", "name": "A", "user_count": 7, "type": "Static"}]
        assert await total() == 5
        clock.advance(11)
        assert [await total(refresh=True), await total()] == [7, 7]
