"""Amplitude: the cohorts of one project, all in one answer.

Facts from Amplitude's page on its Behavioral Cohorts API; there is no document of it. Not documented: whether
archived cohorts are always listed, whether one answer holds them all, and what errors look like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.core.dates import parse_datetime

from audience_mcp.vendors import (  # isort: skip
    Kind, Listing, Row, Setting, Values, Vendor, as_count, basic, pick, text_at,
)  # fmt: skip


class Amplitude(Vendor):
    """`GET /api/3/cohorts`. One cohort alone is a download of its members, which is never started."""

    name = "amplitude"
    title = "Amplitude"
    kind = "cohort"
    settings = (
        Setting("api_key", ("AMPLITUDE_API_KEY",), "API key of the project", required=True, secret=True,
                identifies=True),
        Setting("secret_key", ("AMPLITUDE_SECRET_KEY",), "Secret key of the project", required=True,
                secret=True),
        Setting("region", ("AMPLITUDE_REGION",), "Where the project's data is, us or eu", default="us",
                choices={"us": "amplitude", "eu": "analytics.eu.amplitude"}),
        Setting("base_url", ("AMPLITUDE_BASE_URL",), "Base URL", default="https://{region}.com"),
    )  # fmt: skip
    size_counts = "users in the cohort when it was last computed"
    id_shape = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
    listings = (Listing("api/3/cohorts", "cohorts"),)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key} and {secret_key}: both must be of one project, and {region} must "
        "say where its data is.",
        "forbidden": "The plan of the project in {api_key} may not include cohorts over the API, "
        "{secret_key} may be of another project, or {region} may not be where its data is.",
    }

    def headers(self, values: Values) -> Mapping[str, str]:
        """The API key as the user name, the secret key as the password."""
        return {"Authorization": basic(values["api_key"], values["secret_key"])}

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """What was never computed says 0. `type` is how a cohort is kept, and `owners` are people."""
        size, note = as_count(raw.get("size")), None
        training = raw.get("is_predictive") is True and raw.get("finished") is False
        if not size and (training or parse_datetime(raw.get("lastComputed")) is None):
            size, note = None, "not computed yet"
        elif training:
            note = "still in training; the size is from an earlier computation"
        return Row(
            id,
            text_at(raw, "name") or id,
            size,
            "unknown",
            "processing" if training else "unknown" if size is None else "ready",
            note,
            description=text_at(raw, "description"),
            created=raw.get("createdAt"),
            updated=raw.get("lastMod"),
            details=pick(raw, "lastComputed", "archived", "hidden", "published", "is_predictive"),
        )
