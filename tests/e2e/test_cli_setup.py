"""`setup`: from nothing to an answer, as a person types it on a terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest

if sys.platform == "win32":
    pytest.skip("terminals of POSIX", allow_module_level=True)

from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.testing import Answer, Asked, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.process import environment
from tests.support.terminal import Seen, on_a_terminal
from tests.vendors.posthog import api as posthog
from tests.vendors.shopify import api as shopify
from tests.vendors.shopify.case import ROWS as SEGMENTS

PLATFORM = "Platform (part of its name, ? for all, Enter when done)"
AGAIN = "Enter to type it again"
NAME_IT = "Name of a further account (Enter to replace the key)"
OPEN = "/docs/api-key? [y/N]"
"""Ends the question whether to open CommBox's page in the browser."""


@pytest.fixture(scope="module")
def vendors() -> Iterator[dict[str, str]]:
    """An imitation of the vendors, and the variables that lead to it."""
    made_up = Sandbox()
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(made_up)) as origin,
    ):
        yield dict(made_up.environment(origin))


@contextmanager
def api(answer: Callable[[Asked], Answer]) -> Iterator[str]:
    """An API on loopback: its origin."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve_api(answer)) as (origin, _),
    ):
        yield origin


def write_settings(home: Path, **variables: str) -> Path:
    file = home / "mine.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    file.chmod(0o600)
    return file


def words(seen: Seen) -> str:
    return " ".join(seen.text.split())


@pytest.fixture
def bases(vendors: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in vendors.items() if name.endswith("_BASE_URL")}


def run(home: Path, steps: list[tuple[str, str]], *arguments: str, **variables: str) -> Seen:
    browser = home / "browser.py"
    browser.write_text(
        "import sys\nfrom pathlib import Path\nPath(__file__).with_name('opened').write_text(sys.argv[1])"
    )
    variables = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": "",
        "BROWSER": f"{sys.executable} {browser} %s",
        "AUDIENCE_MCP_STORE": "",
        **variables,
    }
    return on_a_terminal("setup", *arguments, columns=80, typed=steps, **dict[str, Any](variables))


def test_from_nothing_to_an_answer(tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]) -> None:
    (tmp_path / ".config/Claude").mkdir(parents=True)
    steps = [
        (PLATFORM, "comm\n"),
        (OPEN, "n\n"),
        ("COMMBOX_API_KEY)", vendors["COMMBOX_API_KEY"] + "\n"),
        (PLATFORM, "whop\n"),
        ("? [y/N]", "n\n"),
        ("WHOP_API_KEY)", vendors["WHOP_API_KEY"] + "\n"),
        ("WHOP_ACCOUNT_ID)", vendors["WHOP_ACCOUNT_ID"] + "\n"),
        (PLATFORM, "\n"),
        ("Add audience-mcp to Claude Desktop? [Y/n]", "y\n"),
    ]
    seen = run(tmp_path, steps, **bases)
    assert seen.code == 0, seen.text
    assert seen.text.count("It works: at least ") + seen.text.count("It works: ") >= 2
    file = tmp_path / ".config/audience-mcp/env"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().splitlines() == [
        f"{name}={vendors[name]}" for name in ("COMMBOX_API_KEY", "WHOP_API_KEY", "WHOP_ACCOUNT_ID")
    ]
    for key in (vendors["COMMBOX_API_KEY"], vendors["WHOP_API_KEY"]):
        assert key not in seen.raw
    entry = json.loads((tmp_path / ".config/Claude/claude_desktop_config.json").read_text())
    env = entry["mcpServers"]["audience-mcp"]["env"]
    assert env["AUDIENCE_MCP_ENV_FILE"] == str(file)
    assert not any(vendors[name] in env.values() for name in ("COMMBOX_API_KEY", "WHOP_API_KEY"))
    assert "record --env-file" in seen.text
    asked = subprocess.run(
        [sys.executable, "-m", "audience_mcp", "list", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(**bases, HOME=str(tmp_path), XDG_CONFIG_HOME=""),
        timeout=60,
    )
    answer = json.loads(asked.stdout)
    assert {report["source"] for report in answer["sources"]} == {"commbox", "whop"}
    assert answer["complete"]


@pytest.mark.slow
def test_the_page_on_the_key_is_shown_and_the_vendors_own_opened_where_there_is_a_browser(
    tmp_path: Path,
) -> None:
    steps = [(PLATFORM, "commbox\n"), (OPEN, "y\n"), ("COMMBOX_API_KEY)", "\n"), (PLATFORM, "\n")]
    seen = run(tmp_path, steps)
    assert "\nCommBox: how to get a key\n" in seen.text
    assert "docs/keys/commbox.md\n" in seen.text
    assert "Click the View icon beside the key." in seen.text
    assert "<!--" not in seen.text
    assert (tmp_path / "opened").read_text() == "https://help.commbox.io/docs/api-key"


@pytest.mark.slow
def test_a_key_that_is_refused_is_said_and_can_be_typed_again(
    tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]
) -> None:
    steps = [
        (PLATFORM, "commbox\n"),
        (OPEN, "n\n"),
        ("COMMBOX_API_KEY)", "Bearer wrong-key-0123\n"),
        ("Enter to type it again", "\n"),
        ("COMMBOX_API_KEY)", "wrong-key-0123\n"),
        ("Enter to type it again", "n\n"),
        (PLATFORM, "\n"),
    ]
    seen = run(tmp_path, steps, **bases)
    words = " ".join(seen.text.split())
    assert "begins with 'Bearer '" in words
    assert "refused the key" in words
    assert "wrong-key" not in seen.raw
    assert seen.code == 1
    assert not (tmp_path / ".config/audience-mcp/env").exists()


@pytest.mark.slow
def test_what_stands_in_the_file_stays_and_a_further_account_gets_a_name(
    tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]
) -> None:
    file = tmp_path / "mine.env"
    file.write_text(f"# my keys\nCOMMBOX_API_KEY={vendors['COMMBOX_API_KEY']}\nOTHER=1\n")
    file.chmod(0o600)
    steps = [
        ("Set up already: commbox.", ""),
        (PLATFORM, "commbox\n"),
        (OPEN, "n\n"),
        ("Name of a further account (Enter to replace the key)", "Acme Ltd\n"),
        ("COMMBOX_API_KEY_ACME_LTD)", vendors["COMMBOX_API_KEY"] + "2\n"),
        ("Enter to type it again", "s\n"),
        (PLATFORM, "\n"),
    ]
    seen = run(tmp_path, steps, "--env-file", str(file), **bases)
    assert seen.code == 0, seen.text
    assert file.read_text() == (
        f"# my keys\nCOMMBOX_API_KEY={vendors['COMMBOX_API_KEY']}\nOTHER=1\n"
        f"COMMBOX_API_KEY_ACME_LTD={vendors['COMMBOX_API_KEY']}2\n"
    )


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_saved(tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]) -> None:
    steps = [
        (PLATFORM, "commbox\n"),
        (OPEN, "n\n"),
        ("COMMBOX_API_KEY)", vendors["COMMBOX_API_KEY"] + "\n"),
        ("Saved: COMMBOX_API_KEY.", ""),
        (PLATFORM, "\x03"),
    ]
    seen = run(tmp_path, steps, **bases)
    assert seen.code == 130
    assert (
        tmp_path / ".config/audience-mcp/env"
    ).read_text() == f"COMMBOX_API_KEY={vendors['COMMBOX_API_KEY']}\n"


@pytest.mark.slow
def test_a_name_that_fits_several_or_none_is_answered_with_what_there_is(tmp_path: Path) -> None:
    seen = run(tmp_path, [(PLATFORM, "mail\n"), (PLATFORM, "hubsot\n"), (PLATFORM, "\n")])
    assert "mailchimp" in seen.text
    assert "mailerlite" in seen.text
    assert "Did you mean 'hubspot'?" in seen.text


@pytest.mark.slow
def test_all_platforms_are_listed_by_name_on_one_screen(tmp_path: Path) -> None:
    seen = run(tmp_path, [(PLATFORM, "?\n"), (PLATFORM, "\n")])
    listed = (
        seen.text.partition("? for all, Enter when done): ?\n")[2].partition("Platform (")[0].splitlines()
    )
    assert len(listed) <= 20
    assert max(map(len, listed)) <= 80
    left, right = [line[: line.index(")") + 1].strip() for line in listed], listed[0].split(")")[1].strip()
    assert left == sorted(left, key=str.casefold)
    assert left[0] == "ActiveCampaign (activecampaign)"
    assert right.casefold() > left[-1].casefold()
    assert {name for name in built_in_vendors() if f"({name})" not in "".join(listed)} == set()


@pytest.mark.slow
def test_several_platforms_in_one_line_are_asked_one_after_the_other_and_quotes_are_taken_off(
    tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]
) -> None:
    steps = [
        (PLATFORM, "klaviyo, hubsot\n"),
        ("Did you mean 'hubspot'?", ""),
        (PLATFORM, "klaviyo, hubspot\n"),
        ("? [y/N]", "n\n"),
        ("KLAVIYO_API_KEY)", f'"{vendors["KLAVIYO_API_KEY"]}"\n'),
        ("? [y/N]", "n\n"),
        ("HUBSPOT_ACCESS_TOKEN)", f" '{vendors['HUBSPOT_ACCESS_TOKEN']}'\n"),
        (PLATFORM, "\n"),
    ]
    seen = run(tmp_path, steps, **bases)
    assert seen.code == 0, seen.text
    assert (tmp_path / ".config/audience-mcp/env").read_text().splitlines() == [
        f"{name}={vendors[name]}" for name in ("KLAVIYO_API_KEY", "HUBSPOT_ACCESS_TOKEN")
    ]
    long = [line for line in seen.lines if len(line) > 80 and not line.startswith("10 6 * * *")]
    assert [line for line in long if max(map(len, line.split())) < 60] == []
    assert "Done. See your ten biggest audiences: audience-mcp list --limit 10" in seen.text


def answer_shop(asked: Asked) -> Answer:
    """A shop whose apps authenticate by id and secret alone."""
    if asked.path == "/admin/oauth/access_token":
        return shopify.exchange(asked)
    return shopify.answer(asked, SEGMENTS[:5], shopify.EXCHANGED)


SHOP_BY_ID = [
    ("SHOPIFY_ACCESS_TOKEN)", "\n"),
    ("SHOPIFY_CLIENT_ID)", shopify.CLIENT["client_id"] + "\n"),
    ("SHOPIFY_CLIENT_SECRET)", shopify.CLIENT["client_secret"] + "\n"),
]
"""Enter in place of the token leads to the app's id and secret."""


@pytest.mark.slow
@pytest.mark.parametrize("old", [{}, {"SHOPIFY_SHOP": "acme", "SHOPIFY_ACCESS_TOKEN": "shpat_of-last-year"}])
def test_enter_at_one_way_to_authenticate_leads_to_the_next_which_then_is_the_one_that_is_used(
    tmp_path: Path, old: dict[str, str]
) -> None:
    with api(answer_shop) as origin:
        address = {"SHOPIFY_BASE_URL": f"{origin}/admin/api/2026-10"}
        file = write_settings(tmp_path, **address, **old)
        steps = [
            (PLATFORM, "shopify\n"),
            ("? [y/N]", "n\n"),
            *([(NAME_IT, "\n"), ("SHOPIFY_SHOP)", "\n")] if old else [("SHOPIFY_SHOP)", "acme\n")]),
            *SHOP_BY_ID,
            (PLATFORM, "\n"),
        ]
        seen = run(tmp_path, steps, "--env-file", str(file))
    assert seen.code == 0, seen.text
    assert "type, or Enter for SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET:" in words(seen)
    assert "It works: 5 audiences." in words(seen)
    assert ("Removed: SHOPIFY_ACCESS_TOKEN." in words(seen)) == bool(old)
    assert sorted(file.read_text().splitlines()) == sorted(
        f"{name}={value}"
        for name, value in {
            **address,
            "SHOPIFY_SHOP": "acme",
            "SHOPIFY_CLIENT_ID": shopify.CLIENT["client_id"],
            "SHOPIFY_CLIENT_SECRET": shopify.CLIENT["client_secret"],
        }.items()
    )


@pytest.mark.slow
def test_a_way_that_was_refused_is_left_for_the_other_and_enter_at_the_last_leaves_the_platform_out(
    tmp_path: Path,
) -> None:
    with api(answer_shop) as origin:
        file = write_settings(tmp_path, SHOPIFY_BASE_URL=f"{origin}/admin/api/2026-10")
        begin = [(PLATFORM, "shopify\n"), ("? [y/N]", "n\n")]
        steps = [
            *begin,
            ("SHOPIFY_SHOP)", "acme\n"),
            ("SHOPIFY_ACCESS_TOKEN)", "\n"),
            ("SHOPIFY_CLIENT_ID)", "\n"),
            ("Shopify was left out.", ""),
            *begin,
            ("SHOPIFY_SHOP)", "acme\n"),
            ("SHOPIFY_ACCESS_TOKEN)", "shpat_wrong-token\n"),
            (AGAIN, "\n"),
            ("SHOPIFY_SHOP)", "\n"),
            *SHOP_BY_ID,
            (PLATFORM, "\n"),
        ]
        seen = run(tmp_path, steps, "--env-file", str(file))
    assert seen.code == 0, seen.text
    assert "Saved: SHOPIFY_SHOP, SHOPIFY_CLIENT_ID, SHOPIFY_CLIENT_SECRET." in words(seen)
    assert "shpat_wrong" not in file.read_text()


@pytest.mark.slow
def test_after_a_refusal_the_setting_that_some_accounts_need_is_asked_and_the_key_tried_again(
    tmp_path: Path,
) -> None:
    cohort = {"id": 1, "name": "VIP", "count": 5, "is_static": False}
    refused = posthog.refused(401, "authentication_error", "authentication_failed", "Invalid key.")
    with api(lambda asked: refused) as there, api(lambda asked: posthog.answer(asked, [cohort])) as here:
        file = write_settings(tmp_path, POSTHOG_BASE_URL=there)
        steps = [
            (PLATFORM, "posthog\n"),
            ("? [y/N]", "n\n"),
            ("POSTHOG_PERSONAL_API_KEY)", posthog.KEY + "\n"),
            ("POSTHOG_PROJECT_ID)", posthog.PROJECT + "\n"),
            ("Some accounts need a further setting.", ""),
            ("(POSTHOG_BASE_URL), Enter for", here + "\n"),
            (PLATFORM, "\n"),
        ]
        seen = run(tmp_path, steps, "--env-file", str(file))
    assert seen.code == 0, seen.text
    assert AGAIN not in seen.text
    assert "It works: 1 audience. Saved: POSTHOG_PERSONAL_API_KEY, POSTHOG_PROJECT_ID, POSTHOG_BASE_URL." in (
        words(seen)
    )
    assert file.read_text().splitlines()[0] == f"POSTHOG_BASE_URL={here}"


FURTHER = {
    "intercom": ["INTERCOM_BASE_URL"],
    "iterable": ["ITERABLE_BASE_URL"],
    "googleads": ["GOOGLE_ADS_LOGIN_CUSTOMER_ID"],
    "meta": ["META_APP_SECRET"],
    "microsoftads": ["MICROSOFT_ADS_CLIENT_SECRET"],
    "datamanager": ["DATAMANAGER_ACCOUNT_TYPE", "DATAMANAGER_LOGIN_ACCOUNT"],
    "brevo": [],
}
"""Variables that the pages on keys call necessary for some accounts, by vendor."""


def refuse(asked: Asked) -> Answer:
    """Refuse every key as Google and Microsoft do, and as Meta does where the app demands a proof."""
    if asked.path.startswith("/meta/"):
        text = "API calls from the server require an appsecret_proof argument"
        return Answer(400, {"error": {"message": text, "type": "GraphMethodException", "code": 100}})
    return Answer(401, {"error": "invalid_client"})


@pytest.mark.slow
def test_the_settings_that_are_asked_after_a_refusal_are_those_that_the_page_on_the_key_speaks_of(
    tmp_path: Path,
) -> None:
    vendors = built_in_vendors()
    with api(refuse) as origin:
        addresses = {
            s.variables[0]: f"{origin}/{name}"
            for name in FURTHER
            for s in vendors[name].settings
            if s.is_address
        }
        steps = []
        for name, further in FURTHER.items():
            steps += [(PLATFORM, f"{name}\n"), ("? [y/N]", "n\n")]
            steps += [
                (f"({s.variables[0]})", f"{s.example or 'made-up-value-0123'}\n")
                for s in vendors[name].settings
                if s.required
            ]
            steps += [(f"({each})", "\n") for each in further]
            steps += [(AGAIN, "n\n")]
        file = write_settings(tmp_path, **addresses)
        seen = run(tmp_path, [*steps, (PLATFORM, "\n")], "--env-file", str(file))
    assert seen.code == 1, seen.text
    assert seen.text.count("Some accounts need a further setting.") == len(FURTHER) - 1
    asked = set(re.findall(r"\(([A-Z0-9_]+_[A-Z_]+)\)[,:]", words(seen)))
    needed = {s.variables[0] for name in FURTHER for s in vendors[name].settings if s.required}
    assert asked - needed == {each for further in FURTHER.values() for each in further}
    assert "(DATAMANAGER_ACCOUNT_TYPE), Enter for GOOGLE_ADS:" in words(seen)
    assert "Enter for none:" in words(seen)
    said = [line.partition(": ")[0] for line in seen.lines]  # what is typed may lead over the edge
    assert [line for line in said if len(line) > 80 and max(map(len, line.split())) < 60] == []


@pytest.mark.slow
def test_a_key_that_the_environment_sets_is_not_asked_for_and_what_must_be_unset_is_said(
    tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]
) -> None:
    file = write_settings(tmp_path, WHOP_ACCOUNT_ID="biz_wrong")
    steps = [
        (PLATFORM, "commbox\n"),
        (OPEN, "n\n"),
        (NAME_IT, "\n"),
        ("which wins over the file", ""),
        (PLATFORM, "whop\n"),
        ("? [y/N]", "n\n"),
        (NAME_IT, "\n"),
        ("which wins over the file", ""),
        ("WHOP_ACCOUNT_ID), Enter for biz_wrong", vendors["WHOP_ACCOUNT_ID"] + "\n"),
        (PLATFORM, "\n"),
    ]
    keys = {name: vendors[name] for name in ("COMMBOX_API_KEY", "WHOP_API_KEY")}
    seen = run(tmp_path, steps, "--env-file", str(file), **bases, **keys)
    assert seen.code == 0, seen.text
    said = words(seen)
    for name in keys:
        assert f"The environment sets {name}, which wins over the file" in said
        assert f"({name})" not in said
    assert "unset it in your shell's profile, or in the entry of the program" in said
    assert said.count("It works") == said.count("Saved:") == said.count("Saved: WHOP_ACCOUNT_ID.") == 1
    assert file.read_text() == f"WHOP_ACCOUNT_ID={vendors['WHOP_ACCOUNT_ID']}\n"


@pytest.mark.slow
def test_a_key_is_replaced_under_the_name_that_it_has_in_the_file(
    tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]
) -> None:
    old = {"HUBSPOT_PRIVATE_APP_TOKEN": "pat-of-last-year", "COMMBOX_API_KEY_Acme": "key-of-last-year"}
    file = write_settings(tmp_path, COMMBOX_API_KEY="key-of-another", **old)
    steps = [
        (PLATFORM, "hubspot, commbox\n"),
        ("? [y/N]", "n\n"),
        (NAME_IT, "\n"),
        ("HUBSPOT_PRIVATE_APP_TOKEN)", vendors["HUBSPOT_ACCESS_TOKEN"] + "\n"),
        ("It works", ""),
        (OPEN, "n\n"),
        (NAME_IT, "acme\n"),
        ("COMMBOX_API_KEY_Acme)", vendors["COMMBOX_API_KEY"] + "\n"),
        ("It works", ""),
        (PLATFORM, "\n"),
    ]
    seen = run(tmp_path, steps, "--env-file", str(file), **bases)
    assert seen.code == 0, seen.text
    assert file.read_text().splitlines() == [
        "COMMBOX_API_KEY=key-of-another",
        f"HUBSPOT_PRIVATE_APP_TOKEN={vendors['HUBSPOT_ACCESS_TOKEN']}",
        f"COMMBOX_API_KEY_Acme={vendors['COMMBOX_API_KEY']}",
    ]


@pytest.mark.slow
def test_a_hosts_entry_with_the_old_key_is_said_to_win_over_the_file(
    tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]
) -> None:
    folder = tmp_path / ".config/Claude"
    folder.mkdir(parents=True)
    env = {"COMMBOX_API_KEY": "key-of-last-year"}
    entry = {"command": "audience-mcp", "args": [], "env": env}
    (folder / "claude_desktop_config.json").write_text(json.dumps({"mcpServers": {"audience-mcp": entry}}))
    steps = [
        (PLATFORM, "commbox\n"),
        (OPEN, "n\n"),
        ("COMMBOX_API_KEY)", vendors["COMMBOX_API_KEY"] + "\n"),
        (PLATFORM, "\n"),
        ("Add audience-mcp to Claude Desktop? [Y/n]", "y\n"),
    ]
    seen = run(tmp_path, steps, **bases)
    assert seen.code == 0, seen.text
    assert "The entry in Claude Desktop sets COMMBOX_API_KEY to another value, which wins" in words(seen)


@pytest.mark.slow
def test_a_suffix_with_a_meaning_of_its_own_is_refused_and_a_platforms_name_is_said_to_be_no_client(
    tmp_path: Path, vendors: dict[str, str], bases: dict[str, str]
) -> None:
    file = write_settings(tmp_path, COMMBOX_API_KEY=vendors["COMMBOX_API_KEY"])
    refused = ["File", "all", "any", "none", "null", "undefined"]
    steps = [
        (PLATFORM, "commbox\n"),
        (OPEN, "n\n"),
        *((NAME_IT, f"{word}\n") for word in refused),
        (NAME_IT, "Zürich\n"),
        (NAME_IT, "brevo\n"),
        ("COMMBOX_API_KEY_BREVO)", "\n"),
        (PLATFORM, "\n"),
    ]
    seen = run(tmp_path, steps, "--env-file", str(file), **bases)
    for word in refused:
        assert f"'{word.lower()}' cannot be the suffix of an account, as " in words(seen)
    assert "_FILE at the end of a variable's name means a file that holds the value" in words(seen)
    assert "must be 1-40 letters, digits or underscores" in words(seen)
    assert "'brevo' is a platform's name: in a question it still means that platform" in words(seen)


@pytest.mark.slow
def test_without_a_terminal_it_asks_nothing(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "audience_mcp", "setup"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env=environment(HOME=str(tmp_path), XDG_CONFIG_HOME=""),
        timeout=60,
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert "needs a terminal" in process.stderr
