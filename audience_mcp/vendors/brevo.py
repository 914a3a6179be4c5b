"""Brevo: contact lists with sizes, and segments without.

Facts from Brevo's OpenAPI document, its Python SDK (5.1) and its help pages. None says how fresh a count is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    AudienceType, Kind, Listing, Offset, Request, Row, Setting, Vendor, Wait,
    as_count, pick, text_at,
)  # fmt: skip

PAGE = {"limit": "50", "sort": "asc"}
"""Oldest first: lists that are made while reading come last. 50 is the largest page."""
TYPES: Mapping[object, AudienceType] = {True: "dynamic", False: "static"}


class Brevo(Vendor):
    """`GET /contacts/lists` and `/contacts/segments`, each with the number of all its rows in `count`.

    One segment cannot be asked for. Its size could be had only with a person's data beside it, and is not
    asked for either.
    """

    name = "brevo"
    title = "Brevo"
    settings = (
        Setting("api_key", ("BREVO_API_KEY",), "API key, xkeysib-…", required=True, secret=True),
        Setting("base_url", ("BREVO_BASE_URL",), "Base URL", default="https://api.brevo.com/v3"),
    )
    size_counts: ClassVar[str | Mapping[str, str]] = {
        "list": "contacts in the list, blocklisted ones included",
        "segment": "not counted",
    }
    auth_headers: ClassVar[Mapping[str, str]] = {"api-key": "{api_key}"}
    id_shape = re.compile(r"(list|segment)-[0-9]{1,18}", re.ASCII)
    listings = tuple(
        Listing(f"contacts/{kind}s", f"{kind}s", Offset(), PAGE, total="count", kind=kind,
                rows_may_lack=("count",), one=Request("contacts/lists/{id}") if kind == "list" else None)
        for kind in ("list", "segment")
    )  # fmt: skip
    waits = (Wait("x-sib-ratelimit-reset", header=True),)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it may have expired, and Brevo refuses every key from an IP "
        "address that it does not know (Security > Authorized IPs).",
        "forbidden": "The key in {api_key} needs the level Read for contacts.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Only one list asked for alone tells its date and whether it is dynamic."""
        if id.startswith("segment-"):
            return Row(id, text_at(raw, "segmentName") or id, type="dynamic", updated=raw.get("updatedAt"),
                       size_note="Brevo gives no count for segments",
                       details=pick(raw, "categoryName"))  # fmt: skip
        dynamic = raw.get("dynamicList")
        return Row(
            id,
            text_at(raw, "name") or id,
            as_count(raw.get("uniqueSubscribers")),  # `totalSubscribers` is a 0 that means nothing
            type=TYPES.get(dynamic, "unknown") if isinstance(dynamic, bool) else "unknown",
            created=raw.get("createdAt"),
            details=pick(raw, "folderId"),
        )
