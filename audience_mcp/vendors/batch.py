"""Batch (Customer Engagement Platform): a token from page to page, and audiences known by their name.

Facts from Batch's "List" and "View" pages (API 2.11). One request a second per project is what
integrators observe; Batch's own overview page was not seen whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Cursor, Kind, Listing, Request, Row, Setting, Status, Values, Vendor, as_count, is_object, pick, text_at,
)  # fmt: skip

STATES: Mapping[object, Status] = {"APPLIED": "ready", "REPLACED": "ready", "IN_PROGRESS": "processing"}
"""`REPLACED` means that newer content took the place of an older update's: nothing failed."""


class Batch(Vendor):
    """`GET /audiences/list` pages with `from`/`next_from`; `GET /audiences/view?name=` gives one."""

    name = "batch"
    title = "Batch"
    settings = (
        Setting("api_key", ("BATCH_REST_API_KEY",), "REST API key of the company", required=True,
                secret=True),
        Setting("project", ("BATCH_PROJECT_KEY",), "Key of the project, project_…", required=True,
                secret=True, identifies=True),
        Setting("base_url", ("BATCH_BASE_URL",), "Base URL with the API version",
                default="https://api.batch.com/2.11"),
        Setting("max_rps", ("BATCH_MAX_RPS",), "Requests a second to a project", default="1"),
    )  # fmt: skip
    size_counts = "custom user ids"
    auth_headers: ClassVar[Mapping[str, str]] = {
        "Authorization": "Bearer {api_key}",  # of the company
        "X-Batch-Project": "{project}",
    }
    id_at = "name"
    """There is no id: the name, in its exact case, is the key."""
    id_is_name = True
    listings = (
        Listing(
            "audiences/list",
            "audiences",
            Cursor("next_from", "from", more="has_more"),
            {"limit": "100"},
            total="count",
            one=Request("audiences/view", {"name": "{id}"}),
        ),
    )
    id_shape = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}, and that {project} is a project that this key may read: "
        "Batch answers the same to both.",
    }

    def requests_per_second(self, values: Values) -> float | None:
        """`BATCH_MAX_RPS`."""
        return float(values["max_rps"])

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """`nb_ids` is the size; dates are RFC 3339."""
        return Row(
            id,
            text_at(raw, "display_name") or id,
            as_count(raw.get("nb_ids")),
            status=STATES.get(text_at(raw, "indexing_state"), "unknown"),
            created=raw.get("created"),
            updated=raw.get("updated"),
            details=pick(raw, "indexing_state", "type"),
        )

    def effective_status(self, status: int, body: object) -> int:
        """An error under 200 is documented nowhere, and is an error all the same."""
        error = body.get("error_code") if is_object(body) and status == 200 else None
        return status if not error else 401 if str(error).startswith("AUTHENTICATION") else 500
