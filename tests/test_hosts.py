"""Our entry in the configuration of the programs whose files we write, on three platforms."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.hosts import files
from audience_mcp.hosts.entries import add_entry, ask_for_keys, make_entry, remove_entry
from audience_mcp.hosts.known import HOSTS, Host, HostError, Variable, config_path, is_cached, start_command

PLATFORMS = ("darwin", "win32", "linux")
STARTS = ["/opt/audience/bin/audience-mcp"]
KEY = Variable("BATCH_REST_API_KEY", "key-0123456789", True, "Batch: REST API key (BATCH_REST_API_KEY)")
ACCOUNT = Variable("WHOP_ACCOUNT_ID", "biz_1", False, "Whop: account (WHOP_ACCOUNT_ID)")
posix_only = pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")

FILES = {
    "claude-desktop": """\
{
    "globalShortcut": "",
    "mcpServers": {
        "filesystem": {"command": "npx", "args": ["-y", "server-filesystem", "/Users/zoë"]}
    },
    "scale": 1.10
}
""",
    "claude-code": """\
{
  "numStartups": 41,
  "projects": {"/p": {"mcpServers": {"audience-mcp": {"command": "x"}}, "history": ["{", "\\\\"]}},
  "mcpServers": {},
  "oauthAccount": {"emailAddress": "a@example.com"}
}
""",
    "cursor": '{"mcpServers": {\n\t"linear": {"url": "https://example.com/mcp"}\n}}',
    "vscode": """\
{
\t// what I use
\t"inputs": [
\t\t{ "type": "promptString", "id": "other-key", "description": "Other", "password": true },
\t],
\t"servers": {
\t\t"other": { "type": "stdio", "command": "other", "env": { "KEY": "${input:other-key}" } }, /* keep */
\t},
}
""",
    "windsurf": '{\n  "mcpServers": {\n    "other": {"command": "npx", "disabled": true}\n  }\n}\n',
    "zed": """\
// Zed settings
{
  "theme": "One Dark",
  "context_servers": {
    "other": {"command": "other", "args": [], "env": {}}, // keep
  },
}
""",
    "gemini-cli": """\
{
  "selectedAuthType": "oauth-personal", // mine
  "mcpServers": {}
}
""",
}

WRITTEN = {name: host for name, host in HOSTS.items() if not host.paste_at}
each_host = pytest.mark.parametrize("host", WRITTEN.values(), ids=list(WRITTEN))
each_platform = pytest.mark.parametrize("platform", PLATFORMS)


def windows(home: Path) -> dict[str, str]:
    return {"APPDATA": str(home / "AppData" / "Roaming"), "LOCALAPPDATA": str(home / "AppData" / "Local")}


def names(text: str, host: Host) -> list[str]:
    from audience_mcp.hosts.jsonc import Document

    document = Document(text, comments=host.comments)
    return list(document.value(document.root)[host.section])


@pytest.mark.parametrize(
    ("name", "platform", "expected"),
    [
        ("claude-desktop", "darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
        ("vscode", "darwin", "Library/Application Support/Code/User/mcp.json"),
        ("vscode", "win32", "AppData/Roaming/Code/User/mcp.json"),
        ("vscode", "linux", ".config/Code/User/mcp.json"),
        *(("cursor", platform, ".cursor/mcp.json") for platform in PLATFORMS),
        *(("windsurf", platform, ".codeium/windsurf/mcp_config.json") for platform in PLATFORMS),
        *(("gemini-cli", platform, ".gemini/settings.json") for platform in PLATFORMS),
        ("zed", "darwin", ".config/zed/settings.json"),
        ("zed", "win32", "AppData/Roaming/Zed/settings.json"),
        ("zed", "linux", ".config/zed/settings.json"),
        *(("claude-code", platform, ".claude.json") for platform in PLATFORMS),
    ],
)
def test_each_host_keeps_its_file_where_its_platform_keeps_such_files(
    tmp_path: Path, name: str, platform: str, expected: str
) -> None:
    environment = windows(tmp_path) if platform == "win32" else {}
    assert config_path(HOSTS[name], platform, tmp_path, environment) == tmp_path / expected
    assert config_path(HOSTS[name], platform, tmp_path, {}) == tmp_path / expected


def test_folders_that_the_environment_moves_are_followed(tmp_path: Path) -> None:
    moved = {"XDG_CONFIG_HOME": str(tmp_path / "x"), "CLAUDE_CONFIG_DIR": str(tmp_path / "c"), "APPDATA": ""}
    assert config_path(HOSTS["vscode"], "linux", tmp_path, moved) == tmp_path / "x/Code/User/mcp.json"
    assert config_path(HOSTS["claude-code"], "darwin", tmp_path, moved) == tmp_path / "c/.claude.json"
    assert (
        config_path(HOSTS["vscode"], "win32", tmp_path, moved)
        == tmp_path / "AppData/Roaming/Code/User/mcp.json"
    )


def packaged(home: Path, package: str) -> Path:
    return home / "AppData/Local/Packages" / package / "LocalCache/Roaming/Claude/claude_desktop_config.json"


def test_a_claude_desktop_that_windows_installed_as_a_package_has_its_file_inside_the_package(
    tmp_path: Path,
) -> None:
    expected = packaged(tmp_path, "Claude_pzs8sxrjxfjjc")
    expected.parents[3].mkdir(parents=True)
    assert config_path(HOSTS["claude-desktop"], "win32", tmp_path, windows(tmp_path)) == expected
    assert "Library" in str(config_path(HOSTS["claude-desktop"], "darwin", tmp_path, windows(tmp_path)))


def test_of_two_packages_the_one_with_a_file_is_meant_and_else_the_user_is_asked_which(
    tmp_path: Path,
) -> None:
    one, two = packaged(tmp_path, "Claude_aaa"), packaged(tmp_path, "Claude_bbb")
    for path in (one, two):
        path.parent.mkdir(parents=True)
    with pytest.raises(HostError, match=r"more than once. Choose one with --file:\n  .*aaa.*\n  .*bbb"):
        config_path(HOSTS["claude-desktop"], "win32", tmp_path, windows(tmp_path))
    two.write_text("{}")
    assert config_path(HOSTS["claude-desktop"], "win32", tmp_path, windows(tmp_path)) == two


@each_host
@each_platform
def test_an_entry_is_added_to_a_real_file_and_taken_out_again_without_a_trace(
    tmp_path: Path, host: Host, platform: str
) -> None:
    path = config_path(host, platform, tmp_path, windows(tmp_path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FILES[host.name].encode())
    variables, questions = ask_for_keys(
        host, "audience-mcp", [Variable(KEY.name, None, True, KEY.description)]
    )
    made = make_entry(host, STARTS, variables)

    before = files.read(path)
    text = add_entry(files.decode(before), host, "audience-mcp", made, questions)
    backup = files.replace(path, before, text, secret=False)
    assert names(text, host)[-1] == "audience-mcp"
    assert backup is not None
    assert backup.read_bytes() == FILES[host.name].encode()

    before = files.read(path)
    files.replace(path, before, remove_entry(files.decode(before), host, "audience-mcp"), secret=False)
    assert path.read_bytes() == FILES[host.name].encode()


@each_host
def test_everything_else_in_the_file_stays_character_for_character(host: Host) -> None:
    text = add_entry(FILES[host.name], host, "audience-mcp", make_entry(host, STARTS, []))
    rest = iter(text)
    assert all(character in rest for character in FILES[host.name])  # what was there, in its order


@each_host
@each_platform
def test_a_host_without_a_file_gets_one_with_its_folders(tmp_path: Path, host: Host, platform: str) -> None:
    path = config_path(host, platform, tmp_path, {})
    text = add_entry("", host, "audience-mcp", make_entry(host, STARTS, []))
    assert files.read(path) is None
    assert files.replace(path, None, text, secret=False) is None
    found = json.loads(path.read_text())
    assert found[host.section]["audience-mcp"]["command"] == STARTS[0]
    assert list(found) == [host.section]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_vs_code_is_told_to_ask_for_keys_and_to_hide_what_is_typed() -> None:
    host = HOSTS["vscode"]
    variables, questions = ask_for_keys(
        host, "audience-mcp", [Variable(KEY.name, None, True, KEY.description), ACCOUNT]
    )
    found = json.loads(add_entry("", host, "audience-mcp", make_entry(host, STARTS, variables), questions))
    assert found == {
        "servers": {
            "audience-mcp": {
                "type": "stdio",
                "command": STARTS[0],
                "args": [],
                "env": {
                    "BATCH_REST_API_KEY": "${input:audience-mcp-BATCH_REST_API_KEY}",
                    "WHOP_ACCOUNT_ID": "biz_1",
                },
            }
        },
        "inputs": [
            {
                "type": "promptString",
                "id": "audience-mcp-BATCH_REST_API_KEY",
                "description": "Batch: REST API key (BATCH_REST_API_KEY)",
                "password": True,
            }
        ],
    }


@pytest.mark.parametrize("name", ["claude-desktop", "claude-code"])
def test_other_hosts_get_no_variables_but_those_that_are_stored(name: str) -> None:
    left = Variable(KEY.name, None, True, KEY.description)
    assert ask_for_keys(HOSTS[name], "audience-mcp", [left]) == ([left], [])
    assert "env" not in make_entry(HOSTS[name], STARTS, [left])
    assert make_entry(HOSTS[name], STARTS, [KEY])["env"] == {"BATCH_REST_API_KEY": "key-0123456789"}


def test_cursor_is_pointed_at_its_own_variables_where_nothing_is_stored() -> None:
    left = Variable(KEY.name, None, True, KEY.description)
    variables, questions = ask_for_keys(HOSTS["cursor"], "audience-mcp", [left])
    made = make_entry(HOSTS["cursor"], STARTS, variables)
    assert made["env"] == {"BATCH_REST_API_KEY": "${env:BATCH_REST_API_KEY}"}
    assert questions == []


def test_installing_again_renews_the_entry_and_keeps_what_the_user_added_to_it() -> None:
    host = HOSTS["cursor"]
    old = {"command": "/old/python", "args": ["-m", "audience_mcp"], "disabled": True, "env": {"A": "1"}}
    text = json.dumps({"mcpServers": {"audience-mcp": old, "z": {}}})
    found = json.loads(add_entry(text, host, "audience-mcp", make_entry(host, STARTS, [KEY])))["mcpServers"]
    assert list(found) == ["audience-mcp", "z"]
    assert found["audience-mcp"] == {
        "command": STARTS[0],
        "args": [],
        "disabled": True,
        "env": {"A": "1", "BATCH_REST_API_KEY": "key-0123456789"},
        "type": "stdio",
    }


@each_host
def test_installing_the_same_twice_changes_nothing_the_second_time(host: Host) -> None:
    variables, questions = ask_for_keys(
        host, "audience-mcp", [Variable(KEY.name, None, True, KEY.description)]
    )
    made = make_entry(host, STARTS, variables)
    once = add_entry(FILES[host.name], host, "audience-mcp", made, questions)
    assert add_entry(once, host, "audience-mcp", made, questions) == once


def test_a_question_that_is_no_longer_needed_is_taken_out_of_vs_code() -> None:
    host = HOSTS["vscode"]
    variables, questions = ask_for_keys(
        host, "audience-mcp", [Variable(KEY.name, None, True, KEY.description)]
    )
    asking = add_entry("", host, "audience-mcp", make_entry(host, STARTS, variables), questions)
    stored = json.loads(add_entry(asking, host, "audience-mcp", make_entry(host, STARTS, [KEY])))
    assert stored["inputs"] == []


def test_a_question_that_another_entry_refers_to_stays() -> None:
    host = HOSTS["vscode"]
    variables, questions = ask_for_keys(host, "a", [Variable(KEY.name, None, True, KEY.description)])
    made = make_entry(host, STARTS, variables)
    both = add_entry(add_entry("", host, "a", made, questions), host, "copy", made)
    assert json.loads(remove_entry(both, host, "a"))["inputs"] == questions


def test_another_server_of_that_name_is_neither_written_over_nor_taken_out() -> None:
    host, text = HOSTS["cursor"], '{"mcpServers": {"stats": {"command": "other-stats"}}}'
    with pytest.raises(HostError, match=r"another server called stats\. Choose a different name with --name"):
        add_entry(text, host, "stats", make_entry(host, STARTS, []))
    with pytest.raises(HostError, match="does not start audience-mcp, so it was not removed"):
        remove_entry(text, host, "stats")


STARTING_US = [
    ["/opt/bin/audience-mcp", "--sandbox"],
    ["C:\\Tools\\audience-mcp.exe"],
    ["/usr/bin/python3.12", "-X", "utf8", "-m", "audience_mcp"],
    ["python", "/opt/bin/audience-mcp"],
    ["uvx", "audience-mcp@latest"],
    ["uvx", "--from", "/src/audience-mcp", "audience-mcp"],
    ["cmd", "/c", "uvx", "audience-mcp"],
    ["uv", "run", "--directory", "/src", "audience-mcp"],
    ["uv", "--directory", "/src", "run", "python", "-m", "audience_mcp"],
    ["uv", "run", "-m", "audience_mcp"],
    ["uv", "tool", "run", "audience-mcp"],
    ["pipx", "run", "audience-mcp[postgres]"],
]
STARTING_OTHERS = [
    ["npx", "-y", "other-server", "--data", "/me/audience-mcp"],
    ["python", "-m", "other", "audience_mcp"],
    ["python", "/opt/audience-mcp/other.py"],
    ["uvx", "--with", "audience-mcp", "other"],
    ["uvx", "audience-mcp-tools"],
    ["docker", "run", "audience-mcp"],
    ["sh", "-c", "audience-mcp-backup"],
    ["pipx", "run"],
]


@pytest.mark.parametrize("words", STARTING_US, ids=" ".join)
def test_an_entry_that_starts_us_is_renewed(words: list[str]) -> None:
    old = {"command": words[0], "args": words[1:], "env": {"A": "1"}}
    text = json.dumps({"mcpServers": {"audience-mcp": old}})
    renewed = add_entry(text, HOSTS["cursor"], "audience-mcp", make_entry(HOSTS["cursor"], STARTS, []))
    assert json.loads(renewed)["mcpServers"]["audience-mcp"]["env"] == {"A": "1"}


@pytest.mark.parametrize("words", STARTING_OTHERS, ids=" ".join)
def test_an_entry_of_another_program_never_hands_its_environment_to_us(words: list[str]) -> None:
    old = {"command": words[0], "args": words[1:], "env": {"OTHER_TOKEN": "secret"}}
    text = json.dumps({"mcpServers": {"audience-mcp": old}})
    with pytest.raises(HostError, match="another server called audience-mcp"):
        add_entry(text, HOSTS["cursor"], "audience-mcp", make_entry(HOSTS["cursor"], STARTS, []))
    with pytest.raises(HostError):
        remove_entry(text, HOSTS["cursor"], "audience-mcp")


@posix_only
def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would never end
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(HostError, match="is not a regular file"):
            files.read(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"mcpServers": {"a": 1,}}', "line 1, column 23: a comma with nothing after it before '}'"),
        ('{\n  "mcpServers": {', "line 2, column 18: no name in quotes where one should be"),
        ("[]", "does not contain a JSON object"),
        ('{"mcpServers": []}', "'mcpServers' is not an object"),
    ],
)
def test_a_file_that_cannot_be_read_in_full_is_refused_with_the_place(text: str, why: str) -> None:
    host = HOSTS["claude-desktop"]
    with pytest.raises(HostError) as e:
        add_entry(text, host, "audience-mcp", make_entry(host, STARTS, []))
    assert why in str(e.value)


def test_a_file_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(HostError, match="not UTF-8"):
        files.decode('{"a": "é"}'.encode("utf-16"))


def test_a_byte_order_mark_stays_and_a_file_of_nothing_counts_as_none() -> None:
    host = HOSTS["cursor"]
    text = add_entry("\ufeff{}", host, "audience-mcp", make_entry(host, STARTS, []))
    assert text.startswith("\ufeff{")
    assert files.decode(b" \r\n") == files.decode(None) == ""


@posix_only
@pytest.mark.parametrize(
    ("before", "secret", "after"),
    [
        (None, True, 0o600),
        (None, False, 0o600),
        (0o644, False, 0o644),
        (0o644, True, 0o600),
        (0o600, False, 0o600),
    ],
)
def test_a_file_is_never_readable_by_more_people_than_before(
    tmp_path: Path, before: int | None, secret: bool, after: int
) -> None:
    path = tmp_path / "mcp.json"
    if before is not None:
        path.write_text("{}")
        path.chmod(before)
    backup = files.replace(path, None if before is None else b"{}", '{"a": 1}', secret=secret)
    for written in filter(None, (path, backup)):
        assert stat.S_IMODE(written.stat().st_mode) == after


def test_every_copy_has_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("0")
    for number in range(3):
        files.replace(path, str(number).encode(), str(number + 1), secret=False)
    copies = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert copies == {"mcp.json": "3", "mcp.json.bak": "0", "mcp.json.bak2": "1", "mcp.json.bak3": "2"}


def test_a_file_that_another_program_has_changed_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("newer")
    with pytest.raises(HostError, match="changed by another program"):
        files.replace(path, b"older", "ours", secret=False)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("mcp.json", "newer")]


@posix_only
def test_a_file_that_is_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / "mcp.json"
    real.write_text("{}")
    link.symlink_to(real)
    files.replace(link, b"{}", '{"a": 1}', secret=False)
    assert link.is_symlink()
    assert real.read_text() == '{"a": 1}'


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(HostError, match="cannot be written"):
        files.replace(tmp_path / "taken" / "mcp.json", None, "{}", secret=False)


@pytest.mark.parametrize(("platform", "script"), [("linux", "audience-mcp"), ("win32", "audience-mcp.exe")])
def test_the_server_is_started_by_the_script_beside_python_or_else_by_python(
    tmp_path: Path, platform: str, script: str
) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.symlink_to("/usr/bin/env")
    assert start_command(str(python), platform) == [str(python), "-m", "audience_mcp"]
    (tmp_path / "bin" / script).touch(mode=0o755)
    assert start_command(str(python), platform) == [str(tmp_path / "bin" / script)]


@pytest.mark.parametrize(
    ("executable", "expected"),
    [
        ("/me/.cache/uv/archive-v0/Xyz/bin/python", True),
        ("/me/.local/share/pipx/.cache/1a2b/bin/python", True),
        ("/me/.local/share/uv/tools/audience-mcp/bin/python", False),
        ("/me/.local/share/pipx/venvs/audience-mcp/bin/python", False),
        ("/usr/bin/python3", False),
    ],
)
def test_a_python_in_a_cache_is_known_for_one(executable: str, expected: bool) -> None:
    assert is_cached(executable) is expected


def test_what_is_no_object_or_has_odd_arguments_is_not_taken_for_ours() -> None:
    host = HOSTS["cursor"]
    for odd in ("audience-mcp", {"command": None, "args": "audience-mcp"}, {"args": [1, None]}):
        text: Any = json.dumps({"mcpServers": {"audience-mcp": odd}})
        with pytest.raises(HostError):
            remove_entry(text, host, "audience-mcp")
