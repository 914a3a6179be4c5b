"""The MCP Inspector in a real browser logs in at a real authorization server and lists audiences."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from audience_mcp.sandbox import Sandbox
from tests.clients.install import NODE_MODULES
from tests.clients.test_clients import missing, node
from tests.support.browser import find_browser
from tests.support.hosting import free_port, hosted
from tests.support.login import authorization_server
from tests.support.process import environment

pytestmark = pytest.mark.clients

LAUNCHER = (
    NODE_MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
)
DRIVER = Path(__file__).with_name("inspector.mjs")


@contextmanager
def inspector(server_url: str, home: Path) -> Iterator[str]:
    """The address of an Inspector of that server, with the key that its page needs."""
    process = subprocess.Popen(
        [node(), str(LAUNCHER), "--web", "--transport", "http", "--server-url", server_url],
        env=environment(
            HOME=str(home),
            CLIENT_PORT=str(free_port()),
            MCP_SANDBOX_PORT=str(free_port()),
            MCP_APP_ORIGIN_PORT=str(free_port()),
            MCP_AUTO_OPEN_ENABLED="false",
            MCP_INSPECTOR_SECRET_STORE="memory",
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    addresses: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+/?\?MCP_INSPECTOR_API_TOKEN=\w+", line):
                addresses.put(found[0])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield addresses.get(timeout=60)
    finally:
        process.kill()
        process.wait(timeout=30)
        reader.join(timeout=30)
        process.stdout.close()


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
            AUDIENCE_MCP_LOG_LEVEL="INFO",
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
