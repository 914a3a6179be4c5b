"""HubSpot: lists, which the app calls segments, each of records of one type.

Facts from HubSpot's pages of the API dated 2026-09 and its Python SDK (12.0), which knows the v3 form alone.
Not documented: whether deleted lists are among the rows, how exact a size is, and how often one becomes a
point of a list's history.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from audience_mcp.vendors import (
    Cursor,
    Fields,
    History,
    Listing,
    One,
    Rate,
    Response,
    Row,
    Vendor,
    Version,
    Wait,
    Words,
    api_key,
    as_count,
    base_url,
    history_each,
    text_at,
    value_at,
)

LISTS = "crm/lists/2026-09"
TYPES = {"DYNAMIC": "dynamic", "MANUAL": "static", "SNAPSHOT": "static"}
STATUSES = {"COMPLETE": "ready", "COMPLETED": "ready", "PROCESSING": "processing"}
"""`PAUSED` says that a list is no longer updated, and nothing of its members."""
OBJECTS = {"0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": "tickets"}
STALE = ("INVALID_CURSOR", "ListError.INVALID_CURSOR")
SIZE = "additionalProperties.hs_list_size"
REFERENCES = "additionalProperties.hs_list_reference_count"
"""In how many places HubSpot uses a list. One list alone comes without it."""
DAILY_S = 3600
"""Seconds without a request where a day's requests are used up: when its midnight is, the account alone
knows."""


def seconds_of_policy(name: object) -> float | None:
    """How long the limit with this name lasts at least; the others end within seconds and say nothing."""
    return DAILY_S if name == "DAILY" else None


class HubSpot(Vendor):
    """`POST /crm/lists/2026-09/all` reads everything by a cursor; `GET …/{id}` gives one list."""

    name = "hubspot"
    title = "HubSpot"
    kind = "list"
    settings = (
        api_key(
            "HUBSPOT_ACCESS_TOKEN",
            "HUBSPOT_PRIVATE_APP_TOKEN",
            description="Service key, or token of a private app",
        ),
        base_url("HUBSPOT_BASE_URL", "https://api.hubapi.com"),
    )
    listings = (
        Listing(
            f"{LISTS}/all",
            counts="records of the list's type (contacts, companies, deals)",
            ids="[0-9]{1,20}",
            rows="results",
            paging=Cursor("paging.next.after", "after", absent_is_end=True, in_body=True),
            method="POST",
            # 500 is the largest page; the filters must not change between pages.
            page_size="count",
            deleted_at="deletedAt",
            json={
                "count": 500,
                "additionalProperties": ["hs_list_size", "hs_description", "hs_list_reference_count"],
                "processingTypes": [*TYPES],
            },
            fields=Fields(
                SIZE,
                Words("processingType", TYPES),
                Words("processingStatus", STATUSES),
                id="listId",
                description="additionalProperties.hs_description",
                created="createdAt",
                updated="updatedAt",
                details=("objectTypeId", "processingType", "processingStatus", REFERENCES),
            ),
            # Without its filters, which may hold people's data.
            one=One(f"{LISTS}/{{id}}", {"includeFilters": "false"}, at="list"),
            # Both dates are required. "between" gives the edits of the list too.
            history=History(
                history_each(
                    f"{LISTS}/{{id}}/size-and-edits-history/between",
                    "sizeHistory",
                    "timestamp",
                    "size",
                    {"startDate": "{since}", "endDate": "{until}"},
                    pace="history",
                ),
                "moment",
            ),
        ),
    )
    limits = {"history": [Rate(5)]}  # a list each: half of what the smallest plan allows
    waits = (Wait("policyName", read=seconds_of_policy),)
    passing = (423, 477)  # locked, and moving to another data center
    version = Version("2026-09", date(2028, 2, 29), setting="")  # each is served for 18 months at least
    code_hints = {
        "policyName": {
            "DAILY": "The requests that the account has for a day are used up, until midnight in its time "
            "zone."
        }
    }
    error_hints = {
        "unauthorized": "Check {api_key}: it has expired, was rotated, or is another sort of key.",
        "forbidden": "The app of {api_key} needs the scope crm.lists.read (or crm.segments.read).",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """One list alone has its size as a number of its own; what is counted may not be contacts."""
        if row.size is None:
            row.size = as_count(raw.get("size"))
        object_type, notes = text_at(raw, "objectTypeId"), []
        if object_type and object_type != "0-1":
            notes.append(f"counts {OBJECTS.get(object_type, 'records of ' + object_type)}")
        if row.status == "processing":
            notes.append("being evaluated: not final")
        row.size_note = "; ".join(notes) or None

    def status(self, response: Response) -> int:
        """A cursor that is no longer good is a 400 of its own."""
        stale = response.status == 400 and value_at(response.body, "subCategory") in STALE
        return 410 if stale else response.status
