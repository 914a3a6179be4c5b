"""Snapchat: the audience segments of one ad account.

Facts from Snap's pages on the Ads API (patterns, customer lists, profile engagement, rate limits) and from
rows that two connectors recorded (Airbyte's, and Singer's tap). Snap publishes no client of this API. Not
documented: how a size is rounded, what it is of a segment that is too small, whether deleted segments stay
listed, and what ids of new ones look like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from audience_mcp.vendors import (
    Exchange,
    Fields,
    Listing,
    NextLink,
    Page,
    Rate,
    Response,
    Row,
    Setting,
    Vendor,
    Words,
    base_url,
    value_at,
)

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TYPES = {
    "FIRST_PARTY": "static",
    "LOOKALIKE": "lookalike",
    "PIXEL": "dynamic",
    "ENGAGEMENT": "dynamic",
    "MOBILE": "dynamic",
    "PROFILE_ENGAGEMENT": "dynamic",
    "FOOT_TRAFFIC_INSIGHTS": "dynamic",
}
STATUSES = {"READY": "ready", "TOO_FEW_USERS": "ready", "NOT_READY": "processing"}


class Snapchat(Vendor):
    """`GET /adaccounts/{account}/segments`: rows are wrapped, and each may have failed by itself."""

    name = "snapchat"
    title = "Snapchat"
    kind = "segment"
    settings = (
        Setting("client_id", ("SNAPCHAT_CLIENT_ID",), "OAuth client", required=True),
        Setting("client_secret", ("SNAPCHAT_CLIENT_SECRET",), "Its secret", required=True, secret=True),
        Setting("refresh_token", ("SNAPCHAT_REFRESH_TOKEN",), "Refresh token", required=True, secret=True),
        Setting(
            "account",
            ("SNAPCHAT_AD_ACCOUNT_ID",),
            "Ad account (not the organization)",
            required=True,
            identifies=True,
            pattern=re.compile(UUID, re.ASCII),
            example="8adc3db7-8148-4fbf-999c-8d2266369d74",
            normalize=str.lower,
        ),
        Setting(
            "token_url",
            ("SNAPCHAT_TOKEN_URL",),
            "Address that exchanges the refresh token",
            default="https://accounts.snapchat.com/login/oauth2/access_token",
        ),
        base_url("SNAPCHAT_BASE_URL", "https://adsapi.snapchat.com/v1", "Base URL with the API version"),
    )
    ids_are = "generated"
    size_unknown = "Snapchat gives no number: not matched yet, or too few"
    auth = Exchange(
        "{token_url}",
        {"grant_type": "refresh_token"},
        roles=("client_id", "client_secret", "refresh_token"),
        renews={"refresh_token": "refresh_token"},
        hint="Make a new refresh token, for the same app: it has no end, but may have been revoked.",
    )
    limits = {"": [Rate(8)]}  # 10 a second for a token, and 20 for an app
    listings = (
        Listing(
            "adaccounts/{account}/segments",
            counts="Snapchat users (an approximate number)",
            ids=f"[0-9]{{1,20}}|{UUID}",
            rows="segments",
            paging=NextLink("paging.next_link", param="cursor"),
            params={"limit": "1000"},
            page_size="limit",
            # No request for one: it would answer with a segment of any account that the user sees.
            fields=Fields(
                "approximate_number_users",
                Words("source_type", TYPES),
                Words("targetable_status", STATUSES),
                id="segment.id",
                at="segment",
                description="description",
                created="created_at",
                updated="updated_at",
                details=(
                    "source_type",
                    "targetable_status",
                    "upload_status",
                    "status",
                    "retention_in_days",
                ),
            ),
        ),
    )
    error_hints = {
        "unauthorized": "The user of {refresh_token} may have lost access to Snapchat's Business Manager.",
        "forbidden": "The user of {refresh_token} needs a role in the ad account in {account}.",
        "not_found": "Check {account}: it is the ad account's id, and not the organization's.",
    }

    def page(self, page: Page, body: object) -> Page:
        """A row says whether it could be given; one that could not has no segment."""
        failed = sum(not succeeded(value_at(row, "sub_request_status")) for row in page.rows)
        if not failed:
            return page
        return replace(page, missing=f"Snapchat could not give {failed:,} of the segments of this account.")

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A 0 is a size only of a segment that is ready."""
        word = value_at(raw, "segment.targetable_status")
        if word != "READY":
            row.size = row.size or None
        if word == "TOO_FEW_USERS":
            row.size_note = "too few users to be targeted"
        elif word == "NOT_READY":
            row.size_note = "still being matched" if row.size else "not matched yet"

    def status(self, response: Response) -> int:
        """A failure may come under 200, as the answer's own status."""
        fine = response.status != 200 or succeeded(value_at(response.body, "request_status"))
        return response.status if fine else 500


def succeeded(word: object) -> bool:
    """Whether a status is the one of success, which Snap writes in either case, or is not there."""
    return word is None or (isinstance(word, str) and word.upper() == "SUCCESS")
