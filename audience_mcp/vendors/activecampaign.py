"""ActiveCampaign: lists, and saved segments with the sizes of their last evaluation.

Facts from ActiveCampaign's documents of API v3 and of segments, its own MCP server, and clients that met live
accounts. Not documented: the counts of lists, which live answers have, how the listing of segments ends, and
in which order a segment's earlier runs come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from audience_mcp.vendors import (
    Fields,
    Header,
    History,
    Listing,
    Offset,
    One,
    Page,
    PageNumber,
    Rate,
    Response,
    Row,
    Setting,
    Vendor,
    api_key,
    as_count,
    history_each,
    object_at,
    text_at,
    value_at,
)

RUN = "counts.last_total"
"""Where a segment has the count of its last evaluation, and when that was."""
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])", re.ASCII)
"""What a date has that is not all zeros: a list that was not deleted may have one of zeros."""
NO_LISTS = "the key sees no lists: the account has none, or the group of the key's user may not see them"


class ActiveCampaign(Vendor):
    """`GET /api/3/lists` by offset, and `GET /api/3/audiences`, the saved segments, by page."""

    name = "activecampaign"
    title = "ActiveCampaign"
    settings = (
        Setting(
            "base_url",
            ("ACTIVECAMPAIGN_URL", "AC_API_URL", "ACTIVECAMPAIGN_BASE_URL"),
            "API address of the account, from Settings > Developer",
            required=True,
            example="https://youraccount.api-us1.com",
            normalize=lambda text: re.sub(r"(/api(/3)?)?/*$", "", text),
        ),
        api_key("ACTIVECAMPAIGN_API_KEY", "AC_API_TOKEN", description="API key of a user"),
    )
    size_unknown = "ActiveCampaign gives no count for it"
    auth = Header("Api-Token", "{api_key}")
    listings = (
        Listing(
            "api/3/lists",
            kind="list",
            counts="active contacts of the list",
            ids="[0-9]{1,12}",
            rows="lists",
            total="meta.total",
            paging=Offset(),
            # Without the filter, lists for SMS would be left out without a word.
            params={"limit": "100", "orders[id]": "ASC", "filters[channel]": "all"},
            page_size="limit",
            fields=Fields(
                "active_subscribers",
                created="cdate",
                updated="udate",
                details=("channel", "non_deleted_subscribers", "stringid"),
            ),
            deleted_at="deletestamp",
            one=One("api/3/lists/{id}", at="list"),
        ),
        Listing(
            "api/3/audiences",
            kind="segment",
            counts="contacts matching the segment when it was last evaluated",
            ids="[0-9A-Za-z-]{1,64}",
            rows="data",
            paging=PageNumber(full_page="page_size"),
            params={"page_size": "1000", "sort": "name"},
            page_size="page_size",
            fields=Fields(
                f"{RUN}.count",
                "dynamic",
                "ready",
                at="attributes",
                created="created_date",
                updated="updated_date",
                last_used="last_used_date",
                details=("category",),
            ),
            one=One("api/3/audiences/{id}", listed=True),
            # The runs before a moment, fifty at most, which need not be told apart by their definition: an
            # edit of a segment is known by its date.
            history=History(
                history_each(
                    "api/3/segmentsV2/{id}/count-history/{after_s}",
                    "data",
                    "attributes.timestamp",
                    "attributes.result_count",
                ),
                "moment",
                most=50,
                dated=True,
            ),
            empty_on=(404,),
        ),
    )
    limits = {"": [Rate(4)]}  # five a second are allowed to an account; one is left for others
    error_hints = {
        "unauthorized": "Check {api_key}, and that {base_url} is the address of its account. A user whose "
        "group may not see lists and contacts is answered so too.",
        "forbidden": "Check {api_key}: the plan, or the group of its user, may not include saved segments.",
    }

    def page(self, page: Page, body: object) -> Page:
        """Some accounts have no total of lists: an empty page is the end then. A total of 0 may be the user's
        alone."""
        if as_count(page.total) == 0 and value_at(body, "lists") == []:
            page = replace(page, note=NO_LISTS)
        return page if page.more is not None else replace(page, more=bool(page.rows))

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A segment's count is of the run that its note names, maybe long ago."""
        if listing.kind == "list":
            return
        facts = object_at(raw, "attributes")
        active = as_count(value_at(facts, "counts.last_active_total.count"))
        if active is not None:
            row.add_detail("last_active_total", active)
        if row.size is None:
            row.status, row.size_note = "processing", "not evaluated yet"
            return
        times = (text_at(facts, f"{RUN}.{at}") or "" for at in ("run_id_start", "last_total_updated"))
        day = next((found[0] for found in map(DAY.match, times) if found), None)
        row.sized_on = day
        row.size_note = f"as evaluated on {day}" if day else "as last evaluated, on a day that is not told"

    def status(self, response: Response) -> int:
        """403 is a wrong key as well as missing rights; where segments alone are refused, lists are read."""
        segments = response.request.path.startswith(("api/3/audiences", "api/3/segmentsV2"))
        return 401 if response.status == 403 and not segments else response.status
