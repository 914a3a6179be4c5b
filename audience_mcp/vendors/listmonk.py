"""listmonk: the mailing lists of one installation.

Facts from its source (after 6.2.0) and its documentation. `subscriber_count` counts unsubscribed people too,
and is twice that in the answer for one list (5.0 to 6.2): sizes are made of the statuses. Pages are cut from
a table without an order, so all lists are asked for at once; the page sizes that it takes end at 50.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Basic,
    Fields,
    Listing,
    Request,
    Response,
    Row,
    Setting,
    Talk,
    Values,
    Vendor,
    as_count,
    is_object,
    object_at,
)


def request_one(id: str, values: Values) -> Talk[object]:
    """The list without its `subscriber_count`, which is twice what it should be."""
    body = yield Request(f"api/lists/{id}", purpose="one")
    return {key: value for key, value in object_at(body, "data").items() if key != "subscriber_count"}


class Listmonk(Vendor):
    """`GET /api/lists?per_page=all` answers every list; `GET /api/lists/{id}` answers one."""

    name = "listmonk"
    title = "listmonk"
    kind = "list"
    settings = (
        Setting(
            "base_url",
            ("LISTMONK_URL", "LISTMONK_BASE_URL"),
            "Address of the installation",
            required=True,
            example="https://lists.example.com",
            identifies=True,
            normalize=lambda text: re.sub(r"/admin(?:[/#?].*)?$|/+$", "", text),
        ),
        Setting("user", ("LISTMONK_API_USER",), "API user", required=True),
        Setting("token", ("LISTMONK_API_TOKEN",), "Token of the API user", required=True, secret=True),
    )
    auth = Basic("{user}", "{token}")
    listings = (
        Listing(
            "api/lists",
            counts="subscribers whom a campaign to the list reaches",
            ids="[1-9][0-9]{0,9}",
            rows="data.results",
            total="data.total",
            params={"per_page": "all"},
            fields=Fields(
                "subscriber_count",
                description="description",
                created="created_at",
                updated="updated_at",
                details=("type", "optin", "status", "tags", "subscriber_statuses"),
            ),
            one=request_one,
        ),
    )
    error_hints = {
        "unauthorized": "Check {user} and {token}: an API user and its token, made under Admin > Users.",
        "forbidden": "The list is not among those of the API user's role.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """Confirmed people, and unconfirmed ones where the list asks nobody to confirm."""
        statuses, optin = raw.get("subscriber_statuses"), raw.get("optin")
        if not is_object(statuses):  # before 2.1, and in an empty list of 2.x
            row.size_note = "unsubscribed people are counted too" if row.size is not None else None
            return
        counts = [as_count(statuses.get(status, 0)) for status in ("confirmed", "unconfirmed")]
        reached = counts[: {"double": 1, "single": 2}.get(str(optin), 0)]
        known = [count for count in reached if count is not None]
        row.size = sum(known) if reached and len(known) == len(reached) else None

    def status(self, response: Response) -> int:
        """A wrong key is a 403, also where reading needs no right; an unknown list is a 400."""
        alone = response.request.purpose == "one"
        if response.status == 403 and not alone:
            return 401
        return 404 if response.status == 400 and alone else response.status
