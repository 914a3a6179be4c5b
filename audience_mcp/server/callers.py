"""Who is calling over HTTP. The guards find it out; what is behind them reads it from the request's scope."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from audience_mcp.core.text import clean

_KEY = "audience_mcp.caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of a caller; nothing where callers are not asked who they are.

    subject: of an access token, exactly as the issuer writes it. email: the verified address in it, in lower
    case. token: the name of a bearer token; empty for the one without a name. sources: the names of those
    that the caller may see; None for all.
    """

    subject: str | None = None
    email: str | None = None
    token: str | None = None
    sources: frozenset[str] | None = None

    def has_address(self, entry: str) -> bool:
        """Whether an e-mail address, or an `@domain`, in any case, is that of the caller."""
        entry = entry.lower()
        if self.email is None:
            return False
        return self.email == entry or (entry.startswith("@") and self.email.rpartition("@")[2] == entry[1:])

    @property
    def shown(self) -> str:
        """How the log names the caller: `subject ann`, `token ci`, `the token` or `anyone`."""
        if self.subject is not None:
            return f"subject {clean(self.subject)}"
        if self.token is not None:
            return f"token {self.token}" if self.token else "the token"
        return "anyone"


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """Who sent a request, by its ASGI scope: in a handler of the server, `ctx.request.scope`."""
    found = scope.get(_KEY)
    return found if isinstance(found, Caller) else Caller()


def set_caller(scope: MutableMapping[str, Any], caller: Caller) -> None:
    """Say who sent a request, for everything that handles it from now on."""
    scope[_KEY] = caller
