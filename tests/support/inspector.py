"""The MCP Inspector's web page: a host that others wrote."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.install import NODE_MODULES
from tests.clients.test_clients import node
from tests.support.hosting import free_port
from tests.support.process import environment

LAUNCHER = (
    NODE_MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
)


@contextmanager
def inspector(server_url: str, home: Path) -> Iterator[str]:
    """The address of an Inspector of that server, with the key that its page needs."""
    process = subprocess.Popen(
        [node(), str(LAUNCHER), "--web", "--transport", "http", "--server-url", server_url],
        env=environment(
            HOME=str(home),
            HOST="127.0.0.1",
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
