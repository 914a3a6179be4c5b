"""The guide for adding a vendor: its code is run, through the walk that reads every listing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from audience_mcp import vendors
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import PagingStopped, UnexpectedShape
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.rows import row_of
from audience_mcp.vendors import Fields, Listing, Rate, Request, Span, Vendor, api_key, base_url
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.bodies import answered, result_of, sizes_in, talk_of_one, talk_of_sizes

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "vendor_plugin"
GUIDE = (ROOT / "docs" / "adding-a-vendor.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"^### (.+)\n(?:(?!#).*\n)*?```python\n((?:.*\n)*?)```$", GUIDE, re.M))
WAYS = dict(re.findall(r"^\| (.+?) \| `(\w+\(.*?\))` \|", GUIDE, re.M))
"""The table of ways to page: what it says of an API, and the code for it."""
GRAPHQL, NESTED, ONE = "GraphQL", "A list under each row of another", "One audience alone"
SIZES, RANGES = "Sizes that cost requests of their own", "Sizes as ranges"
PAST = "Sizes of the past"
QUERIES = "Queries with a structure of their own"
ROWS: list[Any] = [{"id": str(n), "name": f"List {n}", "size": n} for n in range(250)]
SIZED = sum(range(250))
FACTS: dict[str, Any] = {"fields": Fields("size"), "counts": "people", "ids": "[0-9]+"}
KIT: Mapping[str, Any] = {"FACTS": FACTS, **{name: getattr(vendors, name) for name in vendors.__all__}}

Answers = Callable[[Request], object]


class Plain(Vendor):
    """What the snippets leave out."""

    name = "made"
    title = "Made"
    settings = (api_key("MADE_API_KEY"), base_url("MADE_BASE_URL", "https://made.example/v1"))
    listings = (Listing("audiences", rows="data", **FACTS),)


def vendor_of(title: str) -> Vendor:
    """A vendor with what a snippet of the guide says: its listings, and methods of these names."""
    names = dict(KIT)
    exec(SNIPPETS[title], names)
    said = {name: value for name, value in names.items() if name not in KIT and hasattr(Vendor, name)}
    said |= {"listings": names["listings"]} if "listings" in names else {}
    made: Vendor = type("Made", (Plain,), said)()
    return made


def paged(way: str, **listing: Any) -> Vendor:
    """A vendor with one listing that pages in a way of the guide's table."""
    paging = eval(WAYS[way], dict(KIT))
    made: Vendor = type("Made", (Plain,), {"listings": (Listing(**listing, paging=paging, **FACTS),)})()
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
    return {"items": rows, "meta": {"last_page": 3}}


def next_link(request: Request) -> object:
    start = 0
    if request.path != "audiences":
        assert request.params == {}
        start = int(request.path.removeprefix("https://made.example/v1/audiences?limit=100&at="))
    rows, following = part(ROWS, start)
    link = f"https://made.example/v1/audiences?limit=100&at={following}"
    return {"results": rows, "links": {"next": link if following else None}}


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
    rows, following = part(ROWS, int(variables.get("after", "at 0").removeprefix("at ")))
    info = {"hasNextPage": following is not None, "endCursor": f"at {following or len(ROWS)}"}
    return {"data": {"lists": {"nodes": rows, "pageInfo": info}}}


LIMIT = {"limit": "100"}
POST: dict[str, Any] = {"method": "POST", "json": {"page_size": 100}}
PATTERNS: dict[str, tuple[Vendor, Answers, int]] = {
    "has no pages": (paged("has no pages", path="audiences", rows="data"), no_pages, 1),
    "gives a cursor": (paged("gives a cursor", path="audiences", rows="data", params=LIMIT), cursor, 3),
    "takes an offset": (
        paged("takes an offset", path="audiences", rows="items", params=LIMIT, total="total"),
        offset,
        5,
    ),
    "numbers its pages": (
        paged("numbers its pages", path="audiences", rows="items", params={"per_page": "100"}),
        page_number,
        3,
    ),
    "gives the next page's address": (
        paged("gives the next page's address", path="audiences", rows="results", params=LIMIT),
        next_link,
        3,
    ),
    "takes a cursor in a POST body": (
        paged("takes a cursor in a POST body", path="audiences/search", rows="data", **POST),
        post_body,
        3,
    ),
    GRAPHQL: (vendor_of(GRAPHQL), graphql, 3),
}
"""By what the guide calls it: a vendor, what answers it, and how many pages that takes."""


def walk_of(vendor: Vendor, answers: Answers) -> Pager:
    async def fetch(request: Request) -> object:
        return answers(request)

    return Pager("made", vendor, {"api_key": "k"}, fetch)


async def walked(vendor: Vendor, answers: Answers) -> Pager:
    walk = walk_of(vendor, answers)
    while not walk.done:
        await walk.next_page()
    return walk


def test_every_pattern_of_the_guide_is_run_here() -> None:
    titles = re.findall(r"^### (.+)$", GUIDE, re.M)
    assert list(SNIPPETS) == titles
    assert set(titles) == {GRAPHQL, NESTED, ONE, SIZES, PAST, RANGES, QUERIES}
    assert {*WAYS, GRAPHQL} == set(PATTERNS)


@pytest.mark.parametrize("title", PATTERNS)
async def test_a_pattern_reads_every_row_in_as_many_requests_as_there_are_pages(title: str) -> None:
    vendor, answers, pages = PATTERNS[title]
    walk = await walked(vendor, answers)
    assert list(walk.rows) == [row["id"] for row in ROWS]
    assert sum(row.size or 0 for row in walk.rows.values()) == SIZED
    assert (walk.invalid, walk.duplicates) == (0, 0)
    assert walk.pages == pages


@pytest.mark.parametrize(
    "title", [title for title in PATTERNS if title not in ("has no pages", "gives the next page's address")]
)
async def test_a_pattern_whose_vendor_is_silent_about_the_end_never_calls_the_list_whole(title: str) -> None:
    vendor, answers, _ = PATTERNS[title]

    def silent(request: Request) -> object:
        signs = {"has_more", "next_cursor", "total", "last_page", "next", "cursor"}
        return without(answers(request), signs | {"hasNextPage", "endCursor"})

    walk = walk_of(vendor, silent)
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
    vendor = vendor_of(GRAPHQL)
    assert vendor.status(answered(200, {"data": None, "errors": [{"message": "no"}]})) == 500
    assert vendor.status(answered(200, {"data": {}})) == 200
    assert vendor.status(answered(401, {"errors": [{}]})) == 401


async def test_a_list_under_each_row_of_another_is_read_once_for_each_of_them() -> None:
    def answer(request: Request) -> object:
        if request.path == "lists":
            return {"lists": ROWS[1:3]}
        return {"segments": ROWS[7:8] if request.path == "lists/2/segments" else []}

    walk = await walked(vendor_of(NESTED), answer)
    assert list(walk.rows) == ["list-1", "list-2", "segment-2.7"]
    assert walk.rows["segment-2.7"].part_of == "list-2"


def test_a_query_is_written_as_it_goes_out_with_settings_encoded() -> None:
    (listing,) = vendor_of(QUERIES).listings
    (written,) = listing.request({"account": "a,b)"}).params.values()
    assert written == "List(urn%3Ali%3Aaccount%3Aa%2Cb%29)"
    assert isinstance(written, vendors.Encoded)


def test_one_audience_is_asked_for_by_its_id_and_stands_where_the_guide_says() -> None:
    vendor = vendor_of(ONE)
    assert next(talk_of_one(vendor, "list-7", {})) == Request("lists/7")
    assert result_of(talk_of_one(vendor, "list-7", {}), {"data": ROWS[7]}) == ROWS[7]
    wrong: list[object] = [{"list": ROWS[7]}, {"data": None}, []]
    for answer in wrong:
        with pytest.raises(UnexpectedShape):
            result_of(talk_of_one(vendor, "list-7", {}), answer)


def test_one_audience_is_asked_for_by_a_talk_where_the_answer_does_not_name_it() -> None:
    vendor = vendor_of(ONE)
    assert next(talk_of_one(vendor, "audience-7", {})) == Request("audiences/details", {"id": "7"})
    answer = {"audience": {"name": "VIP"}}
    assert result_of(talk_of_one(vendor, "audience-7", {}), answer) == {"name": "VIP", "id": "7"}


def test_sizes_are_counted_one_by_one_or_together_as_the_guide_says() -> None:
    vendor = vendor_of(SIZES)
    lists, segments = ([Row(f"{kind}-{n}", "n") for n in (3, 4)] for kind in ("list", "segment"))
    each = next(talk_of_sizes(vendor, lists[:1], {}))
    assert (each, each.pace) == (Request("lists/3/size"), "count")
    assert sizes_in(vendor, lists[:1], {"data": {"count": 7}}, {})["3"].size == 7
    assert next(talk_of_sizes(vendor, segments, {})) == Request("sizes", {"ids": "3,4"})
    sizes = sizes_in(vendor, segments, {"sizes": {"3": 5, "4": 0}}, {})
    assert {id: (counted.size, counted.note) for id, counted in sizes.items()} == {
        "3": (5, "an estimate"),
        "4": (0, "an estimate"),
    }
    assert vendor.rates({}) == {"count": [Rate(10), Rate(150, 60)]}


def test_the_past_is_asked_for_as_the_guide_says() -> None:
    vendor = vendor_of(PAST)
    (listing,) = vendor.listings
    assert listing.history is not None
    assert (listing.history.every, vendor.rates({})) == ("day", {"history": [Rate(5)]})
    span = Span(datetime(2026, 11, 1, tzinfo=timezone.utc), datetime(2026, 11, 3, tzinfo=timezone.utc))
    talk = listing.history.talk({"7": Row("7", "n")}, span, {})
    request = next(talk)
    between = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-03T00:00:00Z"}
    assert (request, request.purpose) == (Request("lists/7/sizes", between), "history")
    with pytest.raises(StopIteration) as end:
        talk.send({"data": [{"day": "2026-11-01", "members": 9}]})
    assert end.value.value == {"7": [("2026-11-01", 9)]}


@pytest.mark.parametrize(
    ("low", "high", "size", "most"),
    [(10, 20, 10, 20), (10, None, 10, None), (None, 20, None, None), (20, 10, 20, None), (7, "x", 7, None)],
)
def test_a_range_is_its_lower_end_and_its_upper_end(
    low: object, high: object, size: int | None, most: int | None
) -> None:
    vendor = vendor_of(RANGES)
    row = row_of(vendor, vendor.listings[0], {"id": "1", "size_from": low, "size_to": high})
    assert row is not None
    assert (row.size, row.size_max) == (size, most)
    assert bool(row.size_note) is (most is not None)


def test_the_vendor_the_case_and_the_entry_point_are_those_of_the_example() -> None:
    (vendor,) = re.findall(r"^## A whole vendor\n\n```python\n((?:.*\n)*?)```$", GUIDE, re.M)
    assert vendor in (EXAMPLE / "audience_mcp_examplelists" / "__init__.py").read_text(encoding="utf-8")
    (case,) = re.findall(r"^   ```python\n((?:.*\n)*?)   ```$", GUIDE, re.M)
    assert dedent(case) in (EXAMPLE / "tests" / "test_contract.py").read_text(encoding="utf-8")
    (points,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.S)
    assert points in (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")


def names_in_the_table(of: str) -> set[str]:
    """The names in the first column of the guide's table of what `of` says."""
    (table,) = re.findall(rf"^\| `{of}` \|.*\n\|.*\n((?:\|.*\n)+)", GUIDE, re.M)
    return set(re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines())))


def test_every_fact_and_hook_of_a_vendor_is_in_its_table() -> None:
    facts = {name for name in Vendor.__annotations__ if not name.startswith("_")}
    hooks = {
        name
        for vendor in built_in_vendors().values()
        for name in vars(type(vendor))
        if callable(getattr(Vendor, name, None))
    } - {"__init__"}
    assert hooks == {"page", "refine", "shared_account", "status"}
    assert names_in_the_table("Vendor") == facts | hooks


def test_every_fact_of_a_listing_is_in_its_table() -> None:
    assert names_in_the_table("Listing") == {each.name for each in fields(Listing) if each.init} - {"_"}


def test_every_file_that_the_guide_links_to_is_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link
