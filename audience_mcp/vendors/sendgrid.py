"""Twilio SendGrid Marketing Campaigns: lists, and segments 2.0 with counts of the last hour or day.

Facts from SendGrid's OpenAPI documents, its error pages and answers that others recorded. Its number of all
lists (`_metadata.count`) is known to be wrong, and is no total. Not documented: how an unknown segment is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from audience_mcp.core.dates import parse_datetime, to_rfc3339
from audience_mcp.vendors import (
    Fields,
    Listing,
    NextLink,
    One,
    Response,
    Row,
    Vendor,
    Wait,
    Words,
    api_key,
    base_url,
)

UUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
STATUSES = {"VALID": "ready", "PENDING": "processing", "INVALID": "failed", None: "ready"}
NEXT = NextLink("_metadata.next", "page_token")

LISTS = Listing(
    "v3/marketing/lists",
    kind="list",
    counts="contacts on the list",
    ids=UUID,
    rows="result",
    paging=NEXT,
    params={"page_size": "1000"},
    page_size="page_size",
    fields=Fields("contact_count"),
    one=One("v3/marketing/lists/{id}"),
)
SEGMENTS = Listing(
    "v3/marketing/segments/2.0",
    kind="segment",
    counts="contacts who matched at the last count",
    ids=UUID,
    rows="results",
    paging=NEXT,
    fields=Fields(
        "contacts_count",
        "dynamic",
        Words("status.query_validation", STATUSES),
        created="created_at",
        updated="updated_at",
        details=("sample_updated_at", "parent_list_ids", "status"),
    ),
    # A segment would come with people's data if it were not told to leave them out.
    one=One("v3/marketing/segments/2.0/{id}", {"contacts_sample": "false"}),
)


class SendGrid(Vendor):
    """`GET /v3/marketing/lists` pages by links; `GET /v3/marketing/segments/2.0` answers all at once."""

    name = "sendgrid"
    title = "SendGrid"
    settings = (
        api_key("SENDGRID_API_KEY", description="API key, SG.…"),
        base_url("SENDGRID_BASE_URL", "https://api.sendgrid.com"),
    )
    ids_are = "generated"
    headers = {"Accept": "application/json"}  # without it, some paths answer 406
    listings = (LISTS, SEGMENTS)
    waits = (Wait("x-ratelimit-reset", header=True),)
    error_hints = {
        "unauthorized": "Check {api_key}: it begins with SG. and must not have been revoked.",
        "forbidden": "The key in {api_key} needs Custom (or Restricted) Access with Marketing: Read "
        "(marketing.read). SendGrid answers so too for a while after many bad requests.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A list is counted now, a segment at times; one that was never counted says 0."""
        if listing is LISTS:
            return
        counted = parse_datetime(raw.get("sample_updated_at"))
        if row.size == 0 and (counted is None or row.status == "processing"):
            row.size, row.size_note = None, "not counted yet"
        elif row.size is not None and counted is not None:
            row.size_note = f"counted at {to_rfc3339(counted)}"
        parents = raw.get("parent_list_ids")
        if isinstance(parents, list) and len(parents) == 1:
            row.part_of = LISTS.full_id(str(parents[0]))

    def status(self, response: Response) -> int:
        """A 400 for one audience is an id that is not there."""
        unknown = response.status == 400 and response.request.purpose == "one"
        return 404 if unknown else response.status
