"""Google Ads' search and Google's token endpoint, as documented, over given user lists."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from audience_mcp.testing import Answer, Asked

CLIENT = {"client_id": "1.apps.example", "client_secret": "GOCSPX-made-up", "refresh_token": "1//made-up"}
CUSTOMER, MANAGER = "1234567890", "2223334444"
TOKEN = "ya29.made-up-access-token"
PATH = re.compile(r"/v26/customers/(\d+)/googleAds:search", re.ASCII)
QUERY = re.compile(
    r"SELECT ([a-z_., ]+) FROM user_list(?: WHERE user_list\.id = (\d+)| ORDER BY user_list\.id)"
)
OTHER = ("id", "name", "description", "type", "eligibleForSearch", "eligibleForDisplay")


def camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name.removeprefix("user_list."))


def failed(status: int, code: Mapping[str, str] | None = None, **details: object) -> Answer:
    """A `GoogleAdsFailure` in Google's error envelope."""
    kind = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
    inner = {"errorCode": code, "message": "…", **details}
    failure = [{"@type": kind, "errors": [inner], "requestId": "Zq1"}] if code else []
    return Answer(status, {"error": {"code": status, "message": "…", "status": "…", "details": failure}})


def token(asked: Asked, lives: int = 3599, tokens: Callable[[], str] = lambda: TOKEN) -> Answer:
    """`POST /token`: a form, answered with an access token and no new refresh token."""
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    if asked.method != "POST" or asked.headers.get("content-type") != "application/x-www-form-urlencoded":
        return Answer(400, {"error": "invalid_request"})
    if form.pop("grant_type", None) != "refresh_token" or form.keys() != CLIENT.keys():
        return Answer(400, {"error": "unsupported_grant_type"})
    if any(form[name] != CLIENT[name] for name in ("client_id", "client_secret")):
        return Answer(401, {"error": "invalid_client", "error_description": "Unauthorized"})
    if form["refresh_token"] != CLIENT["refresh_token"]:
        return Answer(
            400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        )
    return Answer(200, {"access_token": tokens(), "expires_in": lives, "token_type": "Bearer"})


def search(asked: Asked, rows: Sequence[Any], page_size: int = 10_000, good: str = TOKEN) -> Answer:
    """`POST /v26/customers/{customer}/googleAds:search`."""
    path = PATH.fullmatch(asked.path)
    if path is None:
        return Answer(404, "<html>Not Found</html>")
    if asked.headers.get("authorization") != f"Bearer {good}":
        return failed(401)
    if asked.method != "POST" or asked.headers.get("content-type") != "application/json" or asked.query:
        return failed(400)
    if path[1] != CUSTOMER or asked.headers.get("login-customer-id", MANAGER) != MANAGER:
        return failed(403, {"authorizationError": "USER_PERMISSION_DENIED"})
    body = json.loads(asked.body)
    if body.keys() - {"query", "pageToken", "searchSettings"}:
        return failed(400, {"requestError": "PAGE_SIZE_NOT_SUPPORTED"})
    query = QUERY.fullmatch(body["query"])
    if query is None:
        return failed(400, {"queryError": "UNEXPECTED_INPUT"})
    fields = [camel(name) for name in query[1].split(", ")]
    found = [row for row in rows if query[2] is None or (isinstance(row, dict) and row.get("id") == query[2])]
    start = 0
    if "pageToken" in body:
        if not re.fullmatch(r"CAo\d+", str(body["pageToken"]), re.ASCII):
            return failed(400, {"requestError": "INVALID_PAGE_TOKEN"})
        start = int(body["pageToken"][3:])
    end = start + page_size
    page = [
        {"userList": {k: v for k, v in row.items() if k in fields}} if isinstance(row, dict) else row
        for row in found[start:end]
    ]
    answer: dict[str, object] = {"fieldMask": ",".join(f"userList.{name}" for name in fields)}
    if page:
        answer["results"] = page
    if end < len(found):
        answer["nextPageToken"] = f"CAo{end}"
    if found and body.get("searchSettings") == {"returnTotalResultsCount": True}:
        answer["totalResultsCount"] = str(len(found))
    return Answer(200, answer)
