"""Brevo: contact lists with sizes, and segments without.

Facts from Brevo's OpenAPI document, its Python SDK (5.1) and its help pages. Not documented: how fresh a
count is.
"""

from __future__ import annotations

from audience_mcp.vendors import (
    Fields,
    Header,
    Listing,
    Offset,
    One,
    Vendor,
    Wait,
    Words,
    api_key,
    base_url,
)

PAGE = {"limit": "50", "sort": "asc"}
"""Oldest first: lists that are made while reading come last. 50 is the largest page."""


class Brevo(Vendor):
    """`GET /contacts/lists` and `/contacts/segments`, each with the number of all its rows in `count`.

    One segment cannot be asked for. Its size could be had only with a person's data beside it, and is not
    asked for either.
    """

    name = "brevo"
    title = "Brevo"
    settings = (
        api_key("BREVO_API_KEY", description="API key, xkeysib-…"),
        base_url("BREVO_BASE_URL", "https://api.brevo.com/v3"),
    )
    auth = Header("api-key", "{api_key}")
    listings = (
        Listing(
            "contacts/lists",
            kind="list",
            counts="contacts in the list, blocklisted ones included",
            ids="[0-9]{1,18}",
            rows="lists",
            rows_may_lack=("count",),
            total="count",
            paging=Offset(),
            params=PAGE,
            page_size="limit",
            # `totalSubscribers` is a 0 that means nothing. One list alone has `createdAt` and `dynamicList`.
            fields=Fields(
                "uniqueSubscribers",
                Words("dynamicList", {True: "dynamic", False: "static"}),
                created="createdAt",
                details=("folderId",),
            ),
            one=One("contacts/lists/{id}"),
        ),
        Listing(
            "contacts/segments",
            kind="segment",
            counts="not counted",
            size_note="Brevo gives no count for segments",
            ids="[0-9]{1,18}",
            rows="segments",
            rows_may_lack=("count",),
            total="count",
            paging=Offset(),
            params=PAGE,
            page_size="limit",
            fields=Fields(type="dynamic", name="segmentName", updated="updatedAt", details=("categoryName",)),
        ),
    )
    waits = (Wait("x-sib-ratelimit-reset", header=True),)
    error_hints = {
        "unauthorized": "Check {api_key}: it may have expired, and Brevo refuses every key from an IP "
        "address that it does not know (Security > Authorized IPs).",
        "forbidden": "The key in {api_key} needs the level Read for contacts.",
    }
