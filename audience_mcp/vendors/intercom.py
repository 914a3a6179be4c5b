"""Intercom: the segments of one workspace.

Facts from Intercom's OpenAPI document (2.16), its pages and its Python SDK (5.0), and from an answer that
others recorded in 2026. Not documented: how fresh a count is, whom it leaves out, and what a version that
Intercom does not know is answered with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Cursor, Kind, Listing, Page, Request, Row, Setting, Vendor, Wait,
    as_count, is_object, pick, text_at, value_at,
)  # fmt: skip


class Intercom(Vendor):
    """`GET /segments` answers all at once, and says that it may have pages one day."""

    name = "intercom"
    title = "Intercom"
    kind = "segment"
    settings = (
        Setting("access_token", ("INTERCOM_ACCESS_TOKEN", "INTERCOM_API_KEY"), "Access token",
                required=True, secret=True),
        Setting("version", ("INTERCOM_VERSION",), "Version of the API", default="2.14",
                pattern=re.compile(r"[0-9]\.[0-9]{1,2}", re.ASCII), example="2.14"),
        Setting("base_url", ("INTERCOM_BASE_URL",), "Base URL, of the region", default="https://api.intercom.io"),
    )  # fmt: skip
    size_counts = "contacts (users or leads, see person_type) matching the segment"
    size_unknown = "Intercom gives no count for it"
    auth_headers: ClassVar[Mapping[str, str]] = {
        "Authorization": "Bearer {access_token}",
        "Intercom-Version": "{version}",  # without it, whatever was set for the app counts
        "Accept": "application/json",
    }
    id_shape = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
    get_lacks_size = True
    listings = (
        Listing(
            "segments",
            "segments",
            Cursor("pages.next.starting_after", "starting_after", absent_is_end=True),
            {"include_count": "true"},
            one=Request("segments/{id}", {"include_count": "true"}),
        ),
    )
    """The documents of today show no count in one segment alone, those of version 1 did."""
    waits = (Wait("x-ratelimit-reset", "unix_s", header=True),)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {access_token}: it was revoked or has expired, or {base_url} is of another "
        "region (https://api.eu.intercom.io, https://api.au.intercom.io).",
        "forbidden": 'The app of {access_token} needs the permission "Read and list users and companies", '
        "and the plan access to the API.",
        "invalid_request": "Check {version}: Intercom may not know that version.",
    }

    def page(self, body: object, request: Request) -> Page:
        """Further pages that are told of in a form nobody has documented are none that can be asked for."""
        page, told = super().page(body, request), value_at(body, "pages")
        last = told is None or (is_object(told) and not told.get("next"))
        return page if page.next or last else replace(page, more=True)

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Every segment is a rule; dates are Unix seconds."""
        return Row(
            id,
            text_at(raw, "name") or id,
            as_count(raw.get("count")),
            "dynamic",
            created=raw.get("created_at"),
            updated=raw.get("updated_at"),
            details=pick(raw, "person_type"),
        )
