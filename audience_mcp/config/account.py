"""An account: what it takes to ask a vendor, and what of that must never be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audience_mcp.config.values import SHORTEST_KEY
from audience_mcp.vendors import Rate, Request, Values, Vendor


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account of a vendor: a *source*.

    source: its name, the first half of every ref. variables: for each role the environment variable
    that holds (or would hold) its value. hurry: how many times faster it may be asked than its vendor allows.
    """

    source: str
    vendor: Vendor
    values: Values
    variables: Mapping[str, str]
    hurry: float = 1

    @property
    def rates(self) -> Mapping[str, Sequence[Rate]]:
        """The limits of each kind of request."""
        rates = self.vendor.rates(self.values)
        if self.hurry == 1:
            return rates
        return {
            kind: [Rate(rate.requests, rate.seconds / self.hurry) for rate in limits]
            for kind, limits in rates.items()
        }

    @property
    def base_url(self) -> str:
        """Where the vendor is reached, without a slash at the end."""
        return self.values["base_url"].rstrip("/")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown: secret settings, and headers and signatures made of them."""
        own = [self.values[s.role] for s in self.vendor.settings if s.secret and s.role in self.values]
        try:
            headers = self.vendor.headers({"token": "", **self.values}) if own else {}
            signed = self.vendor.sign(Request(""), self.values).params.values() if own else ()
        except Exception:  # noqa: BLE001 (a plug-in's own code; the reading will say so)
            headers, signed = {}, ()
        # "Basic dXNlcjprZXk=": a form of the key of which no part of the key can be seen.
        made = [v.split()[-1] for name, v in headers.items() if name.lower() == "authorization" and " " in v]
        made += signed
        return tuple(dict.fromkeys([*own, *(word for word in made if len(word) >= SHORTEST_KEY)]))

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes this account the same as another: vendor, base URL, and what names the account.

        Where nothing does, or several keys see different things in it, the key itself.
        """
        named = [s for s in self.vendor.settings if s.identifies] or [
            s for s in self.vendor.settings if s.secret
        ]
        values = tuple(self.values.get(s.role) for s in named)
        return self.vendor.name, self.base_url, *values
