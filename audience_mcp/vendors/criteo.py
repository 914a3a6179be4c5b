"""Criteo: the audience segments of an app's advertisers and the audiences made of them, counted in batches.

Facts from Criteo's Python SDK (criteo-api-marketingsolutions-sdk 2026.7, whose models are those of 2027.1
too) and from pages of developers.criteo.com. Not documented: what a size counts and how fresh it is, how many
ids a count takes (50 is the cap of Criteo's other bulk requests), and the order of a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from audience_mcp.core.audience import AudienceType
from audience_mcp.vendors import (
    Count,
    Counted,
    Exchange,
    Fields,
    Listing,
    Offset,
    One,
    Page,
    Rate,
    Request,
    Response,
    Rows,
    Setting,
    Sizes,
    Talk,
    Values,
    Vendor,
    Version,
    Wait,
    Words,
    array_at,
    base_url,
    value_at,
    values_at,
)

TYPES: Mapping[str, AudienceType] = {
    "ContactList": "static",
    "Lookalike": "lookalike",
    "Retargeting": "dynamic",
    "Prospecting": "dynamic",
    "Behavioral": "dynamic",
    "Location": "dynamic",
    "InMarket": "dynamic",
}
MEANS = {
    "access-control": 403,
    "authorization": 403,
    "authentication": 401,
    "quota": 429,
    "availability": 503,
    "validation": 400,
    "deprecation": 400,
}
"""The HTTP status that the type of an error amounts to which stands in a 200."""
PASSING = (429, 503)


def search_for(name: str, value: str) -> Mapping[str, object]:
    """The body of a search: of the advertiser that is set, if any, and of these ids."""
    return {"data": {"attributes": {"advertiserIds": ["{advertiser}"], **({name: [value]} if name else {})}}}


def count_at(path: str) -> Count:
    """Sizes of up to fifty; those that cannot be computed stand among the errors of a good answer.

    Which error is of which audience is not documented: where one passes, all that are missing may come yet.
    """

    def count(rows: Rows, values: Values) -> Talk[Sizes]:
        wanted = {"data": [{"id": id} for id in rows]}
        body = yield Request(path, method="POST", json=wanted, purpose="count")
        errors = [MEANS.get(str(value_at(each, "type"))) for each in values_at(body, "errors.*")]
        passing = next((status for status in errors if status in PASSING), None)
        nothing = value_at(body, "data") is None and errors
        sizes = {
            str(value_at(each, "id")): value_at(each, "attributes.size")
            for each in (() if nothing else array_at(body, "data"))
        }
        return {**dict.fromkeys(rows, Counted(None, failed=passing)), **sizes} if passing else sizes

    return Count(count, batch=50, shows_ready=True)


def searched(
    kind: str, path: str, ids: str, counts: str, type: AudienceType | Words, *details: str
) -> Listing:
    """One of both sorts, which are searched and counted alike."""
    return Listing(
        f"{path}/search",
        kind=kind,
        counts=counts,
        ids="[0-9]{1,20}",
        rows="data",
        total="meta.totalItems",
        paging=Offset(),
        params={"limit": "100"},
        page_size="limit",
        method="POST",
        json=search_for("", ""),
        fields=Fields(
            type=type,
            status="unknown",
            at="attributes",
            description="description",
            created="createdAt",
            updated="updatedAt",
            details=("advertiserId", *details),
        ),
        one=One(
            f"{path}/search",
            {"limit": "100", "offset": "0"},
            method="POST",
            json=search_for(ids, "{id}"),
            listed=True,
        ),
        count=count_at(f"{path}/compute-sizes"),
    )


class Criteo(Vendor):
    """`POST /audience-segments/search` and `/audiences/search`; then `compute-sizes`, 50 ids a request."""

    name = "criteo"
    title = "Criteo"
    settings = (
        Setting("client_id", ("CRITEO_CLIENT_ID",), "Client id of an app", required=True, identifies=True),
        Setting("client_secret", ("CRITEO_CLIENT_SECRET",), "Its secret", required=True, secret=True),
        Setting(
            "advertiser",
            ("CRITEO_ADVERTISER_ID",),
            "One advertiser, digits, of those that the app serves",
            identifies=True,
            pattern=re.compile(r"[0-9]{1,20}", re.ASCII),
            example="2711",
        ),
        base_url(
            "CRITEO_BASE_URL",
            "https://api.criteo.com/2026-07/marketing-solutions",
            "Base URL with the API version",
        ),
    )
    size_unknown = "Criteo computes no size for it"
    auth = Exchange(  # a token of 15 minutes
        "/oauth2/token",
        {"grant_type": "client_credentials"},
        roles=("client_id", "client_secret"),
        hint="Both are of one app, in Criteo's developer dashboard.",
    )
    limits = {"": [Rate(240, 60)]}  # of 250 a minute for an app
    listings = (
        searched(
            "segment",
            "audience-segments",
            "audienceSegmentIds",
            "people in the segment, as Criteo computes them",
            Words("type", TYPES),
            "type",
            "contactList.isReadOnly",
        ),
        searched(
            "audience",
            "audiences",
            "audienceIds",
            "people in the audience, as Criteo computes them",
            "dynamic",  # a formula over segments
            "adSetIds",
        ),
    )
    version = Version("2026-07", date(2027, 6, 30))  # inferred: twelve months each
    waits = (Wait("x-ratelimit-reset", header=True),)
    error_hints = {
        "unauthorized": "Check {client_id} and {client_secret}.",
        "forbidden": "The app of {client_id} needs Audiences: Read, and the consent of the advertiser; check "
        "{advertiser}.",
        "invalid_request": "Check {advertiser}, and the API version in {base_url}: it is served for a year.",
    }

    def page(self, page: Page, body: object) -> Page:
        """Errors beside rows are about rows that did not come."""
        if not value_at(body, "errors"):
            return page
        return replace(page, missing="Criteo reported errors beside what it listed: some may be missing.")

    def status(self, response: Response) -> int:
        """A search that failed may be a 200 with errors and no rows; a version that is gone is a 410."""
        if response.status == 410:
            return 426
        errors = value_at(response.body, "errors") if response.status == 200 else None
        if not errors or value_at(response.body, "data"):
            return response.status
        status, purpose = MEANS.get(str(value_at(errors, "0.type"))), response.request.purpose
        if purpose == "count" and status in (None, 400):  # none of these sizes can be computed
            return response.status
        return 404 if purpose == "one" and status == 400 else status or 503
