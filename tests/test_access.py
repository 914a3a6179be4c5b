"""Who sees what over HTTP: the rules, and that for a caller nothing exists beyond what they give."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.config import Configuration, load_configuration
from audience_mcp.core.errors import ConfigurationError, ToolError
from audience_mcp.sandbox.app import serve
from audience_mcp.sandbox.data import made_up
from audience_mcp.server.access import Access
from audience_mcp.server.auth import AccessPolicy, access_policy
from audience_mcp.server.callers import Caller
from audience_mcp.server.http import build_app
from audience_mcp.store import open_store
from audience_mcp.vendors.registry import load_vendors
from tests.support.clock import START, FakeClock
from tests.support.commands import Switched
from tests.support.issuer import PUBLIC_URL, issuing
from tests.support.served import FOUR, Recording

pytestmark = pytest.mark.anyio

TOKENS = {name: f"{name}-0123456789-0123456789-0123456789" for name in ("acme", "bolt", "boss", "nobody")}
NAMED = {"AUDIENCE_MCP_HTTP_TOKENS": ",".join(f"{name}:{value}" for name, value in TOKENS.items())}
LOGIN = {"AUDIENCE_MCP_OAUTH_ISSUER": "https://login.example", "AUDIENCE_MCP_PUBLIC_URL": PUBLIC_URL}
DAY = 86_400
CLIENTS = ("acme", "bolt")
KEYS = {
    "BATCH_REST_API_KEY": "a-batch-rest-key",
    "BATCH_PROJECT_KEY_ACME": "project_acme000000",
    "BATCH_PROJECT_KEY_BOLT": "project_bolt000000",
    "WHOP_API_KEY": "a-whop-key-of-both",
    "WHOP_ACCOUNT_ID_ACME": "biz_acme000000",
    "BREVO_API_KEY_BOLT": "xkeysib-0123456789",
    "AUDIENCE_MCP_LABEL_ACME": "Acme GmbH",
}


def policy_of(access: str, **variables: str) -> AccessPolicy:
    sources = load_configuration(KEYS, load_vendors()).sources
    environment = {**LOGIN, **NAMED, **variables, "AUDIENCE_MCP_ACCESS": access}
    environment = {name: value for name, value in environment.items() if value}
    return access_policy(environment, reachable_via=None, sources=sources)


def seen(access: str, caller: Caller) -> set[str] | None:
    rules = policy_of(access).access
    assert isinstance(rules, Access)
    found = rules.find_sources(caller)
    return None if found is None else set(found)


ANN = Caller("auth0|ann", "ann@acme.com")
EVERY = {"batch-acme", "batch-bolt", "whop-acme", "brevo-bolt"}


@pytest.mark.parametrize(
    ("access", "caller", "sources"),
    [
        ("@acme.com=acme", ANN, {"batch-acme", "whop-acme"}),
        ("@ACME.com = Acme", ANN, {"batch-acme", "whop-acme"}),
        ("ann@acme.com=whop", ANN, {"whop-acme"}),
        ("Ann@Acme.Com=batch-*", ANN, {"batch-acme", "batch-bolt"}),
        ("sub:auth0|ann=BATCH-ACME", ANN, {"batch-acme"}),
        ("ann@acme.com=*", ANN, EVERY),
        ("ann@acme.com=all", ANN, EVERY),
        ("token:bolt=*-bolt", Caller(token="bolt"), {"batch-bolt", "brevo-bolt"}),
        # In a pattern, what follows the first - is the whole suffix, and what stands before it the vendor.
        ("ann@acme.com=*-ac*", ANN, {"batch-acme", "whop-acme"}),
        ("ann@acme.com=b*-bolt", ANN, {"batch-bolt", "brevo-bolt"}),
        ("ann@acme.com=b*", ANN, {"batch-acme", "batch-bolt", "brevo-bolt"}),
        ("ann@acme.com=*-*", ANN, EVERY),
        ("sub:a=b==bolt", Caller("a=b="), {"batch-bolt", "brevo-bolt"}),
        # Rules for one caller add up, and so do sources of one rule.
        ("@acme.com=whop; ann@acme.com=brevo,batch-bolt", ANN, {"whop-acme", "brevo-bolt", "batch-bolt"}),
        ("@acme.com=whop\n@acme.com=brevo;\n", ANN, {"whop-acme", "brevo-bolt"}),
        # Who is not named, or only looks like it.
        ("@acme.com=acme", Caller("auth0|ann"), None),
        ("@acme.com=acme", Caller("@acme.com", None), None),
        ("ann@acme.com=acme", Caller("ann@acme.com"), None),
        ("@acme.com=acme", Caller("x", "ann@acme.com.evil.example"), None),
        ("@acme.com=acme", Caller("x", "ann@sub.acme.com"), None),
        ("@acme.com=acme", Caller("x", "ann@notacme.com"), None),
        ("sub:ann=acme", Caller("Ann"), None),
        ("sub:ann=acme", Caller("sub:ann"), None),
        ("token:bolt=bolt", Caller("bolt"), None),
        ("token:bolt=bolt", Caller("token:bolt"), None),
        ("token:bolt=bolt", Caller(token="BOLT"), None),
        ("sub:bolt=bolt", Caller(token="bolt"), None),
        ("token:bolt=bolt", Caller(token=""), None),
        ("@acme.com=acme", Caller(), None),
    ],
)
def test_a_rule_gives_its_caller_its_sources_and_nobody_else(
    access: str, caller: Caller, sources: set[str] | None
) -> None:
    assert seen(access, caller) == sources


NOT_RULES = """\
acme | =acme | @acme.com= | @acme.com=, | @acme.com | ann=acme | *=acme | @=acme | ann@=acme | sub:=acme
token:=acme | token:b i=acme | a@b@acme.com=acme | ann@ acme.com=acme | ; | ü@a.de=acme
ann@acme.com,bob@acme.com=acme | @acme.com=acme;;x"""


@pytest.mark.parametrize("access", [each for line in NOT_RULES.splitlines() for each in line.split(" | ")])
def test_what_is_no_rule_is_refused_at_start(access: str) -> None:
    with pytest.raises(ConfigurationError, match=r"AUDIENCE_MCP_ACCESS: .* is not a rule"):
        policy_of(access)


@pytest.mark.parametrize(
    "access",
    [
        "@acme.com=acne",
        "@acme.com=acme,whop-bolt",
        "@acme.com=none",
        "a@b=x-*",
        "a@b=*cme",
        "a@b=*-cme",
        # Questions understand these; a rule would be about something else once the client has gone.
        "a@b=Acme GmbH",
        "a@b=Whop.com",
        "a@b=w hop",
        "a@b=facebook",
    ],
)
def test_a_rule_for_a_source_that_does_not_exist_is_refused_at_start(access: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a configured source.*Configured: .*batch-acme"):
        policy_of(access)


def rules_over(access: str, **more: str) -> AccessPolicy:
    """The rules over the sources of all tests here and some more."""
    sources = load_configuration({**KEYS, **more}, load_vendors()).sources
    return access_policy({**NAMED, "AUDIENCE_MCP_ACCESS": access}, reachable_via=None, sources=sources)


META = {"META_ACCESS_TOKEN": "a-token-of-meta", "META_AD_ACCOUNT_ID": "123456"}


def test_a_rule_for_a_client_never_comes_to_mean_a_vendor() -> None:
    """A client that bears a vendor's other name: with the client, the rule goes too."""
    facebook = {"BATCH_PROJECT_KEY_FACEBOOK": "project_facebook00"}
    access = rules_over("token:acme=facebook", **META, **facebook).access
    assert access is not None
    assert set(access.find_sources(Caller(token="acme")) or ()) == {"batch-facebook"}
    with pytest.raises(ConfigurationError, match=r"'facebook'.* is not a configured source"):
        rules_over("token:acme=facebook", **META)


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        (
            "whop",
            {"BATCH_PROJECT_KEY_WHOP": "project_whop000000"},
            "a vendor and the suffix of batch-whop too",
        ),
        (
            "meta",
            {"BATCH_PROJECT_KEY_META": "project_meta000000"},
            "a vendor and the suffix of batch-meta too",
        ),
        (
            "batch-acme",
            {"WHOP_ACCOUNT_ID_BATCH_ACME": "biz_another000000"},
            "a source and the suffix of whop-batch-acme too",
        ),
    ],
)
def test_a_name_that_may_mean_two_things_is_refused(name: str, more: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"is the name of {why}.*name the sources instead"):
        rules_over(f"token:acme={name}", **more)


BIG = {"BATCH_PROJECT_KEY_BIG_ACME": "project_bigacme000", "BATCH_PROJECT_KEY_ACMES": "project_acmes00000"}


def test_a_pattern_of_a_client_gives_no_other_client() -> None:
    policy = rules_over("token:acme=*-acme", **BIG)
    assert policy.access is not None
    assert set(policy.access.find_sources(Caller(token="acme")) or ()) == {"batch-acme", "whop-acme"}
    assert policy.warnings == ()


@pytest.mark.parametrize(
    ("pattern", "clients"),
    [("*-acme*", "acme, acmes"), ("batch-*acme", "acme, big-acme"), ("*-ac*", "acme, acmes")],
)
def test_a_pattern_of_several_clients_is_said(pattern: str, clients: str) -> None:
    (warning,) = rules_over(f"token:acme={pattern}", **BIG).warnings
    assert f"'{pattern}', which token:acme is given, gives sources of several clients ({clients})" in warning


def test_patterns_of_all_clients_are_no_mistake() -> None:
    assert rules_over("token:acme=batch-*,*-*,b*; token:boss=*", **BIG).warnings == ()


@pytest.mark.parametrize("token", [None, "a-token-of-at-least-32-characters-0123456789"])
def test_rules_without_a_way_to_know_callers_are_refused(token: str | None) -> None:
    unknown = dict.fromkeys((*LOGIN, *NAMED), "")
    with pytest.raises(ConfigurationError, match="callers must be known"):
        policy_of("@acme.com=acme", **unknown, AUDIENCE_MCP_HTTP_TOKEN=token or "")


def test_a_rule_that_names_nobody_is_said_and_does_not_stop_the_start() -> None:
    access = "@acme.com=acme; token:bi=*; token:bolt=bolt"
    assert policy_of(access, **dict.fromkeys(NAMED, "")).warnings == (
        "AUDIENCE_MCP_ACCESS has a rule for token:bi, but AUDIENCE_MCP_HTTP_TOKENS names no such token.",
        "AUDIENCE_MCP_ACCESS has a rule for token:bolt, but AUDIENCE_MCP_HTTP_TOKENS names no such token.",
    )
    (first, second) = policy_of(access, **dict.fromkeys(LOGIN, "")).warnings
    assert "@acme.com" in first
    assert "token:bi" in second
    assert policy_of("@acme.com=acme; token:bolt=bolt").warnings == ()


# --- what may not be seen does not exist --------------------------------------------------------------


SECRET = "Zanzibar"
"""In the name of every audience of bolt's."""


def audiences_of(client: str) -> dict[str, list[dict[str, Any]]]:
    """A few audiences at each vendor. Bolt's have names and ids of their own, but for one name."""
    made: dict[str, list[dict[str, Any]]] = {}
    for vendor, rows in made_up(FOUR).items():
        made[vendor] = rows[:6]
        for n, row in enumerate(made[vendor] if client == "bolt" else []):
            named = "display_name" if vendor == "batch" else "name"
            row[named] = f"{SECRET} {vendor} {n}" if n else row[named]
            if vendor == "batch":
                row["name"] = f"zanzibar_{n}"
            elif vendor == "whop":
                row["id"] = f"adaud_Zanzibar{n:07}"
    return made


class Shared:
    """A server over the accounts of some clients, as its callers ask it, and what they were answered.

    It has a past of a week: then it had one audience more at each account, and every size was another.
    """

    def __init__(self, folder: Path, *clients: str, access: str) -> None:
        self._folder = folder
        self._clients = clients
        self._access = access
        self._clock = FakeClock()
        self.sandboxes = {client: Recording(audiences_of(client)) for client in clients}

    @asynccontextmanager
    async def serving(self, **variables: str) -> AsyncIterator[httpx.AsyncClient]:
        async with AsyncExitStack() as stack:
            environment = {f"AUDIENCE_MCP_LABEL_{each.upper()}": f"{each.title()} GmbH" for each in CLIENTS}
            for client, sandbox in self.sandboxes.items():
                origin = await stack.enter_async_context(serve(sandbox))
                own = sandbox.environment(origin)
                environment |= {f"{name}_{client.upper()}": value for name, value in own.items()}
            configured = load_configuration(environment, load_vendors())
            app = build_app(lambda: self._open(configured), self._policy(configured, variables))
            await stack.enter_async_context(app.router.lifespan_context(app))
            yield await stack.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
            )

    def _policy(self, configured: Configuration, variables: Mapping[str, str]) -> AccessPolicy:
        settings = {**NAMED, "AUDIENCE_MCP_ACCESS": self._access, **variables}
        return access_policy(settings, reachable_via=None, sources=configured.sources)

    def _open(self, configured: Configuration) -> Any:
        store = open_store(str(self._folder), self._clock)
        return open_catalog(configured, clock=self._clock, store=store)

    async def age(self) -> None:
        """Let it read everything, and a week pass in which one audience an account goes and others grow."""
        async with self.serving() as http:
            answer = await asked(http, "boss", "list_audiences", refresh=True)
            assert answer["complete"] is True
        for sandbox in self.sandboxes.values():
            for rows in sandbox.rows.values():
                del rows[5]
                for row in rows:
                    for name in ("user_count", "nb_ids", "memberCount", "total_rows"):
                        if name in row:
                            row[name] += 1000
        self._clock.advance(7 * DAY)

    def day(self, days_ago: float) -> str:
        return (self._clock.utc() - timedelta(days=days_ago)).isoformat()


async def sent(http: httpx.AsyncClient, caller: str, method: str, version: str, **params: Any) -> str:
    """The raw answer to one request of one caller."""
    modern = version >= "2026"
    if modern:
        prefix = "io.modelcontextprotocol/"
        meta = {f"{prefix}protocolVersion": version, f"{prefix}clientCapabilities": {}}
        params["_meta"] = {**meta, **params.get("_meta", {})}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": version,
        "Authorization": f"Bearer {TOKENS.get(caller, caller)}",
    }
    if modern:
        headers["Mcp-Method"] = method
        if name := params.get("name") or params.get("uri"):
            headers["Mcp-Name"] = str(name)
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return (await http.post("/mcp", json=message, headers=headers)).text


def told(raw: str) -> str:
    """An answer with its moments to the minute: waiting for a turn takes longer beside others.

    A point of a line that is then the one before it once more is left out.
    """
    return re.sub(r"(\{[^{}]*\})(?:,\1)+", r"\1", re.sub(r"(T\d\d:\d\d):\d\d", r"\1", raw))


async def asked(http: httpx.AsyncClient, caller: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer to a tool's call."""
    raw = await sent(http, caller, "tools/call", "2025-11-25", name=tool, arguments=arguments)
    (line,) = (line for line in raw.splitlines() if line.startswith("data:") and '"result"' in line)
    result = json.loads(line.removeprefix("data:"))["result"]
    assert not result.get("isError"), result
    structured: dict[str, Any] = result["structuredContent"]
    return structured


def lists(then: str) -> list[dict[str, Any]]:
    """What is asked of `list_audiences`."""
    return [
        {},
        {"limit": 0},
        {"detail": "full"},
        *(
            {"group_by": key}
            for key in ("source", "client", "kind", "type", "status", "issue", "month", "name")
        ),
        {"compare_to": then},
        {"compare_to": then, "sort": "growth", "group_by": "source"},
        {"compare_to": then, "limit": 0},
        {"as_of": then},
        {"as_of": then, "sources": ["bolt"]},
        {"as_of": then, "search": SECRET},
        {"as_of": then, "group_by": "client"},
        {"search": SECRET},
        {"search": "Zanzibra whop"},
        {"search": "-zanzibar"},
        {"kind": ["nothing"]},
        {"issue": ["duplicate_name"]},
        {"sources": ["acme"]},
        {"sources": ["*"]},
        {"sources": ["whop"]},
        {"sources": ["all"]},
        {"sources": ["bolt"]},
        {"sources": ["Bolt GmbH"]},
        {"sources": ["whop-bolt"]},
        {"sources": ["*-bolt"]},
        {"sources": ["acme", "bolt"]},
        {"sources": ["whop-bold"]},
        {"missing_in": ["bolt"]},
        {"missing_in": ["whop"], "sources": ["batch"]},
        {"missing_in": ["*"]},
        {"refresh": True},
    ]


GETS: list[dict[str, Any]] = [
    {"audience": f"{SECRET} whop 2"},
    {"audience": "Zanzibar whop"},
    {"audience": "whop-bolt:adaud_Zanzibar0000002"},
    {"audience": "adaud_Zanzibar0000002"},
    {"audience": "batch-bolt:zanzibar_1"},
    {"audience": "zanzibar_1"},
    {"audience": "VIP"},
    {"audience": "VIP", "source": "bolt"},
    {"audience": "VIP", "source": "smallest-bolt"},
    {"audience": "whop-acme:adaud_BJQNgmVGcqSja", "source": "bolt"},
    {"audience": "whop-acme:adaud_BJQNgmVGcqSja"},
    {"audience": "nowhere:adaud_BJQNgmVGcqSja"},
]


def requests(shared: Shared) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that a caller can ask, by method."""
    then = shared.day(6)
    for arguments in lists(then):
        yield "tools/call", {"name": "list_audiences", "arguments": arguments}
    for arguments in GETS:
        yield "tools/call", {"name": "get_audience", "arguments": arguments}
        yield "tools/call", {"name": "get_audience", "arguments": {**arguments, "since": then}}
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "skills/list"):
        yield method, {}
    for prompt in ("weekly_report", "audience_health"):
        for source in ("", "acme", "whop", "whop-acme", "bolt", "whop-bolt", "Bolt GmbH"):
            yield "prompts/get", {"name": prompt, "arguments": {"source": source}}
    for typed in ("", "b", "bolt", "whop", "zan"):
        yield (
            "completion/complete",
            {
                "ref": {"type": "ref/prompt", "name": "weekly_report"},
                "argument": {"name": "source", "value": typed},
            },
        )
    for name in ("weekly-report", "stale-audiences", "audience-health"):
        yield "resources/read", {"uri": f"skill://audience-mcp/{name}/SKILL.md"}


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_a_caller_is_answered_as_if_there_were_nothing_but_its_own(
    tmp_path: Path, version: str
) -> None:
    """Every answer is to the letter, and to the minute, that of a server that has no other accounts."""
    shared = Shared(tmp_path / "all", *CLIENTS, access="token:acme=acme; token:bolt=bolt; token:boss=*")
    alone = Shared(tmp_path / "one", "acme", access="token:acme=*; token:boss=*")
    await shared.age()
    await alone.age()
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "a test", "version": "1"}}
    opening = ("server/discover", {}) if version > "2026" else ("initialize", hello)
    async with shared.serving() as http, alone.serving() as lone:
        for method, params in [opening, *requests(shared)]:
            # What others have been answered to the same question is at hand, and must not be taken.
            others = [await sent(http, other, method, version, **params) for other in ("boss", "bolt")]
            for _ in range(2):
                mine = await sent(http, "acme", method, version, **params)
                other = await sent(lone, "acme", method, version, **params)
                assert told(mine) == told(other), (method, params)
            if method == "tools/call" and params["arguments"] in ({}, {"detail": "full"}, {"sources": ["*"]}):
                assert all(SECRET in other for other in others)


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_progress_is_told_of_nothing_else_while_others_are_read_too(
    tmp_path: Path, version: str
) -> None:
    shared = Shared(tmp_path, *CLIENTS, access="token:acme=acme; token:boss=*")
    told: dict[str, str] = {}

    async def ask(caller: str) -> None:
        meta = {"progressToken": 7}
        told[caller] = await sent(
            http, caller, "tools/call", version, name="list_audiences", arguments={"limit": 0}, _meta=meta
        )

    async with shared.serving() as http, anyio.create_task_group() as tasks:
        for caller in ("boss", "acme"):
            tasks.start_soon(ask, caller)
    assert all("notifications/progress" in each for each in told.values())
    assert "-bolt: page" in told["boss"]
    assert "-acme: page" in told["acme"]
    assert "bolt" not in told["acme"].lower()


async def test_a_source_that_cannot_be_read_exists_for_those_alone_who_may_see_it(tmp_path: Path) -> None:
    shared = Shared(tmp_path, *CLIENTS, access="token:acme=acme; token:bolt=bolt; token:boss=*")
    for vendor in ("whop", "batch"):
        shared.sandboxes["bolt"].rows[vendor] = [{"nothing": "that is an audience"}]
    async with shared.serving() as http:
        for caller, complete in (("boss", False), ("acme", True), ("bolt", False)):
            answer = await asked(http, caller, "list_audiences", limit=0)
            assert (answer["complete"], "bolt" in json.dumps(answer)) == (complete, not complete)
        missed = await sent(
            http, "acme", "tools/call", "2025-11-25", name="get_audience", arguments={"audience": "Nobody"}
        )
        assert "bolt" not in missed
        assert "it may be there" not in missed


async def test_readings_are_shared_by_all_who_may_see_them(tmp_path: Path) -> None:
    """Two teams that ask for the same account do not have it read twice."""
    shared = Shared(
        tmp_path, *CLIENTS, access="token:acme=whop; token:bolt=*-acme; token:boss=whop-acme,bolt"
    )
    async with shared.serving() as http:
        for caller in ("acme", "bolt", "boss", "acme"):
            await asked(http, caller, "list_audiences", limit=0)
    assert sum("/whop/" in request.path for request in shared.sandboxes["acme"].asked) == 1


async def test_who_is_not_named_gets_403_and_learns_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = Shared(tmp_path, *CLIENTS, access="token:acme=acme; ann@example.com=bolt; sub:bea=acme")
    unnamed = "the-token-without-a-name-0123456789-01234"
    async with shared.serving(AUDIENCE_MCP_HTTP_TOKEN=unnamed) as http:
        assert (await asked(http, "acme", "list_audiences"))["matched"] == 24
        for token in (TOKENS["nobody"], unnamed):
            refused = await called(http, token)
            assert refused.status_code == 403
            assert refused.json()["error"] == "access_denied"
            assert "WWW-Authenticate" not in refused.headers
            assert "acme" not in refused.text
        for authorization in ("", "wrong", TOKENS["acme"] + "x", "acme"):
            assert (await called(http, authorization)).status_code == 401
    assert "token nobody is not in AUDIENCE_MCP_ACCESS" in caplog.text
    assert TOKENS["nobody"] not in caplog.text


async def test_people_see_what_their_verified_address_or_subject_is_given(tmp_path: Path) -> None:
    with issuing() as issuer:
        login = {"AUDIENCE_MCP_OAUTH_ISSUER": issuer.url, "AUDIENCE_MCP_PUBLIC_URL": PUBLIC_URL}
        access = "@acme.example=acme; bea@bolt.example=whop-bolt; sub:bea=batch-bolt; token:acme=*"
        shared = Shared(tmp_path, *CLIENTS, access=access)

        async def sources(**claims: Any) -> set[str] | int:
            token = issuer.token(**claims)
            response = await called(http, token)
            if response.status_code != 200:
                return response.status_code
            answer = await asked(http, token, "list_audiences", limit=0)
            return {report["source"] for report in answer["sources"]}

        acme = {f"{vendor}-acme" for vendor in FOUR}
        known = {"email_verified": True}
        async with shared.serving(**login) as http:
            assert await sources(sub="ann", email="ann@acme.example", **known) == acme
            assert await sources(sub="x", email="ANN@ACME.EXAMPLE", **known) == acme
            assert await sources(sub="y", email="bea@bolt.example", **known) == {"whop-bolt"}
            assert await sources(sub="bea") == {"batch-bolt"}
            assert await sources(sub="bea", email="bea@bolt.example", **known) == {"whop-bolt", "batch-bolt"}
            assert await sources(sub="bea", email="b@acme.example", **known) == acme | {"batch-bolt"}
            # An address that nobody has verified is nobody's.
            assert await sources(sub="ann", email="ann@acme.example") == 403
            assert await sources(sub="ann", email="ann@acme.example", email_verified=False) == 403
            assert await sources(sub="bea", email="ann@acme.example", email_verified=False) == {"batch-bolt"}
            assert await sources(sub="bea@bolt.example") == 403
            assert await sources(sub="@acme.example") == 403
            assert await sources(sub="token:acme") == 403
            assert await sources(sub="bea", scope="other:read") == 403
            assert await sources(sub="bea", aud="https://other.example") == 401
            assert (await called(http, TOKENS["acme"])).status_code == 401
            assert (await called(http, "")).status_code == 401
        async with shared.serving(**login, AUDIENCE_MCP_OAUTH_ALLOWED="bea") as http:
            assert await sources(sub="ann", email="ann@acme.example", **known) == 403
            assert await sources(sub="bea") == {"batch-bolt"}


async def test_whether_sources_can_be_read_is_told_of_what_may_be_seen_and_to_nobody_without_a_token(
    tmp_path: Path,
) -> None:
    shared = Shared(tmp_path, *CLIENTS, access="token:acme=acme; token:boss=*")
    shared.sandboxes["bolt"].rows["whop"] = [{"nothing": "that is an audience"}]
    async with shared.serving() as http:
        await asked(http, "boss", "list_audiences", limit=0)

        async def ready(token: str) -> httpx.Response:
            return await http.get("/ready", headers={"Authorization": f"Bearer {token}"} if token else {})

        everything, own = (await ready(TOKENS["boss"])).json(), (await ready(TOKENS["acme"])).json()
        assert len(everything["sources"]) == 8
        assert everything["status"] == "failing"
        assert {each["source"] for each in own["sources"]} == {f"{vendor}-acme" for vendor in FOUR}
        assert own["status"] == "ok"
        assert (await ready(TOKENS["nobody"])).status_code == 403
        for nobody in (await ready(""), await ready("wrong")):
            assert (nobody.status_code, nobody.content) == (401, b"")


async def test_a_fault_of_the_store_is_told_once_to_each_of_those_whom_it_touches(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.write_text("no folder")
    shared = Shared(folder, *CLIENTS, access="token:acme=acme; token:bolt=bolt; token:boss=*")

    async def is_told(http: httpx.AsyncClient, caller: str) -> bool:
        notes = (await asked(http, caller, "list_audiences", limit=0, refresh=True)).get("notes", [])
        return any("could not be used" in note for note in notes)

    async with shared.serving() as http:
        assert [await is_told(http, caller) for caller in ("boss", "acme", "bolt")] == [True] * 3
        assert [await is_told(http, caller) for caller in ("boss", "acme", "bolt")] == [False] * 3


async def test_metrics_are_those_of_what_may_be_seen_and_nobodys_without_a_token(tmp_path: Path) -> None:
    shared = Shared(tmp_path, *CLIENTS, access="token:acme=acme; token:boss=*")
    async with shared.serving() as http:
        await asked(http, "boss", "list_audiences", limit=0)

        async def metrics(token: str) -> httpx.Response:
            return await http.get("/metrics", headers={"Authorization": f"Bearer {token}"} if token else {})

        everything, own = await metrics(TOKENS["boss"]), await metrics(TOKENS["acme"])
        assert 'audience_mcp_vendor_requests_total{source="whop-bolt",status="200"}' in everything.text
        assert 'audience_mcp_reading_age_seconds{source="whop-acme"}' in own.text
        assert "bolt" not in own.text
        assert (await metrics("")).status_code == 401


async def called(http: httpx.AsyncClient, token: str) -> httpx.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"} if token else {}
    return await http.post("/mcp", json=message, headers=headers)


async def test_all_that_is_stored_of_what_a_view_lacks_stays_unseen(tmp_path: Path) -> None:
    """Sizes over time too, of accounts that are configured no more."""
    shared = Shared(tmp_path, *CLIENTS, access="token:boss=*")
    await shared.age()
    store = open_store(str(tmp_path))
    configured = load_configuration({}, load_vendors())
    async with open_catalog(configured, store=store) as catalog:
        everything = await catalog.find_histories(None, START)
        assert any(SECRET in each.name for each in everything.audiences)
        with pytest.raises(ToolError, match="No sizes are stored yet"):
            await catalog.view(()).find_histories(None, START)


@pytest.mark.slow
def test_stdio_and_the_command_line_do_not_ask_who_may_see_what(
    typed: Any, sandbox: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = typed("list", "--json", "--limit", "0").json["matched"]
    for access in ("token:acme=whop", "nonsense", ""):
        monkeypatch.setenv("AUDIENCE_MCP_ACCESS", access)
        assert typed("list", "--json", "--limit", "0").json["matched"] == everything


def test_check_offline_lists_for_each_rule_the_sources_that_it_gives(
    typed: Any, bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**KEYS, **NAMED, "AUDIENCE_MCP_ACCESS": "token:acme=acme; ann@x.example=*"}.items():
        monkeypatch.setenv(name, value)
    ran = typed("check", "--offline")
    assert ran.code == 0
    assert re.search(r"token:acme +batch-acme, whop-acme\n", ran.out)
    assert re.search(r"ann@x.example +batch-acme, batch-bolt, whop-acme, brevo-bolt\n", ran.out)
    assert "has a rule for ann@x.example, but nobody logs in" in ran.err
    assert typed("check", "--offline", "--json").json["access"] == [
        {"caller": "token:acme", "sources": ["batch-acme", "whop-acme"]},
        {"caller": "ann@x.example", "sources": ["batch-acme", "batch-bolt", "whop-acme", "brevo-bolt"]},
    ]
    monkeypatch.setenv("BATCH_PROJECT_KEY_ACMES", "project_acmes00000")
    monkeypatch.setenv("AUDIENCE_MCP_ACCESS", "token:acme=*-acm*")
    ran = typed("check", "--offline")
    assert ran.code == 0
    assert "'*-acm*', which token:acme is given, gives sources of several clients (acme, acmes)" in ran.err
    monkeypatch.setenv("AUDIENCE_MCP_ACCESS", "token:acme=acne")
    ran = typed("check", "--offline")
    assert (ran.code, ran.out) == (2, "")
    assert "'acne', which token:acme is given, is not a configured source" in ran.err
