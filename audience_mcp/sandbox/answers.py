"""The sandbox itself: which vendor a request is for, and what that vendor has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from audience_mcp.sandbox import batch, commbox, smallest, whop
from audience_mcp.sandbox.data import made_up
from audience_mcp.sandbox.exchange import Answer, Asked, RefusedError


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


VENDORS: Mapping[str, Imitation] = {"commbox": commbox, "batch": batch, "smallest": smallest, "whop": whop}


class Sandbox:
    """The four vendors' audience APIs, each under its name: `/commbox`, `/batch`, `/smallest`, `/whop`.

    `data` gives vendors other rows than the made-up ones: any number, as the vendor would send them,
    broken ones too. Whop's rows hold times as Unix seconds; they are rewritten for newer API versions.
    `rows` is what is served, by vendor; it may be changed between two requests.
    """

    def __init__(self, data: Mapping[str, Sequence[object]] | None = None) -> None:
        given = data or {}
        unknown = given.keys() - VENDORS.keys()
        if unknown:
            raise ValueError(f"no such vendor: {', '.join(sorted(unknown))}")
        self.rows: dict[str, list[Any]] = {
            vendor: list(rows) for vendor, rows in {**made_up(), **given}.items()
        }

    def answer(self, asked: Asked) -> Answer:
        """What the vendor named by the path's first segment answers; never raises."""
        _, _, name_and_rest = asked.path.partition("/")
        name, slash, rest = name_and_rest.partition("/")
        vendor = VENDORS.get(name)
        if vendor is None:
            return Answer(404, f"<p>The sandbox has {', '.join(f'/{vendor}' for vendor in VENDORS)}.</p>\n")
        try:
            return vendor.answer(replace(asked, path=slash + rest), self.rows[name])
        except RefusedError as refused:
            return vendor.refusal(refused)

    def environment(self, origin: str) -> dict[str, str]:
        """The variables that point audience-mcp at this sandbox, served at e.g. `http://127.0.0.1:4321`."""
        root = origin.rstrip("/")
        return {
            key: value
            for name, vendor in VENDORS.items()
            for key, value in vendor.environment(f"{root}/{name}").items()
        }
