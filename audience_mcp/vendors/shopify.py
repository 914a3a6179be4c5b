"""Shopify: the customer segments of one shop (Admin GraphQL), each of whose sizes is a count of its own.

Facts from shopify.dev and from the Admin API's schema (2026-10). Not documented: what a count costs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date

from audience_mcp.vendors import (
    Count,
    Counted,
    Cursor,
    Exchange,
    Fields,
    Header,
    Listing,
    Request,
    Response,
    Rows,
    Setting,
    Sizes,
    Talk,
    Values,
    Vendor,
    Version,
    Wait,
    as_count,
    base_url,
    is_object,
    object_at,
    value_at,
    values_at,
)

FIELDS = "id name creationDate lastEditDate"
LIST = (
    "query AudienceList($first: Int!, $after: String) { segments(first: $first, after: $after, "
    f"sortKey: ID) {{ nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}"
)
ONE = f"query AudienceOne($id: ID!) {{ segment(id: $id) {{ {FIELDS} }} }}"
SIZE = "n{0}: customerSegmentMembers(segmentId: $s{0}, first: 1) {{ totalCount }}"
PAGE_INFO = "data.segments.pageInfo"
CODES = {
    "THROTTLED": 429,
    "ACCESS_DENIED": 403,
    "SHOP_INACTIVE": 403,
    "NOT_FOUND": 404,
    "INTERNAL_SERVER_ERROR": 503,
    "MAX_COST_EXCEEDED": 413,
}
MAY_BE_CUT = 25_001


def request_one(id: str, values: Values) -> Talk[object]:
    """The segment, which is null where there is none."""
    body = yield Request(
        "graphql.json", method="POST", json={"query": ONE, "variables": {"id": id}}, purpose="one"
    )
    return object_at(body, "data").get("segment")


def count_members(rows: Rows, values: Values) -> Talk[Sizes]:
    """One alias and one variable for each segment."""
    ids = {f"s{n}": id for n, id in enumerate(rows)}
    declared = ", ".join(f"${name}: ID!" for name in ids)
    query = f"query AudienceSizes({declared}) {{ {' '.join(map(SIZE.format, range(len(ids))))} }}"
    body = yield Request(
        "graphql.json", method="POST", json={"query": query, "variables": ids}, purpose="count"
    )
    data, note = object_at(body, "data"), f"{MAY_BE_CUT:,} may be where Shopify stops counting"
    counts = {id: value_at(data, f"n{n}.totalCount") for n, id in enumerate(rows)}
    failed = statuses_in(body)
    return {
        id: Counted(
            count,
            note if as_count(count) == MAY_BE_CUT else None,
            failed=failed.get(f"n{n}", failed.get("")) if count is None else None,
        )
        for n, (id, count) in enumerate(counts.items())
    }


def statuses_in(body: object) -> Mapping[str, int]:
    """The HTTP statuses that the errors beside data amount to, by alias; under none, of all that is null."""
    found: dict[str, int] = {}
    for each in values_at(body, "errors.*"):
        alias = value_at(each, "path.0")
        found[alias if isinstance(alias, str) else ""] = status_of(each)
    return found


def status_of(error: object) -> int:
    """The HTTP status that an error amounts to."""
    return CODES.get(str(value_at(error, "extensions.code")), 400)


def seconds_until_paid(cost: object) -> float | None:
    """Seconds until there are as many points again as the query costs, at least one."""
    paths = ("requestedQueryCost", "throttleStatus.currentlyAvailable", "throttleStatus.restoreRate")
    asked, left, rate = (as_count(value_at(cost, path)) for path in paths)
    return None if asked is None or left is None or not rate else max(1.0, (asked - left) / rate)


def _has_values(body: object) -> bool:
    """Whether an answer has data beside its errors."""
    data = value_at(body, "data")
    return is_object(data) and any(value is not None for value in data.values())


class Shopify(Vendor):
    """`POST graphql.json`: `segments`, then their `customerSegmentMembers.totalCount`, 20 a request."""

    name = "shopify"
    title = "Shopify"
    kind = "segment"
    settings = (
        Setting(
            "shop",
            ("SHOPIFY_SHOP",),
            "Shop, NAME.myshopify.com",
            required=True,
            identifies=True,
            pattern=re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII),
            example="acme.myshopify.com",
            normalize=lambda text: re.sub(r"^https?://|\.myshopify\.com\b.*|/.*", "", text.lower()),
        ),
        Setting("access_token", ("SHOPIFY_ACCESS_TOKEN",), "Admin API token, shpat_…", secret=True),
        Setting("client_id", ("SHOPIFY_CLIENT_ID",), "Client id of an app, in place of a token"),
        Setting("client_secret", ("SHOPIFY_CLIENT_SECRET",), "Its client secret", secret=True),
        base_url(
            "SHOPIFY_BASE_URL",
            "https://{shop}.myshopify.com/admin/api/2026-10",
            "Base URL with the API version",
        ),
    )
    ids_are = "generated"
    auth = (
        Header("X-Shopify-Access-Token", "{access_token}"),
        Exchange(  # a token of 24 hours
            "/admin/oauth/access_token",
            {"grant_type": "client_credentials"},
            roles=("client_id", "client_secret"),
            then=Header("X-Shopify-Access-Token", "{token}"),
            hint="The app must be in {shop}, of the same organization.",
        ),
    )
    listings = (
        Listing(
            "graphql.json",
            counts="customers of the shop who are in the segment",
            ids="gid://shopify/Segment/[0-9]{1,20}",
            rows="data.segments.nodes",
            paging=Cursor(
                f"{PAGE_INFO}.endCursor", "variables.after", more=f"{PAGE_INFO}.hasNextPage", in_body=True
            ),
            method="POST",
            json={"query": LIST, "variables": {"first": 250}},
            page_size="variables.first",
            # The dates are the rule's and not the membership's.
            fields=Fields(type="dynamic", created="creationDate", updated="lastEditDate"),
            one=request_one,
            count=Count(count_members, batch=20),
        ),
    )
    waits = (Wait("extensions.cost", read=seconds_until_paid),)
    # Inferred: a year each. Requests to one that has ended are answered by the oldest that is served.
    version = Version("2026-10", date(2027, 9, 30), falls_forward=True)
    code_hints = {
        "": {
            "402": "The shop in {shop} is frozen over an unpaid bill, which its owner must pay to Shopify "
            "first."
        }
    }
    error_hints = {
        "unauthorized": "Check {access_token}: its app must be installed in {shop}.",
        "forbidden": "The app needs the scope read_customers, and the shop in {shop} must be open.",
        "not_found": "Check {shop}.",
    }

    def status(self, response: Response) -> int:
        """Most failures come under 200, as `errors`, also beside data that is not whole then."""
        errors = value_at(response.body, "errors") if response.status == 200 else None
        if not errors or (response.request.purpose == "count" and _has_values(response.body)):
            return response.status  # the counts that came are counts
        code = value_at(errors, "0.extensions.code")
        cost = value_at(response.body, "extensions.cost")
        asked, most = value_at(cost, "requestedQueryCost"), value_at(cost, "throttleStatus.maximumAvailable")
        if code == "THROTTLED" and (as_count(asked) or 0) > (as_count(most) or math.inf):
            return 413  # it would never fit into the shop's bucket
        return status_of(value_at(errors, "0"))
