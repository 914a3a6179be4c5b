"""What the environment may say about OAuth, and what is refused at start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from audience_mcp.core.errors import ConfigurationError
from audience_mcp.server.auth import AccessPolicy, OAuthSettings, access_policy
from audience_mcp.server.http import serve
from tests.support.hosting import TOKEN

OAUTH = {
    "AUDIENCE_MCP_OAUTH_ISSUER": "https://login.example.com",
    "AUDIENCE_MCP_PUBLIC_URL": "https://audiences.example.com/mcp",
}


def policy(**changed: str) -> AccessPolicy:
    return access_policy({**OAUTH, **changed}, reachable_via=None)


def settings(**changed: str) -> OAuthSettings:
    oauth = policy(**changed).oauth
    assert oauth is not None
    return oauth


def refusal(environment: dict[str, str], via: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        access_policy(environment, reachable_via=via)
    return str(refused.value)


def test_an_issuer_and_a_public_url_are_enough_and_the_token_must_be_for_that_url() -> None:
    assert settings() == OAuthSettings(
        "https://login.example.com", "https://audiences.example.com/mcp", "https://audiences.example.com/mcp"
    )


def test_the_issuer_is_kept_to_the_character_since_clients_compare_it_so() -> None:
    for issuer in ("https://login.example.com/", "https://login.example.com", "https://Login.example.com/a/"):
        assert settings(AUDIENCE_MCP_OAUTH_ISSUER=issuer).issuer == issuer


def test_an_audience_of_its_own_may_be_any_name() -> None:
    assert settings(AUDIENCE_MCP_OAUTH_AUDIENCE="api://audiences").audience == "api://audiences"


def test_who_may_come_in_is_a_list() -> None:
    allowed = settings(AUDIENCE_MCP_OAUTH_ALLOWED="auth0|5f, Ann@Example.com ,,@example.org").allowed
    assert allowed == {"auth0|5f", "Ann@Example.com", "@example.org"}


def test_the_host_of_the_public_url_may_be_called_without_being_listed_again() -> None:
    assert "audiences.example.com" in policy().hosts
    assert (
        "audiences.example.com:8443"
        in policy(AUDIENCE_MCP_PUBLIC_URL="https://audiences.example.com:8443/mcp").hosts
    )


@pytest.mark.parametrize(
    ("url", "paths"),
    [
        (
            "https://a.example/mcp",
            ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"],
        ),
        (
            "https://a.example/x/mcp/",
            ["/.well-known/oauth-protected-resource/x/mcp", "/.well-known/oauth-protected-resource"],
        ),
        ("https://a.example", ["/.well-known/oauth-protected-resource"]),
    ],
)
def test_the_metadata_is_at_the_path_form_and_at_the_root_form(url: str, paths: list[str]) -> None:
    oauth = settings(AUDIENCE_MCP_PUBLIC_URL=url)
    assert list(oauth.metadata_paths) == paths
    assert oauth.metadata_url == f"https://a.example{paths[0]}"


def test_a_token_and_an_issuer_at_once_are_refused() -> None:
    said = refusal({**OAUTH, "AUDIENCE_MCP_HTTP_TOKEN": TOKEN})
    assert "AUDIENCE_MCP_HTTP_TOKEN" in said
    assert "AUDIENCE_MCP_OAUTH_ISSUER" in said
    assert TOKEN not in said


@pytest.mark.parametrize(
    "name", ["AUDIENCE_MCP_PUBLIC_URL", "AUDIENCE_MCP_OAUTH_AUDIENCE", "AUDIENCE_MCP_OAUTH_ALLOWED"]
)
def test_a_setting_of_oauth_without_an_issuer_is_refused_rather_than_letting_everybody_in(name: str) -> None:
    said = refusal({name: "https://audiences.example.com/mcp"})
    assert name in said
    assert "AUDIENCE_MCP_OAUTH_ISSUER" in said


def test_an_issuer_needs_the_public_url() -> None:
    said = refusal({"AUDIENCE_MCP_OAUTH_ISSUER": "https://login.example.com"})
    assert "AUDIENCE_MCP_PUBLIC_URL is needed" in said


@pytest.mark.parametrize("name", list(OAUTH))
@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com",
        "login.example.com",
        "ftp://login.example.com",
        "https://",
        "https://ann@login.example.com",
        "https://login.example.com/?a=1",
        "https://login.example.com/#a",
        'https://login.example.com/"',
        "https://login.example.com/a b",
        "https://login.example.com:99999",
        "https://[::1",
        "https://lögin.example.com",
    ],
)
def test_an_address_that_is_neither_https_nor_of_this_machine_is_refused(name: str, url: str) -> None:
    assert refusal({**OAUTH, name: url}).startswith(f"{name} must be an https:// URL")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000", "http://localhost:9000/realms/x", "http://[::1]:9000"]
)
def test_plain_http_is_for_this_machine_alone(url: str) -> None:
    assert settings(AUDIENCE_MCP_OAUTH_ISSUER=url, AUDIENCE_MCP_PUBLIC_URL=f"{url}/mcp").issuer == url


@pytest.mark.parametrize("allowed", [",", "@", "ann@example.com,@"])
def test_a_list_that_lets_nobody_or_every_domain_in_is_refused(allowed: str) -> None:
    assert "AUDIENCE_MCP_OAUTH_ALLOWED must be" in refusal({**OAUTH, "AUDIENCE_MCP_OAUTH_ALLOWED": allowed})


@pytest.mark.parametrize("audience", ["two words", 'a"b', "ü"])
def test_an_audience_that_fits_no_header_is_refused(audience: str) -> None:
    assert "AUDIENCE_MCP_OAUTH_AUDIENCE" in refusal({**OAUTH, "AUDIENCE_MCP_OAUTH_AUDIENCE": audience})


def test_other_computers_are_let_in_with_an_issuer_and_host_names() -> None:
    assert "AUDIENCE_MCP_ALLOWED_HOSTS" in refusal(OAUTH, via="--host 0.0.0.0 lets other computers in")
    both = {**OAUTH, "AUDIENCE_MCP_ALLOWED_HOSTS": "audiences.example.com"}
    assert access_policy(both, reachable_via="--host 0.0.0.0 lets other computers in").oauth is not None


def test_without_either_way_to_know_callers_both_are_named() -> None:
    said = refusal({"AUDIENCE_MCP_ALLOWED_HOSTS": "a.example"}, via="--host 0.0.0.0 lets other computers in")
    assert "AUDIENCE_MCP_HTTP_TOKEN" in said
    assert "AUDIENCE_MCP_OAUTH_ISSUER" in said


def test_a_bad_setting_ends_the_program_with_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**OAUTH, "AUDIENCE_MCP_OAUTH_ISSUER": "http://login.example.com"}
    assert serve(sandbox=True, host="127.0.0.1", port=0, environment=environment) == 2
    said = capsys.readouterr().err
    assert said.startswith("audience-mcp: AUDIENCE_MCP_OAUTH_ISSUER must be")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_nothing_of_oauth_is_imported_where_it_is_not_configured() -> None:
    code = "import sys, audience_mcp.server.http; sys.exit('jwt' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
