"""Takes the snapshots, over raw JSON-RPC with the real program."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audience_mcp import __version__
from audience_mcp.sandbox import Sandbox
from audience_mcp.server import tools
from tests.support.process import Spoken, program

FOLDER = Path(__file__).parent
SCHEMAS = Path(tools.__file__).with_name("schemas.json")
MODERN = "2026-07-28"
RENEW = "python -m tests.snapshots.renew"
SAME_TEXT = "(the structured content as compact JSON)"
_AS_OF = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_READ = re.compile(r"\(read \d{4}-\d\d-\d\dT\d\d:\d\dZ or later\)")


def _id(vendor: str, key: str, name: str) -> str:
    rows: list[Any] = Sandbox().rows[vendor]
    return next(f"{vendor}:{row[key]}" for row in rows if row["name"] == name)


CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "list_limit_3": ("list_audiences", {"limit": 3}),
    "list_limit_0": ("list_audiences", {"limit": 0}),
    "list_full_limit_2": ("list_audiences", {"detail": "full", "limit": 2}),
    "list_search": ("list_audiences", {"search": "vip"}),
    "list_nothing_matches": ("list_audiences", {"sources": ["smallest"], "search": "no such words"}),
    "get_commbox": ("get_audience", {"audience": "commbox:31120"}),
    "get_batch": ("get_audience", {"audience": "batch:bf25_web"}),
    "get_smallest": ("get_audience", {"audience": _id("smallest", "_id", "VIP")}),
    "get_whop": ("get_audience", {"audience": _id("whop", "id", "Webinar leads (partner file)")}),
    "get_by_name_shared_by_several": ("get_audience", {"audience": "black friday 2025", "source": "batch"}),
    "error_not_found": ("get_audience", {"audience": "Newsleter"}),
    "error_wrong_argument": ("list_audiences", {"limitt": 3}),
    "error_unknown_source": ("list_audiences", {"sources": ["myspace"]}),
}
"""By the name of the file; in this order, of one server."""


async def taken() -> dict[str, Any]:
    """All snapshots, by the names of their files."""
    shots: dict[str, Any] = {}
    async with program("--sandbox") as server:
        shots["initialize_2025-11-25"] = await server.initialize()
        shots["tools_list_2025-11-25"] = (await server.ask("tools/list"))["result"]
        for name, (tool, arguments) in CALLS.items():
            asked = await server.ask("tools/call", name=tool, arguments=arguments)
            shots[name] = {"call": {"name": tool, "arguments": arguments}, "result": asked["result"]}
        shots["error_unknown_tool"] = (await server.ask("tools/call", name="no_tool", arguments={}))["error"]
    async with program("--sandbox") as server:
        shots["server_discover_2026-07-28"] = await _modern(server, "server/discover")
        shots["tools_list_2026-07-28"] = await _modern(server, "tools/list")
        shots["list_limit_3_2026-07-28"] = await _modern(
            server, "tools/call", name="list_audiences", arguments={"limit": 3}
        )
    async with program() as server:
        shots["nothing_configured_initialize"] = await server.initialize()
        asked = await server.ask("tools/call", name="list_audiences", arguments={})
        shots["error_nothing_configured"] = asked["result"]
    return {name: _settled(shot) for name, shot in shots.items()}


async def _modern(server: Spoken, method: str, **params: Any) -> dict[str, Any]:
    """A request as clients of 2026-07-28 send it, each with what the handshake used to say."""
    told = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    found: dict[str, Any] = (await server.ask(method, **params, _meta=told))["result"]
    return found


def _settled(node: Any, key: str = "") -> Any:
    """`node` without what differs from run to run or from release to release."""
    if isinstance(node, list):
        if key == "supportedVersions":  # a newer SDK may know newer ones
            return [version for version in node if version <= MODERN]
        return [_settled(item, key) for item in node]
    if isinstance(node, dict):
        settled = {name: _settled(value, name) for name, value in node.items()}
        return _without_the_same_twice(settled, node)
    if key == "as_of":
        assert _AS_OF.fullmatch(node), node
        return "(time)"
    if isinstance(node, str):
        node = _READ.sub("(read (time) or later)", node)
    return "(version)" if key == "version" and node == __version__ else node


def _without_the_same_twice(settled: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """The text of a result is its structured content once more: if so, it is not shown again."""
    if "structuredContent" in node:
        text = json.dumps(node["structuredContent"], ensure_ascii=False, separators=(",", ":"))
        for block, as_sent in zip(settled["content"], node["content"], strict=True):
            if as_sent["text"] == text:
                block["text"] = SAME_TEXT
    return settled


def pretty(shot: Any, *, sort_keys: bool = False) -> str:
    """As it is written to its file."""
    return json.dumps(shot, ensure_ascii=False, indent=2, sort_keys=sort_keys) + "\n"


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.json"
