"""The view as clients get it: where the tools point, what is served there, and what it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError

from audience_mcp.server.page import read_view
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
        (listed,) = (await there.client.list_resources()).resources
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
        assert there.client.server_capabilities.extensions == {"io.modelcontextprotocol/ui": {}}


async def test_any_other_resource_is_not_found_and_the_one_there_is_is_named() -> None:
    async with connected() as there:
        with pytest.raises(MCPError, match=URI) as raised:
            await there.client.read_resource("ui://audience-mcp/other.html")
        assert raised.value.error.code == -32602
        assert raised.value.error.data == {"uri": "ui://audience-mcp/other.html"}


def test_the_document_is_small_and_names_no_other_place() -> None:
    html = read_view()
    assert len(html.encode()) < 30_000
    for word in ("src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "innerHTML", "eval("):
        assert word not in html
    assert html.count("://") == html.count("http://www.w3.org/2000/svg") == 1


def test_starting_does_not_read_the_document() -> None:
    code = (
        "import audience_mcp.server.stdio; from audience_mcp.server.page import read_view; "
        "print(read_view.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "0"


async def test_a_model_pays_nothing_for_the_view() -> None:
    async with connected() as there:
        for tool in (await there.client.list_tools()).tools:
            shown = json.dumps([tool.name, tool.description, tool.input_schema])
            assert "ui://" not in shown
        result = await there.client.call_tool("list_audiences", {"limit": 3})
        assert "ui://" not in result.model_dump_json()
