"""OneSignal: the segments of one app, each of whose sizes costs a request, at one a second.

Facts from OneSignal's OpenAPI document (5.12), its pages "View segments", "View segment" and "Rate limits".
Not documented: whether `total_count` is of the page or of all, and the limit for segments: that of its other
"View" requests is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Counted, Kind, Listing, Offset, Rate, Request, Response, Row, Setting, Values, Vendor,
    as_object, pick, text_at,
)  # fmt: skip

UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
LARGEST = 300


class OneSignal(Vendor):
    """`GET /apps/{app}/segments` lists them without sizes; `…/segments/{id}` has one size and no more."""

    name = "onesignal"
    title = "OneSignal"
    kind = "segment"
    settings = (
        Setting("api_key", ("ONESIGNAL_REST_API_KEY", "ONESIGNAL_API_KEY"), "App API key", required=True,
                secret=True),
        Setting("app_id", ("ONESIGNAL_APP_ID",), "Id of the app", required=True, identifies=True,
                pattern=UUID, example="6f1e0c2a-1b2c-4d3e-8f40-5a6b7c8d9e0f"),
        Setting("base_url", ("ONESIGNAL_BASE_URL",), "Base URL", default="https://api.onesignal.com"),
    )  # fmt: skip
    size_counts = "subscriptions (devices, e-mail addresses, phone numbers) that match the segment"
    auth_headers: ClassVar[Mapping[str, str]] = {"Authorization": "Key {api_key}"}
    """Not a bearer token, whatever the document says."""
    id_shape = UUID
    paging = Offset(full_page=LARGEST, counted="total_count")
    listings = (Listing("apps/{app_id}/segments", "segments", paging, {"limit": str(LARGEST)}),)
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"": [Rate(1)], "count": [Rate(1)]}
    """One a second for each sort of request."""
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key} and {app_id}: the key must be an API key of this app, not of the "
        "organization, and OneSignal answers the same to both.",
        "forbidden": "The plan of the app in {app_id} may not include it.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Every segment is a filter."""
        return Row(
            id,
            text_at(raw, "name") or id,
            type="dynamic",
            status="unknown" if raw.get("is_active") is False else "ready",
            size_pending=True,
            created=raw.get("created_at"),
            updated=raw.get("updated_at"),
            details=pick(raw, "read_only", "is_active"),
        )

    def count_request(self, rows: Sequence[Row], values: Values) -> Request:
        """Without the segment's filters, which may hold people's data."""
        return Request(f"apps/{values['app_id']}/segments/{rows[0].id}", pace="count")

    def parse_counts(self, body: object, rows: Sequence[Row]) -> Mapping[str, Counted]:
        """`{"subscriber_count": …}`, which does not say of which segment."""
        (row,) = rows
        note = "the segment is not active" if row.status == "unknown" else None
        return {row.id: Counted(as_object(body).get("subscriber_count"), note)}

    def status_of(self, response: Response) -> int:
        """A wrong key or app is a 400 or a 403; a 400 for one size is a segment that cannot be counted."""
        refused = response.status == 403 or (response.status == 400 and response.request.listing is not None)
        return 401 if refused else response.status
