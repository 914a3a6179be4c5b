"""The guide for adding a vendor: its code is run, through the walk that reads every listing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from audience_mcp import vendors
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import PagingStopped, UnexpectedShape
from audience_mcp.core.values import as_count
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.rows import row_of
from audience_mcp.vendors import Request, Setting, Vendor

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "vendor_plugin"
GUIDE = (ROOT / "docs" / "adding-a-vendor.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"^### (.+)\n(?:(?!#).*\n)*?```python\n((?:.*\n)*?)```$", GUIDE, re.M))
RANGES, SIZES, ONE = "Sizes as ranges", "Sizes that cost one more call each", "One audience alone"
DECLARED = ("listings", "one_at")
ROWS: list[Any] = [{"id": str(n), "name": f"List {n}", "size": n} for n in range(250)]
SIZED = sum(range(250))

Answers = Callable[[Request], object]


class Plain(Vendor):
    """What the snippets leave out."""

    name = "made"
    title = "Made"
    settings = (
        Setting("api_key", ("MADE_API_KEY",), "Key", required=True, secret=True),
        Setting("base_url", ("MADE_BASE_URL",), "Base URL", default="https://made.example/v1"),
    )
    size_counts = "people"
    id_shape = re.compile("[0-9]+", re.ASCII)

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        return Row(id, str(raw.get("name")), as_count(raw.get("size")))


def vendor_of(*snippets: str) -> Vendor:
    """A vendor with the functions of these snippets of the guide."""
    facts: dict[str, Any] = {}
    for title in snippets:
        names = {name: getattr(vendors, name) for name in vendors.__all__}
        given = set(names)
        exec(SNIPPETS[title], names)
        new = {name: value for name, value in names.items() if name not in given}
        facts |= {name: value for name, value in new.items() if callable(value) or name in DECLARED}
    made: Vendor = type("Made", (Plain,), facts)()
    return made


def part(rows: list[Any], start: int, size: int = 100) -> tuple[list[Any], int | None]:
    """The rows of a page, and where the next begins."""
    end = start + size
    return rows[start:end], end if end < len(rows) else None


def no_pages(request: Request) -> object:
    assert request == Request("audiences")
    return {"data": ROWS}


def cursor(request: Request) -> object:
    assert request.params["limit"] == "100"
    rows, following = part(ROWS, int(request.params.get("cursor", "at 0").removeprefix("at ")))
    # A cursor after the last page, too: some vendors send one, and the flag decides.
    return {"data": rows, "has_more": following is not None, "next_cursor": f"at {following or 999}"}


def offset(request: Request) -> object:
    assert request.params["limit"] == "100"
    rows, _ = part(ROWS, int(request.params["offset"]), 60)  # fewer than were asked for
    return {"items": rows, "total": len(ROWS)}


def page_number(request: Request) -> object:
    size = int(request.params["per_page"])
    rows, _ = part(ROWS, (int(request.params["page"]) - 1) * size)
    return {"items": rows, "total_pages": 3}


def next_link(request: Request) -> object:
    start = 0
    if request.path != "audiences":
        assert request.params == {}
        start = int(request.path.removeprefix("https://made.example/v1/audiences?limit=100&at="))
    rows, following = part(ROWS, start)
    link = f"https://made.example/v1/audiences?limit=100&at={following}"
    return {"results": rows, "next": link if following else None}


def post_body(request: Request) -> object:
    assert (request.method, request.params) == ("POST", {})
    assert isinstance(request.json, dict)
    assert request.json["page_size"] == 100
    rows, following = part(ROWS, int(request.json.get("cursor", "at 0").removeprefix("at ")))
    return {"data": rows, "has_more": following is not None, "cursor": following and f"at {following}"}


def graphql(request: Request) -> object:
    assert request.method == "POST"
    assert isinstance(request.json, dict)
    assert request.json["query"].strip().startswith("query Lists(")
    variables = request.json["variables"]
    assert variables["first"] == 100
    rows, following = part(ROWS, int(variables.get("after", "at 0").removeprefix("at ")))
    info = {"hasNextPage": following is not None, "endCursor": f"at {following or len(ROWS)}"}
    return {"data": {"lists": {"nodes": rows, "pageInfo": info}}}


PATTERNS: dict[str, tuple[Answers, int]] = {
    "No pages": (no_pages, 1),
    "A cursor": (cursor, 3),
    "Offset and total": (offset, 5),
    "A page number": (page_number, 3),
    "An absolute next link": (next_link, 3),
    "A cursor in a POST body": (post_body, 3),
    "GraphQL": (graphql, 3),
}


def walk_of(vendor: Vendor, answers: Answers) -> Pager:
    async def fetch(request: Request) -> object:
        return answers(request)

    return Pager("made", vendor, lambda: vendor.list_requests({"api_key": "k"}), fetch, at_once=6)


async def walked(vendor: Vendor, answers: Answers) -> Pager:
    walk = walk_of(vendor, answers)
    while not walk.done:
        await walk.next_page()
    return walk


def test_every_pattern_of_the_guide_is_run_here() -> None:
    titles = re.findall(r"^### (.+)$", GUIDE, re.M)
    assert list(SNIPPETS) == titles
    assert set(titles) == {*PATTERNS, RANGES, SIZES, ONE}


@pytest.mark.parametrize("title", PATTERNS)
async def test_a_pattern_reads_every_row_in_as_many_requests_as_there_are_pages(title: str) -> None:
    answers, pages = PATTERNS[title]
    walk = await walked(vendor_of(title), answers)
    assert list(walk.rows) == [row["id"] for row in ROWS]
    assert (walk.sum_of_sizes, walk.unknown_sizes, walk.invalid, walk.duplicates) == (SIZED, 0, 0, 0)
    assert walk.pages == pages


@pytest.mark.parametrize(
    "title", [title for title in PATTERNS if title not in ("No pages", "An absolute next link")]
)
async def test_a_pattern_whose_vendor_is_silent_about_the_end_never_calls_the_list_whole(title: str) -> None:
    def silent(request: Request) -> object:
        answer = PATTERNS[title][0](request)
        signs = {"has_more", "next_cursor", "total", "total_pages", "next", "cursor"}
        return without(answer, signs | {"hasNextPage", "endCursor"})

    walk = walk_of(vendor_of(title), silent)
    with pytest.raises(PagingStopped, match="does not say whether more audiences follow"):
        await walk.next_page()
    assert not walk.done
    assert walk.rows


def without(value: Any, keys: set[str]) -> Any:
    """A body in which these keys are nowhere."""
    if isinstance(value, dict):
        return {key: without(each, keys) for key, each in value.items() if key not in keys}
    return value


def test_errors_of_graphql_under_200_are_failures() -> None:
    vendor = vendor_of("GraphQL")
    assert vendor.effective_status(200, {"data": None, "errors": [{"message": "no"}]}) == 500
    assert vendor.effective_status(200, {"data": {}}) == 200
    assert vendor.effective_status(401, {"errors": [{}]}) == 401


async def test_sizes_of_one_call_each_are_asked_for_by_the_recipe_of_the_guide() -> None:
    vendor = vendor_of("No pages", SIZES)
    walk = await walked(vendor, no_pages)
    rows = list(walk.rows.values())
    assert all(row.size_pending and row.size is None for row in rows)
    request = vendor.count_request(rows[3:4], {})
    assert (request.path, request.pace) == ("audiences/3/size", "count")
    assert vendor.parse_counts({"count": 7}, rows[3:4])["3"].size == 7


def test_one_audience_is_asked_for_by_its_id_and_stands_where_the_guide_says() -> None:
    vendor = vendor_of(ONE)
    request = vendor.get_request("7", {"api_key": "k"})
    assert request is not None
    assert request == Request("audiences/7")
    assert vendor.parse_get({"audience": ROWS[7]}, request) == [ROWS[7]]
    with pytest.raises(UnexpectedShape, match="its 'audience'"):
        vendor.parse_get({"data": ROWS[7]}, request)


@pytest.mark.parametrize(
    ("low", "high", "size", "most"),
    [(10, 20, 10, 20), (10, None, 10, None), (None, 20, None, None), (20, 10, 20, None), (7, "x", 7, None)],
)
def test_a_range_is_its_lower_end_and_its_upper_end(
    low: object, high: object, size: int | None, most: int | None
) -> None:
    row = row_of(vendor_of(RANGES), {"id": "1", "size_from": low, "size_to": high})
    assert row is not None
    assert (row.size, row.size_max) == (size, most)
    assert bool(row.size_note) is (most is not None)


def test_the_case_and_the_entry_point_are_those_of_the_example() -> None:
    (case,) = re.findall(r"^   ```python\n((?:.*\n)*?)   ```$", GUIDE, re.M)
    assert dedent(case) in (EXAMPLE / "tests" / "test_contract.py").read_text(encoding="utf-8")
    (points,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.S)
    assert points in (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")


def test_every_fact_and_hook_of_a_vendor_is_in_the_table() -> None:
    told = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.+?) \|", GUIDE, re.M))))
    hooks = {name for name in {*vars(Vendor), *Vendor.__annotations__} if not name.startswith("_")}
    assert told == hooks


def test_every_file_that_the_guide_links_to_is_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link
