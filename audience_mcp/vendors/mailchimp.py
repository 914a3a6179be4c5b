"""Mailchimp: lists, and within each list its segments and tags.

Facts from Mailchimp's Marketing API document (3.0.55) and its Python SDK (3.0). Counts of lists are cached by
Mailchimp for five minutes and more. Not documented: what a `fuzzy` segment is, and whether the running month
is in a list's growth history.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from audience_mcp.vendors import (
    Basic,
    Fields,
    History,
    Listing,
    Offset,
    One,
    Response,
    Row,
    Setting,
    Values,
    Vendor,
    Words,
    api_key,
    base_url,
    history_each,
)

DATA_CENTRE = re.compile(r"[a-z]{2,4}[0-9]{1,3}", re.ASCII)
SENT = "stats.campaign_last_sent"
COUNTS = ("unsubscribe_count", "cleaned_count", "total_contacts", "campaign_count")
"""`total_contacts` are those in any state, approximately: the unsubscribed and non-subscribed ones among them
are paid for, and cannot be mailed. `campaign_count` is of campaigns in any state."""
DETAILS = tuple(f"stats.{name}" for name in COUNTS)
LIST = ("id", "name", "date_created", "stats.member_count", SENT, *DETAILS)
SEGMENT = ("id", "name", "type", "member_count", "created_at", "updated_at")
"""What is asked for: without it, a list comes with addresses and some kilobytes of links."""


def only_fields(of: str, names: Sequence[str]) -> str:
    """The parameter that limits a listing to these fields."""
    return ",".join([*(f"{of}.{name}" for name in names), "total_items"])


def find_data_centre(values: Values) -> str | None:
    """The data centre is what follows the key's last `-`."""
    suffix = values.get("api_key", "").rpartition("-")[2]
    return suffix if DATA_CENTRE.fullmatch(suffix) else None


LISTS = Listing(
    "lists",
    kind="list",
    counts="subscribed contacts",
    size_note="may lag by some minutes",
    ids="[0-9a-f]{10}",
    rows="lists",
    total="total_items",
    paging=Offset(),
    params={
        "count": "1000",
        "fields": only_fields("lists", LIST),
        "sort_field": "date_created",
        "sort_dir": "ASC",
        "include_total_contacts": "true",
    },
    page_size="count",
    fields=Fields(
        "stats.member_count",
        created="date_created",
        last_used=SENT,
        details=DETAILS,
    ),
    one=One("lists/{id}", {"fields": ",".join(LIST), "include_total_contacts": "true"}),
    # `subscribed` is of the end of the month; the others are of what came and went in it, or always 0.
    history=History(
        history_each(
            "lists/{id}/growth-history",
            "history",
            "month",
            "subscribed",
            {"count": "1000", "fields": "history.month,history.subscribed,total_items"},
        ),
        "month",
        whole=True,
    ),
)
SEGMENTS = Listing(
    "lists/{parent}/segments",
    kind="segment",
    within=LISTS,
    counts={"segment": "subscribed contacts now in it", "tag": "subscribed contacts with it"},
    ids="[0-9]{1,12}",
    rows="segments",
    total="total_items",
    paging=Offset(),
    params={"count": "1000", "fields": only_fields("segments", SEGMENT)},
    page_size="count",
    fields=Fields(
        "member_count",
        Words("type", {"static": "static", "saved": "dynamic"}),
        created="created_at",
        updated="updated_at",
        details=("type",),
    ),
    one=One("lists/{parent}/segments/{id}", {"fields": ",".join(SEGMENT)}),
)


class Mailchimp(Vendor):
    """`GET /lists` and `GET /lists/{id}/segments`, with offset, count and `total_items`."""

    name = "mailchimp"
    title = "Mailchimp"
    settings = (
        api_key("MAILCHIMP_API_KEY", description="API key, …-us6"),
        Setting(
            "server_prefix",
            ("MAILCHIMP_SERVER_PREFIX",),
            "Data centre, such as us6",
            pattern=DATA_CENTRE,
            example="us6",
            derive=find_data_centre,
        ),
        base_url("MAILCHIMP_BASE_URL", "https://{server_prefix}.api.mailchimp.com/3.0"),
    )
    auth = Basic("user", "{api_key}")  # any user name will do
    listings = (LISTS, SEGMENTS)
    at_once = 4  # ten connections a user are the limit, for all programs together
    error_hints = {
        "unauthorized": "Check {api_key}: it is wrong or disabled, or of another data centre than its end "
        "(or {server_prefix}) says.",
        "forbidden": "API access is off for this account, or the user who made {api_key} may not read lists.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A tag is a static segment."""
        if listing is SEGMENTS and row.type == "static":
            row.kind = "tag"

    def status(self, response: Response) -> int:
        """A 403 without JSON comes of heavy use, and is no missing right."""
        return 429 if response.status == 403 and not response.is_json else response.status
