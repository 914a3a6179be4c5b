"""ActiveCampaign: lists, and saved segments with the sizes of their last evaluation.

Facts from ActiveCampaign's documents of API v3 and of segments, its own MCP server, and clients that met live
accounts. Not documented: the counts of lists, which live answers have, and how the listing of segments ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Kind, Listing, Offset, Page, PageNumber, Rate, Request, Row, Setting, Vendor,
    as_count, object_at, pick, text_at, value_at,
)  # fmt: skip

ALL = {"limit": "100", "orders[id]": "ASC", "filters[channel]": "all"}
"""Without the filter, lists for SMS would be left out without a word."""


class ActiveCampaign(Vendor):
    """`GET /api/3/lists` by offset, and `GET /api/3/audiences`, the saved segments, by page."""

    name = "activecampaign"
    title = "ActiveCampaign"
    settings = (
        Setting("base_url", ("ACTIVECAMPAIGN_URL", "AC_API_URL", "ACTIVECAMPAIGN_BASE_URL"),
                "API address of the account, from Settings > Developer", required=True,
                example="https://youraccount.api-us1.com",
                normalize=lambda text: re.sub(r"(/api(/3)?)?/*$", "", text)),
        Setting("api_key", ("ACTIVECAMPAIGN_API_KEY", "AC_API_TOKEN"), "API key of a user", required=True,
                secret=True),
    )  # fmt: skip
    size_counts: ClassVar[str | Mapping[str, str]] = {
        "list": "active contacts of the list",
        "segment": "contacts matching the segment when it was last evaluated",
    }
    size_unknown = "ActiveCampaign gives no count for it"
    auth_headers: ClassVar[Mapping[str, str]] = {"Api-Token": "{api_key}"}
    id_shape = re.compile(r"list-[0-9]{1,12}|segment-[0-9A-Za-z-]{1,64}", re.ASCII)
    listings = (
        Listing("api/3/lists", "lists", Offset(), ALL, total="meta.total", kind="list",
                one=Request("api/3/lists/{id}")),
        Listing("api/3/audiences", "data", PageNumber(full_page=1000), {"page_size": "1000", "sort": "name"},
                kind="segment", empty_on=(404,), one=Request("api/3/audiences/{id}")),
    )  # fmt: skip
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"": [Rate(4)]}
    """Five a second are allowed to an account; one is left for others."""
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}, and that {base_url} is the address of its account. A user whose "
        "group may not see lists and contacts is answered so too.",
        "forbidden": "The plan of the account has no API for {api_key}.",
    }

    def page(self, body: object, request: Request) -> Page:
        """A total of 0 beside rows, which some accounts give, says nothing: an empty page is the end then."""
        page = super().page(body, request)
        if request.listing is not self.listings[0] or as_count(page.total):
            return page
        if page.rows:
            return replace(page, more=True, total=None)
        return replace(page, more=False) if request.params["offset"] != "0" else page

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Numbers of lists are texts. A segment's count is from the day in its note, maybe long ago."""
        if id.startswith("list-"):
            return Row(id, text_at(raw, "name") or id, as_count(raw.get("active_subscribers")),
                       status="unknown" if raw.get("deletestamp") else "ready", created=raw.get("cdate"),
                       updated=raw.get("udate"),
                       details=pick(raw, "channel", "non_deleted_subscribers", "stringid"))  # fmt: skip
        facts = object_at(raw, "attributes")
        size = as_count(value_at(facts, "counts.last_total.count"))
        day = (text_at(facts, "counts.last_total.last_total_updated") or "")[:10]
        active = as_count(value_at(facts, "counts.last_active_total.count"))
        further = {} if active is None else {"last_active_total": active}
        return Row(id, text_at(facts, "name") or id, size, "dynamic",
                   "processing" if size is None else "ready",
                   "not evaluated yet" if size is None else f"as evaluated on {day}" if day else None,
                   created=facts.get("created_date"), updated=facts.get("updated_date"),
                   details={**pick(facts, "category"), **further})  # fmt: skip

    def parse_get(self, body: object, request: Request) -> Sequence[object]:
        """`{"list": {…}}`, or `{"data": [{…}]}`."""
        listing = self.listings[1]
        return listing.rows_in(body) if request.listing is listing else [object_at(body, "list")]

    def effective_status(self, status: int, body: object) -> int:
        """403 is what a wrong key is answered with, as well as missing rights."""
        return 401 if status == 403 else status
