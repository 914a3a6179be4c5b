"""docs/vendors.md: what it tells of each vendor is what the adapter declares, asks and gives back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.audience import Row
from audience_mcp.sandbox import Asked
from audience_mcp.sources import pager
from audience_mcp.sources.rows import row_of
from audience_mcp.testing import Case, Served
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors import Listing, Vendor
from audience_mcp.vendors.registry import BUILT_IN, built_in_vendors
from tests.contract.cases import CASES
from tests.vendors.guide import GUIDE, renewed

pytestmark = pytest.mark.anyio

TEXT = GUIDE.read_text(encoding="utf-8")
TITLES = [vendor.title for vendor in built_in_vendors().values()]


def section(heading: str) -> str:
    """What stands under a heading."""
    return TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]


def table(heading: str) -> dict[str, dict[str, str]]:
    """The table under a heading: by vendor, then by column."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(heading).splitlines()
        if line.startswith("|")
    ]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def test_the_tables_of_what_is_declared_are_what_the_adapters_declare() -> None:
    assert renewed(TEXT) == TEXT, "run: python -m tests.vendors.guide"


@pytest.mark.parametrize("heading", ["What comes back", "Limits and keys"])
def test_every_vendor_is_in_the_tables_that_are_written_by_hand(heading: str) -> None:
    assert [*table(heading)] == TITLES


def test_every_vendor_has_a_paragraph_of_its_own() -> None:
    paragraphs = section("What to know of each").strip().split("\n\n")
    assert [re.findall(r"^\*\*(.+?)\*\*", each, re.M) for each in paragraphs[:-1]] == [[t] for t in TITLES]


# --- What is asked ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
async def test_the_requests_of_the_guide_are_those_that_are_made(name: str) -> None:
    case = CASES[name]
    told = table("What is asked")[case.vendor.title]
    signed = re.findall(r"`(\w+)=…`", table("Settings")[case.vendor.title]["sent with it"])
    async with case.serve(case.rows) as there:
        found = await read_everything(case, there)
        listed = [below_base(case, there, each, signed) for each in there.asked]
        before = len(there.asked)
        await get_one_of_each_kind(case, there, found)
        alone = [below_base(case, there, each, signed) for each in there.asked[before:]]
    for column, asked in (("lists", listed), ("one audience", alone)):
        for request in re.findall("`(.+?)`", told[column]):
            assert any(is_as_told(each, request) for each in asked), request


async def read_everything(case: Case, there: Served) -> AudienceList:
    """Everything that the vendor has, read in one go."""
    async with open_case(case, there) as catalog:
        return await catalog.list_audiences(ListQuery(detail="full", limit=10_000))


async def get_one_of_each_kind(case: Case, there: Served, found: AudienceList) -> None:
    """One audience of each kind, asked for by its ref with nothing read before."""
    for ref in {row.kind: row.ref for row in found.audiences or ()}.values():
        async with open_case(case, there) as catalog:
            await catalog.get_audience(GetQuery(audience=ref))


def below_base(case: Case, there: Served, asked: Asked, signed: Sequence[str]) -> Asked:
    """A request with its path as it stands below the base URL, and without what signs it."""
    variables = next(s.variables for s in case.vendor.settings if s.role == "base_url")
    base = urlsplit(next(there.environment[name] for name in variables if name in there.environment)).path
    query = {name: values for name, values in asked.query.items() if name not in signed}
    return Asked(asked.method, asked.path.removeprefix(base.rstrip("/")), query)


def is_as_told(asked: Asked, told: str) -> bool:
    """Whether a request is what the guide has: braces for any one value, `…` for more of it."""
    method, _, address = told.partition(" ")
    path, _, query = address.partition("?")
    pairs = dict(pair.split("=", 1) for pair in query.split("&") if pair)
    return (
        asked.method == method
        and stands_for(path, asked.path)
        and pairs.keys() == asked.query.keys()
        and all(stands_for(value, asked.query[key][0]) for key, value in pairs.items())
    )


def stands_for(told: str, sent: str) -> bool:
    """Whether a text with braces and `…` is what was sent."""
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(told)).replace("…", ".+")
    return re.fullmatch(pattern, sent) is not None


def test_a_path_without_its_id_or_with_escaped_braces_is_no_request_that_is_made() -> None:
    sent = Asked("GET", "/lists/0a1b2c3d4e/segments/7", {"count": ["10"], "fields": ["id,name,type"]})
    assert is_as_told(sent, "GET /lists/{list}/segments/{id}?count=10&fields=id,…")
    for told in (
        "/lists/%7Blist%7D/segments/{id}?count=10&fields=id,…",
        "/lists//segments/?count=10&fields=id,…",
        "/lists/{list}/segments/{id}?count=10",
        "/lists/{list}/segments/{id}?count=9&fields=id,…",
    ):
        assert not is_as_told(sent, f"GET {told}"), told


# --- What comes back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
async def test_what_comes_back_of_a_lifelike_account_is_in_the_guide(name: str) -> None:
    case = CASES[name]
    told = table("What comes back")[case.vendor.title]
    rows = (await list_rows(case, case.rows)).audiences
    assert any(row.created_at for row in rows) is (told["created"] == "yes")
    assert any(row.updated_at for row in rows) is (told["updated"] == "yes")
    assert any(row.description for row in rows) is (told["descriptions"] == "yes")
    unknown = any(row.size is None for row in rows) or case.vendor.one_lacks_size
    assert unknown is (told["size is unknown for"] != "-")


@pytest.mark.parametrize("name", BUILT_IN)
async def test_the_guide_has_every_type_and_status_that_an_adapter_gives_back_and_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    told = table("What comes back")[case.vendor.title]
    sent = await rows_as_sent(case, monkeypatch)
    sent += [(each, listing, parent) for raw, listing, parent in sent for each in changed(raw)]
    found = [row for raw, listing, parent in sent if (row := row_of(case.vendor, listing, raw, parent))]
    assert {row.type for row in found} == set(re.findall(r"`(\w+)`", told["types"]))
    by_size = any(each.count is not None and each.count.shows_ready for each in case.vendor.listings)
    counted = {"ready"} if by_size else set()
    assert {row.status for row in found} | counted == set(re.findall(r"`(\w+)`", told["statuses"]))
    assert any(each.fields.status is None for each in case.vendor.listings) is ("none" in told["statuses"])


Sent = tuple[object, Listing, "str | None"]
"""A row as the vendor sends it, its listing, and the vendor's id of the row that this lies under."""


async def rows_as_sent(case: Case, monkeypatch: pytest.MonkeyPatch) -> list[Sent]:
    """The rows of a lifelike account as the vendor sends them."""
    sent: list[Sent] = []

    def seen(vendor: Vendor, listing: Listing, raw: object, parent: str | None = None) -> Row | None:
        sent.append((raw, listing, parent))
        return row_of(vendor, listing, raw, parent)

    monkeypatch.setattr(pager, "row_of", seen)
    await list_rows(case, case.rows)
    return sent


def changed(raw: Any) -> Iterator[Any]:
    """A row with one of its words at a time replaced by a word that nobody knows, or left out."""
    for key, value in raw.items() if isinstance(raw, dict) else ():
        if isinstance(value, dict):
            yield from ({**raw, key: inner} for inner in changed(value))
        elif isinstance(value, str):
            yield {**raw, key: "A_NEW_WORD"}
            yield {k: v for k, v in raw.items() if k != key}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_field_that_a_size_is_read_from_is_the_one_in_the_guide(name: str) -> None:
    case = CASES[name]
    assert f"`{case.size}`" in table("What comes back")[case.vendor.title]["size is"]
