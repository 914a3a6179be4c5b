"""Smallest.ai Atoms: one list without pages; one audience can be asked for, but comes without its size.

Facts from "Get all audiences", the vendor's public documentation repository and its Python SDK (5.14).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.vendors import (
    Kind,
    Listing,
    Request,
    Row,
    Setting,
    Vendor,
    as_count,
    is_object,
    pick,
    signals_failure,
    text_at,
)


class Smallest(Vendor):
    """`GET /audience` (singular) answers all; `GET /audience/{id}` lacks `memberCount` and campaigns."""

    name = "smallest"
    title = "Smallest.ai"
    settings = (
        Setting(
            "api_key",
            ("SMALLEST_API_KEY", "ATOMS_API_KEY"),
            "Atoms API key, sk_…",
            required=True,
            secret=True,
        ),
        Setting("base_url", ("SMALLEST_BASE_URL",), "Base URL", default="https://api.smallest.ai/atoms/v1"),
    )
    size_counts = "phone numbers"
    listings = (Listing("audience", "data", one=Request("audience/{id}")),)
    """By id, audiences of the organisation are found that the list, which is the user's, may not have."""
    one_at = "data"
    id_at = "_id"
    size_unknown = "Smallest.ai gives the count only in its list, and not for this audience"
    id_shape = re.compile(r"[0-9a-f]{24}", re.ASCII)
    id_is_generated = True
    get_lacks_size = True
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it starts with sk_ and belongs to Atoms, not to another product.",
        "forbidden": "The key in {api_key} is of another product, or the plan has no audiences.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """`memberCount` is a JSON number that may be written 1523.0; a newer name for it is announced."""
        details = pick(raw, "hasCampaigns")
        campaigns = raw.get("campaigns")
        if isinstance(campaigns, list):
            details["campaigns"] = [pick(c, "name", "status") for c in campaigns if is_object(c)]
        size = as_count(raw.get("memberCount"))
        return Row(
            id,
            text_at(raw, "name") or id,
            as_count(raw.get("currentMemberCount")) if size is None else size,
            description=text_at(raw, "description"),
            created=raw.get("createdAt"),
            updated=raw.get("updatedAt"),
            details=details,
        )

    def effective_status(self, status: int, body: object) -> int:
        """A `status` of failure counts under any HTTP status; a plan that is too small is a 400."""
        if not is_object(body) or (status == 200 and not signals_failure(body.get("status"))):
            return status
        said = str(body.get("errors") or body.get("error") or body.get("message")).lower()
        if status == 400 and "plan" in said and "upgrade" in said:
            return 403
        if status == 200:
            return 401 if "unauthorized" in said else 500
        return status

    def retry_after(self, body: object) -> object:
        """Either `retry_after` or `rateLimit.retryAfterSec`, in seconds."""
        if not is_object(body):
            return None
        limit = body.get("rateLimit")
        return body.get("retry_after") or (limit.get("retryAfterSec") if is_object(limit) else None)
