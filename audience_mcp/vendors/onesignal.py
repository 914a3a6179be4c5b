"""OneSignal: the segments of one app, each of whose sizes costs a request, at one a second.

Facts from OneSignal's OpenAPI document (5.12), its pages "View segments", "View segment" and "Rate limits".
Not documented: whether `total_count` counts the page or everything, and the rate limit for segments (that of
the other "View" requests is kept).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Fields,
    Header,
    Listing,
    Offset,
    Rate,
    Response,
    Row,
    Setting,
    Vendor,
    api_key,
    base_url,
    count_each,
)

UUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


class OneSignal(Vendor):
    """`GET /apps/{app}/segments` lists them without sizes; `…/segments/{id}` has one size and no more."""

    name = "onesignal"
    title = "OneSignal"
    kind = "segment"
    settings = (
        api_key("ONESIGNAL_REST_API_KEY", "ONESIGNAL_API_KEY", description="App API key"),
        Setting(
            "app_id",
            ("ONESIGNAL_APP_ID",),
            "Id of the app",
            required=True,
            identifies=True,
            pattern=re.compile(UUID, re.ASCII),
            example="6f1e0c2a-1b2c-4d3e-8f40-5a6b7c8d9e0f",
        ),
        base_url("ONESIGNAL_BASE_URL", "https://api.onesignal.com"),
    )
    ids_are = "generated"
    auth = Header("Authorization", "Key {api_key}")  # not a bearer token, whatever the document says
    listings = (
        Listing(
            "apps/{app_id}/segments",
            counts="subscriptions (devices, e-mail addresses, phone numbers) that match the segment",
            ids=UUID,
            rows="segments",
            paging=Offset(full_page="limit", counted="total_count"),
            params={"limit": "300"},
            page_size="limit",
            fields=Fields(
                type="dynamic",
                status="ready",
                created="created_at",
                updated="updated_at",
                details=("read_only", "is_active"),
            ),
            # Without the segment's filters, which may hold people's data.
            count=count_each("apps/{app_id}/segments/{id}", "subscriber_count", pace="count"),
        ),
    )
    limits = {"": [Rate(1)], "count": [Rate(1)]}  # one a second for each sort of request
    error_hints = {
        "unauthorized": "Check {api_key} and {app_id}: the key must be an API key of this app, not of the "
        "organization, and OneSignal answers the same to both.",
        "forbidden": "The plan of the app in {app_id} may not include it.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A segment may be switched off."""
        if raw.get("is_active") is False:
            row.status, row.size_note = "unknown", "the segment is not active"

    def status(self, response: Response) -> int:
        """A wrong key or app is a 400 or a 403; a 400 for one size is a segment that cannot be counted."""
        refused = response.status == 403 or (response.status == 400 and response.request.purpose == "list")
        return 401 if refused else response.status
