"""Twilio SendGrid Marketing Campaigns: lists, and segments 2.0 with counts of the last hour or day.

Facts from SendGrid's OpenAPI documents, its error pages and answers that others recorded. Its number of all
lists (`_metadata.count`) is known to be wrong, and is no total. How an unknown segment is refused, none says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.core.dates import parse_datetime, to_rfc3339

from audience_mcp.vendors import (  # isort: skip
    Kind, Listing, NextLink, Request, Response, Row, Setting, Status, Vendor, Wait,
    as_count, pick, text_at,
)  # fmt: skip

STATUSES: Mapping[object, Status] = {
    "VALID": "ready",
    "PENDING": "processing",
    "INVALID": "failed",
    None: "ready",
}
NEXT = NextLink("_metadata.next", "page_token")


class SendGrid(Vendor):
    """`GET /v3/marketing/lists` pages by links; `GET /v3/marketing/segments/2.0` answers all at once."""

    name = "sendgrid"
    title = "SendGrid"
    settings = (
        Setting("api_key", ("SENDGRID_API_KEY",), "API key, SG.…", required=True, secret=True),
        Setting("base_url", ("SENDGRID_BASE_URL",), "Base URL", default="https://api.sendgrid.com"),
    )
    size_counts: ClassVar[str | Mapping[str, str]] = {
        "list": "contacts on the list",
        "segment": "contacts who matched at the last count",
    }
    auth_headers: ClassVar[Mapping[str, str]] = {
        "Authorization": "Bearer {api_key}",
        "Accept": "application/json",  # without it, some paths answer 406
    }
    id_shape = re.compile(r"(list|segment)-[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
    listings = (
        Listing("v3/marketing/lists", "result", NEXT, {"page_size": "1000"}, kind="list",
                one=Request("v3/marketing/lists/{id}")),
        Listing("v3/marketing/segments/2.0", "results", NEXT, kind="segment",
                one=Request("v3/marketing/segments/2.0/{id}", {"contacts_sample": "false"})),
    )  # fmt: skip
    """A segment would come with people's data if it were not told to leave them out."""
    waits = (Wait("x-ratelimit-reset", "unix_s", header=True),)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it begins with SG. and must not have been revoked.",
        "forbidden": "The key in {api_key} needs Restricted Access with Marketing: Read (marketing.read). "
        "SendGrid answers so too for a while after many bad requests.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """A list is counted now, a segment at times; one that was never counted says 0."""
        if id.startswith("list-"):
            return Row(id, text_at(raw, "name") or id, as_count(raw.get("contact_count")))
        word = text_at(raw, "status.query_validation")
        size, counted = as_count(raw.get("contacts_count")), parse_datetime(raw.get("sample_updated_at"))
        note = f"counted at {to_rfc3339(counted)}" if counted and size is not None else None
        if size == 0 and (counted is None or word == "PENDING"):
            size, note = None, "not counted yet"
        parents = raw.get("parent_list_ids")
        return Row(
            id,
            text_at(raw, "name") or id,
            size,
            type="dynamic",
            status=STATUSES.get(word, "unknown"),
            size_note=note,
            part_of=f"list-{parents[0]}" if isinstance(parents, list) and len(parents) == 1 else None,
            created=raw.get("created_at"),
            updated=raw.get("updated_at"),
            details=pick(raw, "sample_updated_at", "parent_list_ids", "status"),
        )

    def status_of(self, response: Response) -> int:
        """A 400 for one audience is an id that is not there."""
        request = response.request
        alone = request.listing is not None and request.path != request.listing.path
        return 404 if response.status == 400 and alone else response.status
