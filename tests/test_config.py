"""The environment as sources and settings."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from audience_mcp.config import (
    Configuration,
    Settings,
    Source,
    describe_needs,
    is_set,
    load_configuration,
)
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.vendors import Rate, Values
from audience_mcp.vendors.registry import built_in_vendors
from audience_mcp.vendors.whop import Whop

KINDS = [*built_in_vendors().values()]
BATCH = {"BATCH_REST_API_KEY": "key-of-batch", "BATCH_PROJECT_KEY": "project_of_batch"}
WHOP = {"WHOP_API_KEY": "key-of-whop", "WHOP_ACCOUNT_ID": "biz_1"}


def configured(environment: Mapping[str, str]) -> Configuration:
    return load_configuration(environment, KINDS)


def named(environment: Mapping[str, str]) -> list[str]:
    return [source.name for source in configured(environment).sources]


def source(environment: Mapping[str, str], name: str) -> Source:
    return next(source for source in configured(environment).sources if source.name == name)


def values(environment: Mapping[str, str], name: str) -> Mapping[str, str]:
    found = source(environment, name)
    assert found.account is not None, found.problem
    return found.account.values


def problem(environment: Mapping[str, str], name: str) -> str:
    found = source(environment, name)
    assert found.account is None
    assert found.problem is not None
    assert found.problem.kind == "not_configured"
    assert found.problem.message.startswith(f"{name}: ")
    return found.problem.message


# Which sources there are


def test_an_empty_environment_has_no_sources_and_the_default_settings() -> None:
    there = configured({})

    assert there.sources == ()
    assert there.settings == Settings(deadline_s=45, cache_s=300, max_chars=40_000, log_level="WARNING")
    assert list(there.vendors.values()) == KINDS
    assert there.warnings == ()


def test_all_four_vendors_in_one_environment_are_four_sources() -> None:
    environment = {**BATCH, **WHOP, "COMMBOX_API_KEY": "c-key-000", "SMALLEST_API_KEY": "s-key-000"}

    assert named(environment) == ["commbox", "batch", "smallest", "whop"]


def test_what_is_not_set_has_its_documented_default() -> None:
    environment = {**BATCH, **WHOP, "COMMBOX_API_KEY": "c-key-000", "SMALLEST_API_KEY": "s-key-000"}

    assert values(environment, "commbox")["base_url"] == "https://api.commbox.io"
    assert values(environment, "batch")["base_url"] == "https://api.batch.com/2.11"
    assert values(environment, "smallest")["base_url"] == "https://api.smallest.ai/atoms/v1"
    assert values(environment, "whop")["base_url"] == "https://api.whop.com/api/v1"
    assert values(environment, "batch")["max_rps"] == "1"


def test_the_variables_a_vendor_needs_are_named_with_their_aliases() -> None:
    needed = {kind.name: describe_needs(kind) for kind in KINDS}
    assert needed["commbox"] == "COMMBOX_API_KEY"
    assert needed["batch"] == "BATCH_REST_API_KEY, BATCH_PROJECT_KEY"
    assert needed["onesignal"] == "ONESIGNAL_REST_API_KEY (or ONESIGNAL_API_KEY), ONESIGNAL_APP_ID"


def test_where_one_of_several_ways_will_do_each_is_named() -> None:
    (shopify,) = [kind for kind in KINDS if kind.name == "shopify"]
    ways = "SHOPIFY_ACCESS_TOKEN or both SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET"
    assert describe_needs(shopify) == f"SHOPIFY_SHOP, and {ways}"


def test_the_alias_of_a_key_serves_and_the_documented_name_goes_first() -> None:
    assert values({"ATOMS_API_KEY": "atoms-key-000"}, "smallest")["api_key"] == "atoms-key-000"
    assert (
        values({"ATOMS_API_KEY": "atoms-key-000", "SMALLEST_API_KEY": "smallest"}, "smallest")["api_key"]
        == "smallest"
    )


def test_an_account_knows_which_variables_its_values_came_from() -> None:
    account = source({"ATOMS_API_KEY": "atoms-key-000"}, "smallest").account

    assert account is not None
    assert account.variables == {"api_key": "ATOMS_API_KEY", "base_url": "SMALLEST_BASE_URL"}
    assert account.secrets == ("atoms-key-000",)


# Further accounts


def test_a_suffix_makes_a_further_account_that_takes_the_rest_from_the_unsuffixed_variables() -> None:
    environment = {
        **BATCH,
        "BATCH_PROJECT_KEY_FR": "project-fr",
        "BATCH_BASE_URL": "https://batch.example/2.13",
    }

    assert named(environment) == ["batch", "batch-fr"]
    assert values(environment, "batch-fr") == {
        "api_key": "key-of-batch",
        "project": "project-fr",
        "base_url": "https://batch.example/2.13",
        "max_rps": "1",
    }
    assert values(environment, "batch")["project"] == "project_of_batch"


def test_a_suffixed_account_prefers_its_own_variables_for_everything() -> None:
    environment = {
        **BATCH,
        "BATCH_REST_API_KEY_FR": "key-fr-key-000",
        "BATCH_PROJECT_KEY_FR": "project-fr",
        "BATCH_BASE_URL_FR": "https://fr.example",
        "BATCH_MAX_RPS_FR": "2.5",
    }

    assert values(environment, "batch-fr") == {
        "api_key": "key-fr-key-000",
        "project": "project-fr",
        "base_url": "https://fr.example",
        "max_rps": "2.5",
    }
    assert values(environment, "batch")["max_rps"] == "1"


def test_unsuffixed_variables_that_only_complete_suffixed_accounts_make_no_source() -> None:
    environment = {
        "BATCH_REST_API_KEY": "one-key-for-all",
        "BATCH_PROJECT_KEY_FR": "fr-key-000",
        "BATCH_PROJECT_KEY_DE": "de-key-000",
    }

    assert named(environment) == ["batch-de", "batch-fr"]
    assert values(environment, "batch-de")["api_key"] == "one-key-for-all"


def test_an_unsuffixed_variable_that_no_account_takes_is_not_passed_over_in_silence() -> None:
    environment = {
        "BATCH_PROJECT_KEY": "left alone",
        "BATCH_PROJECT_KEY_FR": "fr-key-000",
        "BATCH_REST_API_KEY_FR": "fr-key-key-000",
    }

    assert named(environment) == ["batch", "batch-fr"]
    assert "BATCH_REST_API_KEY" in problem(environment, "batch")


def test_several_keys_of_a_vendor_are_several_sources() -> None:
    environment = {
        "COMMBOX_API_KEY": "a-key-000",
        "COMMBOX_API_KEY_SHOP_EU": "b-key-000",
        "COMMBOX_API_KEY_2": "c-key-000",
    }

    assert named(environment) == ["commbox", "commbox-2", "commbox-shop-eu"]
    assert values(environment, "commbox-shop-eu")["api_key"] == "b-key-000"


@pytest.mark.parametrize(
    ("environment", "ignored"),
    [
        ({**WHOP, "WHOP_API_KEY_OLD": WHOP["WHOP_API_KEY"]}, "WHOP_API_KEY_OLD"),
        ({**WHOP, "WHOP_API_KEY_OLD": "another-key-of-whop"}, "WHOP_API_KEY_OLD"),
        ({**BATCH, "BATCH_PROJECT_KEY_OLD": BATCH["BATCH_PROJECT_KEY"]}, "BATCH_PROJECT_KEY_OLD"),
        ({"COMMBOX_API_KEY": "a-key-000", "COMMBOX_API_KEY_OLD": "a-key-000"}, "COMMBOX_API_KEY_OLD"),
    ],
)
def test_an_account_that_is_set_up_twice_is_one_source_and_a_warning(
    environment: dict[str, str], ignored: str
) -> None:
    (name,) = named(environment)
    (warning,) = configured(environment).warnings
    said = f"{name}-old (set by {ignored}) was ignored: it is the same account as the source {name}."
    assert warning == said


def test_a_plug_in_that_fails_to_say_whose_account_it_is_has_one_like_any_other() -> None:
    class Careless(Whop):
        def shared_account(self, values: Values) -> tuple[str, ...]:
            raise KeyError("role")

    found = load_configuration(WHOP, [Careless()])
    assert [source.name for source in found.sources] == ["whop"]
    assert found.warnings == ()


def test_a_suffixed_alias_makes_an_account_too() -> None:
    assert values({"ATOMS_API_KEY_IN": "a-key-000"}, "smallest-in")["api_key"] == "a-key-000"


@pytest.mark.parametrize("suffix", ["FR", "fr"])
def test_a_suffix_may_be_written_in_either_case(suffix: str) -> None:
    assert named({f"COMMBOX_API_KEY_{suffix}": "a"}) == ["commbox-fr"]


def test_both_cases_of_a_suffix_are_one_account() -> None:
    environment = {"BATCH_REST_API_KEY_FR": "key-key-000", "BATCH_PROJECT_KEY_fr": "project-key-000"}

    assert named(environment) == ["batch-fr"]
    assert values(environment, "batch-fr")["project"] == "project-key-000"


def test_a_suffixed_optional_variable_alone_makes_no_account() -> None:
    assert named({"COMMBOX_API_KEY": "a-key-000", "COMMBOX_BASE_URL_EU": "https://eu.example"}) == ["commbox"]


@pytest.mark.parametrize("suffix", ["", "_", "_A", "A_", "Ä", "A-B", "A:B", "A B", "X" * 41])
def test_what_cannot_be_a_suffix_makes_no_source_and_a_warning(suffix: str) -> None:
    there = configured({f"COMMBOX_API_KEY_{suffix}": "the-key"})

    assert there.sources == ()
    assert len(there.warnings) == 1
    assert there.warnings[0].startswith(f"COMMBOX_API_KEY_{suffix} was ignored")
    assert "the-key" not in there.warnings[0]


# What counts as set


@pytest.mark.parametrize("nothing", ["", " ", "\t\n", "${user_config.x}", " ${COMMBOX_API_KEY} ", "${}"])
def test_empty_values_and_unexpanded_placeholders_count_as_unset(nothing: str) -> None:
    assert not is_set(nothing)
    assert named({"COMMBOX_API_KEY": nothing, "COMMBOX_API_KEY_FR": nothing}) == []
    assert values({"COMMBOX_API_KEY": "a-key-000", "COMMBOX_BASE_URL": nothing}, "commbox")[
        "base_url"
    ].startswith("https://api")
    assert (
        values({"SMALLEST_API_KEY": nothing, "ATOMS_API_KEY": "a-key-000"}, "smallest")["api_key"]
        == "a-key-000"
    )
    assert (
        configured({"AUDIENCE_MCP_DEADLINE_S": nothing, "AUDIENCE_MCP_LOG_LEVEL": nothing}).settings
        == Settings()
    )


def test_a_dollar_sign_in_a_key_is_part_of_the_key() -> None:
    assert values({"COMMBOX_API_KEY": "key-a${b}c"}, "commbox")["api_key"] == "key-a${b}c"


def test_keys_lose_surrounding_space() -> None:
    assert values({"COMMBOX_API_KEY": " \tkey-key-000\r\n"}, "commbox")["api_key"] == "key-key-000"


@pytest.mark.parametrize("inside", ["\n", "\r", "\x00", "\t", "\x7f", "é", "\u200b", "\u2028", "“"])
@pytest.mark.parametrize("variable", ["BATCH_REST_API_KEY", "BATCH_PROJECT_KEY", "BATCH_BASE_URL"])
def test_inner_control_and_non_ascii_characters_are_told_by_variable_and_never_by_value(
    variable: str, inside: str
) -> None:
    said = problem({**BATCH, variable: f"sec{inside}ret"}, "batch")

    assert variable in said
    assert "sec" not in said.replace(variable, "")
    assert "ret" not in said.replace(variable, "")


def test_a_bad_shared_key_is_told_at_every_account_that_takes_it() -> None:
    environment = {**BATCH, "BATCH_REST_API_KEY": "a\nb", "BATCH_PROJECT_KEY_FR": "fr-key-000"}

    assert "BATCH_REST_API_KEY" in problem(environment, "batch")
    assert "BATCH_REST_API_KEY" in problem(environment, "batch-fr")


# Misconfigured sources


@pytest.mark.parametrize(
    ("environment", "name", "variable"),
    [
        ({"BATCH_REST_API_KEY": "k-key-000"}, "batch", "BATCH_PROJECT_KEY"),
        ({"BATCH_PROJECT_KEY": "p-key-000"}, "batch", "BATCH_REST_API_KEY"),
        ({"WHOP_API_KEY": "k-key-000", "WHOP_ACCOUNT_ID": " "}, "whop", "WHOP_ACCOUNT_ID"),
        ({"WHOP_ACCOUNT_ID_SHOP": "biz_2"}, "whop-shop", "WHOP_API_KEY_SHOP"),
        ({"BATCH_PROJECT_KEY_FR": "p-key-000"}, "batch-fr", "BATCH_REST_API_KEY_FR"),
    ],
)
def test_a_source_that_lacks_a_required_variable_is_there_and_names_it(
    environment: dict[str, str], name: str, variable: str
) -> None:
    assert named(environment) == [name]
    assert f"Set {variable}" in problem(environment, name)


def test_optional_variables_alone_make_no_source() -> None:
    assert named({"BATCH_BASE_URL": "https://batch.example", "BATCH_MAX_RPS": "3"}) == []


def test_a_fault_of_one_source_leaves_the_others_alone() -> None:
    environment = {"WHOP_API_KEY": "k-key-000", **BATCH, "COMMBOX_API_KEY": "a\nb"}

    assert [(s.name, s.account is not None) for s in configured(environment).sources] == [
        ("commbox", False),
        ("batch", True),
        ("whop", False),
    ]


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://api.example.com/",
        "HTTPS://api.example.com:8443/v1/",
        "http://127.0.0.1:8000/x",
        "http://127.8.8.8",
        "http://localhost:1",
        "http://LOCALHOST",
        "http://[::1]:8000/v1",
        "http://vendor.localhost:8000",
    ],
)
def test_https_anywhere_and_http_on_this_computer_are_good_addresses(url: str) -> None:
    account = source({"COMMBOX_API_KEY": "k-key-000", "COMMBOX_BASE_URL": url}, "commbox").account

    assert account is not None
    assert account.base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://2130706433",
        "http://[::2]",
        "http://notlocalhost",
    ],
)
def test_plain_http_to_another_computer_is_refused(url: str) -> None:
    said = problem({"COMMBOX_API_KEY": "k-key-000", "COMMBOX_BASE_URL": url}, "commbox")

    assert "COMMBOX_BASE_URL must begin with https://" in said


@pytest.mark.parametrize(
    "url",
    [
        "https://user:canary@api.example.com",
        "https://canary@api.example.com",
        "https://:canary@x",
        "https://@x",
    ],
)
def test_an_address_with_a_user_or_password_is_refused_without_showing_it(url: str) -> None:
    said = problem({"COMMBOX_API_KEY": "k-key-000", "COMMBOX_BASE_URL": url}, "commbox")

    assert "COMMBOX_BASE_URL must not hold a user name or password" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.example.com",
        "https://",
        "https:///v1",
        "https://[::1",
        "https://x:99999",
        "https://x:port",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/#x",
        "https://a b.example",
        "https://api.example.com\\@evil.example",
        "//api.example.com",
        "file:///etc/passwd",
        "api example.com",
        "https://[v1.x]",
        "https://%zz",
        "https://a..b",
        "https://.example.com",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    said = problem({"COMMBOX_API_KEY": "k-key-000", "COMMBOX_BASE_URL": url}, "commbox")

    assert "COMMBOX_BASE_URL must be a URL" in said


# The server's own settings


@pytest.mark.parametrize("rate", ["0.01", "1", "2.5", "1000"])
def test_the_pace_of_batch_can_be_set(rate: str) -> None:
    account = source({**BATCH, "BATCH_MAX_RPS": rate}, "batch").account

    assert account is not None
    assert account.rates == {"": [Rate(float(rate))]}


@pytest.mark.parametrize("rate", ["0", "-1", "1001", "nan", "inf", "1e3", "fast", "1,5", "0.001"])
def test_a_bad_pace_is_told_at_the_source(rate: str) -> None:
    assert "BATCH_MAX_RPS must be a number from 0.01 to 1000" in problem(
        {**BATCH, "BATCH_MAX_RPS": rate}, "batch"
    )


def test_the_servers_settings_are_read() -> None:
    environment = {
        "AUDIENCE_MCP_DEADLINE_S": " 12.5 ",
        "AUDIENCE_MCP_CACHE_S": "0",
        "AUDIENCE_MCP_MAX_CHARS": "4000",
        "AUDIENCE_MCP_LOG_LEVEL": "debug",
    }

    assert configured(environment).settings == Settings(12.5, 0, 4000, "DEBUG")


@pytest.mark.parametrize(
    ("variable", "low", "high"),
    [
        ("AUDIENCE_MCP_DEADLINE_S", 1, 3600),
        ("AUDIENCE_MCP_CACHE_S", 0, 86400),
        ("AUDIENCE_MCP_MAX_CHARS", 4000, 1000000),
    ],
)
def test_a_setting_out_of_its_range_is_refused_with_the_range(variable: str, low: int, high: int) -> None:
    for good in (low, high):
        configured({variable: str(good)})
    for bad in (
        str(low - 1),
        str(high + 1),
        "-1",
        "many",
        "1e3",
        "nan",
        "inf",
        "0x10",
        "1_000",
        "٤٥",
        "4000 chars",
    ):
        with pytest.raises(ConfigurationError) as e:
            configured({variable: bad})
        assert str(e.value).startswith(f"{variable} must be a")
        assert str(e.value).endswith(f"number from {low} to {high}.")


def test_the_length_of_answers_is_a_whole_number() -> None:
    with pytest.raises(ConfigurationError, match="whole number"):
        configured({"AUDIENCE_MCP_MAX_CHARS": "5000.5"})


def test_the_log_is_text_unless_json_is_asked_for() -> None:
    assert configured({}).settings.log_format == "text"
    assert configured({"AUDIENCE_MCP_LOG_FORMAT": " JSON "}).settings.log_format == "json"


def test_a_log_level_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError) as e:
        configured({"AUDIENCE_MCP_LOG_LEVEL": "LOUD"})

    assert str(e.value) == "AUDIENCE_MCP_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL."


@pytest.mark.parametrize(
    ("value", "store"),
    [
        ("", None),
        ("${user_config.store}", None),
        ("OFF", "off"),
        (" /srv/audiences ", "/srv/audiences"),
        ("postgresql://u:canary-pass@db/x", "postgresql://u:canary-pass@db/x"),
    ],
)
def test_the_store_is_a_folder_a_database_or_off(value: str, store: str | None) -> None:
    settings = configured({"AUDIENCE_MCP_STORE": value}).settings
    assert settings.store == store
    assert "canary" not in repr(settings)


def test_an_address_that_is_no_supported_database_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="AUDIENCE_MCP_STORE must be a folder, off, or"):
        configured({"AUDIENCE_MCP_STORE": "mysql://root:canary@db/x"})


@pytest.mark.slow
def test_importing_reads_nothing_from_the_environment() -> None:
    modules = [
        "config",
        "catalog.catalog",
        "server.tools",
        "server.stdio",
        "sources.client",
        "vendors.registry",
        "cli",
    ]
    code = f"""
import os
class Watched(dict):
    def __getitem__(self, name): return self.seen(name, super().__getitem__(name))
    def get(self, name, default=None): return self.seen(name, super().get(name, default))
    def __contains__(self, name): return self.seen(name, super().__contains__(name))
    def seen(self, name, value):
        if name.startswith(("AUDIENCE_", "BATCH_", "COMMBOX_", "SMALLEST_", "ATOMS_", "WHOP_")):
            raise SystemExit("read " + name)
        return value
    def __iter__(self): raise SystemExit("read everything")
os.environ = Watched(os.environ)
import {", ".join(f"audience_mcp.{module}" for module in modules)}
print("imported")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **BATCH, "AUDIENCE_MCP_MAX_CHARS": "bad", "AUDIENCE_MCP_LOG_LEVEL": "bad"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.stdout, ran.returncode) == ("imported\n", 0), ran.stderr
