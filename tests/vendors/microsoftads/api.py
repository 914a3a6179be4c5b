"""Microsoft Advertising's query of audiences and Microsoft's token endpoint, as documented, over given rows.

The token endpoint gives a new refresh token with each answer, as Microsoft's does; the first one stays good.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from audience_mcp.testing import Answer, Asked

CLIENT = {"client_id": "6731de76-14a6-49ae-97bc-6eba6914391e", "refresh_token": "M.C5-made-up-refresh"}
SECRET = "made-up-client-secret"
DEVELOPER_TOKEN = "made-up-developer-token"
CUSTOMER, ACCOUNT = "250253143", "150489161"
TOKEN = "EwB-made-up-access-token"
REPLACEMENT = "M.C5-made-up-replacement"
SCOPE = "https://ads.microsoft.com/msads.manage offline_access"
PREFIX = "/CampaignManagement/v13"
KNOWN = {
    "RemarketingList",
    "CustomerList",
    "CombinedList",
    "Custom",
    "SimilarRemarketingList",
    "ImpressionBasedRemarketingList",
    "Product",
    "CustomSegment",
}


def token(asked: Asked, web: bool = False) -> Answer:
    """`POST /token`, a form. web: whether the application is one that has a secret, and must send it."""
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    if asked.method != "POST" or asked.headers.get("content-type") != "application/x-www-form-urlencoded":
        return refused(400, "invalid_request", 900144)
    if form.pop("grant_type", None) != "refresh_token" or form.pop("scope", None) != SCOPE:
        return refused(400, "invalid_request", 900144)
    if form.get("client_id") != CLIENT["client_id"]:
        return refused(400, "unauthorized_client", 700016)
    if form.pop("client_secret", None) != (SECRET if web else None):
        return refused(401, "invalid_client", 7000215 if web else 700025)
    if form.get("refresh_token") not in (CLIENT["refresh_token"], REPLACEMENT):
        return refused(400, "invalid_grant", 70000)
    answer = {"token_type": "Bearer", "scope": SCOPE, "expires_in": 3599, "ext_expires_in": 3599}
    return Answer(200, {**answer, "access_token": TOKEN, "refresh_token": REPLACEMENT})


def refused(status: int, error: str, number: int) -> Answer:
    """What the token endpoint says where it refuses."""
    text = f"AADSTS{number}: …"
    return Answer(status, {"error": error, "error_description": text, "error_codes": [number]})


def fault(status: int, code: int, name: str, *, operation: bool = False) -> Answer:
    """A fault: `AdApiFaultDetail`, or of an operation `ApiFaultDetail`."""
    error = {"Code": code, "ErrorCode": name, "Message": "…"}
    if operation:
        body = {"BatchErrors": [], "OperationErrors": [{**error, "Details": None}], "Type": "ApiFaultDetail"}
    else:
        body = {"Errors": [{**error, "Detail": None}], "Type": "AdApiFaultDetail"}
    return Answer(status, {**body, "TrackingId": "b1c6"})


def query(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`POST /Audiences/QueryByIds`: all audiences, or one place for each id that was asked for."""
    if asked.path != f"{PREFIX}/Audiences/QueryByIds":
        return Answer(404, "<html>Not Found</html>")
    if asked.headers.get("authorization") != f"Bearer {TOKEN}":
        return fault(401, 109, "AuthenticationTokenExpired")
    if asked.headers.get("developertoken") != DEVELOPER_TOKEN:
        return fault(401, 105, "InvalidCredentials")
    account = asked.headers.get("customeraccountid"), asked.headers.get("customerid")
    if account != (ACCOUNT, CUSTOMER):
        return fault(403, 106, "UserIsNotAuthorized", operation=True)
    if asked.method != "POST" or asked.headers.get("content-type") != "application/json" or asked.query:
        return fault(400, 100, "NullRequest", operation=True)
    body = json.loads(asked.body)
    if set(body["Type"].replace(" ", "").split(",")) != KNOWN or body.keys() - {
        "Type",
        "ReturnAdditionalFields",
        "AudienceIds",
    }:
        return fault(400, 4040, "InvalidAudienceType", operation=True)
    if body.get("AudienceIds") is None:
        return Answer(200, {"Audiences": [*rows], "PartialErrors": []})
    by_id = {row.get("Id"): row for row in rows if isinstance(row, dict)}
    found = [by_id.get(id) for id in body["AudienceIds"]]
    errors = [
        {"Code": 4001, "ErrorCode": "InvalidAudienceId", "Index": place, "Message": "…", "Type": "BatchError"}
        for place, row in enumerate(found)
        if row is None
    ]
    return Answer(200, {"Audiences": found, "PartialErrors": errors})
