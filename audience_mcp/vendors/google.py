"""What Google's APIs share: a user's refresh token, exchanged for access tokens of an hour."""

from __future__ import annotations

from audience_mcp.vendors.auth import Exchange
from audience_mcp.vendors.base import Setting

OTHER_CLIENT = "{client_id} and {client_secret} are not those that {refresh_token} was made with."
AUTH = Exchange(
    "{token_url}",
    {"grant_type": "refresh_token"},
    roles=("client_id", "client_secret", "refresh_token"),
    hint="Make a new refresh token: they end after 7 days while the consent screen is in Testing.",
    hints={"unauthorized_client": OTHER_CLIENT, "invalid_client": OTHER_CLIENT},
)
"""What `oauth_client` and `token_url` ask for, exchanged (RFC 6749, section 6)."""


def oauth_client(prefix: str, description: str = "Refresh token") -> tuple[Setting, ...]:
    """The OAuth client and a user's refresh token. prefix: of their variables. description: of the token."""
    return (
        Setting("client_id", (f"{prefix}CLIENT_ID",), "OAuth client", required=True),
        Setting("client_secret", (f"{prefix}CLIENT_SECRET",), "Its secret", required=True, secret=True),
        Setting("refresh_token", (f"{prefix}REFRESH_TOKEN",), description, required=True, secret=True),
    )


def token_url(prefix: str) -> Setting:
    """The address of the exchange. prefix: of its variable."""
    return Setting(
        "token_url",
        (f"{prefix}TOKEN_URL",),
        "Address that exchanges the refresh token",
        default="https://oauth2.googleapis.com/token",
    )
