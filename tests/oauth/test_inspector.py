"""The MCP Inspector in a real browser logs in at a real authorization server and lists audiences."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from audience_mcp.sandbox import Sandbox
from tests.clients.test_clients import missing, node
from tests.support.browser import find_browser
from tests.support.hosting import free_port, hosted
from tests.support.inspector import inspector
from tests.support.login import authorization_server
from tests.support.process import environment

pytestmark = pytest.mark.clients

DRIVER = Path(__file__).with_name("inspector.mjs")


def test_a_person_logs_in_with_the_inspector_and_lists_audiences(tmp_path: Path) -> None:
    browser = find_browser() or missing("no browser is installed (Debian: apt-get install chromium)")
    port = free_port()
    with (
        authorization_server(node()) as issuer,
        hosted(
            "--sandbox",
            "--port",
            str(port),
            AUDIENCE_MCP_OAUTH_ISSUER=issuer,
            AUDIENCE_MCP_PUBLIC_URL=f"http://127.0.0.1:{port}/mcp",
            AUDIENCE_MCP_OAUTH_ALLOWED="ann",
            AUDIENCE_MCP_LOG_LEVEL="DEBUG",
        ) as server,
        inspector(server.url, tmp_path) as address,
    ):
        done = subprocess.run(
            [node(), str(DRIVER), browser, address, "ann"],
            env=environment(HOME=str(tmp_path)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
        )
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
    assert shown["login"].startswith(issuer)
    assert "audiences:read" in shown["asked"]
    total = sum(len(rows) for rows in Sandbox().rows.values())
    assert f'"matched": {total}' in shown["result"]
    assert any("request by subject ann" in line for line in server.log)
