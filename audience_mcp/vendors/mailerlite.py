"""MailerLite: groups and segments, each page by its number.

Facts from MailerLite's pages, its Go, Java and Python clients, and answers that the vendor recorded in 2023.
Only the clients have the requests for one group or segment. Dates have no zone; they are in UTC.
Not documented: the largest page, and which statuses a segment's total counts. An account has at most 250
segments, which is taken for a page that is allowed: a smaller one that comes, or a refusal, costs no row.
"""

from __future__ import annotations

from audience_mcp.vendors import Fields, Listing, One, PageNumber, Vendor, api_key, base_url

PAGES = PageNumber(last="meta.last_page")
"""Links to further pages drop the page size, so they are not followed."""
OTHERS = ("unsubscribed_count", "unconfirmed_count", "bounced_count", "junk_count")


class MailerLite(Vendor):
    """`GET /groups` and `GET /segments`."""

    name = "mailerlite"
    title = "MailerLite"
    settings = (
        api_key("MAILERLITE_API_KEY", "MAILERLITE_API_TOKEN", description="API token"),
        base_url("MAILERLITE_BASE_URL", "https://connect.mailerlite.com/api"),
    )
    listings = (
        Listing(
            "groups",
            kind="group",
            counts="active subscribers in the group",
            ids="[0-9]{1,20}",
            rows="data",
            total="meta.total",
            paging=PAGES,
            params={"limit": "100", "sort": "created_at"},
            page_size="limit",
            fields=Fields("active_count", created="created_at", details=OTHERS),
            one=One("groups/{id}", at="data"),
        ),
        Listing(
            "segments",
            kind="segment",
            counts="subscribers matching the segment",
            ids="[0-9]{1,20}",
            rows="data",
            total="meta.total",
            paging=PAGES,
            params={"limit": "250"},  # as many as an account can have; if fewer come, `last_page` leads on
            page_size="limit",
            fields=Fields("total", "dynamic", created="created_at", details=OTHERS),
            one=One("segments/{id}", at="data"),
        ),
    )
    error_hints = {
        "unauthorized": "Check {api_key}: a token ends with the user who made it, and those of MailerLite "
        "Classic do not fit.",
        "forbidden": "The plan, or the user of {api_key}, has no access to the API.",
    }
