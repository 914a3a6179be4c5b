"""Commands as people type them, against made-up vendors and in an environment of their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest import mock

import anyio.from_thread
import pytest

from audience_mcp.cli.app import run
from audience_mcp.core import logs
from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.apart import apart
from tests.support.served import FOUR


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Switched(Sandbox):
    """A sandbox of which single vendors can be made to answer something else."""

    def __init__(self) -> None:
        super().__init__(vendors=FOUR)
        self.instead: dict[str, Answer] = {}

    def answer(self, asked: Asked) -> Answer:
        return self.instead.get(asked.path.split("/")[1]) or super().answer(asked)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the tester's, and the log left as the test runner has it."""
    for name in list(os.environ):
        if name.startswith("AUDIENCE_MCP_") or any(
            name.startswith(v)
            for kind in built_in_vendors().values()
            for s in kind.settings
            for v in s.variables
        ):
            monkeypatch.delenv(name)
    monkeypatch.setattr(logs, "set_up", lambda *given: None)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("AUDIENCE_MCP_STORE", "off")


@pytest.fixture
def sandbox(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switched]:
    """A sandbox, served, to which the environment points."""
    made_up = Switched()
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(made_up)) as origin,
    ):
        for name, value in made_up.environment(origin).items():
            monkeypatch.setenv(name, value)
        yield made_up


@pytest.fixture
def typed(bare_environment: None, capsys: pytest.CaptureFixture[str]) -> Any:
    def run_it(*arguments: str) -> Ran:
        code = apart(run, arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run_it


def run_here(arguments: Sequence[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What a command does where these variables alone are set, run in this process: one of its own takes
    most of a second to start. The log is left as the test runner has it.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, variables, clear=True),
        mock.patch.object(logs, "set_up"),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = apart(run, arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
