"""Where variables come from, what is probably a mistake in them, and whom a name in `sources` means."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from audience_mcp.config import Configuration, load_configuration, read_environment
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.vendors.registry import built_in_vendors

posix_only = pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
WHOP = {"WHOP_API_KEY": "key-of-whop", "WHOP_ACCOUNT_ID": "biz_1"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder without a settings file."""
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def written(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def configured(**variables: str) -> Configuration:
    return load_configuration(variables, built_in_vendors())


def problem(configuration: Configuration) -> str:
    (found,) = [source.problem.message for source in configuration.sources if source.problem]
    return found


# The settings file


def test_a_settings_file_holds_variables_with_or_without_export_and_quotes(tmp_path: Path) -> None:
    text = "\ufeff# mine\n\nexport A=1\n  B = \"two words\" \nC='#3'\nD=a=b # c\nE=\n"
    found = read_environment({}, written(tmp_path / "x", text))
    assert {name: found[name] for name in "ABCDE"} == {
        "A": "1",
        "B": "two words",
        "C": "#3",
        "D": "a=b # c",
        "E": "",
    }


def test_the_environment_wins_where_it_is_not_empty(tmp_path: Path) -> None:
    file = written(tmp_path / "x", "A=file\nB=file\nC=file\n")
    found = read_environment({"A": "environment", "B": " ", "C": "${user_config.c}"}, file)
    assert (found["A"], found["B"], found["C"]) == ("environment", "file", "file")


def test_the_file_named_by_the_option_wins_over_the_variable_and_both_over_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, second = tmp_path / "own", written(tmp_path / "second", "A=second\n")
    monkeypatch.setattr("audience_mcp.config.environment.default_env_file", lambda: own)
    assert "A" not in read_environment({})
    written(own, "A=own\n")
    found = read_environment({})
    assert (found["A"], found["AUDIENCE_MCP_ENV_FILE"]) == ("own", str(own))
    assert read_environment({"AUDIENCE_MCP_ENV_FILE": second})["A"] == "second"
    third = written(tmp_path / "third", "A=third\n")
    assert read_environment({"AUDIENCE_MCP_ENV_FILE": second}, third)["A"] == "third"


@posix_only
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_settings_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match=r"can be read by other users.*chmod 600"):
        read_environment({}, written(tmp_path / "x", "A=1\n", mode))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nkey-0123456789\n", "line 2: it is not NAME=value"),
        ("A=1\nA=2\n", "line 2: A is set twice"),
        ("A" * 2**20 + "=1", "larger than 1 MiB"),
    ],
)
def test_a_settings_file_that_is_not_one_is_refused_without_showing_it(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_environment({}, written(tmp_path / "x", text))
    assert said in str(caught.value)
    assert "0123456789" not in str(caught.value)


def test_a_settings_file_that_is_missing_or_no_utf8_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_environment({"AUDIENCE_MCP_ENV_FILE": str(tmp_path / "none")})
    (tmp_path / "utf16").write_text("A=1", encoding="utf-16")
    (tmp_path / "utf16").chmod(0o600)
    with pytest.raises(ConfigurationError, match="save it as UTF-8"):
        read_environment({}, str(tmp_path / "utf16"))


# Files of one value


def test_any_variable_may_come_from_a_file_of_its_own(tmp_path: Path) -> None:
    file = written(tmp_path / "key", "key-of-acme\n", 0o644)
    found = configured(WHOP_API_KEY_ACME_FILE=file, WHOP_ACCOUNT_ID="biz_1")
    (source,) = found.sources
    assert source.account is not None
    assert (source.name, source.account.values["api_key"]) == ("whop-acme", "key-of-acme")
    assert source.account.variables["api_key"] == "WHOP_API_KEY_ACME_FILE"
    assert found.warnings == ()


def test_a_variable_and_its_file_together_are_an_error(tmp_path: Path) -> None:
    file = written(tmp_path / "key", "key-of-file")
    assert "WHOP_API_KEY and WHOP_API_KEY_FILE are both set" in problem(
        configured(**WHOP, WHOP_API_KEY_FILE=file)
    )


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read: No such file"), (" \n", "the file is empty")]
)
def test_a_file_without_a_value_is_an_error_of_its_source(
    tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    text = problem(configured(WHOP_API_KEY_FILE=str(file), WHOP_ACCOUNT_ID="biz_1"))
    assert "WHOP_API_KEY_FILE" in text
    assert said in text


def test_a_setting_of_ours_may_come_from_a_file_too(tmp_path: Path) -> None:
    file = written(tmp_path / "token", "t" * 32 + "\n")
    assert read_environment({"AUDIENCE_MCP_HTTP_TOKEN_FILE": file})["AUDIENCE_MCP_HTTP_TOKEN"] == "t" * 32
    both = {"AUDIENCE_MCP_HTTP_TOKEN_FILE": file, "AUDIENCE_MCP_HTTP_TOKEN": "x"}
    with pytest.raises(ConfigurationError, match=r"AUDIENCE_MCP_HTTP_TOKEN and .* are both set"):
        read_environment(both)
    with pytest.raises(ConfigurationError, match=r"AUDIENCE_MCP_HTTP_TOKEN_FILE: .* cannot be read"):
        read_environment({"AUDIENCE_MCP_HTTP_TOKEN_FILE": str(tmp_path / "none")})


def test_a_key_in_place_of_the_path_of_its_file_is_not_shown() -> None:
    key = "pat-eu1-1c0ffee1-9999"
    text = problem(configured(WHOP_API_KEY_FILE=key, WHOP_ACCOUNT_ID="biz_1"))
    assert "WHOP_API_KEY_FILE: the file that it names cannot be read" in text
    assert key not in text
    with pytest.raises(ConfigurationError) as e:
        read_environment({"AUDIENCE_MCP_HTTP_TOKEN_FILE": "t" * 40})
    assert "t" * 40 not in str(e.value)


def test_a_home_folder_that_does_not_exist_is_a_sentence_which_does_not_show_it() -> None:
    path = "~no-such-user-1c0ffee1/key"
    said = "names a home folder that does not exist"
    text = problem(configured(WHOP_API_KEY_FILE=path, WHOP_ACCOUNT_ID="biz_1"))
    assert text.count(said) == 1
    assert "WHOP_API_KEY_FILE" in text
    assert path not in text
    for variables, env_file in (
        ({"AUDIENCE_MCP_HTTP_TOKEN_FILE": path}, None),
        ({"AUDIENCE_MCP_ENV_FILE": path}, None),
        ({}, path),
    ):
        with pytest.raises(ConfigurationError, match=said) as e:
            read_environment(variables, env_file)
        assert path not in str(e.value)


def test_a_clients_name_for_people_may_come_from_a_file(tmp_path: Path) -> None:
    file = written(tmp_path / "label", "Acme GmbH\n")
    keys = {"WHOP_API_KEY_ACME": "key-of-whop", "WHOP_ACCOUNT_ID": "biz_1"}
    found = configured(**read_environment({**keys, "AUDIENCE_MCP_LABEL_ACME_FILE": file}))
    assert [source.label for source in found.sources] == ["Acme GmbH"]
    assert found.warnings == ()
    found = configured(**read_environment({**keys, "AUDIENCE_MCP_LABEL_NOBODY_FILE": file}))
    assert found.warnings == ("AUDIENCE_MCP_LABEL_NOBODY names a client that no source has.",)


# Mistakes


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "MAILCHIMP_APIKEY",
            "MAILCHIMP_APIKEY is not a variable of Mailchimp. Did you mean MAILCHIMP_API_KEY?",
        ),
        ("BREVO_KEY", "Did you mean BREVO_API_KEY?"),
        ("BATCH_API_KEY", "Did you mean BATCH_REST_API_KEY?"),
        ("AUDIENCE_MCP_DEADLINE", "is not a setting, and was ignored. Did you mean AUDIENCE_MCP_DEADLINE_S?"),
        ("AUDIENCE_MCP_NONSENSE", "AUDIENCE_MCP_NONSENSE is not a setting, and was ignored."),
        ("AUDIENCE_MCP_LABEL_NOBODY", "AUDIENCE_MCP_LABEL_NOBODY names a client that no source has."),
    ],
)
def test_a_name_that_is_nearly_one_is_said_and_the_value_is_not(name: str, said: str) -> None:
    (warning,) = configured(**{name: "secret-0123456789"}).warnings
    assert said in warning
    assert "0123456789" not in warning


@pytest.mark.parametrize(
    "name", ["BATCH_SIZE", "META_TITLE", "SEGMENT_WRITE_KEY", "WHOP_API_KEY_ACME", "BATCH_MAX_RPS_FR", "PATH"]
)
def test_other_programs_variables_are_no_mistakes(name: str) -> None:
    assert configured(**{name: "some-value-012"}).warnings == ()


def test_no_mistake_is_seen_beside_the_variable_itself() -> None:
    assert configured(**WHOP, WHOP_APIKEY="some-value-012").warnings == ()


def test_quotes_around_a_value_are_taken_off_and_said() -> None:
    found = configured(COMMBOX_API_KEY='"key-of-commbox"')
    (source,) = found.sources
    assert source.account is not None
    assert source.account.values["api_key"] == "key-of-commbox"
    assert found.warnings == ("COMMBOX_API_KEY has quotes around its value; they were taken off.",)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Bearer key-of-commbox", "COMMBOX_API_KEY begins with 'Bearer ': set the key alone."),
        ("key of commbox", "COMMBOX_API_KEY has a space inside"),
        ("your key", "COMMBOX_API_KEY still holds a placeholder"),
        ("YOUR_API_KEY", "COMMBOX_API_KEY still holds a placeholder"),
        ("<your-key>", "COMMBOX_API_KEY still holds a placeholder"),
        ("changeme", "COMMBOX_API_KEY still holds a placeholder"),
        ("sk_...", "COMMBOX_API_KEY still holds a placeholder"),
    ],
)
def test_what_cannot_be_a_key_is_not_sent(value: str, said: str) -> None:
    found = configured(COMMBOX_API_KEY=value)
    assert said in problem(found)
    assert found.sources[0].account is None


@pytest.mark.parametrize(
    ("variable", "good", "bad"),
    [
        ("KLAVIYO_API_KEY", "pk_0123456789", "site-id-0123"),
        ("SMALLEST_API_KEY", "sk_0123456789", "0123456789abcdef"),
        ("SENDGRID_API_KEY", "SG.0123456789", "sg-0123456789"),
        ("BREVO_API_KEY", "xkeysib-0123456789", "xsmtpsib-0123456789"),
    ],
)
def test_a_key_that_does_not_look_like_its_vendors_is_said_and_sent_all_the_same(
    variable: str, good: str, bad: str
) -> None:
    assert configured(**{variable: good}).warnings == ()
    found = configured(**{variable: bad})
    (warning,) = found.warnings
    assert warning.startswith(f"{variable} does not begin with ")
    assert bad not in warning
    assert found.sources[0].account is not None


def test_an_imitation_on_this_machine_has_keys_of_its_own() -> None:
    assert configured(KLAVIYO_API_KEY="made-up-key", KLAVIYO_BASE_URL="http://127.0.0.1:1").warnings == ()


# Clients and names in `sources`


AGENCY = {
    "BATCH_REST_API_KEY": "key-of-batch",
    "BATCH_PROJECT_KEY_ACME": "project-of-acme",
    "BATCH_PROJECT_KEY_ZOO": "project-of-zoo",
    "WHOP_API_KEY_ACME": "whop-of-acme",
    "WHOP_ACCOUNT_ID_ACME": "biz_acme",
    "SMALLEST_API_KEY": "sk_of-smallest",
    "AUDIENCE_MCP_LABEL_ACME": "Acme GmbH",
}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("batch", ["batch-acme", "batch-zoo"]),
        ("acme", ["batch-acme", "whop-acme"]),
        ("ACME ", ["batch-acme", "whop-acme"]),
        ("Acme GmbH", ["batch-acme", "whop-acme"]),
        ("*-acme", ["batch-acme", "whop-acme"]),
        ("batch-*", ["batch-acme", "batch-zoo"]),
        ("*", ["batch-acme", "batch-zoo", "smallest", "whop-acme"]),
        ("whop-acme", ["whop-acme"]),
        ("smallest.ai", ["smallest"]),
        ("Smallest", ["smallest"]),
        ("*c*e", ["batch-acme", "whop-acme"]),
        ("b*-*m*", ["batch-acme"]),
        ("gmail", []),
        ("*-nobody", []),
        ("acme*acme", []),
        ("*acme*acme", []),
    ],
)
def test_a_name_means_a_vendor_a_source_a_client_or_a_pattern(name: str, meant: list[str]) -> None:
    assert sorted(source.name for source in configured(**AGENCY).find_sources(name)) == meant


def test_a_pattern_of_many_stars_is_answered_as_soon_as_any_other() -> None:
    found = configured(**{"BATCH_REST_API_KEY": "key-of-batch", f"BATCH_PROJECT_KEY_{'A' * 40}": "project-1"})
    before = time.process_time()
    assert found.find_sources("*a" * 20 + "*b") == []  # a regular expression would take days
    assert len(found.find_sources("*a" * 20 + "*")) == 1
    assert time.process_time() - before < 10


def test_a_source_knows_its_client_and_the_clients_name_for_people() -> None:
    known = {s.name: (s.client, s.label) for s in configured(**AGENCY).sources}
    assert known == {
        "batch-acme": ("acme", "Acme GmbH"),
        "batch-zoo": ("zoo", None),
        "whop-acme": ("acme", "Acme GmbH"),
        "smallest": (None, None),
    }


def test_a_suffix_that_is_a_vendors_name_is_no_client() -> None:
    found = configured(
        WHOP_API_KEY_BREVO="whop-of-brevo", WHOP_ACCOUNT_ID_BREVO="biz_b", BREVO_API_KEY="key-of-brevo"
    )
    assert [source.name for source in found.find_sources("brevo")] == ["brevo"]
    assert {source.client for source in found.sources} == {None}
    assert any("'brevo' still means that vendor" in warning for warning in found.warnings)


@pytest.mark.parametrize("suffix", ["ALL", "ANY", "NONE", "NULL", "UNDEFINED"])
def test_words_with_a_meaning_of_their_own_are_no_suffixes(suffix: str) -> None:
    text = problem(configured(**{f"COMMBOX_API_KEY_{suffix}": "key-of-commbox"}))
    assert f"'{suffix.lower()}' cannot be the suffix of an account, as it means " in text
