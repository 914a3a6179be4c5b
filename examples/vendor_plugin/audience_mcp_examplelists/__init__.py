"""Example Lists: pages by offset and total, and one list by its id.

Facts from the "Lists" and "Errors" pages of its documentation (v1). The API does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.core.audience import AudienceType, Row, Status
from audience_mcp.core.errors import Kind
from audience_mcp.core.values import as_count
from audience_mcp.vendors import (
    Page,
    Request,
    Setting,
    Values,
    Vendor,
    array_at,
    as_object,
    is_object,
    pick,
    text_at,
)

KINDS: Mapping[str | None, AudienceType] = {"manual": "static", "rule": "dynamic"}
STATES: Mapping[str | None, Status] = {"ready": "ready", "counting": "processing", "broken": "failed"}


class ExampleLists(Vendor):
    """`GET /lists?offset=&limit=` answers `{items, total}`; `GET /lists/{id}` answers one list."""

    name = "examplelists"
    title = "Example Lists"
    settings = (
        Setting(
            "api_key", ("EXAMPLELISTS_API_KEY",), "API key, scope lists:read", required=True, secret=True
        ),
        Setting("base_url", ("EXAMPLELISTS_BASE_URL",), "Base URL", default="https://api.lists.example/v1"),
    )
    size_counts = "contacts on the list, subscribed or not"
    auth_headers: ClassVar[Mapping[str, str]] = {"X-Api-Key": "{api_key}"}
    id_shape = re.compile(r"lst_[0-9]{1,12}", re.ASCII)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: Example Lists shows a key once, when it is made.",
        "forbidden": "The key in {api_key} needs the scope lists:read.",
    }

    def list_request(self, values: Values) -> Request:
        """100 is the largest page."""
        return Request("lists", {"offset": "0", "limit": "100"})

    def page(self, body: object, request: Request) -> Page:
        """The next offset counts the rows that came: a server may send fewer than were asked for."""
        body = as_object(body)
        rows, total = array_at(body, "items"), as_count(body.get("total"))
        end = int(request.params["offset"]) + len(rows)
        more = None if total is None else end < total
        return Page(rows, more, request.with_params(offset=str(end)) if more else None, total)

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """`members` is null while a list is being counted."""
        row = Row(
            id,
            text_at(raw, "title") or id,
            as_count(raw.get("members")),
            KINDS.get(text_at(raw, "kind"), "unknown"),
            STATES.get(text_at(raw, "state"), "unknown"),
            description=text_at(raw, "about"),
            created=raw.get("created_at"),
            updated=raw.get("updated_at"),
            details=pick(raw, "kind", "state"),
        )
        if row.size is None and row.status == "processing":
            row.size_note = "not counted yet: Example Lists is still counting it"
        return row

    def get_request(self, id: str, values: Values) -> Request | None:
        """By id; the answer is the list itself, in no envelope."""
        return Request(f"lists/{id}")

    def retry_after(self, body: object) -> object:
        """A 429 says `{"error": {"code": "slow_down", "retry_in_s": 7}}`."""
        error = body.get("error") if is_object(body) else None
        return error.get("retry_in_s") if is_object(error) else None
