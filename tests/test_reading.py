"""Readings: shared, kept, resumed, and honest about how far they got."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.sources.reader import UNATTENDED_S
from audience_mcp.sources.reading import RESUME_AFTER_PAGE_S
from audience_mcp.vendors import Listing, Page, as_object
from tests.support.clock import FakeClock
from tests.support.scripted import Acme, Direct, Script, catalog_of, rows, settled

pytestmark = pytest.mark.anyio

DOWN = VendorError("unavailable", "acme cannot answer just now.")


def two_pages(**second: Any) -> Script:
    return Script(
        {
            "": {"rows": rows(10, 20), "next": "c1", "count": 4},
            "c1": {"rows": rows(30, 40, start=3), "next": None, **second},
        }
    )


async def ask(catalog: Catalog, **arguments: Any) -> AudienceList:
    return await catalog.list_audiences(ListQuery(**arguments))


async def test_fifty_calls_at_once_make_one_walk() -> None:
    script = two_pages()
    answers: list[AudienceList] = []
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:

        async def call() -> None:
            answers.append(await ask(catalog))

        async with anyio.create_task_group() as calls:
            for _ in range(50):
                calls.start_soon(call)
    assert script.asked == ["", "c1"]
    assert [(a.matched, a.sum_of_sizes, a.complete) for a in answers] == [(4, 100, True)] * 50


async def test_a_reading_serves_later_calls_until_its_time_is_over() -> None:
    script, clock = two_pages(), FakeClock()
    async with catalog_of(clock, {"acme": script}, cache_s=300) as catalog:
        await ask(catalog)
        clock.advance(299)
        await ask(catalog)
        assert len(script.asked) == 2
        clock.advance(1)
        await ask(catalog)
        assert len(script.asked) == 4


async def test_with_no_cache_every_call_reads_anew() -> None:
    script = two_pages()
    async with catalog_of(FakeClock(), {"acme": script}, cache_s=0) as catalog:
        await ask(catalog)
        await ask(catalog)
    assert len(script.asked) == 4


async def test_refresh_reads_again_and_joins_a_reading_under_way() -> None:
    script, clock = two_pages(), FakeClock()
    async with catalog_of(clock, {"acme": script}) as catalog:
        await ask(catalog)
        clock.advance(10)
        async with anyio.create_task_group() as calls:
            for _ in range(3):
                calls.start_soon(lambda: ask(catalog, refresh=True))
        assert script.asked == ["", "c1", "", "c1"]


async def test_a_call_at_its_deadline_tells_how_far_it_got_and_the_next_one_goes_on() -> None:
    gate = anyio.Event()
    script, clock = two_pages(), FakeClock()
    script.pages["c1"] = (gate, script.pages["c1"])
    async with catalog_of(clock, {"acme": script}, deadline_s=45) as catalog:
        first: list[AudienceList] = []

        async def call() -> None:
            first.append(await ask(catalog))

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            await settled()
            assert not first
            clock.advance(45)
        (answer,) = first
        assert (answer.matched, answer.sum_of_sizes, answer.complete) == (2, 30, False)
        error = answer.sources[0].error
        assert error is not None
        assert error.kind == "timeout"
        assert "2 of 4 audiences read" in error.message
        assert "Ask again" in error.message
        assert error.retry_after_s
        gate.set()
        second = await ask(catalog)
        assert (second.matched, second.sum_of_sizes, second.complete) == (4, 100, True)
    assert script.asked == ["", "c1"]


async def test_a_reading_that_ended_behind_an_answer_serves_the_next_call_for_ten_minutes() -> None:
    gate = anyio.Event()
    script, clock = two_pages(), FakeClock()
    script.pages["c1"] = (gate, script.pages["c1"])
    async with catalog_of(clock, {"acme": script}, deadline_s=45, cache_s=60) as catalog:
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: ask(catalog))
            await settled()
            clock.advance(45)
        gate.set()
        await settled()
        clock.advance(599)
        assert (await ask(catalog)).complete
        clock.advance(59)
        assert (await ask(catalog)).complete
        assert script.asked == ["", "c1"]
        clock.advance(1)
        await ask(catalog)
        assert script.asked == ["", "c1", "", "c1"]


async def test_the_refresh_that_was_answered_too_early_is_continued_and_not_begun_anew() -> None:
    gate = anyio.Event()
    script, clock = two_pages(), FakeClock()
    script.pages["c1"] = (gate, script.pages["c1"])
    async with catalog_of(clock, {"acme": script}, deadline_s=45) as catalog:
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: ask(catalog, refresh=True))
            await settled()
            clock.advance(45)
        gate.set()
        await settled()
        assert (await ask(catalog, refresh=True)).complete
        assert script.asked == ["", "c1"]
        clock.advance(10)
        await ask(catalog, refresh=True)
        assert script.asked == ["", "c1", "", "c1"]


async def test_a_cancelled_call_stops_waiting_and_its_reading_goes_on() -> None:
    gate = anyio.Event()
    script = two_pages()
    script.pages["c1"] = (gate, script.pages["c1"])
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: ask(catalog))
            await settled()
            calls.cancel_scope.cancel()
        gate.set()
        await settled()
        assert (await ask(catalog)).complete
    assert script.asked == ["", "c1"]


async def test_after_a_passing_fault_the_next_call_goes_on_at_the_failed_page() -> None:
    script = two_pages()
    script.pages["c1"] = [DOWN, script.pages["c1"]]
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        first = await ask(catalog)
        assert (first.matched, first.complete) == (2, False)
        assert first.sources[0].error is not None
        assert first.sources[0].error.kind == "unavailable"
        second = await ask(catalog)
        assert (second.matched, second.sum_of_sizes, second.complete) == (4, 100, True)
    assert script.asked == ["", "c1", "c1"]


async def test_a_refused_cursor_begins_the_reading_anew_within_the_same_call() -> None:
    script = two_pages()
    script.pages["c1"] = [DOWN, VendorError("invalid_request", "what cursor?"), script.pages["c1"]]
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        await ask(catalog)
        answer = await ask(catalog)
        assert (answer.matched, answer.sum_of_sizes, answer.complete) == (4, 100, True)
    assert script.asked == ["", "c1", "c1", "", "c1"]


async def test_a_reading_that_broke_off_long_ago_is_begun_anew() -> None:
    script, clock = two_pages(), FakeClock()
    script.pages["c1"] = [DOWN, script.pages["c1"]]
    async with catalog_of(clock, {"acme": script}) as catalog:
        await ask(catalog)
        clock.advance(RESUME_AFTER_PAGE_S)
        assert (await ask(catalog)).complete
    assert script.asked == ["", "c1", "", "c1"]


async def test_refresh_does_not_go_on_with_old_pages() -> None:
    script, clock = two_pages(), FakeClock()
    script.pages["c1"] = [DOWN, script.pages["c1"]]
    async with catalog_of(clock, {"acme": script}) as catalog:
        await ask(catalog)
        clock.advance(10)
        assert (await ask(catalog, refresh=True)).complete
    assert script.asked == ["", "c1", "", "c1"]


async def test_a_reading_stopped_by_a_guard_is_kept_like_any_other() -> None:
    script, clock = two_pages(next="c1"), FakeClock()
    async with catalog_of(clock, {"acme": script}, cache_s=300) as catalog:
        first = await ask(catalog)
        again = await ask(catalog)
        assert (first.complete, again.complete, again.matched) == (False, False, 4)
        assert again.sources[0].error is not None
        assert again.sources[0].error.kind == "bad_response"
        assert len(script.asked) == 2
        clock.advance(300)
        await ask(catalog)
        assert len(script.asked) == 4


async def test_the_last_complete_reading_answers_where_a_newer_one_fails() -> None:
    script, clock = two_pages(), FakeClock()
    async with catalog_of(clock, {"acme": script}, cache_s=60) as catalog:
        before = await ask(catalog)
        clock.advance(600)
        script.pages[""] = DOWN
        after = await ask(catalog)
    assert (after.matched, after.sum_of_sizes, after.complete) == (4, 100, False)
    assert after.sources[0].as_of == before.sources[0].as_of
    assert after.sources[0].error is not None
    assert after.sources[0].error.message == DOWN.message
    assert after.notes is not None
    assert any("as of its last complete reading" in note for note in after.notes)


async def test_a_vendor_whose_rows_can_no_longer_be_used_is_no_empty_account() -> None:
    script, clock = Script({"": {"rows": rows(10, 20)}}), FakeClock()
    renamed = {"rows": [{"key": f"a{n}", "name": "One"} for n in range(100)]}
    async with catalog_of(clock, {"acme": script}, cache_s=60) as catalog:
        assert (await ask(catalog)).complete
        clock.advance(600)
        script.pages[""] = renamed
        after = await ask(catalog)
    assert (after.matched, after.sum_of_sizes, after.complete) == (2, 30, False)
    assert after.sources[0].error is not None
    assert after.sources[0].error.kind == "bad_response"
    assert "100 rows, none of which could be used" in after.sources[0].error.message
    async with catalog_of(FakeClock(), {"acme": Script({"": renamed})}) as catalog:
        answer = await ask(catalog)
    assert (answer.matched, answer.complete) == (0, False)


async def test_the_last_complete_reading_answers_while_a_newer_one_is_under_way() -> None:
    gate = anyio.Event()
    script, clock = two_pages(), FakeClock()
    answers: list[AudienceList] = []
    async with catalog_of(clock, {"acme": script}, cache_s=0) as catalog:
        await ask(catalog)
        script.pages["c1"] = (gate, script.pages["c1"])

        async def call() -> None:
            answers.append(await ask(catalog))

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            await settled()
            clock.advance(45)
    (answer,) = answers
    assert (answer.matched, answer.complete) == (4, False)
    assert answer.sources[0].error is not None
    assert "the reading goes on" in answer.sources[0].error.message


async def test_a_reading_that_nobody_waits_for_any_more_pauses_and_is_gone_on_with() -> None:
    clock = FakeClock()
    gates = [anyio.Event(), anyio.Event()]
    script = Script(
        {
            "": {"rows": rows(1), "next": "c1"},
            "c1": (gates[0], {"rows": rows(2, start=2), "next": "c2"}),
            "c2": (gates[1], {"rows": rows(3, start=3)}),
        }
    )
    async with catalog_of(clock, {"acme": script}) as catalog:
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: ask(catalog))
            await settled()
            clock.advance(45)
        clock.advance(UNATTENDED_S + 1)
        gates[0].set()
        await settled()
        assert script.asked == ["", "c1"]
        gates[1].set()
        answer = await ask(catalog)
        assert (answer.sum_of_sizes, answer.complete) == (6, True)
    assert script.asked == ["", "c1", "c2"]


async def test_a_vendor_whose_code_fails_costs_neither_the_server_nor_the_other_sources() -> None:
    class Picky(Acme):
        def page(self, page: Page, body: object) -> Page:
            if "boom" in as_object(body):
                raise ZeroDivisionError
            return page

    scripts = {"acme": Script({"": {"rows": [], "boom": True}}), "other": Script({"": {"rows": rows(5)}})}
    async with catalog_of(FakeClock(), scripts, kind=Picky) as catalog:
        answer = await ask(catalog)
        assert (answer.matched, answer.sum_of_sizes, answer.complete) == (1, 5, False)
        assert [s.error.kind if s.error else None for s in answer.sources] == ["bad_response", None]


async def test_sources_are_read_side_by_side() -> None:
    gates = {name: anyio.Event() for name in ("one", "two")}
    scripts = {name: Script({"": (gate, {"rows": rows(1)})}) for name, gate in gates.items()}
    async with catalog_of(FakeClock(), scripts) as catalog, anyio.create_task_group() as calls:
        calls.start_soon(lambda: ask(catalog))
        await settled()
        assert [script.asked for script in scripts.values()] == [[""], [""]]
        for gate in gates.values():
            gate.set()


async def test_the_same_audience_asked_for_many_times_at_once_costs_one_request() -> None:
    gate = anyio.Event()
    script = Script({"": {"rows": rows(7)}}, {"a1": (gate, {"id": "a1", "name": "One"})})
    sizes: list[int | None] = []
    async with catalog_of(FakeClock(), {"direct": script}, kind=Direct) as catalog:

        async def call() -> None:
            answer = await catalog.get_audience(GetQuery(audience="direct:a1"))
            sizes.append(answer.audiences[0].size)

        async with anyio.create_task_group() as calls:
            for _ in range(20):
                calls.start_soon(call)
            await settled()
            gate.set()
    assert sizes == [7] * 20
    assert sorted(script.asked) == ["", "a1"]


async def test_nothing_read_at_all_is_a_tool_error_that_says_why() -> None:
    script = Script({"": VendorError("unauthorized", "acme refused the key. Check ACME_KEY.")})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        with pytest.raises(ToolError, match="Check ACME_KEY"):
            await ask(catalog)


async def test_progress_is_told_page_by_page_and_never_goes_back() -> None:
    told: list[tuple[float, float | None, str]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append((done, total, message))

    async with catalog_of(FakeClock(), {"acme": two_pages()}) as catalog:
        await catalog.list_audiences(ListQuery(), progress)
    assert [done for done, _, _ in told] == [1, 2]
    assert [total for _, total, _ in told] == [2, 2]
    assert "acme: page 2, 4 of 4 audiences read" in told[-1][2]


async def test_what_will_not_pass_is_begun_anew_and_not_asked_for_again_and_again() -> None:
    script = two_pages()
    script.pages["c1"] = {"error": "cursor expired"}
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        assert (await ask(catalog)).complete is False
        await ask(catalog)
    assert script.asked == ["", "c1", "", "c1"]


async def test_what_was_read_answers_where_a_reading_begun_anew_gets_less_far() -> None:
    script = two_pages()
    script.pages["c1"] = DOWN
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        before = await ask(catalog)
        script.pages[""] = DOWN
        after = await ask(catalog, refresh=True)
    assert (before.matched, after.matched, after.complete) == (2, 2, False)
    assert after.sources[0].as_of == before.sources[0].as_of
    assert after.sources[0].error is not None
    assert after.sources[0].error.kind == "unavailable"


async def test_a_refresh_reads_again_though_another_call_still_waits_for_another_source() -> None:
    gate, clock = anyio.Event(), FakeClock()
    scripts = {"fast": two_pages(), "slow": Script({"": (gate, {"rows": []})})}
    async with catalog_of(clock, scripts) as catalog, anyio.create_task_group() as calls:
        calls.start_soon(lambda: ask(catalog, refresh=True))
        await settled()
        assert scripts["fast"].asked == ["", "c1"]
        clock.advance(10)
        await ask(catalog, sources=["fast"], refresh=True)
        assert scripts["fast"].asked == ["", "c1", "", "c1"]
        gate.set()


@pytest.mark.parametrize("part", ["request", "page", "row", "talk_of_one", "refine", "vendor's page"])
async def test_a_fault_in_a_vendors_code_leaves_the_other_sources_their_answers(part: str) -> None:
    def fails(*args: object) -> Any:
        raise ZeroDivisionError

    class Broken(Listing):
        """A listing whose code fails."""

    class Faulty(Direct):
        listings = (
            Broken(**{f.name: getattr(Direct.listings[0], f.name) for f in fields(Listing) if f.init}),
        )

    of_vendor = part in ("refine", "vendor's page")
    setattr(Faulty if of_vendor else Broken, part.split()[-1], fails)
    good, bad = Direct(), Faulty()
    scripts = {
        "good": Script({"": {"rows": rows(5)}}, {"a1": {"id": "a1"}}),
        "bad": Script({"": {"rows": rows(6)}}, {"a1": {"id": "a1"}}),
    }
    async with catalog_of(FakeClock(), scripts, kinds={"good": good, "bad": bad}) as catalog:
        answer = await ask(catalog)
        assert "good:a1" in [row.ref for row in answer.audiences]
        found = await catalog.get_audience(GetQuery(audience="a1"))
        assert "good:a1" in [row.ref for row in found.audiences]


async def test_a_vendors_row_of_the_wrong_types_is_unknown_and_not_a_fault() -> None:
    class Loose(Acme):
        def refine(self, row: Any, raw: Any, listing: Listing) -> None:
            row.size, row.type, row.status = raw.get("size"), "odd", "odd"
            row.name, row.id, row.details = 7, None, ["x"]

    script = Script(
        {"": {"rows": [{"id": "a1", "size": "12"}, {"id": "a2", "size": -1}, {"id": "a3", "size": "x"}]}}
    )
    async with catalog_of(FakeClock(), {"acme": script}, kind=Loose) as catalog:
        answer = await ask(catalog, search="a", detail="full")
    assert (answer.sum_of_sizes, answer.unknown_sizes) == (12, 2)
    assert [(row.ref, row.name, row.details) for row in answer.audiences] == [
        (f"acme:{id}", id, None) for id in ("a1", "a2", "a3")
    ]
    assert {(row.type, row.status) for row in answer.audiences} == {("unknown", "unknown")}


async def test_a_refresh_that_broke_off_is_gone_on_with_by_the_next_refresh() -> None:
    script = two_pages()
    script.pages["c1"] = [DOWN, script.pages["c1"]]
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        assert (await ask(catalog, refresh=True)).complete is False
        assert (await ask(catalog, refresh=True)).complete
    assert script.asked == ["", "c1", "c1"]


@pytest.mark.parametrize("first", [{"": DOWN}, {"c1": DOWN}])
async def test_a_call_that_still_waits_elsewhere_answers_with_what_another_has_read_meanwhile(
    first: dict[str, Any],
) -> None:
    gate, clock, script = anyio.Event(), FakeClock(), two_pages()
    script.pages |= {key: [fault, script.pages[key]] for key, fault in first.items()}
    answers: list[AudienceList] = []
    async with catalog_of(clock, {"fast": script, "slow": Script({"": (gate, {"rows": []})})}) as catalog:

        async def call() -> None:
            answers.append(await ask(catalog))

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            await settled()
            clock.advance(20)
            assert (await ask(catalog, sources=["fast"])).complete
            gate.set()
    (answer,) = answers
    acme = next(report for report in answer.sources if report.source == "fast")
    assert (answer.sum_of_sizes, acme.complete, acme.error) == (100, True, None)
    began = "2026-11-20T12:00:00Z" if "c1" in first else "2026-11-20T12:00:20Z"
    assert acme.as_of == began  # when its first page came, however late the last one
    assert answer.notes is None


async def test_the_longest_of_several_broken_readings_is_kept() -> None:
    forbidden = VendorError("forbidden", "acme does not let this key read audiences.")
    script = Script({"": {"rows": rows(1, 2, 3, 4, 5), "next": "c1"}, "c1": forbidden})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        matched = [(await ask(catalog)).matched]
        script.pages[""] = {"rows": rows(1, 2, 3), "next": "c1"}
        matched += [(await ask(catalog)).matched for _ in range(3)]
    assert matched == [5, 5, 5, 5]


async def test_old_pages_and_new_ones_are_never_joined_as_one_fresh_reading() -> None:
    script, clock = two_pages(), FakeClock()
    script.pages["c1"] = [DOWN, script.pages["c1"]]
    async with catalog_of(clock, {"acme": script}) as catalog:
        await ask(catalog)
        clock.advance(5.9 * 3600)
        script.pages[""] = {"rows": rows(100, 200), "next": "c1", "count": 4}
        answer = await ask(catalog)
    assert (answer.sum_of_sizes, answer.complete) == (370, True)
    assert script.asked == ["", "c1", "", "c1"]
    assert answer.sources[0].as_of == "2026-11-20T17:54:00Z"


async def test_a_resumed_reading_is_as_old_as_its_first_page() -> None:
    script, clock = two_pages(), FakeClock()
    script.pages["c1"] = [DOWN, script.pages["c1"]]
    async with catalog_of(clock, {"acme": script}) as catalog:
        await ask(catalog)
        clock.advance(RESUME_AFTER_PAGE_S - 1)
        answer = await ask(catalog)
    assert answer.complete
    assert script.asked == ["", "c1", "c1"]
    assert answer.sources[0].as_of == "2026-11-20T12:00:00Z"


async def test_a_reading_whose_first_page_is_an_hour_old_is_begun_anew_though_its_last_is_not() -> None:
    pages = {f"c{n}": {"rows": rows(n, start=n), "next": f"c{n + 1}"} for n in range(1, 8)}
    pages[""] = {"rows": rows(0, start=100), "next": "c1"}
    script, clock = Script({k: [DOWN, page] if k else page for k, page in pages.items()}), FakeClock()
    async with catalog_of(clock, {"acme": script}) as catalog:
        for _ in range(7):
            await ask(catalog)
            clock.advance(RESUME_AFTER_PAGE_S - 1)
        await ask(catalog)
    assert script.asked.count("") == 2


async def test_the_last_complete_reading_is_not_shown_after_a_day() -> None:
    script, clock = two_pages(), FakeClock()
    async with catalog_of(clock, {"acme": script}) as catalog:
        await ask(catalog)
        script.pages[""] = DOWN
        clock.advance(86_399)
        assert (await ask(catalog)).matched == 4
        clock.advance(1)
        with pytest.raises(ToolError, match="cannot answer"):
            await ask(catalog)


async def test_a_plug_in_that_tries_to_leave_the_program_ends_its_own_source_alone() -> None:
    class Leaving(Acme):
        def page(self, page: Page, body: object) -> Page:
            raise SystemExit(3)

    scripts = {"good": Script({"": {"rows": rows(5)}}), "bad": Script({"": {"rows": rows(6)}})}
    async with catalog_of(FakeClock(), scripts, kinds={"good": Acme(), "bad": Leaving()}) as catalog:
        answer = await ask(catalog)
    assert [row.ref for row in answer.audiences] == ["good:a1"]
    assert answer.complete is False


async def test_how_many_pages_there_will_be_is_told_from_the_vendors_count_and_what_a_page_holds() -> None:
    told: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append((done, total))

    twice = [*rows(10, 20), *rows(10)]  # three to a page, one of them come again
    script = Script(
        {
            "": {"rows": twice, "next": "c1", "count": 7},
            "c1": {"rows": rows(30, 40, 50, start=3), "next": "c2", "count": 7},
            "c2": {"rows": rows(60, 70, start=6), "next": None, "count": 7},
        }
    )
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        await catalog.list_audiences(ListQuery(), progress)
    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_another_page_is_always_expected_while_the_vendor_says_there_is_one() -> None:
    told: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append((done, total))

    script = two_pages()
    script.pages[""]["count"] = 1  # fewer than it has listed already
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        await catalog.list_audiences(ListQuery(), progress)
    assert told == [(1, 2), (2, 2)]


class Noted(Acme):
    """Says the same of each of its pages, and something more of the last."""

    def page(self, page: Page, body: object) -> Page:
        return replace(
            page, note="sizes are of yesterday" if page.more else "archived audiences are left out"
        )


async def test_what_a_vendor_notes_of_its_pages_is_told_and_told_once() -> None:
    script = Script(
        {
            "": {"rows": rows(1), "next": "c1"},
            "c1": {"rows": rows(2, start=2), "next": "c2"},
            "c2": {"rows": rows(3, start=3), "next": None},
        }
    )
    async with catalog_of(FakeClock(), {"acme": script}, kind=Noted) as catalog:
        notes = "\n".join((await ask(catalog)).notes or [])
    assert notes.count("sizes are of yesterday") == 1
    assert notes.count("archived audiences are left out") == 1
