"""Ghost: the newsletters and member labels of one site (Admin API).

Facts recorded from Ghost 6.65.0 and read in its source. A key's token is refused five minutes after it was
signed, however late it says that it ends; past the last page, the next one's number is still given; a page
size above 100 is cut to 100 without a word.
Not documented: what Ghost(Pro) answers where it limits requests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from audience_mcp.vendors import (
    Fields,
    Listing,
    One,
    PageNumber,
    Request,
    Response,
    Row,
    Setting,
    Values,
    Vendor,
    value_at,
)

GOOD_FOR_S = 300
KEY_REFUSED = ("INVALID_JWT", "UNKNOWN_ADMIN_API_KEY", "INVALID_AUTH_HEADER")
PAGES = PageNumber(last="meta.pagination.pages")
OLDEST_FIRST = {"limit": "100", "order": "id asc"}
"""By any other order rows may have ties, which a database may cut into pages that overlap."""


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A JWT (RFC 7519) for each request: the first half of the key names the second, which signs it."""

    roles: tuple[str, ...] = ("api_key",)

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with the header."""
        name, _, secret = values["api_key"].partition(":")
        header = {"alg": "HS256", "typ": "JWT", "kid": name}
        claims = {"iat": int(now), "exp": int(now) + GOOD_FOR_S, "aud": "/admin/"}
        signed = b".".join(_in_base64(json.dumps(part).encode()) for part in (header, claims))
        signature = _in_base64(hmac.digest(bytes.fromhex(secret), signed, hashlib.sha256))
        return request.with_headers({"Authorization": f"Ghost {signed.decode()}.{signature.decode()}"})


def _in_base64(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


class Ghost(Vendor):
    """`GET ghost/api/admin/labels/` and `newsletters/`, each page by its number, with counts of members."""

    name = "ghost"
    title = "Ghost"
    settings = (
        Setting(
            "base_url",
            ("GHOST_URL", "GHOST_BASE_URL"),
            "Address of the site (of its admin, if that has one of its own)",
            required=True,
            example="https://news.example.com",
            identifies=True,
            normalize=lambda text: re.sub(r"/ghost/?(?:[#?].*|api(?:/.*)?)?$|/+$", "", text),
        ),
        Setting(
            "api_key",
            ("GHOST_ADMIN_API_KEY",),
            "Admin API key of a custom integration",
            required=True,
            secret=True,
            pattern=re.compile(r"[0-9a-f]{24}:[0-9a-f]{64}", re.ASCII),
            example="a1b2c3d4e5f6a7b8c9d0e1f2:" + "0123456789abcdef" * 4,
        ),
    )
    ids_are = "generated"
    auth = SignedToken()
    headers = {"Accept-Version": "v6.0"}
    listings = (
        Listing(
            "ghost/api/admin/labels/",
            kind="label",
            counts="members of the site with the label, subscribed or not",
            ids="[0-9a-f]{24}",
            rows="labels",
            total="meta.pagination.total",
            paging=PAGES,
            params={**OLDEST_FIRST, "include": "count.members"},
            page_size="limit",
            fields=Fields("count.members", created="created_at", updated="updated_at", details=("slug",)),
            one=One("ghost/api/admin/labels/{id}/", {"include": "count.members"}, listed=True),
        ),
        Listing(
            "ghost/api/admin/newsletters/",
            kind="newsletter",
            counts="members subscribed to the newsletter whose e-mail address works",
            ids="[0-9a-f]{24}",
            rows="newsletters",
            total="meta.pagination.total",
            paging=PAGES,
            params={**OLDEST_FIRST, "include": "count.active_members,count.members"},
            page_size="limit",
            fields=Fields(
                "count.active_members",
                description="description",
                created="created_at",
                updated="updated_at",
                details=("slug", "status", "visibility", "count.members", "subscribe_on_signup"),
            ),
            one=One(
                "ghost/api/admin/newsletters/{id}/",
                {"include": "count.active_members,count.members"},
                listed=True,
            ),
        ),
    )
    error_hints = {
        "unauthorized": "Check {api_key}, and this computer's clock: it may be at most five minutes slow.",
        "forbidden": "The site's plan may not include custom integrations.",
        "not_found": "Where the admin has an address of its own, it must be that one.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """An archived newsletter keeps its subscribers."""
        if listing.kind == "newsletter" and raw.get("status") == "archived":
            row.size_note = "archived: nothing is sent to them"

    def status(self, response: Response) -> int:
        """A refused key may be a 400; an unknown path is a 406."""
        if value_at(response.body, "errors.0.code") in KEY_REFUSED:
            return 401
        return 404 if response.status == 406 else response.status
