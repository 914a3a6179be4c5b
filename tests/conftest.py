"""What holds for every test: one event loop, and Ctrl-C as a person has it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.commands", "tests.support.skips"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background with SIGINT ignored, and a program passes that on to all that
    # it starts. What the tests start must hear Ctrl-C as it does on a person's terminal.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# No test shares what it reads with another, or with whoever runs the tests, unless it says so.
os.environ["AUDIENCE_MCP_STORE"] = "off"
FOLDERS = ("XDG_STATE_HOME", "XDG_CONFIG_HOME")
for folder in FOLDERS:
    os.environ[folder] = tempfile.mkdtemp(prefix="audience-mcp-tests-")

# A busy machine is no failure: what may take how long is said by each test's own waits. Properties try the
# same examples on every run, so that a change is judged by what it did; `--hypothesis-profile=new-inputs`
# tries others.
settings.register_profile("same-inputs", deadline=None, derandomize=True)
settings.register_profile("new-inputs", deadline=None, derandomize=False)
settings.load_profile("same-inputs")


def pytest_unconfigure() -> None:
    """Leave no folder behind."""
    for folder in FOLDERS:
        shutil.rmtree(os.environ[folder], ignore_errors=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop that the SDK runs on."""
    return "asyncio"
