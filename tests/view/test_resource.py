"""The view as clients get it: where the tools point, what is served there, and what it costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError

from audience_mcp.server.page import read_view
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.served import connected

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
URI = "ui://audience-mcp/audiences.html"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_both_tools_point_to_a_document_that_hosts_accept(mode: str) -> None:
    async with connected(mode=mode) as there:
        for tool in (await there.client.list_tools()).tools:
            assert tool.meta is not None
            assert tool.meta["ui"]["resourceUri"] == tool.meta["ui/resourceUri"] == URI
        listed = (await there.client.list_resources()).resources[0]
        (read,) = (await there.client.read_resource(listed.uri)).contents
        assert listed.uri == read.uri == URI
        assert listed.mime_type == read.mime_type == "text/html;profile=mcp-app"
        assert listed.meta is not None
        assert read.meta is not None
        assert listed.meta["ui"]["csp"] == read.meta["ui"]["csp"] == {}
        assert "permissions" not in read.meta["ui"]
        assert (await there.client.list_resource_templates()).resource_templates == []


async def test_the_extension_is_declared_to_clients_that_do_not_declare_it() -> None:
    async with connected() as there:
        assert there.client.server_capabilities.extensions == {
            "io.modelcontextprotocol/ui": {},
            "io.modelcontextprotocol/skills": {},
        }


async def test_any_other_resource_is_not_found_and_the_one_there_is_is_named() -> None:
    async with connected() as there:
        with pytest.raises(MCPError, match=URI) as raised:
            await there.client.read_resource("ui://audience-mcp/other.html")
        assert raised.value.error.code == -32602
        assert raised.value.error.data == {"uri": "ui://audience-mcp/other.html"}


def test_the_document_is_small_and_names_no_other_place() -> None:
    html = read_view()
    assert len(html.encode()) < 60_000
    for word in ("src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "innerHTML", "eval("):
        assert word not in html
    own = ("http://www.w3.org/2000/svg", "file:///${file}")  # a namespace, and the name of a file to save
    assert html.count("://") == len(own)
    assert all(html.count(each) == 1 for each in own)


def test_the_document_knows_what_people_call_every_vendor() -> None:
    (known,) = re.findall(r"const VENDORS = \{(.*?)\};", read_view(), re.DOTALL)
    titles = dict(re.findall(r'(\w+): "([^"]*)"', known))
    assert titles == {vendor.name: vendor.title for vendor in built_in_vendors().values()}


@pytest.mark.slow
def test_starting_does_not_read_the_document() -> None:
    code = (
        "import audience_mcp.server.stdio; from audience_mcp.server.page import read_view; "
        "print(read_view.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "0"


async def test_a_result_says_beside_its_content_what_people_call_the_codes_in_it() -> None:
    rows = [
        {"name": f"x{n}", "display_name": "VIP", "nb_ids": n, "indexing_state": "APPLIED"} for n in (1, 2)
    ]
    further = {"BATCH_PROJECT_KEY_ACME": "b" * 32, "AUDIENCE_MCP_LABEL_ACME": "Acme GmbH"}
    async with connected({"batch": rows}, vendors=("batch",), environment=further) as there:
        result = await there.client.call_tool("list_audiences", {"group_by": "name"})
        assert result.meta is not None
        names = result.meta["audience-mcp/names"]
        assert (names["batch"], names["batch-acme"]) == ("Batch", "Batch (Acme GmbH)")
        assert (names["acme"], names["batch:x1"]) == ("Acme GmbH", "VIP")
        assert "Batch (Acme GmbH)" not in result.model_dump_json(include={"content", "structured_content"})


async def test_a_model_pays_nothing_for_the_view() -> None:
    async with connected() as there:
        for tool in (await there.client.list_tools()).tools:
            shown = json.dumps([tool.name, tool.description, tool.input_schema])
            assert "ui://" not in shown
        result = await there.client.call_tool("list_audiences", {"limit": 3})
        assert "ui://" not in result.model_dump_json()
