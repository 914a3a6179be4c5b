"""Mailchimp: lists, and within each list its segments and tags.

Facts from Mailchimp's Marketing API document (3.0.55) and its Python SDK (3.0). Counts of lists are cached by
Mailchimp for five minutes and more; what a `fuzzy` segment is, is documented nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    AudienceType, Kind, Listing, Offset, Request, Response, Row, Setting, Values, Vendor,
    as_count, basic, pick, text_at, value_at,
)  # fmt: skip

DATA_CENTRE = re.compile(r"[a-z]{2,4}[0-9]{1,3}", re.ASCII)
LIST = ("id", "name", "date_created", "stats.member_count", "stats.unsubscribe_count", "stats.cleaned_count")
SEGMENT = ("id", "name", "type", "member_count", "created_at", "updated_at")
"""What is asked for: without it, a list comes with addresses and some kilobytes of links."""
TYPES: Mapping[object, AudienceType] = {"static": "static", "saved": "dynamic"}


def fields(of: str, names: Sequence[str]) -> str:
    """The parameter that limits a listing to these fields."""
    return ",".join([*(f"{of}.{name}" for name in names), "total_items"])


class Mailchimp(Vendor):
    """`GET /lists` and `GET /lists/{id}/segments`, with offset, count and `total_items`."""

    name = "mailchimp"
    title = "Mailchimp"
    settings = (
        Setting("api_key", ("MAILCHIMP_API_KEY",), "API key, …-us6", required=True, secret=True),
        Setting("server_prefix", ("MAILCHIMP_SERVER_PREFIX",), "Data centre, such as us6",
                pattern=DATA_CENTRE, example="us6"),
        Setting("base_url", ("MAILCHIMP_BASE_URL",), "Base URL",
                default="https://{server_prefix}.api.mailchimp.com/3.0"),
    )  # fmt: skip
    size_counts: ClassVar[str | Mapping[str, str]] = {
        "list": "subscribed contacts",
        "segment": "subscribed contacts now in it",
        "tag": "subscribed contacts with it",
    }
    id_shape = re.compile(r"list-[0-9a-f]{10}|segment-[0-9a-f]{10}\.[0-9]{1,12}", re.ASCII)
    at_once = 4  # ten connections a user are the limit, for all programs together
    listings = (
        Listing("lists", "lists", Offset(),
                {"count": "1000", "fields": fields("lists", LIST), "sort_field": "date_created",
                 "sort_dir": "ASC"}, total="total_items", kind="list",
                one=Request("lists/{id}", {"fields": ",".join(LIST)})),
        Listing("lists/{parent}/segments", "segments", Offset(),
                {"count": "1000", "fields": fields("segments", SEGMENT)}, total="total_items",
                kind="segment", within="list",
                one=Request("lists/{parent}/segments/{id}", {"fields": ",".join(SEGMENT)})),
    )  # fmt: skip
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it is wrong or disabled, or of another data centre than its end "
        "(or {server_prefix}) says.",
        "forbidden": "API access is off for this account, or the user who made {api_key} may not read lists.",
    }

    def derived_values(self, values: Values) -> Values:
        """The data centre is what follows the key's last `-`."""
        suffix = values.get("api_key", "").rpartition("-")[2]
        return {"server_prefix": suffix} if DATA_CENTRE.fullmatch(suffix) else {}

    def headers(self, values: Values) -> Mapping[str, str]:
        """Any user name, and the key as the password."""
        return {"Authorization": basic("user", values["api_key"])}

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """A tag is a static segment."""
        name = text_at(raw, "name") or id
        if id.startswith("list-"):
            stats = raw.get("stats")
            return Row(id, name, as_count(value_at(stats, "member_count")),
                       created=raw.get("date_created"), size_note="may lag by some minutes",
                       details=pick(stats, "unsubscribe_count", "cleaned_count")
                       if isinstance(stats, Mapping) else None)  # fmt: skip
        word = text_at(raw, "type")
        row = Row(id, name, as_count(raw.get("member_count")), TYPES.get(word, "unknown"),
                  created=raw.get("created_at"), updated=raw.get("updated_at"),
                  details=pick(raw, "type"))  # fmt: skip
        row.kind = "tag" if word == "static" else "segment"
        return row

    def status_of(self, response: Response) -> int:
        """A 403 without JSON comes of heavy use, and is no missing right."""
        return 429 if response.status == 403 and not response.is_json else response.status
