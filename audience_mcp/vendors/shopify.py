"""Shopify: the customer segments of one shop (Admin GraphQL), each of whose sizes is a count of its own.

Facts from shopify.dev and from the Admin API's schema (2026-10). Not documented: what a count costs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Counted, Cursor, Kind, Listing, Request, Response, Row, Setting, TokenExchange, Values, Vendor,
    as_count, object_at, text_at, value_at,
)  # fmt: skip

FIELDS = "id name creationDate lastEditDate"
LIST = ("query AudienceList($first: Int!, $after: String) { segments(first: $first, after: $after, "
        f"sortKey: ID) {{ nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}")  # fmt: skip
ONE = f"query AudienceOne($id: ID!) {{ segment(id: $id) {{ {FIELDS} }} }}"
SIZE = "n{0}: customerSegmentMembers(segmentId: $s{0}, first: 1) {{ totalCount }}"
CODES = {"THROTTLED": 429, "ACCESS_DENIED": 403, "SHOP_INACTIVE": 403, "NOT_FOUND": 404,
         "INTERNAL_SERVER_ERROR": 503}  # fmt: skip


class Shopify(Vendor):
    """`POST graphql.json`: `segments`, then their `customerSegmentMembers.totalCount`, 20 a request."""

    name, title, kind = "shopify", "Shopify", "segment"
    settings = (
        Setting("shop", ("SHOPIFY_SHOP",), "Shop, NAME.myshopify.com", required=True, identifies=True,
                pattern=re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII), example="acme.myshopify.com",
                normalize=lambda text: re.sub(r"^https?://|\.myshopify\.com\b.*|/.*", "", text.lower())),
        Setting("access_token", ("SHOPIFY_ACCESS_TOKEN",), "Admin API token, shpat_…", secret=True),
        Setting("client_id", ("SHOPIFY_CLIENT_ID",), "Client id of an app, in place of a token"),
        Setting("client_secret", ("SHOPIFY_CLIENT_SECRET",), "Its client secret", secret=True),
        Setting("base_url", ("SHOPIFY_BASE_URL",), "Base URL with the API version",
                default="https://{shop}.myshopify.com/admin/api/2026-10"),
    )  # fmt: skip
    needs_one_of = (("access_token",), ("client_id", "client_secret"))
    exchange = TokenExchange("/admin/oauth/access_token", {"grant_type": "client_credentials"},
                             roles=("client_id", "client_secret"),
                             hint="The app must be in {shop}, of the same organization.")  # fmt: skip
    size_counts = "customers of the shop who are in the segment"
    id_shape = re.compile(r"gid://shopify/Segment/[0-9]{1,20}", re.ASCII)
    query: ClassVar = {"query": LIST, "variables": {"first": 250}}
    info = "data.segments.pageInfo"
    paging = Cursor(f"{info}.endCursor", "variables.after", more=f"{info}.hasNextPage", in_body=True)
    one = Request("graphql.json", method="POST", json={"query": ONE, "variables": {"id": "{id}"}})
    listings = (Listing("graphql.json", "data.segments.nodes", paging, method="POST", json=query, one=one),)
    counts_per_request: ClassVar = {"": 20}
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {access_token}: its app must be installed in {shop}.",
        "forbidden": "The app needs the scope read_customers, and the shop in {shop} must be open.",
        "not_found": "Check {shop}.",
    }

    def token_exchange(self, values: Values) -> TokenExchange | None:
        """A token of 24 hours, where there is none that stays."""
        return None if "access_token" in values else super().token_exchange(values)

    def headers(self, values: Values) -> Mapping[str, str]:
        """A header of Shopify's own."""
        return {"X-Shopify-Access-Token": values.get("access_token") or values["token"]}

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """A rule and its dates, which are the rule's and not the membership's."""
        return Row(id, text_at(raw, "name") or id, type="dynamic", size_pending=True,
                   created=raw.get("creationDate"), updated=raw.get("lastEditDate"))  # fmt: skip

    def parse_one(self, body: object) -> Sequence[object]:
        """The segment; null where there is none."""
        segment = object_at(body, "data").get("segment")
        return [] if segment is None else [segment]

    def count_request(self, rows: Sequence[Row], values: Values) -> Request:
        """One alias and one variable for each segment."""
        ids = {f"s{n}": row.id for n, row in enumerate(rows)}
        declared = ", ".join(f"${name}: ID!" for name in ids)
        query = f"query AudienceSizes({declared}) {{ {' '.join(map(SIZE.format, range(len(rows))))} }}"
        return Request("graphql.json", method="POST", json={"query": query, "variables": ids})

    def parse_counts(self, body: object, rows: Sequence[Row]) -> Mapping[str, Counted]:
        """The counts, by their aliases."""
        data, note = object_at(body, "data"), "25,001 may be where Shopify stops counting"
        counts = {row.id: value_at(data, f"n{number}.totalCount") for number, row in enumerate(rows)}
        return {id: Counted(n, note if as_count(n) == 25_001 else None) for id, n in counts.items()}

    def status_of(self, response: Response) -> int:
        """Most failures come under 200, as `errors`, also beside data that is not whole then."""
        errors = value_at(response.body, "errors") if response.status == 200 else None
        return CODES.get(str(value_at(errors, "0.extensions.code")), 400) if errors else response.status

    def retry_after(self, body: object) -> object:
        """Until there are as many points again as the query costs."""
        cost = value_at(body, "extensions.cost")
        paths = ("requestedQueryCost", "throttleStatus.currentlyAvailable", "throttleStatus.restoreRate")
        asked, left, rate = (as_count(value_at(cost, path)) for path in paths)
        return None if asked is None or left is None or not rate else max(1.0, (asked - left) / rate)
