"""SIGHUP: who may come in and who sees what, read again while the server runs."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from audience_mcp.config import default_env_file
from audience_mcp.server.access import Access, Rule
from audience_mcp.server.auth import AccessPolicy, BearerToken
from audience_mcp.server.http import build_app
from tests.support.clock import FakeClock
from tests.support.hosting import Hosted, hosted, started, worked
from tests.support.issuer import PUBLIC_URL, issuing
from tests.support.scripted import Script, catalog_of, rows
from tests.test_access import asked, called

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP on Windows"),
]

OLD, NEW, FILED = (f"{name}-0123456789-0123456789-0123456789" for name in ("old", "new", "filed"))
HOST = "AUDIENCE_MCP_ALLOWED_HOSTS"


class Settings:
    """The settings file of a running server, and what the server makes of changes to it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "audience-mcp.env"
        self.server: Hosted

    def write(self, *, mode: int = 0o600, **variables: str) -> None:
        self.file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        self.file.chmod(mode)

    async def reread(self, **variables: Any) -> str:
        """Change the file and say so; what the log says then."""
        self.write(**variables)
        return await self.hang_up()

    async def hang_up(self) -> str:
        before = len(self.server.log)
        self.server.process.send_signal(signal.SIGHUP)
        with anyio.fail_after(30):
            while not any("SIGHUP" in line for line in self.server.log[before:]):
                await anyio.lowlevel.checkpoint()
        return "".join(self.server.log[before:])

    @property
    def log(self) -> str:
        return "".join(self.server.log)

    async def status(self, token: str, **headers: str) -> int:
        async with httpx.AsyncClient(base_url=self.server.origin, trust_env=False, headers=headers) as http:
            return (await called(http, token)).status_code

    async def tried(self, token: str) -> int | None:
        """The status, or None while a worker that had the connection is being replaced."""
        try:
            return await self.status(token)
        except httpx.TransportError:
            return None

    async def sources(self, token: str) -> set[str]:
        async with httpx.AsyncClient(base_url=self.server.origin, trust_env=False, timeout=60) as http:
            answer = await asked(http, token, "list_audiences", limit=0)
        return {report["source"] for report in answer["sources"]}


NAMED = "AUDIENCE_MCP_HTTP_TOKENS"
ACCESS = "AUDIENCE_MCP_ACCESS"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(tmp_path)
    settings.write(AUDIENCE_MCP_HTTP_TOKENS=f"ci:{OLD}", AUDIENCE_MCP_ACCESS="token:ci=batch")
    with hosted("--sandbox", "--env-file", str(settings.file)) as settings.server:
        yield settings


@pytest.mark.slow
async def test_a_token_is_replaced_and_rules_change_without_an_outage(
    settings: Settings, tmp_path: Path
) -> None:
    assert await settings.status(NEW) == 401
    assert await settings.sources(OLD) == {"batch"}
    others = {"BREVO_API_KEY": "xkeysib-secret", "AUDIENCE_MCP_CACHE_S": "7"}
    said = await settings.reread(**{NAMED: f"ci:{OLD},ci:{NEW}", ACCESS: "token:ci=batch,whop"}, **others)
    assert "who may come in and who sees what is now as the settings say" in said
    with anyio.fail_after(30):
        while "only a restart takes that over: AUDIENCE_MCP_CACHE_S, BREVO_API_KEY" not in settings.log:
            await anyio.lowlevel.checkpoint()
    for token in (OLD, NEW):
        assert await settings.sources(token) == {"batch", "whop"}
    await settings.reread(**{NAMED: f"ci:{NEW}", ACCESS: "token:ci=whop", HOST: "mcp.example.com"})
    assert await settings.status(OLD) == 401
    assert await settings.sources(NEW) == {"whop"}
    assert await settings.status(NEW, Host="mcp.example.com") == 200
    # Files of one value are read again too, also where nothing else has changed.
    filed = tmp_path / "tokens"
    filed.write_text(f"ci:{NEW}")
    await settings.reread(**{f"{NAMED}_FILE": str(filed), ACCESS: "token:ci=whop; token:bi=*"})
    assert await settings.status(NEW, Host="mcp.example.com") == 421
    filed.write_text(f"bi:{FILED}\n")
    await settings.hang_up()
    assert await settings.status(NEW) == 401
    assert len(await settings.sources(FILED)) > 2
    assert settings.server.end() == 0
    assert "has a rule for token:ci, but AUDIENCE_MCP_HTTP_TOKENS names no such token" in settings.log
    assert not any(secret in settings.log for secret in (OLD, NEW, FILED, "xkeysib-secret"))


@pytest.mark.slow
async def test_what_is_refused_changes_nothing_and_is_in_the_log(settings: Settings) -> None:
    everything = {NAMED: f"ci:{NEW}", ACCESS: "token:ci=*"}
    for variables, why in (
        ({"mode": 0o644, **everything}, "can be read by other users of this machine"),
        ({**everything, NAMED: "ci:short"}, "AUDIENCE_MCP_HTTP_TOKENS must be tokens"),
        (
            {**everything, ACCESS: "token:ci=acme"},
            "'acme', which token:ci is given, is not a configured source",
        ),
        ({**everything, ACCESS: "token:ci=facebook"}, "'facebook', which token:ci is given, is not a config"),
        ({**everything, ACCESS: ""}, "AUDIENCE_MCP_ACCESS is there, but it is empty"),
        ({**everything, "not a line": "x"}, "it is not NAME=value"),
        ({**everything, f"{NAMED}_FILE": "/nowhere"}, "are both set"),
        # What is in force and missing is a file that is just being written, or a mistake.
        ({NAMED: f"ci:{OLD},ci:{NEW}"}, "would be gone: AUDIENCE_MCP_ACCESS. To do without, restart"),
        ({}, "gone: AUDIENCE_MCP_ACCESS, AUDIENCE_MCP_HTTP_TOKEN or AUDIENCE_MCP_HTTP_TOKENS. To do without"),
        ({"AUDIENCE_MCP_HTTP_TOKEN": NEW, ACCESS: "token:ci=*"}, "callers must be known"),
    ):
        said = await settings.reread(**variables)
        assert re.search("ERROR .*SIGHUP changed nothing", said)
        assert why in said
        assert await settings.sources(OLD) == {"batch"}
        assert await settings.status(NEW) == await settings.status("") == 401
    settings.file.unlink()
    assert "No such file" in await settings.hang_up()
    assert await settings.sources(OLD) == {"batch"}


@pytest.mark.slow
async def test_logging_in_and_its_limits_cannot_go_missing(tmp_path: Path) -> None:
    """Else everybody whom the issuer knows would come in, or the token of those who watch the server."""
    settings = Settings(tmp_path)
    with issuing() as issuer:
        login: dict[str, Any] = {
            "AUDIENCE_MCP_OAUTH_ISSUER": issuer.url,
            "AUDIENCE_MCP_PUBLIC_URL": PUBLIC_URL,
        }
        ann, bea, eve = (issuer.token(sub=name) for name in ("ann", "bea", "eve"))
        settings.write(AUDIENCE_MCP_HTTP_TOKENS=f"ci:{OLD}", AUDIENCE_MCP_OAUTH_ALLOWED="ann,bea", **login)
        with hosted("--sandbox", "--env-file", str(settings.file)) as settings.server:
            for variables, gone in (
                ({NAMED: f"ci:{NEW}", **login}, "AUDIENCE_MCP_OAUTH_ALLOWED"),
                ({NAMED: f"ci:{NEW}"}, "AUDIENCE_MCP_OAUTH_ISSUER, AUDIENCE_MCP_OAUTH_ALLOWED"),
                ({"AUDIENCE_MCP_HTTP_TOKEN": NEW}, "AUDIENCE_MCP_OAUTH_ISSUER, AUDIENCE_MCP_OAUTH_ALLOWED"),
                ({}, "AUDIENCE_MCP_OAUTH_ISSUER, AUDIENCE_MCP_OAUTH_ALLOWED"),
            ):
                assert f"would be gone: {gone}" in await settings.reread(**variables)
                assert [await settings.status(who) for who in (ann, bea, eve)] == [200, 200, 403]
                assert await settings.status(NEW) == await settings.status(OLD) == 401
            # What narrows is taken over: one of two people, and the token of those who watch.
            said = await settings.reread(**login, AUDIENCE_MCP_OAUTH_ALLOWED="ann")
            assert "is now as the settings say" in said
            assert [await settings.status(who) for who in (ann, bea, eve)] == [200, 403, 403]


@pytest.mark.slow
async def test_a_settings_file_in_its_usual_place_cannot_go_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has named it, so that without it there would be no error but its settings were gone."""
    settings = Settings(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    settings.file = default_env_file()
    settings.file.parent.mkdir(parents=True)
    settings.write(AUDIENCE_MCP_ALLOWED_HOSTS="mcp.example.com")
    with hosted("--sandbox", **{NAMED: f"ci:{OLD}"}) as settings.server:
        assert await settings.status(OLD, Host="mcp.example.com") == 200
        settings.file.unlink()
        said = await settings.hang_up()
        assert re.search(rf"ERROR .*would be gone: the settings file {re.escape(str(settings.file))}", said)
        assert await settings.status(OLD, Host="mcp.example.com") == 200
        assert "is now as the settings say" in await settings.reread(**{HOST: "other.example.com"})
        assert await settings.status(OLD, Host="mcp.example.com") == 421


SIGNALLED = """
import os, signal, sys

class Signals:
    def find_spec(self, name, path=None, target=None):
        if name in ("mcp", "uvicorn", "click"):
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, Signals())
sys.argv[0] = "audience-mcp"
from audience_mcp.__main__ import main
main()
"""
"""The program, which gets the signal while it imports what it needs."""


@pytest.mark.slow
async def test_a_signal_during_the_start_ends_nothing_and_is_acted_on_once_it_serves(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    settings.write(AUDIENCE_MCP_HTTP_TOKENS=f"ci:{OLD}")
    command = [sys.executable, "-c", SIGNALLED, "--http", "--port", "0", "--sandbox"]
    with started([*command, "--env-file", str(settings.file)], {}) as settings.server:
        assert await settings.status(OLD) == 200
        assert settings.log.count("SIGHUP: who may come in and who sees what is now as the settings say") == 1
        await settings.reread(AUDIENCE_MCP_HTTP_TOKENS=f"ci:{NEW}")
        assert await settings.status(NEW) == 200
        assert settings.server.end() == 0


@pytest.mark.slow
async def test_a_home_folder_that_does_not_exist_changes_nothing(settings: Settings) -> None:
    said = await settings.reread(**{f"{NAMED}_FILE": "~no-such-user-1c0ffee1/tokens"})
    assert "SIGHUP changed nothing" in said
    assert "home folder that does not exist" in said
    assert "1c0ffee1" not in settings.log
    assert await settings.sources(OLD) == {"batch"}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
async def test_under_uvicorn_too(tmp_path: Path, workers: int) -> None:
    """One process reads them again; of several, the parent starts new ones."""
    settings = Settings(tmp_path)
    variables = {HOST: "mcp.example.com", "AUDIENCE_MCP_ENV_FILE": str(settings.file)}
    # A worker may need more than 5 seconds on a busy machine, after which uvicorn would keep the old one.
    variables["UVICORN_TIMEOUT_WORKER_HEALTHCHECK"] = "90"
    settings.write(AUDIENCE_MCP_HTTP_TOKENS=f"ci:{OLD}")
    with worked(workers, **variables) as settings.server, anyio.fail_after(120):
        assert (await settings.status(OLD), await settings.status(NEW)) == (200, 401)
        settings.write(AUDIENCE_MCP_HTTP_TOKENS=f"ci:{NEW}")
        settings.server.process.send_signal(signal.SIGHUP)
        while await settings.tried(NEW) != 200:
            await anyio.lowlevel.checkpoint()
        while await settings.tried(OLD) != 401:
            await anyio.lowlevel.checkpoint()


async def test_a_call_under_way_is_answered_as_it_began() -> None:
    go_on = anyio.Event()
    scripts = {
        "one": Script({"": (go_on, {"rows": rows(1), "next": None})}),
        "two": Script({"": {"rows": rows(2), "next": None}}),
    }

    def seeing(source: str) -> AccessPolicy:
        return AccessPolicy(
            (BearerToken("ci", OLD),), ("127.0.0.1",), access=Access((Rule("token:ci", (source,)),))
        )

    changed: list[AccessPolicy] = []

    def reread() -> AccessPolicy:
        changed.append(seeing("two"))
        return changed[-1]

    app = build_app(lambda: catalog_of(FakeClock(), scripts), seeing("one"), reread=reread)
    found: dict[str, str] = {}

    async def ask(when: str) -> None:
        answer = await asked(http, OLD, "list_audiences")
        found[when] = answer["audiences"][0]["ref"]

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http,
        anyio.create_task_group() as tasks,
    ):
        with anyio.fail_after(30):
            tasks.start_soon(ask, "before")
            while not scripts["one"].asked:
                await anyio.lowlevel.checkpoint()
            os.kill(os.getpid(), signal.SIGHUP)
            while not changed:
                await anyio.lowlevel.checkpoint()
            await ask("after")
            assert found == {"after": "two:a1"}
            go_on.set()
    assert found["before"] == "one:a1"
