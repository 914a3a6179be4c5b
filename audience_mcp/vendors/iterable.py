"""Iterable: the lists of one project, whose sizes may be asked for five times a minute.

Facts from its TypeScript client (0.13) and from copies of its Swagger document. There is no request for one
list. Not documented: the unit of `createdAt` (milliseconds, in practice), whether the limit of sizes is of
any minute or of each by the clock, and what Internal lists are.
"""

from __future__ import annotations

from audience_mcp.vendors import (
    Count,
    Fields,
    Header,
    Listing,
    Rate,
    Request,
    Rows,
    Sizes,
    Talk,
    Values,
    Vendor,
    Words,
    api_key,
    base_url,
)

TYPES = {"Standard": "static", "Suppression": "static", "Dynamic": "dynamic"}


def request_size(rows: Rows, values: Values) -> Talk[Sizes]:
    """The whole answer is a number, in quotation marks or not."""
    (id,) = rows
    size = yield Request(f"api/lists/{id}/size", purpose="count", pace="size")
    return {id: size}


class Iterable(Vendor):
    """`GET /api/lists` answers every list; `GET /api/lists/{id}/size` answers a number."""

    name = "iterable"
    title = "Iterable"
    kind = "list"
    settings = (
        api_key("ITERABLE_API_KEY", description="Server-side API key"),
        base_url("ITERABLE_BASE_URL", "https://api.iterable.com"),
    )
    auth = Header("Api-Key", "{api_key}")
    limits = {"": [Rate(20)], "size": [Rate(5, 60)]}
    at_once = 1
    listings = (
        Listing(
            "api/lists",
            counts="users in the list",
            ids="[0-9]{1,18}",
            rows="lists",
            fields=Fields(
                type=Words("listType", TYPES),
                status="unknown",
                description="description",
                created="createdAt",
                details=("listType", "isGlobalSuppressionEnabled"),
            ),
            count=Count(request_size, shows_ready=True),
        ),
    )
    error_hints = {
        "unauthorized": "Check {api_key}: it must be a server-side key, and {base_url} the address of its "
        "data center (https://api.eu.iterable.com in the EU).",
        "forbidden": "The key in {api_key} must be a server-side one; it may be bound to IP addresses.",
    }
