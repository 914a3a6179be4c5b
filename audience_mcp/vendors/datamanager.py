"""Google Data Manager: the user lists of one account of Display & Video 360, Google Ads and the like.

Facts from Google's reference of `userLists`, its guides for those who come from the APIs of Google Ads and of
Display & Video 360, "Limits and quotas", "Understand API errors", and from the messages of its Python package
(google-ads-datamanager 0.9). It lists customer lists alone: for a Google Ads account, Google Ads' own API has
all of these and the remarketing lists besides. Not documented: whether a count is rounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
    Wait,
    as_count,
    base_url,
    google,
    is_object,
    text_at,
    value_at,
)

PATH = "accountTypes/{type}/accounts/{account}/userLists"
DISPLAY = ("displayNetworkMembersCount", "on the Display Network")
SEARCH = ("searchNetworkMembersCount", "in Google Search")
YOUTUBE = ("youtubeMembersCount", "on YouTube")
GMAIL = ("gmailMembersCount", "in Gmail")
ELIGIBLE = {"eligibleForDisplay": DISPLAY, "eligibleForSearch": SEARCH}
OWN = "OWNED"
QUOTAS = {"PerMinute": 60, "PerDay": 3600}
"""Seconds to wait by what a quota's name has: of a day's, nobody says when it ends."""


def seconds_to_wait(details: object) -> float | None:
    """What an error's details say: a delay, or the quota that is used up."""
    for each in details if isinstance(details, list) else ():
        delay = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s", str(value_at(each, "retryDelay")), re.ASCII)
        if delay:
            return float(delay[1])
    for each in details if isinstance(details, list) else ():
        limit = str(value_at(each, "metadata.quota_limit"))
        for part, seconds in QUOTAS.items():
            if part in limit:
                return seconds
    return None


def name_manager(text: str) -> str:
    """A resource name as it is, and the number of a Google Ads manager account as one."""
    digits = text.replace("-", "")
    return f"accountTypes/GOOGLE_ADS/accounts/{digits}" if digits.isdigit() else text


class DataManager(Vendor):
    """`GET …/userLists?pageSize=1000` answers `{userLists, nextPageToken}`; `GET …/userLists/{id}` one."""

    name = "datamanager"
    title = "Google Data Manager"
    kind = "user list"
    settings = (
        *google.oauth_client("DATAMANAGER_", "Refresh token, scope datamanager"),
        Setting(
            "account",
            ("DATAMANAGER_ACCOUNT_ID",),
            "Account, digits",
            required=True,
            identifies=True,
            pattern=re.compile(r"[0-9]{1,19}", re.ASCII),
            example="123-456-7890",
            normalize=lambda text: text.replace("-", ""),
        ),
        Setting(
            "type",
            ("DATAMANAGER_ACCOUNT_TYPE",),
            "Type of the account, such as DISPLAY_VIDEO_ADVERTISER",
            default="GOOGLE_ADS",
            identifies=True,
            pattern=re.compile(r"[A-Z][A-Z_]{1,63}", re.ASCII),
            example="DISPLAY_VIDEO_ADVERTISER",
            normalize=str.upper,
        ),
        Setting(
            "login",
            ("DATAMANAGER_LOGIN_ACCOUNT",),
            "Account that leads there: a Google Ads manager's digits, or accountTypes/…/accounts/…",
            pattern=re.compile(r"accountTypes/[A-Z][A-Z_]{1,63}/accounts/[0-9]{1,19}", re.ASCII),
            example="accountTypes/DISPLAY_VIDEO_PARTNER/accounts/1234567",
            normalize=name_manager,
        ),
        google.token_url("DATAMANAGER_"),
        base_url(
            "DATAMANAGER_BASE_URL", "https://datamanager.googleapis.com/v1", "Base URL with the API version"
        ),
    )
    size_unknown = "Google gives no estimate: it has made none yet, or estimates 0"
    auth = google.AUTH
    headers = {"login-account": "{login}"}
    listings = (
        Listing(
            PATH,
            counts="users (Google's estimate, on the Display Network, or where size_note says)",
            ids="[0-9]{1,19}",
            rows="userLists",
            rows_may_lack=("nextPageToken",),
            paging=Cursor("nextPageToken", "pageToken", absent_is_end=True),
            params={"pageSize": "1000"},
            page_size="pageSize",
            # There are no dates.
            fields=Fields(
                name="displayName",
                type="unknown",
                status="ready",
                description="description",
                details=(
                    *(f"sizeInfo.{count}" for count, _ in (DISPLAY, SEARCH, YOUTUBE, GMAIL)),
                    "membershipStatus",
                    "closingReason",
                    "accessReason",
                    "accountAccessStatus",
                    "membershipDuration",
                ),
                match_rate="ingestedUserListInfo.contactIdInfo.matchRatePercentage",
            ),
            one=One(f"{PATH}/{{id}}"),
        ),
    )
    waits = (Wait("error.details", read=seconds_to_wait),)
    error_hints = {
        "unauthorized": "The user of {refresh_token} may have lost access to the account.",
        "forbidden": "{refresh_token} needs the scope datamanager (adwords is another), the Google Cloud "
        "project of {client_id} the Data Manager API switched on, and its user access to the account in "
        "{account}, if need be through {login}.",
        "invalid_request": "Check {account} and the type of it in {type}.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """Up to four estimates, of which one counts; one that is missing may be 0 as well as not made yet."""
        sizes = raw.get("sizeInfo")
        flags = raw.get("targetNetworkInfo")
        eligible = [each for flag, each in ELIGIBLE.items() if value_at(flags, flag) is True]
        for flag in ELIGIBLE:
            if value_at(flags, flag) is False:
                row.add_detail(flag, False)
        for count, note in (*eligible, DISPLAY, SEARCH, YOUTUBE, GMAIL):
            row.size = as_count(value_at(sizes, count))
            if row.size is not None:
                row.size_note = note
                break
        else:
            row.status = "unknown" if raw.get("membershipStatus") == "CLOSED" else "processing"
        if row.size is not None and text_at(raw, "accessReason") not in (OWN, None):
            row.size_note = f"{row.size_note}; shared by another account"
        if is_object(raw.get("ingestedUserListInfo")):
            row.type = "static"

    def status(self, response: Response) -> int:
        """A page token that is too old restarts the reading."""
        details = value_at(response.body, "error.details")
        reasons = [value_at(each, "reason") for each in details] if isinstance(details, list) else []
        return 410 if "INVALID_PAGE_TOKEN" in reasons and response.status == 400 else response.status

    def shared_account(self, values: Values) -> tuple[str, ...] | None:
        """A Google Ads account is the one that Google Ads' own API reaches."""
        return ("Google Ads", values["account"]) if values["type"] == "GOOGLE_ADS" else None
