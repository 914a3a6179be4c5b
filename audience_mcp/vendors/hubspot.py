"""HubSpot: lists, which the app calls segments, each of records of one type.

Facts from HubSpot's pages of the API dated 2026-09 and its Python SDK (12.0), which knows the v3 form alone.
Whether deleted lists are among the rows, and how exact a size is, is documented nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    AudienceType, Cursor, Kind, Listing, Request, Row, Setting, Status, Vendor, Wait,
    as_count, is_object, pick, text_at, value_at,
)  # fmt: skip

TYPES: Mapping[object, AudienceType] = {"DYNAMIC": "dynamic", "MANUAL": "static", "SNAPSHOT": "static"}
STATUSES: Mapping[object, Status] = {"COMPLETE": "ready", "COMPLETED": "ready", "PROCESSING": "processing"}
"""`PAUSED` says that a list is no longer updated, and nothing of its members."""
OBJECTS = {"0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": "tickets"}
FIRST = {
    "count": 500,
    "additionalProperties": ["hs_list_size", "hs_description"],
    "processingTypes": list(TYPES),
}
"""500 is the largest page; the filters must not change between pages."""
STALE = 410


class HubSpot(Vendor):
    """`POST /crm/lists/2026-09/all` reads everything by a cursor; `GET …/{id}` gives one list."""

    name = "hubspot"
    title = "HubSpot"
    settings = (
        Setting("api_key", ("HUBSPOT_ACCESS_TOKEN", "HUBSPOT_PRIVATE_APP_TOKEN"),
                "Token of a private app, pat-…", required=True, secret=True),
        Setting("base_url", ("HUBSPOT_BASE_URL",), "Base URL", default="https://api.hubapi.com"),
    )  # fmt: skip
    kind = "list"
    size_counts = "records of the list's type (contacts, companies, deals)"
    id_shape = re.compile(r"[0-9]{1,20}", re.ASCII)
    listings = (
        Listing("crm/lists/2026-09/all", "results",
                Cursor("paging.next.after", "after", absent_is_end=True, in_body=True),
                method="POST", json=FIRST,
                one=Request("crm/lists/2026-09/{id}", {"includeFilters": "false"})),
    )  # fmt: skip
    """One list alone is asked for without its filters, which may hold people's data."""
    one_at = "list"
    id_at = "listId"
    waits = (Wait("retry-after", header=True),)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it has expired, was rotated, or is no private app's token.",
        "forbidden": "The app of {api_key} needs the scope crm.lists.read (or crm.segments.read).",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """In the listing the size is a text among the properties, and a number in one list asked for."""
        further = raw.get("additionalProperties")
        of_list = further.get("hs_list_size") if is_object(further) else None
        word, object_type = text_at(raw, "processingStatus"), text_at(raw, "objectTypeId")
        row = Row(
            id,
            text_at(raw, "name") or id,
            as_count(of_list if of_list is not None else raw.get("size")),
            TYPES.get(text_at(raw, "processingType"), "unknown"),
            STATUSES.get(word, "unknown"),
            description=text_at(further, "hs_description") if is_object(further) else None,
            created=raw.get("createdAt"),
            updated=raw.get("updatedAt"),
            details=pick(raw, "objectTypeId", "processingType", "processingStatus"),
        )
        notes = []
        if object_type and object_type != "0-1":
            notes.append(f"counts {OBJECTS.get(object_type, 'records of ' + object_type)}")
        if row.status == "processing":
            notes.append("being evaluated: not final")
        row.size_note = "; ".join(notes) or None
        return row

    def effective_status(self, status: int, body: object) -> int:
        """A cursor that is no longer good is a 400 of its own."""
        stale = status == 400 and value_at(body, "subCategory") in (
            "INVALID_CURSOR",
            "ListError.INVALID_CURSOR",
        )
        return STALE if stale else status
