"""Google Ads: the user lists of one customer account, with two estimated sizes each.

Facts from Google's "REST" and "OAuth 2.0" pages and from the v26 messages in its Python package (google-ads
34). The developer token is not needed since September 2026; it is sent where it is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from audience_mcp.vendors import (
    Cursor,
    Fields,
    Listing,
    One,
    Response,
    Row,
    Setting,
    Values,
    Vendor,
    Version,
    Wait,
    Words,
    as_count,
    base_url,
    google,
    is_object,
    object_at,
    value_at,
)

FURTHER = (
    "sizeForDisplay",
    "sizeForSearch",
    "sizeRangeForDisplay",
    "sizeRangeForSearch",
    "membershipStatus",
    "closingReason",
    "accountUserListStatus",
    "accessReason",
    "membershipLifeSpan",
    "type",
)
ASKED_FOR = (
    "id",
    "name",
    "description",
    "eligibleForDisplay",
    "eligibleForSearch",
    "matchRatePercentage",
    *FURTHER,
)
COLUMNS = ["user_list." + re.sub("([A-Z])", r"_\1", name).lower() for name in ASKED_FOR]
SELECT = " ".join(("SELECT", ", ".join(COLUMNS), "FROM user_list"))
PATH = "customers/{customer}/googleAds:search"
NETWORKS = {"Display": "on the Display Network", "Search": "in Google Search"}
TYPES = {
    "CRM_BASED": "static",
    "SIMILAR": "lookalike",
    "LOOKALIKE": "lookalike",
    "RULE_BASED": "dynamic",
    "REMARKETING": "dynamic",
    "LOGICAL": "dynamic",
    "EXTERNAL_REMARKETING": "dynamic",
}
CUSTOMER = Setting(
    "customer",
    ("GOOGLE_ADS_CUSTOMER_ID",),
    "Customer account, 10 digits",
    required=True,
    identifies=True,
    pattern=re.compile(r"[0-9]{10}", re.ASCII),
    example="123-456-7890",
    normalize=lambda text: text.replace("-", ""),
)
FIRST_ERROR = "error.details.0.errors.0"


class GoogleAds(Vendor):
    """`POST /customers/{customer}/googleAds:search` with a query; pages of 10,000, set by Google."""

    name = "googleads"
    title = "Google Ads"
    kind = "user list"
    settings = (
        *google.oauth_client("GOOGLE_ADS_"),
        CUSTOMER,
        replace(
            CUSTOMER,
            role="login",
            variables=("GOOGLE_ADS_LOGIN_CUSTOMER_ID",),
            description="Manager account that leads there, 10 digits",
            required=False,
            identifies=False,
        ),
        Setting("developer_token", ("GOOGLE_ADS_DEVELOPER_TOKEN",), "Developer token, if any", secret=True),
        google.token_url("GOOGLE_ADS_"),
        base_url(
            "GOOGLE_ADS_BASE_URL", "https://googleads.googleapis.com/v26", "Base URL with the API version"
        ),
    )
    size_unknown = "Google has not estimated it yet"
    auth = google.AUTH
    headers = {"login-customer-id": "{login}", "developer-token": "{developer_token}"}
    listings = (
        Listing(
            PATH,
            counts="users (Google's estimate, on the Display Network or in Search)",
            ids="[0-9]{1,19}",
            rows="results",
            rows_may_lack=("fieldMask", "totalResultsCount", "requestId", "queryResourceConsumption"),
            total="totalResultsCount",
            paging=Cursor("nextPageToken", "pageToken", absent_is_end=True, in_body=True),
            method="POST",
            json={
                "query": f"{SELECT} ORDER BY user_list.id",
                "searchSettings": {"returnTotalResultsCount": True},
            },
            # There are no dates.
            fields=Fields(
                id="userList.id",
                at="userList",
                type=Words("type", TYPES),
                status="ready",
                description="description",
                match_rate="matchRatePercentage",
                details=FURTHER,
            ),
            one=One(
                PATH, method="POST", json={"query": f"{SELECT} WHERE user_list.id = {{id}}"}, listed=True
            ),
        ),
    )
    waits = (Wait(f"{FIRST_ERROR}.details.quotaErrorDetails.retryDelay", "text"),)
    version = Version("v26", date(2027, 9, 30))  # inferred: a year each (v22 ended on 2026-10-07)
    code_hints = {
        f"{FIRST_ERROR}.errorCode.authorizationError": {
            "CUSTOMER_NOT_ENABLED": "The account in {customer} is closed, or was never set up to its end."
        }
    }
    error_hints = {
        "unauthorized": "The user of {refresh_token} may have lost access to Google Ads.",
        "forbidden": "Set {login} to the manager account through which this user reaches {customer}; the "
        "Google Cloud project of {client_id} must be approved for the Google Ads API.",
        "invalid_request": "Check the API version in {base_url}: each is served for about a year.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """Two estimates, as text: the first that is there and of a network that the list may be used in, else
        the first that is there; Google may have made none yet."""
        of = object_at(raw, "userList")
        sizes = {network: as_count(of.get(f"sizeFor{network}")) for network in NETWORKS}
        for flag in ("eligibleForDisplay", "eligibleForSearch"):
            if of.get(flag) is False:
                row.add_detail(flag, False)
        known = [network for network, size in sizes.items() if size is not None]
        eligible = [network for network in known if of.get(f"eligibleFor{network}") is not False]
        if not known:
            row.status = "unknown" if of.get("membershipStatus") == "CLOSED" else "processing"
            return
        network = (eligible or known)[0]
        row.size, row.size_note, row.unit = sizes[network], NETWORKS[network], network
        if row.size == 0 and not eligible:
            row.size_note += "; 0 may mean that it is too small to be used"

    def status(self, response: Response) -> int:
        """A page token that is too old restarts the reading; a quota error is a 429 whatever its status."""
        code = value_at(response.body, f"{FIRST_ERROR}.errorCode")
        if not is_object(code) or response.status == 401:
            return response.status
        if code.get("requestError") == "UNSUPPORTED_VERSION":
            return 426
        stale = code.get("requestError") in ("INVALID_PAGE_TOKEN", "EXPIRED_PAGE_TOKEN")
        return 429 if "quotaError" in code else 410 if stale else response.status

    def shared_account(self, values: Values) -> tuple[str, ...] | None:
        """Google Data Manager reaches the same account."""
        return "Google Ads", values["customer"]
