"""Mixpanel: the saved cohorts of one project (Query API), all in one answer.

Facts from Mixpanel's OpenAPI document of its Query API and its help pages. Not documented: the zone of
`created`, when a count was made, bodies of errors, and whether cohorts that nobody shared are listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Kind, Listing, Rate, Request, Row, Setting, Values, Vendor, as_count, basic, pick, text_at,
)  # fmt: skip

NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)


class Mixpanel(Vendor):
    """`POST /cohorts/list` reads, and has neither pages nor a body; the answer is a bare array."""

    name = "mixpanel"
    title = "Mixpanel"
    kind = "cohort"
    settings = (
        Setting("username", ("MIXPANEL_SERVICE_ACCOUNT_USERNAME",), "User name of a service account",
                required=True),
        Setting("secret", ("MIXPANEL_SERVICE_ACCOUNT_SECRET",), "Secret of the service account",
                required=True, secret=True),
        Setting("project_id", ("MIXPANEL_PROJECT_ID",), "Id of the project", required=True, identifies=True,
                pattern=NUMBER, example="2195193"),
        Setting("region", ("MIXPANEL_REGION",), "Where the project's data is, us, eu or in", default="us",
                choices={"us": "mixpanel", "eu": "eu.mixpanel", "in": "in.mixpanel"}),
        Setting("workspace_id", ("MIXPANEL_WORKSPACE_ID",), "Id of a data view, in projects that have them",
                identifies=True, pattern=NUMBER, example="3456789"),
        Setting("base_url", ("MIXPANEL_BASE_URL",), "Base URL", default="https://{region}.com/api/query"),
    )  # fmt: skip
    size_counts = "user profiles in the cohort"
    id_shape = NUMBER
    listings = (Listing("cohorts/list", "", params={"project_id": "{project_id}"}, method="POST"),)
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"": [Rate(30, 3600)]}
    """Sixty an hour are allowed to a project; half are left for others."""
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {username} and {secret}: a service account may have an end date. {region} "
        "must say where the project in {project_id} is.",
        "forbidden": "The service account in {username} needs a role in the project in {project_id}, "
        "{region} must say where that project is, and its plan must include the Query API.",
        "invalid_request": "Check {project_id} and, where it is set, {workspace_id}.",
    }

    def headers(self, values: Values) -> Mapping[str, str]:
        """The service account's name and secret."""
        return {"Authorization": basic(values["username"], values["secret"])}

    def list_requests(self, values: Values) -> Sequence[Request]:
        """The one request."""
        return [self.list_request(values)]

    def list_request(self, values: Values) -> Request:
        """With the data view whose cohorts are wanted, where one is set."""
        request, view = super().list_request(values), values.get("workspace_id")
        return request.with_params(workspace_id=view) if view else request

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Nothing tells an uploaded cohort from a rule; `created` has no zone, so it is no date here."""
        return Row(
            id,
            text_at(raw, "name") or id,
            as_count(raw.get("count")),
            "unknown",
            description=text_at(raw, "description"),
            details=pick(raw, "created", "is_visible"),
        )
