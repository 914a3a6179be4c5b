"""Google Analytics: the audiences of one property, and how many users a report saw in each.

No API of Google's says how many members an audience has. What can be had is a report: users who were in the
audience on a day of a period, and were seen in it. So a size is "users in the 30 days to yesterday" wherever
one is shown, and never members.

Facts from Google's packages (google-analytics-admin 0.30, google-analytics-data 0.23: messages, paths and
their comments) and from the pages on the Data API's dimensions and quotas. Not documented: whether archived
audiences are listed, and when a row is withheld. An audience that a report leaves out had no users, or too
few to be shown, and those cannot be told apart.
"""

from __future__ import annotations

import re

from audience_mcp.vendors import (
    Count,
    Counted,
    Cursor,
    Fields,
    Listing,
    One,
    Rate,
    Request,
    Rows,
    Setting,
    Sizes,
    Talk,
    UnexpectedShape,
    Values,
    Vendor,
    Wait,
    array_at,
    as_object,
    base_url,
    further_url,
    google,
    value_at,
)

PATH = "properties/{property}/audiences"
SEEN = "users in the 30 days to yesterday, not members"
NOT_SHOWN = "no users in the 30 days to yesterday, or too few to be shown"
SAMPLED = "from a sample"
KIND = "analyticsData#runReport"
COLUMNS = ["audienceId", "totalUsers"]
REPORT = {
    "dimensions": [{"name": "audienceId"}],
    "metrics": [{"name": "totalUsers"}],
    "dateRanges": [{"startDate": "30daysAgo", "endDate": "yesterday"}],  # today is not over
    "limit": "10000",
}
QUOTA_RETURNS_S = 300
"""Google says no wait; tokens of a quota return within the hour, and each request costs more of them."""


def report_users(rows: Rows, values: Values) -> Talk[Sizes]:
    """The users of up to a thousand audiences in one report; those that it leaves out are unknown."""
    only = {"filter": {"fieldName": "audienceId", "inListFilter": {"values": [*rows]}}}
    body = yield Request(
        f"{values['data_url'].rstrip('/')}/properties/{values['property']}:runReport",
        method="POST",
        json={**REPORT, "dimensionFilter": only},
        purpose="count",
        pace="report",
    )
    report = as_object(body)
    columns = [value_at(report, f"{what}Headers.0.name") for what in ("dimension", "metric")]
    empty = columns == [None, None] and "rows" not in report and report.get("kind") == KIND
    if columns != COLUMNS and not empty:
        raise UnexpectedShape("it is not the report that was requested")
    note = f"{SEEN}; {SAMPLED}" if value_at(report, "metadata.samplingMetadatas") else SEEN
    found: dict[str, Counted] = dict.fromkeys(rows, Counted(None, NOT_SHOWN))
    for each in array_at(report, "rows") if "rows" in report else ():
        id, users = value_at(each, "dimensionValues.0.value"), value_at(each, "metricValues.0.value")
        if isinstance(id, str) and id in found:
            found[id] = Counted(users, note)
    return found


class Ga4(Vendor):
    """`GET /properties/{property}/audiences`, then `POST :runReport` at the Data API, for all at once."""

    name = "ga4"
    title = "Google Analytics"
    settings = (
        *google.oauth_client("GA4_"),
        Setting(
            "property",
            ("GA4_PROPERTY_ID",),
            "Property, digits",
            required=True,
            identifies=True,
            pattern=re.compile(r"[0-9]{1,20}", re.ASCII),
            example="123456789",
            normalize=lambda text: text.removeprefix("properties/"),
        ),
        google.token_url("GA4_"),
        further_url(
            "data_url",
            "GA4_DATA_URL",
            "https://analyticsdata.googleapis.com/v1beta",
            "Base URL of the Data API, which makes the reports",
        ),
        base_url(
            "GA4_BASE_URL", "https://analyticsadmin.googleapis.com/v1alpha", "Base URL of the Admin API"
        ),
    )
    size_unknown = NOT_SHOWN
    limits = {"report": [Rate(100, 3600)]}  # 120 an hour of those that may have rows withheld
    auth = google.AUTH
    listings = (
        Listing(
            PATH,
            counts="users seen in the last 30 days who were in the audience (a report's estimate, not its "
            "membership)",
            ids="[0-9]{1,19}",
            rows="audiences",
            rows_may_lack=("nextPageToken",),
            paging=Cursor("nextPageToken", "pageToken", absent_is_end=True),
            params={"pageSize": "200"},
            page_size="pageSize",
            fields=Fields(
                type="dynamic",
                status="unknown",
                id="name",
                id_after="/audiences/",
                name="displayName",
                description="description",
                created="createTime",
                details=("membershipDurationDays", "adsPersonalizationEnabled"),
            ),
            one=One(f"{PATH}/{{id}}"),
            count=Count(report_users, batch=1_000, splits=False, shows_ready=True),
        ),
    )
    waits = (
        Wait("error.status", read=lambda status: QUOTA_RETURNS_S if status == "RESOURCE_EXHAUSTED" else None),
    )
    error_hints = {
        "unauthorized": "The user of {refresh_token} may have lost access to Google Analytics.",
        "forbidden": "The user of {refresh_token} must be able to view the property in {property}, the token "
        "needs the scope analytics.readonly, and the Google Cloud project of {client_id} both APIs enabled: "
        "Google Analytics Admin and Google Analytics Data.",
        "not_found": "Check {property}, and the API versions in {base_url} and {data_url}.",
    }
