"""Amplitude: the cohorts of one project, all in one answer.

Facts from Amplitude's page on its Behavioral Cohorts API; there is no document of it. Not documented: whether
archived cohorts are always listed, whether one answer holds them all, and what errors look like.
"""

from __future__ import annotations

from collections.abc import Mapping

from audience_mcp.core.dates import parse_datetime
from audience_mcp.vendors import Basic, Fields, Listing, Row, Setting, Vendor, api_key, base_url


class Amplitude(Vendor):
    """`GET /api/3/cohorts`. One cohort alone is a download of its members, which is never started."""

    name = "amplitude"
    title = "Amplitude"
    kind = "cohort"
    settings = (
        Setting(
            "api_key",
            ("AMPLITUDE_API_KEY",),
            "API key of the project",
            required=True,
            secret=True,
            identifies=True,
        ),
        api_key("AMPLITUDE_SECRET_KEY", description="Secret key of the project", role="secret_key"),
        Setting(
            "region",
            ("AMPLITUDE_REGION",),
            "Where the project's data is, us or eu",
            default="us",
            choices={"us": "amplitude", "eu": "analytics.eu.amplitude"},
        ),
        base_url("AMPLITUDE_BASE_URL", "https://{region}.com"),
    )
    ids_are = "generated"
    auth = Basic("{api_key}", "{secret_key}")
    listings = (
        Listing(
            "api/3/cohorts",
            counts="users in the cohort when it was last computed",
            ids="[A-Za-z0-9_-]{1,64}",
            rows="cohorts",
            # `type` is how a cohort is kept, and `owners` are people.
            fields=Fields(
                "size",
                "unknown",
                "ready",
                description="description",
                created="createdAt",
                updated="lastMod",
                details=("lastComputed", "archived", "hidden", "published", "is_predictive"),
            ),
        ),
    )
    error_hints = {
        "unauthorized": "Check {api_key} and {secret_key}: both must be of one project, and {region} must "
        "say where its data is.",
        "forbidden": "The plan of the project in {api_key} may not include cohorts over the API, "
        "{secret_key} may be of another project, or {region} may not be where its data is.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """What was never computed says 0; a cohort that is still in training is not ready."""
        training = raw.get("is_predictive") is True and raw.get("finished") is False
        if not row.size and (training or parse_datetime(raw.get("lastComputed")) is None):
            row.size, row.size_note = None, "not computed yet"
        elif training:
            row.size_note = "still in training; the size is from an earlier computation"
        if training:
            row.status = "processing"
        elif row.size is None:
            row.status = "unknown"
