"""Google Ads: the user lists of one customer account, with two estimated sizes each.

Facts from Google's "REST" and "OAuth 2.0" pages and from the v26 messages in its Python package (google-ads
34). The developer token is not needed since September 2026; it is sent where it is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    AudienceType, Cursor, Kind, Listing, Request, Response, Row, Setting, Status, TokenExchange, Values,
    Vendor, Wait, as_count, is_object, object_at, pick, text_at, value_at,
)  # fmt: skip

FURTHER = ("sizeForDisplay", "sizeForSearch", "sizeRangeForDisplay", "sizeRangeForSearch", "membershipStatus",
           "closingReason", "accountUserListStatus", "accessReason", "matchRatePercentage",
           "membershipLifeSpan", "type")  # fmt: skip
FIELDS = ("id", "name", "description", "eligible_for_display", "eligible_for_search",
          *(re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name) for name in FURTHER))  # fmt: skip
SELECT = f"SELECT user_list.{', user_list.'.join(FIELDS)} FROM user_list"  # noqa: S608 (fixed words)
WHERE = {"Display": "on the Display Network", "Search": "in Google Search"}
TYPES: Mapping[object, AudienceType] = {
    "CRM_BASED": "static", "SIMILAR": "lookalike", "LOOKALIKE": "lookalike", "RULE_BASED": "dynamic",
    "REMARKETING": "dynamic", "LOGICAL": "dynamic", "EXTERNAL_REMARKETING": "dynamic"}  # fmt: skip
CUSTOMER = Setting("customer", ("GOOGLE_ADS_CUSTOMER_ID",), "Customer account, 10 digits", required=True,
                   identifies=True, pattern=re.compile(r"[0-9]{10}", re.ASCII), example="123-456-7890",
                   normalize=lambda text: text.replace("-", ""))  # fmt: skip
PATH = "customers/{customer}/googleAds:search"
MAY_HAVE = ("fieldMask", "totalResultsCount", "requestId", "queryResourceConsumption")


class GoogleAds(Vendor):
    """`POST /customers/{customer}/googleAds:search` with a query; pages of 10,000, set by Google."""

    name, title, kind = "googleads", "Google Ads", "user list"
    settings = (
        Setting("client_id", ("GOOGLE_ADS_CLIENT_ID",), "OAuth client", required=True),
        Setting("client_secret", ("GOOGLE_ADS_CLIENT_SECRET",), "Its secret", required=True, secret=True),
        Setting("refresh_token", ("GOOGLE_ADS_REFRESH_TOKEN",), "Refresh token", required=True, secret=True),
        CUSTOMER,
        replace(CUSTOMER, role="login", variables=("GOOGLE_ADS_LOGIN_CUSTOMER_ID",), required=False,
                description="Manager account that leads there, 10 digits", identifies=False),
        Setting("developer_token", ("GOOGLE_ADS_DEVELOPER_TOKEN",), "Developer token, if any", secret=True),
        Setting("token_url", ("GOOGLE_ADS_TOKEN_URL",), "Address that exchanges the refresh token",
                default="https://oauth2.googleapis.com/token"),
        Setting("base_url", ("GOOGLE_ADS_BASE_URL",), "Base URL with the API version",
                default="https://googleads.googleapis.com/v26"),
    )  # fmt: skip
    exchange = TokenExchange(  # a refresh token for an access token of an hour
        "{token_url}", {"grant_type": "refresh_token"}, roles=("client_id", "client_secret", "refresh_token"),
        hint="Make a new refresh token: they end after 7 days while the consent screen is in Testing.",
    )  # fmt: skip
    size_counts = "users (Google's estimate, on the Display Network or in Search)"
    size_unknown = "Google has not estimated it yet"
    id_shape = re.compile(r"[0-9]{1,19}", re.ASCII)
    query: ClassVar = {"query": f"{SELECT} ORDER BY user_list.id",
                       "searchSettings": {"returnTotalResultsCount": True}}  # fmt: skip
    paging = Cursor("nextPageToken", "pageToken", absent_is_end=True, in_body=True)
    one = Request(PATH, method="POST", json={"query": f"{SELECT} WHERE user_list.id = {{id}}"})
    listings = (Listing(PATH, "results", paging, method="POST", json=query, total="totalResultsCount",
                        rows_may_lack=MAY_HAVE, one=one),)  # fmt: skip
    one_in_list = True
    id_at = "userList.id"
    waits = (Wait("error.details.0.errors.0.details.quotaErrorDetails.retryDelay", "text"),)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "The user of {refresh_token} may have lost access to Google Ads.",
        "forbidden": "Set {login} to the manager account through which this user reaches {customer}; the "
        "Google Cloud project of {client_id} must be approved for the Google Ads API.",
        "invalid_request": "Check the API version in {base_url}: each is served for about a year.",
    }

    def headers(self, values: Values) -> Mapping[str, str]:
        """The access token; the manager account and the developer token where they are set."""
        named = {"login-customer-id": values.get("login"), "developer-token": values.get("developer_token")}
        return {"Authorization": f"Bearer {values['token']}", **{k: v for k, v in named.items() if v}}

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Two estimates, as text; one that Google has not made yet is absent. There are no dates."""
        of = object_at(raw, "userList")
        sizes = {where: as_count(of.get(f"sizeFor{where}")) for where in WHERE}
        where = next((where for where, size in sizes.items() if size is not None), "")
        size, note = sizes.get(where), WHERE.get(where)
        if size == 0 and of.get(f"eligibleFor{where}") is False:
            note = f"{note}; 0 may mean that it is too small to be used"
        status: Status = "unknown" if text_at(of, "membershipStatus") == "CLOSED" else "processing"
        return Row(id, text_at(of, "name") or id, size, size_note=note, details=pick(of, *FURTHER),
                   description=text_at(of, "description"), status=status if size is None else "ready",
                   type=TYPES.get(text_at(of, "type"), "unknown"))  # fmt: skip

    def status_of(self, response: Response) -> int:
        """A page token that is too old begins the reading anew; a quota is a limit whatever the status."""
        code = value_at(response.body, "error.details.0.errors.0.errorCode")
        if not is_object(code) or response.status == 401:
            return response.status
        stale = code.get("requestError") in ("INVALID_PAGE_TOKEN", "EXPIRED_PAGE_TOKEN")
        return 429 if "quotaError" in code else 410 if stale else response.status
