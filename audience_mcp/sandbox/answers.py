"""The sandbox itself: which vendor a request is for, and what that vendor has."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from audience_mcp.sandbox import (
    batch,
    commbox,
    ghost,
    hubspot,
    klaviyo,
    linkedin,
    mailchimp,
    meta,
    smallest,
    whop,
)
from audience_mcp.sandbox.data import ATTACKED, made_up
from audience_mcp.sandbox.exchange import Answer, Asked, RefusedError
from audience_mcp.sandbox.names import HOSTILE


class Imitation(Protocol):
    """What each vendor's module here has."""

    def environment(self, root: str) -> dict[str, str]:
        """The variables that point audience-mcp at it, where `root` is its part of the sandbox."""
        ...

    def answer(self, asked: Asked, rows: Sequence[object]) -> Answer:
        """What it answers from these rows; raises `RefusedError`. The path is without the vendor's name."""
        ...

    def refusal(self, refused: RefusedError) -> Answer:
        """A refusal in its own error shape."""
        ...


VENDORS: Mapping[str, Imitation] = {
    "commbox": commbox,
    "batch": batch,
    "smallest": smallest,
    "whop": whop,
    "mailchimp": mailchimp,
    "hubspot": hubspot,
    "klaviyo": klaviyo,
    "meta": meta,
    "linkedin": linkedin,
    "ghost": ghost,
}


def answer_as(vendor: Imitation, asked: Asked, rows: Sequence[object]) -> Answer:
    """What a vendor answers, its refusals too; never raises. The path is without the vendor's name."""
    try:
        return vendor.answer(asked, rows)
    except RefusedError as refused:
        return vendor.refusal(refused)


class Sandbox:
    """Ten vendors' audience APIs, each under its name: `/commbox`, `/batch`, `/mailchimp` and so on.

    `vendors` limits them to these. `data` gives vendors other rows than the made-up ones: any number, as the
    vendor would send them, broken ones too. Whop's rows hold times as Unix seconds; they are rewritten for
    newer API versions.
    `rows` is what is served, by vendor; it may be changed between two requests. hostile: one audience bears a
    name as an attacker might choose it; people who look around do not meet it otherwise.
    """

    def __init__(
        self,
        data: Mapping[str, Sequence[object]] | None = None,
        vendors: Collection[str] = tuple(VENDORS),
        *,
        hostile: bool = False,
    ) -> None:
        given = data or {}
        unknown = given.keys() - VENDORS.keys()
        if unknown:
            raise ValueError(f"no such vendor: {', '.join(sorted(unknown))}")
        self._given = given
        self._names = [vendor for vendor in VENDORS if vendor in vendors]
        self._hostile = hostile

    @cached_property
    def rows(self) -> dict[str, list[Any]]:
        """What is served, by vendor; drawn when it is first needed, which is not at a server's start."""
        drawn = made_up({*self._names} - self._given.keys())
        rows: dict[str, list[Any]] = {
            vendor: list(self._given[vendor]) if vendor in self._given else drawn[vendor]
            for vendor in self._names
        }
        if self._hostile:
            for row in rows.get("commbox", ()):
                if row["id"] == ATTACKED:
                    row["name"] = HOSTILE
        return rows

    def answer(self, asked: Asked) -> Answer:
        """What the vendor named by the path's first segment answers; never raises."""
        _, _, name_and_rest = asked.path.partition("/")
        name, slash, rest = name_and_rest.partition("/")
        if name not in self.rows:
            return Answer(404, f"<p>The sandbox has {', '.join(f'/{vendor}' for vendor in self.rows)}.</p>\n")
        return answer_as(VENDORS[name], replace(asked, path=slash + rest), self.rows[name])

    def environment(self, origin: str) -> dict[str, str]:
        """The variables that point audience-mcp at this sandbox, served at e.g. `http://127.0.0.1:4321`."""
        root = origin.rstrip("/")
        return {
            key: value
            for name in self._names
            for key, value in VENDORS[name].environment(f"{root}/{name}").items()
        }
