"""What the adapters declare, written where it is told: `python -m tests.vendors.guide`.

That is docs/vendors.md, the heads of the pages in docs/keys, server.json and the bundle's manifest. In the
guides, what stands below a line `<!-- declared: NAME -->` is made here; all else in them is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from audience_mcp.vendors import (
    Cursor,
    Encoded,
    Listing,
    NextLink,
    Offset,
    PageNumber,
    Rate,
    Request,
    Row,
    Setting,
    Span,
    Values,
    Vendor,
)
from audience_mcp.vendors.key_pages import point_to_key_page
from audience_mcp.vendors.registry import built_in_vendors

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "vendors.md"
KEYS = ROOT / "docs" / "keys"
"""A page a vendor on how its key is made, and README.md, which lists them."""
LONGEST = 60
"""Characters of a parameter that is shown in full."""

Table = Mapping[str, Mapping[str, str]]
"""Cells by vendor's title and column."""


def values_of(vendor: Vendor) -> Values:
    """For each setting its default, or its variable in braces where it must be set."""
    groups = {role for group in vendor.needs_one_of for role in group}
    needed = [s for s in vendor.settings if s.required or s.default or s.role in groups or s.secret]
    return {"token": "{token}", **{s.role: s.default or f"{{{s.variables[0]}}}" for s in needed}}


def settings(vendor: Vendor) -> dict[str, str]:
    """What is set, and what goes out with every request."""
    needed = {s.role: " or ".join(f"`{name}`" for name in s.variables) for s in vendor.settings}
    required = [needed[s.role] for s in vendor.settings if s.required]
    ways = [" and ".join(needed[role] for role in group) for group in vendor.needs_one_of]
    groups = {role for group in vendor.needs_one_of for role in group}
    optional = [s for s in vendor.settings if not s.required and s.role not in groups]
    values = values_of(vendor)
    formed = {s.role: s.example for s in vendor.settings if s.secret and s.pattern}
    authorized = vendor.auth_for(values).authorize(Request(""), {**values, **formed}, 0)
    headers = {**authorized.headers, **vendor.headers_for(values)}
    # What is made of a key shows nothing of it.
    shown = {name: re.sub("^(Basic|Ghost) .*", r"\1 …", value) for name, value in headers.items()}
    sent = [f"`{name}: {value}`" for name, value in shown.items()]
    sent += [f"`{name}=…`" for name in authorized.params]
    defaults = {s.role: f" ({s.default})" if s.default else "" for s in vendor.settings}
    return {
        "source": f"`{vendor.name}`",
        "required": ", ".join([*required, *([f"either {', or '.join(ways)}"] if ways else [])]),
        "optional": ", ".join(needed[s.role] + defaults[s.role] for s in optional),
        "secret": ", ".join(f"`{s.variables[0]}`" for s in vendor.settings if s.secret),
        "sent with it": "; ".join(sent),
    }


def requests(vendor: Vendor) -> dict[str, str]:
    """What is asked, and how fast."""
    values = values_of(vendor)
    lists = [listing.request(values, parent_of(listing)) for listing in vendor.listings]
    return {
        "lists": ", ".join(map(written, lists)),
        "pages": "; ".join(dict.fromkeys(map(paged, vendor.listings))),
        "one audience": alone(vendor, values),
        "sizes": counted(vendor),
        "sizes of the past": remembered(vendor, values),
        "pace": paces(vendor.rates(values)),
    }


def ids(vendor: Vendor) -> dict[str, str]:
    """Kinds, ids, and what a size is."""
    kinds = [listing.kind for listing in vendor.listings if listing.kind] or [vendor.kind]
    counts = vendor.size_counts
    by_kind = counts.items() if isinstance(counts, Mapping) else ()
    shapes = dict.fromkeys(each.ids if each.bare_beside else each.id_shape for each in vendor.listings)
    return {
        "kinds": ", ".join(dict.fromkeys([*kinds, *(kind for kind, _ in by_kind)])),
        "an id looks like": f"`{'|'.join(shapes)}`",
        "its id is a name": "yes" if vendor.ids_are == "chosen" else "no",
        "one unit of size": counts if isinstance(counts, str) else "; ".join(f"{k}: {n}" for k, n in by_kind),
    }


def parent_of(listing: Listing) -> str | None:
    """What stands for the id of the row that a listing lies under: its kind in braces."""
    return f"{{{listing.within.kind}}}" if listing.within else None


def alone(vendor: Vendor, values: Values) -> str:
    """How one audience of each kind is asked for."""
    ways = []
    for listing in vendor.listings:
        talk = listing.talk_of_one(listing.full_id("{id}", parent_of(listing)), values)
        kind = f"{listing.kind}s " if listing.kind else ""
        ways.append(written(next(talk)) if talk else f"{kind}from the list")
    return ", ".join(ways) + (", without the size" if vendor.one_lacks_size else "")


def counted(vendor: Vendor) -> str:
    """How many sizes a request asks for, by kind where kinds differ."""
    if not vendor.has_counts:
        return "in the list"
    numbers = {each.kind or "": each.count.batch if each.count else 0 for each in vendor.listings}
    ways = {0: "in the list", 1: "a request each"}
    said = {kind: ways.get(n, f"{n} a request") for kind, n in numbers.items()}
    return ", ".join(f"{kind}s {way}" if len(said) > 1 else way for kind, way in said.items())


def remembered(vendor: Vendor, values: Values) -> str:
    """What the vendor itself remembers of sizes, by kind where kinds differ."""
    said = []
    for listing in vendor.listings:
        if (history := listing.history) is not None:
            parent = parent_of(listing)
            own, _ = listing.split_id(listing.full_id("{id}", parent))
            moment = datetime(2026, 10, 31, 23, 59, 59, tzinfo=timezone.utc)
            talk = history.talk({own: Row(own, own)}, Span(moment - timedelta(days=30), moment), values)
            request = next(talk)
            talk.close()
            kind = f"{listing.kind}s: " if listing.kind else ""
            every = "a moment each" if history.every == "moment" else f"each {history.every}"
            many = f", {history.batch} a request" if history.batch > 1 else ""
            path = request.path.replace("%7B", "{").replace("%7D", "}")
            path = path.replace(f"{moment.timestamp() + 1:.0f}", "{Unix seconds}")
            said.append(f"{kind}{every}{many} (`{request.method} /{path}`)")
    return "; ".join(said) or "none"


def written(request: Request) -> str:
    """A request as people read one: braces as they are, with long parameters and bodies cut."""
    texts = {n: unquote(v) if isinstance(v, Encoded) else v for n, v in request.params.items()}
    shown = {n: v if len(v) <= LONGEST else v[:LONGEST].rpartition(",")[0] + ",…" for n, v in texts.items()}
    query = "&".join(f"{name}={value}" for name, value in shown.items())
    path = request.path.replace("%7B", "{").replace("%7D", "}")
    return f"`{request.method} /{path}{'?' if query else ''}{query}`"


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
    ]
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


def key_head(vendor: Vendor) -> str:
    """The head of the page on how a vendor's key is made: its name, and what goes into which variable."""
    groups = {role for group in vendor.needs_one_of for role in group}
    lines = []
    for s in vendor.settings:
        if s.is_address and s.default:
            continue
        need = "needed" if s.required else "one way of two" if s.role in groups else "optional"
        names = " or ".join(f"`{name}`" for name in s.variables)
        unset = f"; {s.default} unless set" if s.default else ""
        new = s.example not in s.description and s.example != s.default and len(s.example) <= LONGEST
        such = f"; such as {s.example}" if new else ""
        lines.append(f"- {names} ({need}{', secret' if s.secret else ''}): {s.description}{such}{unset}")
    usual = [f"`{name}`" for s in vendor.settings if s.is_address and s.default for name in s.variables]
    if usual:
        lines.append(f"- {', '.join(usual)} (optional): another address of the API than the usual one")
    return "\n".join([f"# {vendor.title}: how to get a key", "", *lines])


def key_list() -> str:
    """The list of these pages, by vendor."""
    vendors = sorted(built_in_vendors().values(), key=lambda vendor: vendor.title.lower())
    return "\n".join(f"- [{vendor.title}]({vendor.name}.md)" for vendor in vendors)


def with_declared(text: str, made: str) -> str:
    """A page, its part between `<!-- declared -->` and `<!-- end -->` made anew; first, if there is none."""
    begin, end = "<!-- declared -->\n", "\n<!-- end -->\n"
    before, _, rest = text.partition(begin)
    return before + begin + made + end + rest.partition(end)[2]


def key_pages() -> dict[Path, str]:
    """The text of each page in docs/keys with its declared part made anew."""
    made = {KEYS / f"{name}.md": key_head(vendor) for name, vendor in built_in_vendors().items()}
    made[KEYS / "README.md"] = key_list()
    return {
        path: with_declared(path.read_text(encoding="utf-8") if path.exists() else "", part)
        for path, part in made.items()
    }


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


MOST_USED = (
    *(
        "mailchimp",
        "hubspot",
        "klaviyo",
        "meta",
        "googleads",
        "brevo",
        "shopify",
        "activecampaign",
        "sendgrid",
    ),
    *("mailerlite", "customerio", "braze", "intercom", "tiktok", "linkedin", "pinterest"),
)
"""Vendors that stand first in the bundle's form; the others follow as the registry has them."""


def bundled(manifest: dict[str, Any]) -> dict[str, Any]:
    """The bundle's manifest with a field for each key and account; titles that it has stay as they are."""
    had, entry = manifest["user_config"], manifest["server"]["mcp_config"]
    asked = sorted(key_settings(), key=lambda pair: _place(pair[0]))
    first = {vendor.name: setting for vendor, setting in reversed(asked)}
    made = {s.variables[0]: option(vendor, s, first=s is first[vendor.name]) for vendor, s in asked}
    own = {name: value for name, value in entry["env"].items() if name.lower() not in _vendor_options()}
    fields = {
        name.lower(): {**option, **had.get(name.lower(), {}), "description": option["description"]}
        for name, option in made.items()
    }
    entry["env"] = {name: f"${{user_config.{name.lower()}}}" for name in made} | own
    manifest["description"] = re.sub(r"\d+", str(len(built_in_vendors())), manifest["description"])
    return {**manifest, "user_config": fields | {n: o for n, o in had.items() if n not in _vendor_options()}}


def key_settings() -> list[tuple[Vendor, Setting]]:
    """The settings that make an account: what is required, its alternatives, and other secrets."""
    return [
        (vendor, setting)
        for vendor, setting in all_settings()
        if setting.required or setting.secret or any(setting.role in way for way in vendor.needs_one_of)
    ]


def _place(vendor: Vendor) -> int:
    return MOST_USED.index(vendor.name) if vendor.name in MOST_USED else len(MOST_USED)


def _vendor_options() -> set[str]:
    return {setting.variables[0].lower() for _, setting in all_settings()}


def option(vendor: Vendor, setting: Setting, *, first: bool) -> dict[str, Any]:
    """A setting as a host asks a person for it. first: of its vendor's, which says where keys are made."""
    words = setting.role.replace("_", " ").replace("url", "URL").replace("api", "API")
    ending = f"blank if you have no {vendor.title}" if setting.required else "blank if you need none"
    regions = [s for s in vendor.settings if s.choices]
    if regions and setting is next(s for s in vendor.settings if s.required):
        choices = " or ".join(
            f"{s.variables[0]}={word}" for s in regions for word in [*(s.choices or ())][1:]
        )
        ending += f". For another region, put {choices} under Further settings"
    return {
        "type": "string",
        "title": f"{vendor.title}: {words}",
        "description": f"{setting.description}; {ending}" + f". {point_to_key_page(vendor)}" * first,
        "required": False,
        "default": "",
        **({"sensitive": True} if setting.secret else {}),
    }


def all_settings() -> list[tuple[Vendor, Setting]]:
    """Every setting with its vendor."""
    return [(vendor, setting) for vendor in built_in_vendors().values() for setting in vendor.settings]


if __name__ == "__main__":
    GUIDE.write_text(renewed(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    for path, text in key_pages().items():
        path.write_text(text, encoding="utf-8")
    for path, renew in ((ROOT / "server.json", published), (ROOT / "examples/mcpb/manifest.json", bundled)):
        told = renew(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
