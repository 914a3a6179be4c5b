"""Klaviyo: lists and segments, whose sizes cost requests of their own.

Facts from Klaviyo's OpenAPI document (revision 2026-07-15) and its Python SDK (25.0). Whether the segments'
report is live, and whether it leaves out a segment without data, is documented nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Counted, Kind, Listing, NextLink, Rate, Request, Row, Setting, Values, Vendor,
    array_at, object_at, pick, text_at, value_at,
)  # fmt: skip

JSON_API = "application/vnd.api+json"
FIELDS = {"list": "name,created,updated,opt_in_process",
          "segment": "name,created,updated,is_active,is_processing,is_starred"}  # fmt: skip
"""What is asked for: without it, a segment comes with its whole tree of rules."""


class Klaviyo(Vendor):
    """`GET /api/lists` and `/api/segments`, 10 a page; a list is counted alone, segments 100 at a time."""

    name, title = "klaviyo", "Klaviyo"
    settings = (
        Setting("api_key", ("KLAVIYO_API_KEY", "KLAVIYO_PRIVATE_KEY"), "Private API key, pk_…",
                required=True, secret=True),
        Setting("revision", ("KLAVIYO_REVISION",), "Revision of the API", default="2026-07-15",
                pattern=re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), example="2026-07-15"),
        Setting("base_url", ("KLAVIYO_BASE_URL",), "Base URL", default="https://a.klaviyo.com"),
    )  # fmt: skip
    size_counts: ClassVar[str | Mapping[str, str]] = {kind: f"profiles in the {kind}" for kind in FIELDS}
    auth_headers: ClassVar[Mapping[str, str]] = {
        "Authorization": "Klaviyo-API-Key {api_key}", "revision": "{revision}", "Accept": JSON_API,
    }  # fmt: skip
    """A scheme of Klaviyo's own, and the revision, without which nothing is answered."""
    id_shape = re.compile(r"(list|segment)-[A-Za-z0-9]{1,32}", re.ASCII)
    one_at = "data"
    listings = tuple(
        Listing(f"api/{kind}s", "data", NextLink("links.next", param="page[cursor]"),
                {"page[size]": "10", f"fields[{kind}]": names}, kind=kind,
                one=Request(f"api/{kind}s/{{id}}", pace="count", params={
                    f"additional-fields[{kind}]": "profile_count", f"fields[{kind}]": names}))
        for kind, names in FIELDS.items()
    )  # fmt: skip
    counts_per_request: ClassVar[Mapping[str, int]] = {"segment": 100}
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {
        "": [Rate(75, 1), Rate(750, 60)], "count": [Rate(1, 1), Rate(15, 60)],
        "report": [Rate(1, 1), Rate(2, 60), Rate(225, 86_400)]}  # fmt: skip
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it must be a private key (pk_…), not the public site id.",
        "forbidden": "The key in {api_key} needs the scopes lists:read and segments:read.",
        "invalid_request": "Check {api_key} and {revision}: a bad key and an old revision are answered so.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Only one audience asked for alone has its size."""
        facts = object_at(raw, "attributes")
        row = Row(
            id,
            text_at(facts, "name") or id,
            facts.get("profile_count"),  # type: ignore[arg-type]  # it is checked where rows are taken
            size_pending="profile_count" not in facts,
            created=facts.get("created"),
            updated=facts.get("updated"),
            details=pick(facts, "opt_in_process", "is_active", "is_starred"),
        )
        if id.startswith("segment-"):
            row.type = "dynamic"
            if facts.get("is_processing") is True:
                row.status, row.size_note = "processing", "still being evaluated"
            elif facts.get("is_active") is False:
                row.size_note = "inactive: no longer updated"
        return row

    def count_request(self, rows: Sequence[Row], values: Values) -> Request:
        """One list, or a report over segments."""
        if rows[0].kind == "list":
            params = {"additional-fields[list]": "profile_count", "fields[list]": "name"}
            return Request(f"api/lists/{self.bare_id(rows[0].id)}", params, pace="count")
        ids = ",".join(f'"{self.bare_id(row.id)}"' for row in rows)
        report = {"statistics": ["total_members"], "timeframe": {"key": "today"},
                  "filter": f"any(segment_id,[{ids}])"}  # fmt: skip
        body = {"data": {"type": "segment-values-report", "attributes": report}}
        return Request("api/segment-values-reports", method="POST", json=body, media_type=JSON_API,
                       pace="report")  # fmt: skip

    def parse_counts(self, body: object, rows: Sequence[Row]) -> Mapping[str, Counted]:
        """A list's `profile_count`, or the report's `total_members` by segment."""
        if rows[0].kind == "list":
            return {rows[0].id: Counted(object_at(body, "data.attributes").get("profile_count"))}
        notes = {row.id: row.size_note for row in rows}
        found = {}
        for each in array_at(body, "data.attributes.results"):
            id = f"segment-{value_at(each, 'groupings.segment_id')}"
            found[id] = Counted(value_at(each, "statistics.total_members"), notes.get(id))
        return found
