"""Further vendors, each for one mechanism: what they hold, and how their requests are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from audience_mcp.sandbox import Asked
from audience_mcp.testing import Case, Served
from tests.faults.between import Kinds
from tests.vendors.beehiiv import case as beehiiv
from tests.vendors.campaignmonitor import case as campaignmonitor
from tests.vendors.criteo import case as criteo
from tests.vendors.datamanager import case as datamanager
from tests.vendors.ga4 import case as ga4
from tests.vendors.ghost import case as ghost
from tests.vendors.googleads import case as googleads
from tests.vendors.hubspot import case as hubspot
from tests.vendors.iterable import case as iterable
from tests.vendors.klaviyo import case as klaviyo
from tests.vendors.linkedin import case as linkedin
from tests.vendors.listmonk import case as listmonk
from tests.vendors.mailchimp import case as mailchimp
from tests.vendors.mailman import case as mailman
from tests.vendors.meta import case as meta
from tests.vendors.microsoftads import case as microsoftads
from tests.vendors.openaiads import case as openaiads
from tests.vendors.shopify import case as shopify
from tests.vendors.snapchat import api as snapchat_api
from tests.vendors.snapchat import case as snapchat
from tests.vendors.tiktok import case as tiktok

Raw = dict[str, Any]
PER_PAGE = 2
PLACES = {
    "first": "first page",
    "second": "second page",
    "within": "second page of a list within",
    "other": "second page of another list",
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
    asked for stands in the answer, by kind; at the empty path it is the answer itself; none where null is an
    empty list. page, at_origin: see `Between`. renews: whether a refused token is replaced. per_page: rows of
    a page; 0 where all come at once. upper: the upper end of a row's range.
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
    per_page: int = PER_PAGE
    upper: Callable[[Raw], int | None] = lambda raw: raw.get("approximate_count_upper_bound")
    at_origin: Sequence[str] = ()

    @property
    def splits(self) -> bool:
        """Whether many sizes that are refused at once are asked for in halves."""
        return all(each.count is None or each.count.splits for each in self.case.vendor.listings)

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
        rows = self.groups[kind]
        return rows[(number - 1) * self.per_page : number * self.per_page] if self.per_page else rows


def some(case: Case, sample: Any = None, first: int = 0, number: int = 5, **more: object) -> list[Raw]:
    """So many rows (five are three pages) like a sample."""
    like = case.sample if sample is None else sample
    numbers = range(first, first + number)
    return [{**like, case.id: case.new_id(n), case.size: 1000 + 3 * n, **more} for n in numbers]


def by_end(kinds: Mapping[str, str]) -> Kinds:
    """The kind of a request by how its path ends."""
    return lambda asked: next(kind for end, kind in kinds.items() if asked.path.endswith(end))


def with_text(rows: Iterable[Raw], key: str) -> list[Raw]:
    """The rows, with a number as text, as APIs write 64-bit ones."""
    return [{**row, key: str(row[key])} for row in rows]


def page(case: Case) -> tuple[str, str, str]:
    """The parameter of a page's length, which of a vendor's largest pages makes small ones."""
    name, largest = case.largest_page or ("count", "1000")
    return name, largest, str(PER_PAGE)


MAILCHIMP_LISTS = some(mailchimp.CASE)
MAILCHIMP_SEGMENTS = [
    {**mailchimp.a_segment(MAILCHIMP_LISTS[0]["id"], 700_000 + n, f"Tag {n}", 20 + n)} for n in range(5)
]
KLAVIYO_SEGMENT = next(row for row in klaviyo.ROWS if row["kind"] == "segment")
CRITEO_AUDIENCE = next(row for row in criteo.ROWS if row["kind"] == "audience")
OPENAI_RANGES = ("25k_100k", "100k_500k", "500k_1m", "1m_5m", "under_25k")
OPENAI_ROWS = [
    {**row, openaiads.CASE.size: word} for row, word in zip(some(openaiads.CASE), OPENAI_RANGES, strict=True)
]


def klaviyo_kind(asked: Asked) -> str:
    """The two listings, the size of one list, and the report over segments."""
    ends = {"/lists": "lists", "/segments": "segments", "/segment-values-reports": "sizes"}
    return next((kind for end, kind in ends.items() if asked.path.endswith(end)), "size")


MECHANISMS = (
    Mechanism(
        mailchimp.CASE,
        "lists within lists, offsets side by side",
        {"lists": MAILCHIMP_LISTS, "segments": MAILCHIMP_SEGMENTS},
        by_end(
            {
                "/lists": "lists",
                f"/lists/{MAILCHIMP_LISTS[0]['id']}/segments": "segments",
                "/segments": "no segments",
            }
        ),
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
        linkedin.CASE,
        "a query with a structure of its own",
        {"lists": some(linkedin.CASE)},
        lambda asked: "lists",
        {"first": ("lists", 1), "second": ("lists", 2)},
        {"lists": "elements"},
        page(linkedin.CASE),
    ),
    Mechanism(
        googleads.CASE,
        "a token for a form",
        {"lists": with_text(some(googleads.CASE), "sizeForDisplay")},
        by_end({"/token": "token", "": "lists"}),
        {"first": ("lists", 1), "second": ("lists", 2), "token": ("token", 1)},
        {"lists": "results", "token": "access_token"},
        page(googleads.CASE),
        partial(googleads.served, page_size=PER_PAGE),
        renews=True,
    ),
    Mechanism(
        ghost.CASE,
        "numbered pages side by side, a token signed for each request",
        {"labels": some(ghost.CASE), "newsletters": some(ghost.CASE, ghost.ROWS[-3], 5, suppressed=0)},
        by_end({"/labels/": "labels", "/newsletters/": "newsletters"}),
        {"first": ("labels", 1), "second": ("labels", 2), "other": ("newsletters", 2)},
        {"labels": "labels", "newsletters": "newsletters"},
        page(ghost.CASE),
    ),
    Mechanism(
        tiktok.CASE,
        "numbered pages side by side, failures by a code under HTTP 200",
        {"lists": some(tiktok.CASE)},
        lambda asked: "lists",
        {"first": ("lists", 1), "second": ("lists", 2)},
        {"lists": "data.list"},
        page(tiktok.CASE),
    ),
    Mechanism(
        ga4.CASE,
        "two addresses, one report of all sizes",
        {"lists": with_text(some(ga4.CASE), "totalUsers")},
        by_end({"/token": "token", ":runReport": "sizes", "": "lists"}),
        {"first": ("lists", 1), "second": ("lists", 2), "sizes": ("sizes", 1), "token": ("token", 1)},
        {"lists": "audiences", "sizes": "rows", "token": "access_token"},
        page(ga4.CASE),
        renews=True,
    ),
    Mechanism(
        microsoftads.CASE,
        "all at once by a POST, a token for a form",
        {"lists": with_text(some(microsoftads.CASE), "SearchSize")},
        by_end({"/token": "token", "": "lists"}),
        {"first": ("lists", 1), "token": ("token", 1)},
        {"lists": "Audiences", "token": "access_token"},
        page(microsoftads.CASE),
        renews=True,
        per_page=0,
    ),
    Mechanism(
        datamanager.CASE,
        "a cursor whose absence is the end, an empty list that is left out",
        {"lists": some(datamanager.CASE)},
        by_end({"/token": "token", "": "lists"}),
        {"first": ("lists", 1), "second": ("lists", 2), "token": ("token", 1)},
        {"lists": "userLists", "token": "access_token"},
        page(datamanager.CASE),
        renews=True,
    ),
    Mechanism(
        openaiads.CASE,
        "a cursor beside a flag, ranges by words",
        {"lists": OPENAI_ROWS},
        lambda asked: "lists",
        {"first": ("lists", 1), "second": ("lists", 2)},
        {"lists": "data"},
        page(openaiads.CASE),
        upper=lambda raw: openaiads.SIZES[raw[openaiads.CASE.size]][1],
    ),
    Mechanism(
        snapchat.CASE,
        "rows that are wrapped, a next link, failures inside a 200, a refresh token that may change",
        {"lists": some(snapchat.CASE)},
        by_end({"/access_token": "token", "": "lists"}),
        {"first": ("lists", 1), "second": ("lists", 2), "token": ("token", 1)},
        {"lists": "segments", "token": "access_token"},
        # Snapchat takes no page of less than fifty.
        ("limit", "1000", "1000"),
        partial(snapchat.served, answer=partial(snapchat_api.answer, page_size=PER_PAGE)),
        renews=True,
    ),
    Mechanism(
        criteo.CASE,
        "offsets beside a POST, sizes many at once, errors beside rows",
        {"lists": some(criteo.CASE), "audiences": some(criteo.CASE, CRITEO_AUDIENCE, 5)},
        by_end(
            {
                "/oauth2/token": "token",
                "/compute-sizes": "sizes",
                "/audience-segments/search": "lists",
                "/audiences/search": "audiences",
            }
        ),
        {
            "first": ("lists", 1),
            "second": ("lists", 2),
            "other": ("audiences", 2),
            "sizes": ("sizes", 1),
            "token": ("token", 1),
        },
        {"lists": "data", "audiences": "data", "sizes": "data", "token": "access_token"},
        page(criteo.CASE),
        renews=True,
        at_origin=("/oauth2/token",),
    ),
    Mechanism(
        listmonk.CASE,
        "all at once, HTTP 403 for a wrong key",
        {"lists": some(listmonk.CASE)},
        lambda asked: "lists",
        {"first": ("lists", 1)},
        {"lists": "data.results"},
        page(listmonk.CASE),
        per_page=0,
    ),
    Mechanism(
        mailman.CASE,
        "numbered pages by a total, an empty list that is left out",
        {"lists": some(mailman.CASE, number=230)},
        lambda asked: "lists",
        {"first": ("lists", 1), "second": ("lists", 2)},
        {"lists": "entries"},
        # How many pages there are follows from how many were asked for.
        ("count", "100", "100"),
        per_page=100,
    ),
    Mechanism(
        beehiiv.CASE,
        "numbered pages by the last one's number",
        {"segments": some(beehiiv.CASE), "lists": [beehiiv.a_list(n, f"List {n}", 9 + n) for n in range(5)]},
        by_end({"/segments": "segments", "/newsletter_lists": "lists"}),
        {"first": ("segments", 1), "second": ("segments", 2), "other": ("lists", 2)},
        {"segments": "data", "lists": "data"},
        page(beehiiv.CASE),
    ),
    Mechanism(
        campaignmonitor.CASE,
        "bare arrays, sizes by a request each",
        {
            "lists": some(campaignmonitor.CASE),
            "segments": [campaignmonitor.a_segment(n, f"Segment {n}", 20 + n) for n in range(5)],
        },
        by_end(
            {
                "/lists.json": "lists",
                "/segments.json": "segments",
                "/stats.json": "size",
                "": "size of a segment",
            }
        ),
        {"first": ("lists", 1), "size": ("size", 1)},
        {"lists": "", "size": "TotalActiveSubscribers"},
        page(campaignmonitor.CASE),
        per_page=0,
    ),
    Mechanism(
        iterable.CASE,
        "sizes that are the whole answer, five a minute",
        {"lists": some(iterable.CASE)},
        by_end({"/lists": "lists", "/size": "size"}),
        {"first": ("lists", 1), "size": ("size", 1)},
        # Null in place of the lists is none of them: there is neither a total nor a sign of the end.
        {"size": ""},
        page(iterable.CASE),
        per_page=0,
    ),
)
BY_NAME = {mechanism.name: mechanism for mechanism in MECHANISMS}
