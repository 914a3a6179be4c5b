"""Intercom: the segments of one workspace.

Facts from Intercom's OpenAPI document (2.16), its pages and its Python SDK (5.0), and from an answer that
others recorded in 2026. Not documented: how fresh a count is, whom it leaves out, and what a version that
Intercom does not know is answered with.
"""

from __future__ import annotations

import re
from dataclasses import replace

from audience_mcp.vendors import (
    Bearer,
    Cursor,
    Fields,
    Listing,
    One,
    Page,
    Setting,
    Vendor,
    Wait,
    api_key,
    base_url,
    is_object,
    value_at,
)

COUNTED = {"include_count": "true"}


class Intercom(Vendor):
    """`GET /segments` answers all at once, and says that it may have pages one day."""

    name = "intercom"
    title = "Intercom"
    kind = "segment"
    settings = (
        api_key("INTERCOM_ACCESS_TOKEN", "INTERCOM_API_KEY", description="Access token", role="access_token"),
        Setting(
            "version",
            ("INTERCOM_VERSION",),
            "Version of the API",
            default="2.14",
            pattern=re.compile(r"[0-9]\.[0-9]{1,2}", re.ASCII),
            example="2.14",
        ),
        base_url("INTERCOM_BASE_URL", "https://api.intercom.io", "Base URL, of the region"),
    )
    size_unknown = "Intercom gives no count for it"
    ids_are = "generated"
    auth = Bearer("access_token")
    headers = {
        "Intercom-Version": "{version}",  # without it, whatever was set for the app counts
        "Accept": "application/json",
    }
    listings = (
        Listing(
            "segments",
            made_for_all=("Active", "New", "Slipping Away"),
            counts="contacts (users or leads, see person_type) matching the segment",
            ids="[0-9A-Za-z_-]{1,64}",
            rows="segments",
            paging=Cursor("pages.next.starting_after", "starting_after", absent_is_end=True),
            params=COUNTED,
            fields=Fields(
                "count", "dynamic", created="created_at", updated="updated_at", details=("person_type",)
            ),
            # Today's documents show no count in one segment alone; those of version 1 did.
            one=One("segments/{id}", COUNTED, lacks_size=True),
        ),
    )
    waits = (Wait("x-ratelimit-reset", header=True),)
    error_hints = {
        "unauthorized": "Check {access_token}: it was revoked or has expired, or {base_url} is of another "
        "region (https://api.eu.intercom.io, https://api.au.intercom.io).",
        "forbidden": 'The app of {access_token} needs the permission "Read and list users and companies", '
        "and the plan access to the API.",
        "invalid_request": "Check {version}: Intercom may not know that version.",
    }

    def page(self, page: Page, body: object) -> Page:
        """If more pages are announced in an undocumented form, they cannot be requested, and the listing is
        incomplete."""
        pages = value_at(body, "pages")
        last = pages is None or (is_object(pages) and not pages.get("next"))
        return page if page.next or last else replace(page, more=True)
