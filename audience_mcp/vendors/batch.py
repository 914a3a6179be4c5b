"""Batch (Customer Engagement Platform): a token from page to page, and audiences known by their name.

Facts from Batch's "List" and "View" pages (API 2.11). One request a second per project is what
integrators observe; Batch's own overview page was not seen whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.errors import Kind
from audience_mcp.text import whole
from audience_mcp.vendors.base import (
    Page,
    Request,
    Row,
    Setting,
    Status,
    Values,
    Vendor,
    a_cursor,
    a_flag,
    an_array,
    an_object,
    goes_on,
    is_object,
    picked,
    text_of,
)

STATES: Mapping[object, Status] = {"APPLIED": "ready", "REPLACED": "ready", "IN_PROGRESS": "processing"}
"""`REPLACED` means that newer content took the place of an older update's: nothing failed."""


class Batch(Vendor):
    """`GET /audiences/list` pages with `from`/`next_from`; `GET /audiences/view?name=` gives one."""

    name = "batch"
    title = "Batch"
    settings = (
        Setting(
            "api_key", ("BATCH_REST_API_KEY",), "REST API key of the company", required=True, secret=True
        ),
        Setting(
            "project", ("BATCH_PROJECT_KEY",), "Key of the project, project_…", required=True, secret=True
        ),
        Setting(
            "base_url",
            ("BATCH_BASE_URL",),
            "Base URL with the API version",
            default="https://api.batch.com/2.11",
        ),
        Setting("max_rps", ("BATCH_MAX_RPS",), "Requests a second to a project", default="1"),
    )
    size_counts = "identifiers (custom user ids) in the audience, reachable or not"
    id_is_name = True
    id_shape = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
    unreadable_advice: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}, and that {project} is a project that this key may read: "
        "Batch answers the same to both.",
    }

    def headers(self, values: Values) -> Mapping[str, str]:
        """The REST key is the company's; the project is named beside it."""
        return {"Authorization": f"Bearer {values['api_key']}", "X-Batch-Project": values["project"]}

    def requests_per_second(self, values: Values) -> float | None:
        """`BATCH_MAX_RPS`."""
        return float(values["max_rps"])

    def first(self, values: Values) -> Request:
        """100 is the largest page; `from` must not be sent at first."""
        return Request("audiences/list", {"limit": "100"})

    def page(self, body: object, request: Request) -> Page:
        """`count` comes with the first page only. Where `has_more` is missing, the cursor decides."""
        body = an_object(body)
        more, cursor = a_flag(body, "has_more"), a_cursor(body, "next_from")
        following = request.with_params(**{"from": cursor}) if cursor else None
        return Page(an_array(body, "audiences"), goes_on(more, cursor), following, body.get("count"))

    def row_id(self, raw: Mapping[str, object]) -> object:
        """There is no id: the name, in its exact case, is the key."""
        return raw.get("name")

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """`nb_ids` is the size; dates are RFC 3339."""
        return Row(
            id,
            text_of(raw, "display_name") or id,
            whole(raw.get("nb_ids")),
            status=STATES.get(text_of(raw, "indexing_state"), "unknown"),
            created=raw.get("created"),
            updated=raw.get("updated"),
            details=picked(raw, "indexing_state", "type"),
        )

    def outcome(self, status: int, body: object) -> int:
        """An error under 200 is documented nowhere, and is an error all the same."""
        error = body.get("error_code") if is_object(body) and status == 200 else None
        return status if not error else 401 if str(error).startswith("AUTHENTICATION") else 500

    def one(self, id: str, values: Values) -> Request | None:
        """By name, case-sensitive."""
        return Request("audiences/view", {"name": id})

    def one_rows(self, body: object) -> Sequence[object]:
        """The bare audience, in no envelope."""
        return [an_object(body)]
