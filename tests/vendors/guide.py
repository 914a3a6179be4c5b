"""What the adapters declare, written where it is told: `python -m tests.vendors.guide`.

That is docs/vendors.md, server.json and the bundle's manifest. In the guide,
the tables that begin with a line `<!-- declared: NAME -->` are made here; all else in it is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from audience_mcp.vendors import (
    Cursor,
    Listing,
    NextLink,
    Offset,
    PageNumber,
    Rate,
    Request,
    Setting,
    Values,
    Vendor,
)
from audience_mcp.vendors.registry import built_in_vendors

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "vendors.md"
LONGEST = 60
"""Characters of a parameter that is shown in full."""

Table = Mapping[str, Mapping[str, str]]
"""Cells by vendor's title and column."""


def values_of(vendor: Vendor) -> Values:
    """For each setting its default, or its variable in braces."""
    values = {s.role: s.default or f"{{{s.variables[0]}}}" for s in vendor.settings}
    return {"token": "{token}", **values}


def settings(vendor: Vendor) -> dict[str, str]:
    """What is set, and what goes out with every request."""
    needed = {s.role: " or ".join(f"`{name}`" for name in s.variables) for s in vendor.settings}
    required = [needed[s.role] for s in vendor.settings if s.required]
    ways = [" and ".join(needed[role] for role in group) for group in vendor.needs_one_of]
    groups = {role for group in vendor.needs_one_of for role in group}
    optional = [s for s in vendor.settings if not s.required and s.role not in groups]
    headers = vendor.headers(values_of(vendor)).items()
    sent = [f"`{name}: {re.sub('Basic .*', 'Basic …', v)}`" for name, v in headers]
    sent += [f"`{name}=…`" for name in vendor.sign(Request(""), values_of(vendor)).params]
    defaults = {s.role: f" ({s.default})" if s.default else "" for s in vendor.settings}
    return {
        "source": f"`{vendor.name}`",
        "required": ", ".join([*required, *([f"either {', or '.join(ways)}"] if ways else [])]),
        "optional": ", ".join(needed[s.role] + defaults[s.role] for s in optional),
        "secret": ", ".join(f"`{s.variables[0]}`" for s in vendor.settings if s.secret),
        "sent with it": "; ".join(sent),
    }  # fmt: skip


def requests(vendor: Vendor) -> dict[str, str]:
    """What is asked, and how fast."""
    values = values_of(vendor)
    lists = [listing.request(values, parent_of(listing)) for listing in vendor.listings]
    return {
        "lists": ", ".join(map(written, lists)),
        "pages": "; ".join(dict.fromkeys(map(paged, vendor.listings))),
        "one audience": alone(vendor, values),
        "sizes": counted(vendor),
        "pace": paces(vendor.rates(values)),
    }


def ids(vendor: Vendor) -> dict[str, str]:
    """Kinds, ids, and what a size is."""
    kinds = [listing.kind for listing in vendor.listings if listing.kind] or [vendor.kind]
    counts = vendor.size_counts
    by_kind = counts.items() if isinstance(counts, Mapping) else ()
    return {
        "kinds": ", ".join(dict.fromkeys([*kinds, *(kind for kind, _ in by_kind)])),
        "an id looks like": f"`{vendor.id_shape.pattern}`",
        "its id is a name": "yes" if vendor.id_is_name else "no",
        "one unit of size": counts if isinstance(counts, str) else "; ".join(f"{k}: {n}" for k, n in by_kind),
    }


def parent_of(listing: Listing) -> str | None:
    """What stands for the id of the row that a listing lies under: its kind in braces."""
    return f"{{{listing.within}}}" if listing.within else None


def alone(vendor: Vendor, values: Values) -> str:
    """How one audience of each kind is asked for."""
    ways = []
    for listing in vendor.listings:
        one = vendor.get_request(listing.full_id("{id}", parent_of(listing)), values)
        kind = f"{listing.kind}s " if listing.kind else ""
        ways.append(written(one) if one else f"{kind}from the list")
    return ", ".join(ways) + (", without the size" if vendor.get_lacks_size else "")


def counted(vendor: Vendor) -> str:
    """How many sizes a request asks for, by kind where kinds differ."""
    if type(vendor).count_request is Vendor.count_request:
        return "in the list"
    kinds = dict.fromkeys(listing.kind or "" for listing in vendor.listings)
    numbers = {kind: vendor.counts_per_request.get(kind, 1) for kind in kinds}
    said = {kind: "a request each" if n == 1 else f"{n} a request" for kind, n in numbers.items()}
    return ", ".join(f"{kind}s {way}" if len(said) > 1 else way for kind, way in said.items())


def written(request: Request) -> str:
    """A request as people read one: braces as they are, with long parameters and bodies cut."""
    shown = {
        n: v if len(v) <= LONGEST else v[:LONGEST].rpartition(",")[0] + ",…"
        for n, v in request.params.items()
    }
    query = "&".join(f"{name}={value}" for name, value in shown.items())
    path = request.path.replace("%7B", "{").replace("%7D", "}")
    return f"`{request.method} /{path}{'?' if query else ''}{query}`"  # fmt: skip


def paged(listing: Listing) -> str:
    """How a listing goes on."""
    paging = listing.paging
    if isinstance(paging, Cursor) or (isinstance(paging, NextLink) and paging.param):
        return f"`{paging.param}={{cursor}}`"
    if isinstance(paging, (Offset, PageNumber)):
        return f"`{paging.param}={{number}}`"
    return "the next page's address" if isinstance(paging, NextLink) else "all at once"


def paces(rates: Mapping[str, Iterable[Rate]]) -> str:
    """Limits as people say them: `10 a second, 150 a minute (counts)`."""
    units = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", 86400.0: "a day"}
    said = [
        f"{rate.requests:g} {units.get(rate.seconds, f'in {rate.seconds:g} s')}" + f" ({kind})" * bool(kind)
        for kind, limits in rates.items()
        for rate in limits
    ]  # fmt: skip
    return ", ".join(said) or "as fast as it answers"


def declared() -> dict[str, Table]:
    """Each table by its name."""
    vendors = built_in_vendors().values()
    tables = {"settings": settings, "requests": requests, "ids": ids}
    return {name: {v.title: cells(v) for v in vendors} for name, cells in tables.items()}


def shown(table: Table) -> str:
    """A table in Markdown."""
    columns = [*next(iter(table.values()))]
    lines = [["vendor", *columns], ["---"] * (len(columns) + 1)]
    lines += [[title, *cells.values()] for title, cells in table.items()]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def renewed(text: str) -> str:
    """The guide with its declared tables made anew."""
    for name, table in declared().items():
        made = f"<!-- declared: {name} -->\n{shown(table)}\n"
        text = re.sub(rf"<!-- declared: {name} -->\n(?:\|.*\n)*", made.replace("\\", r"\\"), text)
    return text


def published(server: dict[str, Any]) -> dict[str, Any]:
    """server.json with the variables of all vendors, the server's own after them."""
    (package,) = server["packages"]
    own = [v for v in package["environmentVariables"] if v["name"].startswith("AUDIENCE_MCP_")]
    told = [variable(vendor, setting) for vendor, setting in all_settings()]
    return {**server, "packages": [{**package, "environmentVariables": [*told, *own]}]}


def variable(vendor: Vendor, setting: Setting) -> dict[str, Any]:
    """A setting as the registry of MCP servers describes one."""
    return {
        "name": setting.variables[0],
        "description": f"{vendor.title}: {setting.description}",
        "isRequired": False,
        **({"isSecret": True} if setting.secret else {}),
        **({"default": setting.default} if setting.default is not None else {}),
        "format": "number" if setting.role == "max_rps" else "string",
    }


def bundled(manifest: dict[str, Any]) -> dict[str, Any]:
    """The bundle's manifest with an option for each setting; those that it has stay as they are."""
    had, entry = manifest["user_config"], manifest["server"]["mcp_config"]
    names = [setting.variables[0] for _, setting in all_settings()]
    names += [name for name in entry["env"] if name.startswith("AUDIENCE_MCP_")]
    made = {setting.variables[0].lower(): option(vendor, setting) for vendor, setting in all_settings()}
    entry["env"] = {name: f"${{user_config.{name.lower()}}}" for name in names}
    return {**manifest, "user_config": {n.lower(): {**had, **made, **had}[n.lower()] for n in names}}


def option(vendor: Vendor, setting: Setting) -> dict[str, Any]:
    """A setting as a host asks a person for it."""
    words = setting.role.replace("_", " ").replace("url", "URL").replace("api", "API")
    ending = f"blank: {setting.default}" if setting.default else "blank if you need none"
    if setting.required:
        ending = f"blank if you have no {vendor.title}"
    return {
        "type": "string",
        "title": f"{vendor.title}: {words}",
        "description": f"{setting.description}; {ending}",
        "required": False,
        "default": "",
        **({"sensitive": True} if setting.secret else {}),
    }


def all_settings() -> list[tuple[Vendor, Setting]]:
    """Every setting with its vendor."""
    return [(vendor, setting) for vendor in built_in_vendors().values() for setting in vendor.settings]


if __name__ == "__main__":
    GUIDE.write_text(renewed(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    for path, renew in ((ROOT / "server.json", published), (ROOT / "examples/mcpb/manifest.json", bundled)):
        told = renew(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
