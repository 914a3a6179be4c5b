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
    Kind, Listing, Offset, Page, PageNumber, Rate, Request, Response, Row, Setting, Vendor,
    as_count, object_at, pick, text_at, value_at,
)  # fmt: skip

ALL = {"limit": "100", "orders[id]": "ASC", "filters[channel]": "all"}
"""Without the filter, lists for SMS would be left out without a word."""
RUN = "counts.last_total"
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])", re.ASCII)


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
        "forbidden": "Check {api_key}: the plan, or the group of its user, may not include saved segments.",
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
        """Numbers of lists are texts; a deleted one counts in no total."""
        if id.startswith("segment-"):
            return self._segment(object_at(raw, "attributes"), id)
        deleted = re.search("[1-9]", str(raw.get("deletestamp") or ""))
        return Row(id, text_at(raw, "name") or id,
                   None if deleted else as_count(raw.get("active_subscribers")),
                   status="unknown" if deleted else "ready", size_note="deleted" if deleted else None,
                   created=raw.get("cdate"), updated=raw.get("udate"),
                   details=pick(raw, "channel", "non_deleted_subscribers", "stringid"))  # fmt: skip

    def _segment(self, facts: Mapping[str, object], id: str) -> Row:
        """Its count is of the run that began on the day in its note, maybe long ago."""
        size = as_count(value_at(facts, f"{RUN}.count"))
        times = (text_at(facts, f"{RUN}.{at}") or "" for at in ("run_id_start", "last_total_updated"))
        day = next((found[0] for found in map(DAY.match, times) if found), None)
        active = as_count(value_at(facts, "counts.last_active_total.count"))
        further = {} if active is None else {"last_active_total": active}
        note = f"as evaluated on {day}" if day else "as last evaluated, on a day that is not told"
        return Row(id, text_at(facts, "name") or id, size, "dynamic",
                   "processing" if size is None else "ready", "not evaluated yet" if size is None else note,
                   created=facts.get("created_date"), updated=facts.get("updated_date"),
                   details={**pick(facts, "category"), **further})  # fmt: skip

    def parse_get(self, body: object, request: Request) -> Sequence[object]:
        """`{"list": {…}}`, or `{"data": [{…}]}`."""
        listing = self.listings[1]
        return listing.rows_in(body) if request.listing is listing else [object_at(body, "list")]

    def status_of(self, response: Response) -> int:
        """403 is a wrong key as well as missing rights; where segments alone are refused, lists are read."""
        segments = response.request.listing is self.listings[1]
        return 401 if response.status == 403 and not segments else response.status
