"""CommBox as documented on its "Get Audiences" page and in its OpenAPI document (2.07)."""

from __future__ import annotations

from collections.abc import Sequence

from audience_mcp.sandbox.exchange import Answer, Asked, RefusedError, check_bearer, check_get, parameters

KEY = "sandbox-commbox-key"
RESPONSE_TIME = "2026-11-20T07:51:52.2581942Z"
"""Fixed, so that equal requests have equal answers; seven digits, as in the documented example."""


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {"COMMBOX_API_KEY": KEY, "COMMBOX_BASE_URL": root}


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`GET /audiences`: everything at once. `status` is text here, as the schema (not its example) says."""
    if asked.path != "/audiences":
        raise RefusedError(404, "Not Found")
    check_bearer(asked, KEY, "Unauthorized")
    check_get(asked)
    parameters(asked)
    body = {
        "status": "200",
        "description": "Audiences retrieved",
        "response_time": RESPONSE_TIME,
        "data": list(rows),
    }
    return Answer(200, body)


def refusal(refused: RefusedError) -> Answer:
    """`{status, description, response_time}`, where `status` repeats the HTTP status as a number."""
    body = {"status": refused.status, "description": refused.message, "response_time": RESPONSE_TIME}
    return Answer(refused.status, body, refused.headers)
