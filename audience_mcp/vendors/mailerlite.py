"""MailerLite: groups and segments, each page by its number.

Facts from MailerLite's pages, its Go, Java and Python clients, and answers that the vendor recorded in 2023.
The largest page, and which statuses a segment's total counts, are documented nowhere; requests for one group
or segment are in the vendor's clients alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Kind, Listing, PageNumber, Request, Row, Setting, Vendor, as_count, pick, text_at,
)  # fmt: skip

PAGING = PageNumber(last="meta.last_page")
OTHERS = ("unsubscribed_count", "unconfirmed_count", "bounced_count", "junk_count")


class MailerLite(Vendor):
    """`GET /groups` and `/segments`; links to further pages lose the size of a page, and are not followed."""

    name = "mailerlite"
    title = "MailerLite"
    settings = (
        Setting(
            "api_key", ("MAILERLITE_API_KEY", "MAILERLITE_API_TOKEN"), "API token", required=True, secret=True
        ),
        Setting(
            "base_url", ("MAILERLITE_BASE_URL",), "Base URL", default="https://connect.mailerlite.com/api"
        ),
    )
    size_counts: ClassVar[str | Mapping[str, str]] = {
        "group": "active subscribers in the group",
        "segment": "subscribers matching the segment",
    }
    id_shape = re.compile(r"(group|segment)-[0-9]{1,20}", re.ASCII)
    one_at = "data"
    listings = (
        Listing("groups", "data", PAGING, {"limit": "100", "sort": "created_at"}, total="meta.total",
                kind="group", one=Request("groups/{id}")),
        Listing("segments", "data", PAGING, {"limit": "100"}, total="meta.total", kind="segment",
                one=Request("segments/{id}")),
    )  # fmt: skip
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: a token ends with the user who made it, and those of MailerLite "
        "Classic do not fit.",
        "forbidden": "The plan, or the user of {api_key}, has no access to the API.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Dates have no zone, and are in UTC."""
        group = id.startswith("group-")
        return Row(
            id,
            text_at(raw, "name") or id,
            as_count(raw.get("active_count" if group else "total")),
            "static" if group else "dynamic",
            created=raw.get("created_at"),
            details=pick(raw, *OTHERS),
        )
