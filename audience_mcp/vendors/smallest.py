"""Smallest.ai Atoms: one list without pages; one audience can be requested, but comes without its size.

Facts from "Get all audiences", the vendor's public documentation repository and its Python SDK (5.14).
"""

from __future__ import annotations

from collections.abc import Mapping

from audience_mcp.vendors import (
    Fields,
    Listing,
    One,
    Response,
    Row,
    Vendor,
    Wait,
    api_key,
    as_count,
    base_url,
    is_object,
    signals_failure,
)


class Smallest(Vendor):
    """`GET /audience` (singular) answers all; `GET /audience/{id}` lacks `memberCount` and campaigns."""

    name = "smallest"
    title = "Smallest.ai"
    settings = (
        api_key("SMALLEST_API_KEY", "ATOMS_API_KEY", description="Atoms API key, sk_…"),
        base_url("SMALLEST_BASE_URL", "https://api.smallest.ai/atoms/v1"),
    )
    size_unknown = "Smallest.ai gives the count only in its list, and not for this audience"
    ids_are = "unmistakable"
    listings = (
        Listing(
            "audience",
            counts="phone numbers",
            ids="[0-9a-f]{24}",
            rows="data",
            fields=Fields(
                "memberCount",
                id="_id",
                description="description",
                created="createdAt",
                updated="updatedAt",
                details=("hasCampaigns",),
            ),
            # By id, audiences of the organization are found that the list, which is the user's, may not have.
            one=One("audience/{id}", at="data", lacks_size=True),
        ),
    )
    waits = (Wait("retry_after"), Wait("rateLimit.retryAfterSec"))
    error_hints = {
        "unauthorized": "Check {api_key}: it starts with sk_ and belongs to Atoms, not to another product.",
        "forbidden": "The key in {api_key} is of another product, or the plan has no audiences.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A newer name for the count is announced. Of a campaign only name and status are shown."""
        if row.size is None:
            row.size = as_count(raw.get("currentMemberCount"))
        campaigns = raw.get("campaigns")
        if isinstance(campaigns, list):
            shown = [
                {key: each[key] for key in ("name", "status") if each.get(key) is not None}
                for each in campaigns
                if is_object(each)
            ]
            row.add_detail("campaigns", shown)

    def status(self, response: Response) -> int:
        """A `status` of failure counts under any HTTP status; a plan that is too small is a 400."""
        status, body = response.status, response.body
        if not is_object(body) or (status == 200 and not signals_failure(body.get("status"))):
            return status
        said = str(body.get("errors") or body.get("error") or body.get("message")).lower()
        if status == 400 and "plan" in said and "upgrade" in said:
            return 403
        if status == 200:
            return 401 if "unauthorized" in said else 500
        return status
