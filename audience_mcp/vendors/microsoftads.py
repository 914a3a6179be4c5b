"""Microsoft Advertising: the audiences of one account, without the in-market ones that are Microsoft's own.

Facts from Microsoft's pages on the Campaign Management API (GetAudiencesByIds, Audience, RemarketingList,
AudienceAdditionalField, throttling, error handling, OAuth) and from the models of its Python SDK (msads
13.0.30). Not documented: the HTTP status of each error code, and how long a refresh token lives that is used
again and again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Exchange,
    Fields,
    Listing,
    One,
    Page,
    Response,
    Row,
    Setting,
    UnexpectedShape,
    Vendor,
    Wait,
    Words,
    as_count,
    base_url,
    value_at,
)

PATH = "Audiences/QueryByIds"
TYPES = {
    "CustomerList": "static",
    "SimilarRemarketingList": "lookalike",
    "RemarketingList": "dynamic",
    "CombinedList": "dynamic",
    "Product": "dynamic",
    "ImpressionBasedRemarketingList": "dynamic",
}
ASKED_FOR = {
    # Never InMarket: over a thousand audiences that are Microsoft's own, counted over all markets.
    "Type": ",".join((*TYPES, "Custom", "CustomSegment")),
    # These two come only if they are named here as well.
    "ReturnAdditionalFields": "ImpressionBasedRemarketingList,CustomSegment",
}
NETWORKS = {
    "SearchSize": "in the Search network",
    "AudienceNetworkSize": "in the Audience network",
}
FAULTS = ("Errors.0.Code", "OperationErrors.0.Code", "BatchErrors.0.Code")
CODES = {0: 503, 105: 401, 106: 403, 109: 401, 117: 429}
"""The HTTP status that an error's code amounts to, whatever the status it came with."""
CALL_RATE_EXCEEDED = 117


def setting(role: str, variable: str, what: str, *, required: bool = True, secret: bool = False) -> Setting:
    """A setting under both names that people give it."""
    return Setting(role, tuple(f"{p}_ADS_{variable}" for p in ("MICROSOFT", "BING")), what, required, secret)


def id_setting(role: str, variable: str, what: str, *, identifies: bool = False) -> Setting:
    """A number of the account's web address."""
    variables = tuple(f"{prefix}_ADS_{variable}" for prefix in ("MICROSOFT", "BING"))
    shape = re.compile(r"[0-9]{1,19}", re.ASCII)
    return Setting(role, variables, what, True, identifies=identifies, pattern=shape, example="150489161")


def seconds_until_called(code: object) -> float | None:
    """A call rate is that of the last minute."""
    return 60 if as_count(code) == CALL_RATE_EXCEEDED else None


class MicrosoftAds(Vendor):
    """`POST /Audiences/QueryByIds` answers `{Audiences, PartialErrors}`: all, or those with given ids."""

    name = "microsoftads"
    title = "Microsoft Advertising"
    settings = (
        setting("client_id", "CLIENT_ID", "Application (client) id"),
        setting("refresh_token", "REFRESH_TOKEN", "Refresh token, scope msads.manage", secret=True),
        setting("developer_token", "DEVELOPER_TOKEN", "Developer token", secret=True),
        id_setting("customer", "CUSTOMER_ID", "Manager account, cid= in the web address"),
        id_setting("account", "ACCOUNT_ID", "Account, aid= in the web address", identifies=True),
        setting(
            "client_secret",
            "CLIENT_SECRET",
            "The application's secret, of a web application alone",
            required=False,
            secret=True,
        ),
        Setting(
            "token_url",
            ("MICROSOFT_ADS_TOKEN_URL",),
            "Address that exchanges the refresh token",
            default="https://login.microsoftonline.com/common/oauth2/v2.0/token",
        ),
        base_url(
            "MICROSOFT_ADS_BASE_URL",
            "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13",
            "Base URL with the API version",
        ),
    )
    size_unknown = "Microsoft has not counted it: that takes a day or two, or its UET tag is not active"
    auth = Exchange(  # a refresh token for an access token of an hour
        "{token_url}",
        {"grant_type": "refresh_token", "scope": "https://ads.microsoft.com/msads.manage offline_access"},
        roles=("client_id", "refresh_token"),
        optional=("client_secret",),  # a native application must not send one
        renews={"refresh_token": "refresh_token"},  # the old one stays good until its own end
        hint="Make a new refresh token: one ends 90 days after it was made, used or not, or with a new "
        "password. {client_secret} must be set for a web application, and for no other.",
    )
    headers = {
        "DeveloperToken": "{developer_token}",
        "CustomerAccountId": "{account}",
        "CustomerId": "{customer}",
    }
    at_once = 1
    listings = (
        Listing(
            PATH,
            counts="people (active members in the Search network, or else in the Audience network)",
            ids="-?[0-9]{1,19}",
            rows="Audiences",
            method="POST",
            json={**ASKED_FOR, "AudienceIds": None},
            # There are no dates.
            fields=Fields(
                "SearchSize",
                Words("Type", TYPES),
                "ready",
                id="Id",
                name="Name",
                description="Description",
                details=(
                    "Type",
                    "SearchSize",
                    "AudienceNetworkSize",
                    "MembershipDuration",
                    "Scope",
                    "SupportedCampaignTypes",
                ),
            ),
            one=One(PATH, method="POST", json={**ASKED_FOR, "AudienceIds": ["{id}"]}, listed=True),
        ),
    )
    waits = tuple(Wait(path, read=seconds_until_called) for path in FAULTS)
    error_hints = {
        "unauthorized": "{developer_token} may be wrong, or that of the sandbox.",
        "forbidden": "The user of {refresh_token} needs access to the account that {account} names, which "
        "must lie under the manager account in {customer}.",
    }

    def page(self, page: Page, body: object) -> Page:
        """Null in place of the list is no empty account: nothing else here would tell one from a failure."""
        if value_at(body, "Audiences") is None:
            raise UnexpectedShape("its list 'Audiences' is null")
        return page

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """Two sizes, as text, of which the first that was counted is taken; 0 is counted, null is not."""
        for field, note in NETWORKS.items():
            row.size = as_count(raw.get(field))
            if row.size is None:
                continue
            row.size_note = note
            if raw.get("Scope") == "Customer":
                row.size_note += "; of the manager account, so its other accounts list it as well"
            return
        row.status = "processing"

    def status(self, response: Response) -> int:
        """By the fault's code, under any status; one that is not known is a mistake in the request."""
        codes = [as_count(value_at(response.body, path)) for path in FAULTS]
        code = next((code for code in codes if code is not None), None)
        if code is None:
            return response.status
        return CODES.get(code, response.status if response.status in (401, 403, 429) else 400)
