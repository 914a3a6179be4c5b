"""What needs attention, and the filters and groups of people who look after many audiences."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.issues import TEST_WORDS, IssueFinder
from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.config import Account, Configuration, Settings, Source
from audience_mcp.core.audience import ISSUE_CODES, Row
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.sources.talk import Fetch
from audience_mcp.vendors import Fields, Listing, Vendor, Words
from audience_mcp.vendors.registry import load_vendors
from tests.support.clock import FakeClock
from tests.support.scripted import Acme, Script

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


class Stating(Acme):
    """Audiences with a status, and of two kinds."""

    kind = "list"
    listings = (
        replace(
            Acme.listings[0],
            fields=Fields(
                "size",
                created="created",
                updated="updated",
                status=Words("status", {"ready": "ready", "failed": "failed", "partial": "partial"}),
            ),
        ),
    )

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        row.kind = str(raw["kind"]) if "kind" in raw else None


ROWS: list[dict[str, Any]] = [
    {"id": "a1", "name": "VIP", "size": 1000, "created": "2026-10-05", "updated": "2026-11-01"},
    {"id": "a2", "name": "vip", "size": 200, "created": "2026-10-20", "updated": "2025-11-19"},
    {"id": "a3", "name": "Nobody", "size": 0, "created": "2026-11-02", "status": "ready"},
    {"id": "a4", "name": "Broken", "size": 0, "status": "failed"},
    {"id": "a5", "name": "Newsletter (Kopie)", "size": 40, "status": "partial", "kind": "tag"},
    {"id": "a6", "name": "Gold", "kind": "tag", "updated": "2025-11-21"},
]


@asynccontextmanager
async def opened(
    scripts: Mapping[str, Script], labels: Mapping[str, str] | None = None, vendor: Vendor | None = None
) -> AsyncIterator[Catalog]:
    vendor = vendor or Stating()

    def source(name: str) -> Source:
        client = name.removeprefix("acme").lstrip("-") or None
        account = Account(name, vendor, {"base_url": f"https://{name}.example"}, {})
        return Source(name, vendor, account, None, client, (labels or {}).get(client or ""))

    def connect(account: Account) -> Fetch:
        return scripts[account.source].fetch

    configured = Configuration(Settings(), tuple(map(source, scripts)), {vendor.name: vendor})
    async with open_catalog(configured, clock=FakeClock(), connect=connect) as catalog:
        yield catalog


def page(rows: list[dict[str, Any]]) -> Script:
    return Script({"": {"rows": rows}})


async def ask(scripts: Mapping[str, Script] | None = None, **arguments: Any) -> AudienceList:
    query = parse_arguments(ListQuery, arguments)
    async with opened(scripts or {"acme": page(ROWS)}) as catalog:
        return await catalog.list_audiences(query)


def ids(answer: AudienceList) -> list[str]:
    return [row.ref.partition(":")[2] for row in answer.audiences]


async def test_each_issue_is_named_with_its_reason_in_a_full_row() -> None:
    answer = await ask(detail="full", sort="oldest")
    assert {row.ref: row.issues for row in answer.audiences} == {
        "acme:a1": ["duplicate_name: 2 of this name at acme"],
        "acme:a2": ["stale: not updated since 2025-11-19", "duplicate_name: 2 of this name at acme"],
        "acme:a3": ["empty"],
        "acme:a4": ["failed: status failed"],
        "acme:a5": ["failed: status partial", "test_or_copy"],
        "acme:a6": None,
    }


@pytest.mark.parametrize(
    ("issue", "found"),
    [
        ("failed", ["a5", "a4"]),
        (["empty", "stale"], ["a2", "a3"]),
        ("duplicate_name", ["a1", "a2"]),
        ("test_or_copy", ["a5"]),
        ("flagged", []),
        ("any", ["a1", "a2", "a5", "a3", "a4"]),
        ("ALL", ["a1", "a2", "a5", "a3", "a4"]),
        ([], ["a1", "a2", "a5", "a3", "a4", "a6"]),
    ],
)
async def test_audiences_with_any_of_the_issues_are_listed(issue: object, found: list[str]) -> None:
    answer = await ask(issue=issue)
    assert ids(answer) == found
    assert answer.matched == len(found)


class Silent(Stating):
    """Audiences of a vendor that has no status."""

    listings = (replace(Acme.listings[0], fields=Fields("size")),)


async def test_without_a_status_an_audience_counts_as_ready_and_none_is_said_to_be() -> None:
    async with opened({"acme": page(ROWS)}, vendor=Silent()) as catalog:
        ready = await catalog.list_audiences(ListQuery(status=["ready"], detail="full"))
        empty = await catalog.list_audiences(ListQuery(issue=["empty"], detail="full"))
        groups = await catalog.list_audiences(ListQuery(group_by="status"))
        one = await catalog.get_audience(GetQuery(audience="acme:a1"))
    assert len(ready.audiences) == len(ROWS)
    assert ids(empty) == ["a3", "a4"]
    assert {row.status for row in (*ready.audiences, *empty.audiences, *one.audiences)} == {None}
    assert [(group.key, group.matched) for group in groups.groups or ()] == [("ready", len(ROWS))]


async def test_an_issue_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(ToolError, match="'issue' must be one of failed, flagged, empty"):
        await ask(issue="broken")


async def test_one_call_groups_all_issues_with_their_members() -> None:
    answer = await ask(group_by="issue", sort="name")
    assert {group.key: [m.ref for m in group.members or ()] for group in answer.groups or ()} == {
        "failed": ["acme:a5", "acme:a4"],
        "empty": ["acme:a3"],
        "stale": ["acme:a2"],
        "duplicate_name": ["acme:a1", "acme:a2"],
        "test_or_copy": ["acme:a5"],
    }
    assert "1 audience without any issue, in no group." in (answer.notes or [])
    assert answer.matched == 6


async def test_one_audience_has_its_issues_as_far_as_they_are_known_without_a_reading() -> None:
    async with opened({"acme": page(ROWS)}) as catalog:
        found = await catalog.get_audience(GetQuery(audience="acme:a2"))
        assert found.audiences[0].issues == [
            "stale: not updated since 2025-11-19",
            "duplicate_name: 2 of this name at acme",
        ]


async def test_marks_of_tests_and_copies_are_whole_words_in_any_of_the_languages() -> None:
    async with opened({"acme": page(ROWS)}) as catalog:
        reader = catalog._readers["acme"]
        finder = IssueFinder(Index({}), NOW)
        for words in TEST_WORDS.values():
            for word in words:
                for name in (word, f"VIP {word.upper()} 2025", f"vip_{word}", f"（{word}）VIP・{word}"):
                    assert list(finder.find(reader, Row("a1", name))) == ["test_or_copy"], name
        for name in ("Testimonials", "Copyright", "contest", "latest", "copia-de-nada"[6:], "콘테스트"):
            assert not finder.find(reader, Row("a1", name)), name


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("テスト配信", True),
        ("メルマガ会員のコピー", True),
        ("ABテスト2026", True),
        ("ﾃｽﾄ用", True),
        ("VIP・テスト", True),
        ("コンテスト参加者", False),
        ("写真コンテスト", False),
        ("プロテスト合格者", False),
        ("コピーライター", False),
        ("テスター募集", False),
        ("ｺﾝﾃｽﾄ", False),
        ("テストー", False),
    ],
)
async def test_in_japanese_a_word_ends_where_its_script_does(name: str, marked: bool) -> None:
    async with opened({"acme": page(ROWS)}) as catalog:
        found = IssueFinder(Index({}), NOW).find(catalog._readers["acme"], Row("a1", name))
    assert list(found) == (["test_or_copy"] if marked else [])


def test_the_page_about_issues_has_every_code_and_word() -> None:
    page = (Path(__file__).parents[1] / "docs" / "issues.md").read_text(encoding="utf-8")
    assert [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")] == list(ISSUE_CODES)
    for language, words in TEST_WORDS.items():
        assert f"| {language} | {', '.join(words)} |" in page


NOWHERE = {"eligibleForDisplay": False, "eligibleForSearch": False}


@pytest.mark.parametrize(
    ("vendor", "row", "code"),
    [
        ("meta", {"details": {"operation_status": {"code": 471}}}, "flagged"),
        ("meta", {"details": {"operation_status": {"code": 100}}}, "flagged"),
        ("meta", {"details": {"operation_status": {"code": 200}}}, None),
        ("meta", {"details": {"delivery_status": {"code": 300}}}, "too_small"),
        ("googleads", {"details": {"membershipStatus": "CLOSED", "closingReason": "UNUSED"}}, "flagged"),
        ("googleads", {"details": {"membershipStatus": "OPEN"}}, None),
        ("pinterest", {"details": {"status": "TOO_SMALL"}}, "too_small"),
        ("datamanager", {"details": {"membershipStatus": "CLOSED", "closingReason": "UNUSED"}}, "flagged"),
        ("datamanager", {"details": {"membershipStatus": "CLOSED"}}, None),
        ("datamanager", {"details": {"membershipStatus": "CLOSED", "closingReason": "UNKNOWN"}}, None),
        ("googleads", {"details": {"membershipStatus": "CLOSED", "closingReason": "UNKNOWN"}}, None),
        ("googleads", {"details": NOWHERE}, "flagged"),
        ("googleads", {"size": None, "status": "processing", "details": NOWHERE}, None),
        ("datamanager", {"size": None, "status": "processing", "details": NOWHERE}, None),
        ("googleads", {"size": 0, "unit": "Search", "details": {"eligibleForSearch": False}}, None),
        ("googleads", {"size": 0, "unit": "Search", "details": {"eligibleForDisplay": False}}, "empty"),
        ("googleads", {"size": 0, "unit": "Search"}, None),
        ("linkedin", {"size": 0}, "too_small"),
        ("openaiads", {"size": 0, "open_ended": True}, None),
        ("openaiads", {"size": 0, "size_max": 0}, ["empty", "too_small"]),
        ("whop", {"status": "failed", "details": {"error_message": "…"}}, ["failed", "flagged"]),
        ("whop", {"status": "partial", "details": {"error_message": "…"}}, ["failed", "flagged"]),
        ("whop", {"status": "partial", "details": {"progress_percent": 100}}, "failed"),
        ("whop", {"details": {"error_message": "…"}}, None),
        ("linkedin", {"size": 900, "details": {"status": "ARCHIVED"}}, "flagged"),
        ("linkedin", {"size": 900, "details": {"status": "EXPIRED"}}, "flagged"),
        ("linkedin", {"size": 900, "details": {"status": "UPDATING"}}, None),
        ("linkedin", {"size": 299}, "too_small"),
        ("linkedin", {"size": 300}, None),
        ("linkedin", {"size": 100, "open_ended": True}, None),
        *(("linkedin", {"size": 40, "status": status}, None) for status in ("processing", "unknown")),
        ("linkedin", {"size": 40, "status": "failed"}, "failed"),
        *(
            ("openaiads", {"size": 1_000, "size_max": 4_999, "status": status}, None)
            for status in ("processing", "unknown")
        ),
        ("openaiads", {"size": 1_000, "size_max": 4_999, "status": "failed"}, "failed"),
        ("openaiads", {"size": 1_000, "size_max": 4_999}, "too_small"),
        ("openaiads", {"size": 0, "size_max": 24_999, "details": {"status": "too_small"}}, "too_small"),
        ("openaiads", {"size": 25_000, "details": {"status": "archived"}}, None),
        ("smallest", {"details": {"hasCampaigns": False}}, "unused"),
        ("smallest", {"details": {"hasCampaigns": True}}, None),
        ("smallest", {}, None),
        ("commbox", {"size": 3, "details": {"hasCampaigns": False, "status": "TOO_SMALL"}}, None),
    ],
)
async def test_what_a_vendors_documents_say_is_an_issue_there_alone(
    vendor: str, row: dict[str, Any], code: str | list[str] | None
) -> None:
    async with opened({"acme": page(ROWS)}) as catalog:
        reader = catalog._readers["acme"]
        reader.source = replace(reader.source, vendor=load_vendors()[vendor])
        audience = Row("a1", "VIP", 5)
        for name, value in row.items():
            setattr(audience, name, value)
        found = IssueFinder(Index({}), NOW).find(reader, audience)
    assert list(found) == (code if isinstance(code, list) else [code] if code else [])


def test_the_codes_are_in_the_order_of_the_contract() -> None:
    assert list(ISSUE_CODES) == [
        "failed",
        "flagged",
        "empty",
        "too_small",
        "unused",
        "stale",
        "stalled",
        "duplicate_name",
        "test_or_copy",
    ]


@pytest.mark.parametrize(
    ("kind", "found", "note"),
    [
        ("tag", ["a5", "a6"], None),
        (["TAG", "list"], ["a1", "a2", "a5", "a3", "a4", "a6"], None),
        ("segment", [], "No kind segment here; there are list, tag."),
        ("all", ["a1", "a2", "a5", "a3", "a4", "a6"], None),
    ],
)
async def test_kinds_are_the_vendors_words(kind: object, found: list[str], note: str | None) -> None:
    answer = await ask(kind=kind)
    assert ids(answer) == found
    assert (note in (answer.notes or [])) is (note is not None)


async def test_the_longest_without_an_update_come_first() -> None:
    answer = await ask(sort="updated_asc")
    assert ids(answer) == ["a2", "a6", "a1", "a3", "a4", "a5"]
    assert answer.audiences[0].updated_at == "2025-11-19T00:00:00Z"


ELSEWHERE = [{"id": "a1", "name": "ＶＩＰ", "size": 5}, {"id": "a2", "name": "gold", "size": 5}]


async def test_names_that_other_sources_lack_are_listed_even_if_those_are_not_asked() -> None:
    scripts = {"acme-in": page(ROWS), "acme-fr": page(ELSEWHERE), "acme-de": page([])}
    answer = await ask(scripts, sources=["acme-in"], missing_in=["acme-fr", "acme-de"])
    assert ids(answer) == ["a5", "a3", "a4"]
    assert [report.source for report in answer.sources] == ["acme-in"]
    assert answer.complete


async def test_nothing_is_missing_where_a_source_was_not_read_in_full() -> None:
    broken = Script({"": VendorError("unavailable", "acme-fr is down.")})
    answer = await ask({"acme-in": page(ROWS), "acme-fr": broken}, sources="in", missing_in="fr")
    assert (answer.matched, answer.complete) == (0, False)
    assert [(r.source, r.complete) for r in answer.sources] == [("acme-fr", False)]
    assert any("Nothing is listed as missing" in note for note in answer.notes or ())


@pytest.mark.parametrize("sources", ["nowhere", "all"])
async def test_missing_in_needs_sources_that_there_are(sources: str) -> None:
    async with opened({"acme": page(ROWS)}) as catalog:
        with pytest.raises(ToolError, match=f"There is no source '{sources}'"):
            await catalog.list_audiences(parse_arguments(ListQuery, {"missing_in": sources}))


async def test_groups_by_month_are_of_the_creation_and_come_in_order_of_time() -> None:
    answer = await ask(group_by="month", sort="name")
    assert [(g.key, g.matched, g.sum_of_sizes) for g in answer.groups or ()] == [
        ("2026-10", 2, 1200),
        ("2026-11", 1, 0),
    ]
    assert "3 audiences without a creation date, in no group." in (answer.notes or [])


async def test_groups_by_client_have_its_label() -> None:
    scripts = {"acme": page(ROWS[:1]), "acme-x": page(ROWS[1:3]), "acme-y": page(ROWS[3:])}
    async with opened(scripts, {"x": "Client X"}) as catalog:
        answer = await catalog.list_audiences(ListQuery(group_by="client", sort="name"))
    assert [(g.key, g.label, g.matched) for g in answer.groups or ()] == [
        ("-", None, 1),
        ("x", "Client X", 2),
        ("y", None, 3),
    ]


async def test_mean_and_median_are_over_known_sizes() -> None:
    totals = await ask(limit=0)
    assert (totals.mean_size, totals.median_size) == (248, 40)
    assert (await ask()).mean_size is None
    (group,) = (await ask(group_by="source")).groups or []
    assert (group.mean_size, group.median_size) == (248, 40)
    unknown = await ask(search="gold", limit=0)
    assert (unknown.mean_size, unknown.median_size) == (None, None)
