"""Six further vendors, each for one mechanism: what they hold, and how their requests are told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from audience_mcp.sandbox import Asked
from audience_mcp.testing import Case, Served
from tests.faults.between import Kinds
from tests.vendors.googleads import case as googleads
from tests.vendors.hubspot import case as hubspot
from tests.vendors.klaviyo import case as klaviyo
from tests.vendors.mailchimp import case as mailchimp
from tests.vendors.meta import case as meta
from tests.vendors.shopify import case as shopify

Raw = dict[str, Any]
PER_PAGE = 2
PLACES = {
    "first": "first page",
    "second": "second page",
    "within": "second page of a list within",
    "size": "one size",
    "sizes": "sizes, many at once",
    "token": "token",
}
"""Where a fault is played, as the table calls it."""


@dataclass(frozen=True)
class Mechanism:
    """A vendor and how it is read.

    what: that, in words. groups: its rows by the kind of request that lists them. kind_of: the kind of a
    request. places: the kind and the number of the request at each place. asked_for: where the thing that is
    asked for stands in the answer, by kind. page: see `Between`. renews: whether a refused token is replaced.
    """

    case: Case
    what: str
    groups: Mapping[str, Sequence[Raw]]
    kind_of: Kinds
    places: Mapping[str, tuple[str, int]]
    asked_for: Mapping[str, str]
    page: tuple[str, str, str]
    serve: Callable[[Sequence[object]], AbstractAsyncContextManager[Served]] | None = None
    renews: bool = False

    @property
    def name(self) -> str:
        return self.case.vendor.name

    @property
    def rows(self) -> list[Raw]:
        """All rows."""
        return [row for group in self.groups.values() for row in group]

    def served(self) -> AbstractAsyncContextManager[Served]:
        """The vendor with all its rows."""
        return (self.serve or self.case.serve)(self.rows)

    def page_of(self, kind: str, number: int) -> Sequence[Raw]:
        """The rows on a page."""
        return self.groups[kind][(number - 1) * PER_PAGE : number * PER_PAGE]


def some(case: Case, sample: Any = None, first: int = 0, **more: object) -> list[Raw]:
    """Five rows, so three pages, like a sample."""
    like = case.sample if sample is None else sample
    numbers = range(first, first + 5)
    return [{**like, case.id: case.new_id(n), case.size: 1000 + 3 * n, **more} for n in numbers]


def by_end(kinds: Mapping[str, str]) -> Kinds:
    """The kind of a request by how its path ends."""
    return lambda asked: next(kind for end, kind in kinds.items() if asked.path.endswith(end))


def page(case: Case) -> tuple[str, str, str]:
    """The parameter of a page's length, which of a vendor's largest pages makes small ones."""
    name, largest = case.largest_page or ("count", "1000")
    return name, largest, str(PER_PAGE)


MAILCHIMP_LISTS = some(mailchimp.CASE)
MAILCHIMP_SEGMENTS = [
    {**mailchimp.a_segment(MAILCHIMP_LISTS[0]["id"], 700_000 + n, f"Tag {n}", 20 + n)} for n in range(5)
]
KLAVIYO_SEGMENT = next(row for row in klaviyo.ROWS if row["kind"] == "segment")


def klaviyo_kind(asked: Asked) -> str:
    """The two listings, the size of one list, and the report over segments."""
    ends = {"/lists": "lists", "/segments": "segments", "/segment-values-reports": "sizes"}
    return next((kind for end, kind in ends.items() if asked.path.endswith(end)), "size")


MECHANISMS = (
    Mechanism(
        mailchimp.CASE,
        "lists within lists, offsets side by side",
        {"lists": MAILCHIMP_LISTS, "segments": MAILCHIMP_SEGMENTS},
        by_end({
            "/lists": "lists",
            f"/lists/{MAILCHIMP_LISTS[0]['id']}/segments": "segments",
            "/segments": "no segments",
        }),
        {"first": ("lists", 1), "second": ("lists", 2), "within": ("segments", 2)},
        {"lists": "lists", "segments": "segments"},
        page(mailchimp.CASE),
    ),
    Mechanism(
        klaviyo.CASE,
        "next links, sizes by requests of their own",
        {"lists": some(klaviyo.CASE), "segments": some(klaviyo.CASE, KLAVIYO_SEGMENT, 5)},
        klaviyo_kind,
        {"first": ("lists", 1), "second": ("lists", 2), "size": ("size", 1), "sizes": ("sizes", 1)},
        {"lists": "data", "size": "data.attributes", "sizes": "data.attributes.results"},
        page(klaviyo.CASE),
    ),
    Mechanism(
        hubspot.CASE,
        "a cursor in a POST",
        {"lists": some(hubspot.CASE)},
        lambda asked: "lists",
        {"first": ("lists", 1), "second": ("lists", 2)},
        {"lists": "results"},
        page(hubspot.CASE),
    ),
    Mechanism(
        shopify.CASE,
        "GraphQL, failures under HTTP 200, sizes by alias",
        {"lists": some(shopify.CASE)},
        lambda asked: "sizes" if b"AudienceSizes" in asked.body else "lists",
        {"first": ("lists", 1), "second": ("lists", 2), "sizes": ("sizes", 1)},
        {"lists": "data.segments.nodes", "sizes": "data"},
        page(shopify.CASE),
    ),
    Mechanism(
        meta.CASE,
        "ranges, HTTP 400 for every failure",
        {"lists": some(meta.CASE)},
        lambda asked: "lists",
        {"first": ("lists", 1), "second": ("lists", 2)},
        {"lists": "data"},
        page(meta.CASE),
    ),
    Mechanism(
        googleads.CASE,
        "a token for a form",
        {"lists": [{**row, "sizeForDisplay": str(row["sizeForDisplay"])} for row in some(googleads.CASE)]},
        by_end({"/token": "token", "": "lists"}),
        {"first": ("lists", 1), "second": ("lists", 2), "token": ("token", 1)},
        {"lists": "results", "token": "access_token"},
        page(googleads.CASE),
        partial(googleads.served, page_size=PER_PAGE),
        renews=True,
    ),
)  # fmt: skip
BY_NAME = {mechanism.name: mechanism for mechanism in MECHANISMS}
