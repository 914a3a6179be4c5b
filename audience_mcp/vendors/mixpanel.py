"""Mixpanel: the saved cohorts of one project (Query API), all in one answer.

Facts from Mixpanel's OpenAPI document of its Query API and its help pages. Not documented: the zone of
`created`, when a count was made, bodies of errors, and whether cohorts that nobody shared are listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import Basic, Fields, Listing, Rate, Row, Setting, Vendor, api_key, base_url

NUMBER = "[0-9]{1,12}"


class Mixpanel(Vendor):
    """`POST /cohorts/list` reads, and has neither pages nor a body; the answer is a bare array."""

    name = "mixpanel"
    title = "Mixpanel"
    kind = "cohort"
    settings = (
        Setting(
            "username",
            ("MIXPANEL_SERVICE_ACCOUNT_USERNAME",),
            "User name of a service account",
            required=True,
        ),
        api_key(
            "MIXPANEL_SERVICE_ACCOUNT_SECRET", description="Secret of the service account", role="secret"
        ),
        Setting(
            "project_id",
            ("MIXPANEL_PROJECT_ID",),
            "Id of the project",
            required=True,
            identifies=True,
            pattern=re.compile(NUMBER, re.ASCII),
            example="2195193",
        ),
        Setting(
            "region",
            ("MIXPANEL_REGION",),
            "Where the project's data is, us, eu or in",
            default="us",
            choices={"us": "mixpanel", "eu": "eu.mixpanel", "in": "in.mixpanel"},
        ),
        Setting(
            "workspace_id",
            ("MIXPANEL_WORKSPACE_ID",),
            "Id of a data view, in projects that have them",
            identifies=True,
            pattern=re.compile(NUMBER, re.ASCII),
            example="3456789",
        ),
        base_url("MIXPANEL_BASE_URL", "https://{region}.com/api/query"),
    )
    auth = Basic("{username}", "{secret}")
    listings = (
        Listing(
            "cohorts/list",
            counts="user profiles in the cohort",
            ids=NUMBER,
            rows="",
            method="POST",
            params={"project_id": "{project_id}", "workspace_id": "{workspace_id}"},
            # Nothing tells an uploaded cohort from a rule; `created` has no zone, so it is no date here.
            fields=Fields("count", "unknown", description="description", details=("created", "is_visible")),
        ),
    )
    limits = {"": [Rate(30, 3600)]}  # sixty an hour are allowed to a project; half are left for others
    error_hints = {
        "unauthorized": "Check {username} and {secret}: a service account may have an end date. {region} "
        "must say where the project in {project_id} is.",
        "forbidden": "The service account in {username} needs a role in the project in {project_id}, "
        "{region} must say where that project is, and its plan must include the Query API.",
        "invalid_request": "Check {project_id} and, where it is set, {workspace_id}.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A cohort may be one of groups (companies, say), which name the group that they are of."""
        if raw.get("data_group_id") is not None:
            row.size_note = "counts profiles of a group (companies, say), and not users"
            row.unit = "groups"
