"""Ghost's labels and newsletters, as its Admin API answers them.

A row is flat and has its `kind`; its size stands under `members`, for a newsletter those whose address
works, beside the number of those `suppressed`. The token of a request may be of any time: whoever asks may
have a clock of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from audience_mcp.sandbox.drawing import END, START, Row, iso, moment, seed_random, size
from audience_mcp.sandbox.exchange import Answer, Asked, RefusedError, check_get, found, page_size, parameters

KEY = "5a1d0b0c0d0e0f1011121314:" + "5a" * 32  # made up
GOOD_FOR_S = 300
_PATH = re.compile(r"(?:/site)?/ghost/api/admin/(label|newsletter)s/(?:([^/]+)/)?", re.ASCII)
_COUNTS = {"label": "count.members", "newsletter": "count.active_members,count.members"}
_TYPES = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    422: "ValidationError",
}


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    # A folder named like that of its admin could not be told from it.
    return {"GHOST_URL": f"{root}/site", "GHOST_ADMIN_API_KEY": KEY}


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """Both listings, and one of either."""
    _check_token(asked.headers.get("authorization", ""))
    path = _PATH.fullmatch(asked.path)
    if path is None or "accept-version" not in asked.headers:
        raise RefusedError(404, "Resource not found.")
    check_get(asked)
    kind, id = path.groups()
    own = [row for row in rows if kind == kind_of(row)]
    if id is not None:
        given = parameters(asked, "include")
        return Answer(200, {f"{kind}s": [_sent(_one(own, id), given.get("include") == _COUNTS[kind])]})
    given = parameters(asked, "limit", "page", "order", "include")
    if given.get("order", "id asc") != "id asc" or not given.get("page", "1").isdigit():
        raise RefusedError(422, "Validation failed.")
    # Ghost itself makes 100 of a larger number, without a word.
    length, page = page_size(given, "limit", default=15, maximum=100), max(1, int(given.get("page", "1")))
    last = max(1, -(-len(own) // length))
    shown = [
        _sent(row, given.get("include") == _COUNTS[kind]) for row in own[(page - 1) * length : page * length]
    ]
    # Past the end the next page is still the one after this.
    following = page + 1 if page != last else None
    meta = {
        "page": page,
        "limit": length,
        "pages": last,
        "total": len(own),
        "next": following,
        "prev": page - 1 or None,
    }
    return Answer(200, {f"{kind}s": shown, "meta": {"pagination": meta}})


def refusal(refused: RefusedError) -> Answer:
    """`{errors: [{message, context, type, details, property, help, code, id, ghostErrorCode}]}`."""
    error = {
        "message": refused.message,
        "context": None,
        "type": _TYPES[refused.status],
        "details": None,
        "property": None,
        "help": None,
        "code": refused.param,
        "id": "3f6c5a10-cb3e-11f0-8d5a-6f8a2d1b7c11",
        "ghostErrorCode": None,
    }
    return Answer(refused.status, {"errors": [error]}, refused.headers)


def kind_of(row: object) -> str:
    """Whether a row is a newsletter or a label."""
    return "newsletter" if isinstance(row, dict) and row.get("kind") == "newsletter" else "label"


def _check_token(given: str) -> None:
    """Refuse what is not signed with the key, for this API, and for five minutes at most."""
    import jwt  # only the sandbox's Ghost needs it

    scheme, _, token = given.partition(" ")
    name, _, secret = KEY.partition(":")
    if scheme != "Ghost":
        raise RefusedError(401, "Authorization header format is wrong.", param="INVALID_AUTH_HEADER")
    try:
        if jwt.get_unverified_header(token).get("kid") != name:
            raise RefusedError(401, "Unknown Admin API Key", param="UNKNOWN_ADMIN_API_KEY")
        claims = jwt.decode(
            token,
            bytes.fromhex(secret),
            algorithms=["HS256"],
            audience="/admin/",
            options={"require": ["iat", "exp"], "verify_iat": False, "verify_exp": False},
        )
    except jwt.DecodeError as e:
        # What is no token at all is a 400.
        status = 401 if isinstance(e, jwt.InvalidSignatureError) else 400
        raise RefusedError(status, "Invalid token", param="INVALID_JWT") from None
    except jwt.InvalidTokenError:
        raise RefusedError(401, "Invalid token", param="INVALID_JWT") from None
    if not 0 < claims["exp"] - claims["iat"] <= GOOD_FOR_S:
        raise RefusedError(401, "Invalid token: maxAge exceeded", param="INVALID_JWT")


def _one(rows: Sequence[object], id: str) -> Row:
    if not re.fullmatch("[0-9a-f]{24}", id):
        raise RefusedError(422, "Validation (matches) failed for id")
    row = found(rows, "id", id)
    if row is None:
        raise RefusedError(404, "Resource not found.")
    return row


def _sent(row: object, counted: bool) -> object:
    """A row as Ghost sends it; only where it was asked to does it count."""
    if not isinstance(row, dict):
        return row
    facts = {name: value for name, value in row.items() if name not in ("kind", "members", "suppressed")}
    if not counted or "members" not in row:
        return facts
    members = row["members"]
    if kind_of(row) == "label":
        return {**facts, "count": {"members": members}}
    everyone = members + row.get("suppressed", 0) if isinstance(members, int) else members
    return {**facts, "count": {"members": everyone, "active_members": members}}


def ghost_rows() -> list[Row]:
    """5 newsletters, of which one is archived, and 21 labels."""
    draw = seed_random(2013)
    rows = [
        a_newsletter(1, "Weekly letter", 41_206, suppressed=311),
        a_newsletter(2, "Newsletter subscribers", 39_870, suppressed=287),
        a_newsletter(3, "Product news", 8_013, description="What is new, once a month"),
        a_newsletter(4, "Wochenend-Brief", 0, description="Noch ohne Leserinnen"),
        a_newsletter(5, "Elections 2024", 12_644, status="archived", suppressed=1_902),
        a_label(1, "VIP", 96),
        a_label(2, "Black Friday – early access", 2_310),
        a_label(3, "Imported 2026-03-02", 18_422),
        a_label(4, "Großspender", 41),
        a_label(5, "テスト", 3),
    ]
    themes = ("founding members", "gift subscriptions", "event guests", "podcast listeners")
    for place, city in enumerate(("Lisboa", "Kraków", "Toronto", "Nairobi")):
        for number, theme in enumerate(themes):
            made = moment(draw, START, END)
            made_on = {"created_at": iso(made, ".000"), "updated_at": iso(moment(draw, made, END), ".000")}
            rows.append(a_label(100 + 10 * place + number, f"{city} {theme}", size(draw, 6_000), **made_on))
    return rows


def a_label(number: int, name: str, members: int, **more: object) -> Row:
    """A label with so many members."""
    return {**_row("label", 0xA000 + number, name, members), **more}


def a_newsletter(
    number: int,
    name: str,
    members: int,
    *,
    description: str | None = None,
    status: str = "active",
    suppressed: int = 0,
) -> Row:
    """A newsletter with so many subscribers whose addresses work."""
    about: Mapping[str, object] = {
        "uuid": f"3867b934-5d2e-4c1f-9a60-{number:012x}",
        "description": description,
        "sender_email": None,
        "status": status,
        "visibility": "members",
        "subscribe_on_signup": number == 1,
        "sort_order": number,
        "suppressed": suppressed,
    }
    return {**_row("newsletter", number, name, members), **about}


def _row(kind: str, number: int, name: str, members: int) -> Row:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or f"{kind}-{number}"
    return {
        "id": f"67f0a1b2c3d4e5f6{number:08x}",
        "kind": kind,
        "name": name,
        "slug": slug,
        "created_at": "2025-03-02T08:00:00.000Z",
        "updated_at": "2026-10-02T08:00:00.000Z",
        "members": members,
    }
