"""The list question: filters, order, totals, rows and what is said beside them."""

from __future__ import annotations

from typing import Any

import pytest

from audience_mcp.catalog.models import AudienceList, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.core.errors import ToolError, VendorError
from tests.support.clock import FakeClock
from tests.support.scripted import Script, catalog_of, rows
from tests.support.served import connected, text_of

pytestmark = pytest.mark.anyio

MIXED = [
    {"id": "a1", "name": "Zürich VIP", "size": 50, "created": "2026-10-02T00:00:00Z"},
    {"id": "a2", "name": "newsletter", "size": 900, "created": "2026-11-01T00:00:00+02:00"},
    {"id": "a3", "name": "Übersee", "created": 1_790_000_000},
    {"id": "a4", "name": "VIP gold", "size": 0},
    {"id": "a5", "name": "Vip Gold", "size": 50, "created": "not a date"},
]


async def listed(*raws: Any, **arguments: Any) -> AudienceList:
    script = Script({"": {"rows": list(raws or MIXED)}})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        return await catalog.list_audiences(parse_arguments(ListQuery, arguments))


def ids(answer: AudienceList) -> list[str]:
    return [row.ref.removeprefix("acme:") for row in answer.audiences]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("size", ["a2", "a1", "a5", "a4", "a3"]),
        ("smallest", ["a4", "a1", "a5", "a2", "a3"]),
        ("name", ["a2", "a3", "a4", "a5", "a1"]),
        ("newest", ["a2", "a1", "a3", "a4", "a5"]),
        ("updated", ["a1", "a2", "a3", "a4", "a5"]),
    ],
)
async def test_rows_come_in_the_order_asked_for_with_unknown_values_last_and_ties_by_ref(
    sort: str, order: list[str]
) -> None:
    assert ids(await listed(sort=sort)) == order


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"search": "vip"}, ["a1", "a5", "a4"]),
        ({"search": "GOLD vip"}, ["a5", "a4"]),
        ({"search": "zurich"}, ["a1"]),
        ({"search": "ubersee"}, ["a3"]),
        ({"search": "a2"}, ["a2"]),
        ({"min_size": 50}, ["a2", "a1", "a5"]),
        ({"max_size": 50}, ["a1", "a5", "a4"]),
        ({"min_size": 0}, ["a2", "a1", "a5", "a4", "a3"]),  # no bound
        ({"min_size": 1, "max_size": 899}, ["a1", "a5"]),
        ({"created_since": "2026-10-02"}, ["a2", "a1"]),
        ({"created_since": "2026-10-02T00:00:01Z"}, ["a2"]),
        ({"created_before": "2026-10-02T00:00:00Z"}, ["a3"]),
        ({"created_before": "2026-10-02T00:00:01Z"}, ["a1", "a3"]),
        ({"updated_since": "2020-01-01"}, []),
        ({"type": "dynamic"}, []),
        ({"type": "static", "status": "ready"}, ["a2", "a1", "a5", "a4", "a3"]),
    ],
)
async def test_filters_keep_what_matches_and_unknown_values_match_none(
    arguments: dict[str, Any], found: list[str]
) -> None:
    answer = await listed(**arguments)
    assert ids(answer) == found
    assert answer.matched == len(found)


@pytest.mark.parametrize(
    ("arguments", "dates"),
    [
        ({}, set()),
        ({"created_since": "2026-10-02"}, {"created_at"}),
        ({"created_before": "2026-12-01"}, {"created_at"}),
        ({"sort": "newest"}, {"created_at"}),
        ({"sort": "oldest"}, {"created_at"}),
        ({"updated_since": "2026-10-02"}, {"updated_at"}),
        ({"updated_before": "2026-12-01"}, {"updated_at"}),
        ({"sort": "updated"}, {"updated_at"}),
    ],
)
async def test_rows_show_the_dates_that_the_question_is_about(
    arguments: dict[str, Any], dates: set[str]
) -> None:
    raw = {"id": "a1", "name": "VIP", "created": "2026-11-01", "updated": "2026-11-02"}
    (row,) = to_dict(await listed(raw, **arguments))["audiences"]
    assert {"created_at", "updated_at"}.intersection(row) == dates


async def test_totals_are_over_everything_matched_whatever_is_shown() -> None:
    answer = await listed(limit=1)
    assert (answer.matched, answer.returned, answer.sum_of_sizes, answer.unknown_sizes) == (5, 1, 1000, 1)
    assert answer.next_offset == 1


async def test_following_next_offset_shows_every_row_once() -> None:
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        answer = await listed(limit=2, offset=offset)
        seen += ids(answer)
        offset = answer.next_offset
    assert seen == ["a2", "a1", "a5", "a4", "a3"]


async def test_filters_that_nothing_passes_say_so_and_an_empty_account_does_not() -> None:
    answer = await listed(search="vip", min_size=1_000_000)
    assert answer.sources == []
    assert answer.notes == [
        "no match in: acme (read 2026-11-20T12:00Z or later)",
        "Nothing matches all of these filters: use fewer, or fewer words in search.",
    ]
    async with catalog_of(FakeClock(), {"acme": Script({"": {"rows": []}})}) as catalog:
        assert (await catalog.list_audiences(ListQuery(search="vip"))).notes is None


async def test_limit_zero_gives_the_totals_alone() -> None:
    answer = await listed(limit=0)
    assert (answer.matched, answer.returned, answer.sum_of_sizes, answer.next_offset) == (5, 0, 1000, None)


async def test_an_offset_past_the_end_is_told() -> None:
    answer = await listed(offset=5)
    assert (answer.returned, answer.next_offset) == (0, None)
    assert answer.notes == ["offset 5 is past the last of 5."]


async def test_source_reports_say_what_was_read_and_then_only_what_matched() -> None:
    report = (await listed(search="newsletter")).sources[0]
    assert (report.audiences, report.matched, report.sum_of_sizes, report.unknown_sizes) == (5, 1, 900, 0)
    assert report.complete
    assert report.as_of == "2026-11-20T12:00:00Z"


async def test_concise_rows_say_only_what_is_remarkable() -> None:
    answer = await listed(limit=5)
    shown = {row.ref: row.model_dump(exclude_none=True) for row in answer.audiences}
    assert shown["acme:a2"] == {"ref": "acme:a2", "name": "newsletter", "size": 900}
    assert set(shown["acme:a3"]) == {"ref", "name", "size_note"}


async def test_full_rows_say_everything_known() -> None:
    answer = await listed(limit=1, detail="full")
    assert answer.audiences[0].model_dump(exclude_none=True) == {
        "ref": "acme:a2",
        "name": "newsletter",
        "size": 900,
        "type": "static",
        "kind": "audience",
        "source": "acme",
        "vendor": "acme",
        "id": "a2",
        "created_at": "2026-10-31T22:00:00Z",
    }


async def test_one_failed_source_leaves_the_others_and_makes_the_answer_incomplete() -> None:
    scripts = {
        "acme": Script({"": {"rows": rows(10, 20)}}),
        "acme-fr": Script({"": VendorError("unauthorized", "acme-fr refused the key.")}),
    }
    async with catalog_of(FakeClock(), scripts) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (2, 30, False)
    failed = next(report for report in answer.sources if report.source == "acme-fr")
    assert failed.error is not None
    assert (failed.error.kind, failed.complete, failed.audiences) == ("unauthorized", False, None)
    assert answer.notes is not None
    assert "acme-fr" in answer.notes[0]
    assert "lower bound" in answer.notes[0] or "only what was read" in answer.notes[0]


async def test_sources_without_a_match_are_one_note_where_rows_are_asked_for() -> None:
    clock = FakeClock()
    broken = Script({"": VendorError("unavailable", "down: try again later.")})
    scripts = {
        "acme": Script({"": {"rows": [{"id": "a1", "name": "VIP", "size": 5}]}}),
        "acme-de": Script({"": {"rows": [{"id": "a1", "name": "Old", "size": 5}]}}),
        "acme-es": Script({"": {"rows": [{"id": "a1", "name": "Old", "size": 5}]}}),
        "acme-fr": broken,
        "acme-it": Script({"": {"rows": []}}),
    }
    async with catalog_of(clock, scripts) as catalog:
        answer = await catalog.list_audiences(ListQuery(search="vip"))
        totals = await catalog.list_audiences(ListQuery(search="vip", limit=0))
    assert [report.source for report in answer.sources] == ["acme", "acme-fr", "acme-it"]
    assert "no match in: acme-de, acme-es (read 2026-11-20T12:00Z or later)" in (answer.notes or [])
    assert (answer.matched, answer.complete) == (1, False)
    assert [report.source for report in totals.sources] == list(scripts)


async def test_a_note_that_holds_for_several_sources_is_said_once() -> None:
    page = {"rows": [{"id": "a1", "name": "VIP", "size": 5}, {"name": "no id"}]}
    scripts = {name: Script({"": page}) for name in ("acme", "acme-de")}
    async with catalog_of(FakeClock(), scripts) as catalog:
        answer = await catalog.list_audiences(ListQuery())
        found = await catalog.get_audience(GetQuery(audience="VIP"))
    assert answer.notes == found.notes == ["acme, acme-de (each): skipped 1 row without a usable id"]


async def test_an_empty_account_is_complete_with_nothing() -> None:
    script = Script({"": {"rows": []}})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert (answer.matched, answer.complete, answer.sources[0].audiences) == (0, True, 0)


async def test_broken_and_repeated_rows_are_told_and_lose_nothing_else() -> None:
    page = [*rows(1, 2), None, "text", {"name": "no id"}, {"id": "a\nb"}, {"id": ""}, *rows(1)]
    answer = await listed(*page)
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (2, 3, True)
    assert answer.notes is not None
    assert [note for note in answer.notes if "5 rows without a usable id" in note]
    assert [note for note in answer.notes if "1 duplicate row" in note]


@pytest.mark.parametrize(("count", "complete"), [(2, True), (3, False), (1, True)])
async def test_a_vendor_that_counts_more_than_it_lists_makes_the_reading_incomplete(
    count: int, complete: bool
) -> None:
    script = Script({"": {"rows": rows(1, 2), "count": count}})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert (answer.matched, answer.complete) == (2, complete)
    if count > 2:
        assert answer.sources[0].error is not None
        assert "reports 3 audiences but listed only 2" in answer.sources[0].error.message
    if count < 2:
        assert answer.notes is not None
        assert "more than the 1 it reports" in answer.notes[0]


async def test_a_vendor_name_means_all_its_accounts_and_a_source_name_only_itself() -> None:
    more = {"COMMBOX_API_KEY_EU": "wrong-key-000", "WHOP_API_KEY": None, "BATCH_PROJECT_KEY": None}
    async with connected(environment=more) as there:
        for given, sources in [("commbox", ["commbox", "commbox-eu"]), ("commbox-eu", ["commbox-eu"])]:
            result = await there.client.call_tool(
                "list_audiences", {"sources": [given, "smallest"], "limit": 0}
            )
            assert [s["source"] for s in result.structured_content["sources"]] == [*sources, "smallest"]


async def test_a_vendor_of_which_nothing_is_set_names_its_variables() -> None:
    off = {"WHOP_API_KEY": None, "WHOP_ACCOUNT_ID": None}
    async with connected(environment=off) as there:
        result = await there.client.call_tool("list_audiences", {"sources": ["whop"]})
        assert result.is_error
        text = text_of(result)
        assert "WHOP_API_KEY" in text
        assert "WHOP_ACCOUNT_ID" in text
        every = await there.client.call_tool("list_audiences", {"limit": 0})
        assert [s["source"] for s in every.structured_content["sources"]] == ["commbox", "batch", "smallest"]
        assert every.structured_content["complete"] is True


async def test_a_source_configured_in_part_is_among_all_and_names_what_it_lacks() -> None:
    async with connected(environment={"WHOP_ACCOUNT_ID": None}) as there:
        result = await there.client.call_tool("list_audiences", {"limit": 0})
        assert result.structured_content["complete"] is False
        whop = result.structured_content["sources"][-1]
        assert (whop["source"], whop["error"]["kind"]) == ("whop", "not_configured")
        assert "WHOP_ACCOUNT_ID" in whop["error"]["message"]
        assert not [
            parse_arguments
            for parse_arguments in there.sandbox.asked
            if parse_arguments.path.startswith("/whop")
        ]


async def test_the_tool_error_of_an_unread_source_tells_to_ask_again_while_it_is_under_way() -> None:
    import anyio

    script, clock = Script({"": (anyio.Event(), {})}), FakeClock()
    async with catalog_of(clock, {"acme": script}) as catalog:

        async def pass_time() -> None:
            await anyio.wait_all_tasks_blocked()
            clock.advance(60)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pass_time)
            with pytest.raises(ToolError, match="Ask again"):
                await catalog.list_audiences(ListQuery())
