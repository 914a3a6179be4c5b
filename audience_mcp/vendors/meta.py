"""Meta: the custom audiences of one ad account, with sizes as ranges (Marketing API, Graph).

Facts from the "Custom Audience" and "Error Codes" pages of developers.facebook.com and from Meta's Python SDK
(facebook-business 26.0). Not documented: the largest page, and the `Authorization` header for this API.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from audience_mcp.vendors import (
    Bearer,
    Fields,
    Listing,
    NextLink,
    One,
    Request,
    Response,
    Row,
    Setting,
    Values,
    Vendor,
    Version,
    Wait,
    Words,
    api_key,
    as_count,
    base_url,
    is_object,
    value_at,
)

FURTHER = (
    "subtype",
    "delivery_status",
    "operation_status",
    "retention_days",
    "time_content_updated",
    "delete_time",
    "is_value_based",
    "lookalike_spec",
    "data_source",
)
LOW = "approximate_count_lower_bound"
HIGH = "approximate_count_upper_bound"
FIELDS = ",".join(("id,name,description,time_created,time_updated", LOW, HIGH, *FURTHER))
"""One unknown or forbidden field fails the whole request. `rule` is left out: it is long, and targeting."""
TYPES = {
    "CUSTOM": "static",
    "LOOKALIKE": "lookalike",
    "WEBSITE": "dynamic",
    "APP": "dynamic",
    "ENGAGEMENT": "dynamic",
    "VIDEO": "dynamic",
    "OFFLINE_CONVERSION": "dynamic",
    "CLAIM": "dynamic",
    "MESSENGER_SUBSCRIBER_LIST": "dynamic",
}
FILLING = {300, 414, 434, 441}
BROKEN = {415, 431, 432, 433, 442, 471, 500}
MEANS = {
    401: {102, 190},
    403: {3, 10, 368, *range(200, 300)},
    429: {4, 17, 32, 341, 613, 80003},
    503: {1, 2},
}
"""The HTTP status that error codes amount to: Meta itself answers 400 to nearly all of them."""


@dataclass(frozen=True, slots=True)
class TokenAndProof:
    """A bearer token; and `appsecret_proof`, a keyed hash of it, where the app's secret is set.

    Meta's own samples have the token in the URL, where it does not go here.
    """

    roles: tuple[str, ...] = ("token",)

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with the header, and with the proof."""
        request = Bearer("token").authorize(request, values, now)
        secret = values.get("app_secret", "").encode()
        proof = hmac.new(secret, values["token"].encode(), hashlib.sha256).hexdigest()
        return request.with_params(appsecret_proof=proof) if secret else request


class Meta(Vendor):
    """`GET /act_{account}/customaudiences` pages with `paging`; `GET /{id}` answers the bare audience."""

    name = "meta"
    title = "Meta"
    kind = "custom audience"
    settings = (
        api_key("META_ACCESS_TOKEN", description="Access token, permission ads_read", role="token"),
        Setting(
            "account",
            ("META_AD_ACCOUNT_ID",),
            "Ad account, digits, also with act_",
            required=True,
            identifies=True,
            pattern=re.compile(r"[0-9]{1,20}", re.ASCII),
            example="act_1234567890",
            normalize=lambda text: text.removeprefix("act_"),
        ),
        Setting("app_secret", ("META_APP_SECRET",), "The app's secret, if it demands a proof", secret=True),
        base_url("META_BASE_URL", "https://graph.facebook.com/v26.0", "Base URL with the API version"),
    )
    size_unknown = "Meta gives no estimate: the audience is new, too small or not in use"
    auth = TokenAndProof()
    listings = (
        Listing(
            "act_{account}/customaudiences",
            counts="people (Meta's estimate, a range)",
            ids="[0-9]{1,20}",
            rows="data",
            paging=NextLink("paging.next", "after", cursor="paging.cursors.after"),
            params={"fields": FIELDS, "limit": "200"},
            page_size="limit",
            fields=Fields(
                LOW,
                Words("subtype", TYPES),
                "unknown",
                description="description",
                created="time_created",
                updated="time_updated",
                details=FURTHER,
            ),
            # Ids are global, and so may the token be.
            one=One("{id}", {"fields": f"{FIELDS},account_id"}, owned=("account_id", "{account}")),
        ),
    )
    waits = (
        Wait(
            "X-Business-Use-Case-Usage",
            "min",
            header=True,
            within="*.*.estimated_time_to_regain_access",
        ),
    )
    # Inferred: marketing versions live for 12 to 13 months (v24.0 ended on 2026-11-10, v25.0 on 2027-02-23).
    version = Version("v26.0", date(2027, 7, 31), warning="X-Ad-Api-Version-Warning")
    error_hints = {
        "unauthorized": "The token in {token} has expired or was revoked: make one for a system user in the "
        "Business settings, which does not expire.",
        "forbidden": "{token} needs the permission ads_read, and its user the ad account in {account}.",
        "invalid_request": "Check the API version in {base_url}; set {app_secret} if the app asks for proof.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """The bounds are a deliberately imprecise range; -1 is "not available"."""
        row.size_max = as_count(raw.get(HIGH))
        if row.size_max is None:
            row.size = None
        operation = as_count(value_at(raw, "operation_status.code"))
        delivery = as_count(value_at(raw, "delivery_status.code"))
        if operation in FILLING:
            row.status = "processing"
        elif operation in BROKEN or (delivery or 0) >= 400:
            row.status = "failed"
        else:
            row.status = "ready" if delivery == 200 else "unknown"

    def status(self, response: Response) -> int:
        """By the error's code; 100 with subcode 33 is something that does not exist or may not be seen."""
        error = value_at(response.body, "error")
        if not is_object(error):
            return response.status if not error else max(response.status, 500)
        code = as_count(error.get("code"))
        if code == 100 and as_count(error.get("error_subcode")) == 33:
            return 403 if response.request.purpose == "list" else 404
        if code == 1 and "reduce the amount" in str(error.get("message")).lower():
            return 413
        if code == 2635:  # "You are calling a deprecated version of the Ads API."
            return 426
        status = 503 if error.get("is_transient") is True else max(response.status, 400)
        return next((means for means, codes in MEANS.items() if code in codes), status)
