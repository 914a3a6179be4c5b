"""Example Lists: pages by offset and total, and one list by its id.

Facts from the "Lists" and "Errors" pages of its documentation (v1). The API does not exist.
Not documented: how often members are counted, and a rate limit.
"""

from __future__ import annotations

from collections.abc import Mapping

from audience_mcp.vendors import (
    Fields,
    Header,
    Listing,
    Offset,
    One,
    Row,
    Vendor,
    Wait,
    Words,
    api_key,
    base_url,
)

KINDS = {"manual": "static", "rule": "dynamic"}
STATES = {"ready": "ready", "counting": "processing", "broken": "failed"}


class ExampleLists(Vendor):
    """`GET /lists?offset=&limit=` answers `{items, total}`; `GET /lists/{id}` answers one list."""

    name = "examplelists"
    title = "Example Lists"
    kind = "list"
    settings = (
        api_key("EXAMPLELISTS_API_KEY", description="API key, scope lists:read"),
        base_url("EXAMPLELISTS_BASE_URL", "https://api.lists.example/v1"),
    )
    auth = Header("X-Api-Key", "{api_key}")
    listings = (
        Listing(
            "lists",
            rows="items",
            fields=Fields(
                "members",
                Words("kind", KINDS),
                Words("state", STATES),
                name="title",
                description="about",
                created="created_at",
                updated="updated_at",
                details=("kind", "state"),
            ),
            counts="contacts on the list, subscribed or not",
            ids="lst_[0-9]{1,12}",
            params={"limit": "100"},
            paging=Offset(),
            total="total",
            one=One("lists/{id}"),
        ),
    )
    waits = (Wait("error.retry_in_s"),)
    error_hints = {
        "unauthorized": "Check {api_key}: Example Lists shows a key once, when it is made.",
        "forbidden": "The key in {api_key} needs the scope lists:read.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """`members` is null while a list is being counted."""
        if row.size is None and row.status == "processing":
            row.size_note = "not counted yet: Example Lists is still counting it"
