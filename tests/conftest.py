"""What holds for every test: one event loop, and Ctrl-C as a person has it."""

from __future__ import annotations

import os
import signal
import tempfile

import pytest

pytest_plugins = ["tests.support.commands", "tests.support.skips"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background with SIGINT ignored, and a program passes that on to all that
    # it starts. What the tests start must hear Ctrl-C as it does on a person's terminal.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# No test shares what it reads with another, or with whoever runs the tests, unless it says so.
os.environ["AUDIENCE_MCP_STORE"] = "off"
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="audience-mcp-tests-")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop that the SDK runs on."""
    return "asyncio"
