"""GNU Mailman 3: the mailing lists of one server (REST API 3.1 of its core).

Facts recorded from core 3.3.10 and read in its source. `count` and `page` go together: either alone is an
error of the server. A page without lists, past the end too, has no `entries`.
"""

from __future__ import annotations

from audience_mcp.vendors import Basic, Fields, Listing, One, PageNumber, Setting, Vendor


class Mailman(Vendor):
    """`GET /lists?count=&page=` answers `{entries, total_size}`; `GET /lists/{id}` answers one list."""

    name = "mailman"
    title = "GNU Mailman"
    kind = "mailing list"
    settings = (
        Setting(
            "base_url",
            ("MAILMAN_REST_URL", "MAILMAN_BASE_URL"),
            "Address of the REST API, with its version",
            required=True,
            example="http://localhost:8001/3.1",
            identifies=True,
        ),
        Setting(
            "password",
            ("MAILMAN_REST_PASSWORD",),
            "Password of the REST API (admin_pass in mailman.cfg)",
            required=True,
            secret=True,
        ),
        Setting("user", ("MAILMAN_REST_USER",), "User of the REST API", default="restadmin"),
    )
    ids_are = "chosen"
    auth = Basic("{user}", "{password}")
    listings = (
        Listing(
            "lists",
            counts="addresses subscribed to the list as members, owners and moderators left out",
            ids="[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,254}",
            rows="entries",
            rows_may_lack=("start", "total_size", "http_etag"),
            total="total_size",
            paging=PageNumber(per_page="count"),
            params={"count": "100"},  # there is no largest page, but each list of one has its members counted
            page_size="count",
            fields=Fields(
                "member_count",
                id="list_id",
                name="display_name",
                description="description",
                details=("fqdn_listname", "advertised", "mail_host", "volume"),
            ),
            one=One("lists/{id}"),
        ),
    )
    error_hints = {
        "unauthorized": "Check {user} and {password}: they are admin_user and admin_pass in mailman.cfg.",
        "forbidden": "Mailman itself never refuses its one user: look at the proxy before {base_url}.",
        "not_found": "It must end with the version, as in http://localhost:8001/3.1.",
    }
