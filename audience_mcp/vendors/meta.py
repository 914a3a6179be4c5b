"""Meta: the custom audiences of one ad account, with sizes as ranges (Marketing API, Graph).

Facts from the "Custom Audience" and "Error Codes" pages of developers.facebook.com and from Meta's Python SDK
(facebook-business 26.0). Not documented: the largest page, and the `Authorization` header for this API.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    AudienceType, Kind, Listing, NextLink, Request, Response, Row, Setting, Status, Values, Vendor, Wait,
    as_count, as_object, is_object, pick, text_at, value_at,
)  # fmt: skip

FURTHER = ("subtype", "delivery_status", "operation_status", "retention_days", "time_content_updated",
           "delete_time", "is_value_based", "lookalike_spec", "data_source")  # fmt: skip
LOW, HIGH = "approximate_count_lower_bound", "approximate_count_upper_bound"
FIELDS = ",".join(("id,name,description,time_created,time_updated", LOW, HIGH, *FURTHER))
"""One unknown or forbidden field fails the whole request. `rule` is left out: it is long, and targeting."""
RULES = ("WEBSITE", "APP", "ENGAGEMENT", "VIDEO", "OFFLINE_CONVERSION", "CLAIM", "MESSENGER_SUBSCRIBER_LIST")
TYPES: Mapping[object, AudienceType] = {
    "CUSTOM": "static", "LOOKALIKE": "lookalike", **dict.fromkeys(RULES, "dynamic")}  # fmt: skip
FILLING, BROKEN = {300, 414, 434, 441}, {415, 431, 432, 433, 442, 471, 500}
MEANS = {401: {102, 190}, 403: {3, 10, 368, *range(200, 300)}, 429: {4, 17, 32, 341, 613, 80003},
         503: {1, 2}}  # fmt: skip
"""The HTTP status that error codes amount to: Meta itself answers 400 to nearly all of them."""


class Meta(Vendor):
    """`GET /act_{account}/customaudiences` pages with `paging`; `GET /{id}` answers the bare audience."""

    name, title, kind = "meta", "Meta", "custom audience"
    settings = (
        Setting("token", ("META_ACCESS_TOKEN",), "Access token, permission ads_read", True, True),
        Setting("account", ("META_AD_ACCOUNT_ID",), "Ad account, digits, also with act_", True,
                identifies=True, normalize=lambda text: text.removeprefix("act_"),
                pattern=re.compile(r"[0-9]{1,20}", re.ASCII), example="act_1234567890"),
        Setting("app_secret", ("META_APP_SECRET",), "The app's secret, if it demands a proof", secret=True),
        Setting("base_url", ("META_BASE_URL",), "Base URL with the API version",
                default="https://graph.facebook.com/v26.0"),
    )  # fmt: skip
    size_counts = "people (Meta's estimate, a range)"
    size_unknown = "Meta gives no estimate: the audience is new, too small or not in use"
    auth_headers: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {token}"}
    """Meta's own samples have the token in the URL, where it does not go here."""
    id_shape = re.compile(r"[0-9]{1,20}", re.ASCII)
    paging = NextLink("paging.next", "after", cursor="paging.cursors.after")
    listings = (Listing("act_{account}/customaudiences", "data", paging, {"fields": FIELDS, "limit": "200"}),)
    waits = (Wait("X-Business-Use-Case-Usage", "min", True, "*.*.estimated_time_to_regain_access"),)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "The token in {token} has expired or was revoked: make one for a system user in the "
        "Business settings, which does not expire.",
        "forbidden": "{token} needs the permission ads_read, and its user the ad account in {account}.",
        "invalid_request": "Check the API version in {base_url}; set {app_secret} if the app asks for proof.",
    }

    def sign(self, request: Request, values: Values) -> Request:
        """`appsecret_proof`, where the app's secret is set: a keyed hash of the token."""
        secret, token = values.get("app_secret", "").encode(), values["token"].encode()
        proof = hmac.new(secret, token, hashlib.sha256).hexdigest()
        return request.with_params(appsecret_proof=proof) if secret else request

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """The bounds are a deliberately imprecise range; -1 is "not available"."""
        low, high = as_count(raw.get(LOW)), as_count(raw.get(HIGH))
        operation, delivery = (
            as_count(value_at(raw, f"{each}_status.code")) for each in ("operation", "delivery")
        )
        failed = operation in BROKEN or (delivery or 0) >= 400
        status: Status = "failed" if failed else "ready" if delivery == 200 else "unknown"
        return Row(id, text_at(raw, "name") or id, None if high is None else low, size_max=high,
                   type=TYPES.get(text_at(raw, "subtype"), "unknown"),
                   status="processing" if operation in FILLING else status,
                   description=text_at(raw, "description"), created=raw.get("time_created"),
                   updated=raw.get("time_updated"), details=pick(raw, *FURTHER))  # fmt: skip

    def get_request(self, id: str, values: Values) -> Request | None:
        """Ids are global: the account is asked for too, since the token may see other accounts."""
        return Request(id, {"fields": f"{FIELDS},account_id"}, carry=values["account"])

    def parse_get(self, body: object, request: Request) -> Sequence[object]:
        """The bare audience, unless it is another account's."""
        row = as_object(body)
        return [row] if str(row.get("account_id")) == request.carry else []

    def status_of(self, response: Response) -> int:
        """By the error's code; 100 with subcode 33 is something that does not exist or may not be seen."""
        error = value_at(response.body, "error")
        if not is_object(error):
            return response.status if not error else max(response.status, 500)
        code = as_count(error.get("code"))
        if code == 100 and as_count(error.get("error_subcode")) == 33:
            return 403 if response.request.listing else 404
        status = 503 if error.get("is_transient") is True else max(response.status, 400)
        return next((means for means, codes in MEANS.items() if code in codes), status)
