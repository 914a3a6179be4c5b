"""The MCPB bundle: its manifest, and the server started from it as a host starts it.

The tests of packing need the tools that `python examples/mcpb/build.py --tools` installs. Without them they
are skipped, unless AUDIENCE_MCP_ALL_CLIENTS=1 says that everything must be there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from packaging.requirements import Requirement

from audience_mcp import __version__
from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.server.tools import TOOLS
from tests.support.process import environment
from tests.support.served import text_of
from tests.vendors.guide import key_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
HERE = ROOT / "examples" / "mcpb"
MANIFEST: dict[str, Any] = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
OPTIONS: dict[str, dict[str, Any]] = MANIFEST["user_config"]
ENV: dict[str, str] = MANIFEST["server"]["mcp_config"]["env"]
PINNED = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["devDependencies"][
    "@anthropic-ai/mcpb"
]

_spec = importlib.util.spec_from_file_location("mcpb_build", HERE / "build.py")
assert _spec is not None
assert _spec.loader is not None
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


def missing(reason: str) -> None:
    """Skip, or fail where everything must be there."""
    if os.environ.get("AUDIENCE_MCP_ALL_CLIENTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def tools() -> None:
    if shutil.which("node") is None:
        missing("Node.js is not on the PATH")
    if not build.up_to_date(build.MCPB_STAMP):
        missing("mcpb is not installed: python examples/mcpb/build.py --tools")


# --- the manifest -------------------------------------------------------------------------------------


def test_the_manifest_is_of_the_package_in_its_version() -> None:
    assert MANIFEST["manifest_version"] == "0.4"
    assert MANIFEST["name"] == "audience-mcp"
    assert MANIFEST["version"] == __version__ == build.version()
    assert [tool["name"] for tool in MANIFEST["tools"]] == list(TOOLS)
    assert MANIFEST["compatibility"]["runtimes"] == {"python": ">=3.10"}


OTHER_FIELDS = {"AUDIENCE_MCP_ENV_FILE": "settings_file", "FURTHER_SETTINGS": "further_settings"}


def test_the_form_asks_for_keys_and_accounts_alone_and_hides_the_secret_ones() -> None:
    declared = {setting.variables[0]: setting for _, setting in key_settings()}
    asked = {name: OPTIONS[name.lower()] for name in ENV if name not in OTHER_FIELDS}
    assert set(asked) == set(declared), "python -m tests.vendors.guide renews the manifest"
    assert not any(name.endswith(("_BASE_URL", "_REGION", "_VERSION", "_RPS")) for name in asked)
    for name, setting in declared.items():
        assert asked[name].get("sensitive", False) is setting.secret, name
        assert setting.description in asked[name]["description"]


def test_the_vendors_that_most_people_have_stand_first_and_what_is_for_few_last() -> None:
    assert next(iter(OPTIONS)) == "mailchimp_api_key"
    assert list(OPTIONS)[-2:] == list(OTHER_FIELDS.values())
    assert OPTIONS["settings_file"]["type"] == "file"
    assert OPTIONS["further_settings"]["sensitive"] is True


def test_no_option_is_required_and_each_has_a_default_because_hosts_pass_on_blank_ones_unexpanded() -> None:
    for name, option in OPTIONS.items():
        assert option["required"] is False, name
        assert "default" in option, name
        assert option["type"] in ("string", "file")
        assert option["default"] == ""


def test_every_option_reaches_the_server_as_the_variable_of_its_name() -> None:
    fields = {name: OTHER_FIELDS.get(name, name.lower()) for name in ENV}
    assert {name: f"${{user_config.{field}}}" for name, field in fields.items()} == ENV
    assert list(fields.values()) == list(OPTIONS)


def test_mcpb_is_pinned_exactly_and_the_lock_file_names_no_registry() -> None:
    lock_text = (HERE / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(lock_text)["packages"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", PINNED)
    assert packages["node_modules/@anthropic-ai/mcpb"]["version"] == PINNED
    assert "resolved" not in lock_text
    assert "http" not in lock_text.replace("https://opencollective", "").replace("https://github.com", "")
    assert all("integrity" in package for path, package in packages.items() if path)


# --- the folder ---------------------------------------------------------------------------------------


def test_the_bundle_holds_the_sources_and_what_uv_needs_and_no_tests(tmp_path: Path) -> None:
    build.assemble(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    top = {name for name in files if "/" not in name}
    assert top == {
        "manifest.json",
        "server.py",
        "requirements.txt",
        ".mcpbignore",
        "README.md",
        "LICENSE",
        "pyproject.toml",
    }
    sources = ROOT / "audience_mcp"
    assert files - top == {
        path.relative_to(ROOT).as_posix()
        for path in sources.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert MANIFEST["server"]["entry_point"] in files


def pinned() -> dict[str, list[str]]:
    """The versions of each package in requirements.txt."""
    found: dict[str, list[str]] = {}
    for line in build.REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([\w.-]+)==([\w.]+)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def test_everything_that_the_package_depends_on_is_pinned_by_version_and_hash_without_an_index() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for wanted in map(Requirement, package["dependencies"]):
        assert pinned()[wanted.name.lower()], wanted
        assert all(wanted.specifier.contains(version) for version in pinned()[wanted.name.lower()]), wanted
    text = build.REQUIREMENTS.read_text(encoding="utf-8")
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) == sum(map(len, pinned().values()))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_the_bundles_own_project_leaves_nothing_for_uv_to_resolve() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bundled = tomllib.loads(build.bundled_project())["project"]
    assert (bundled["version"], bundled["dependencies"]) == (__version__, [])
    assert bundled["requires-python"] == package["requires-python"]


@pytest.mark.parametrize(("line", "said"), [(["--tool"], "--tools"), (["a", "b"], "--tools")])
def test_a_build_that_cannot_be_done_as_typed_names_the_options(line: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        build.main(line)


def test_a_build_without_its_tools_names_the_option_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MCPB_STAMP", tmp_path / "absent")
    with pytest.raises(SystemExit, match=r"build\.py --tools"):
        build.main([str(tmp_path / "bundle.mcpb")])


# --- a start that fails --------------------------------------------------------------------------------


def start_bare(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start the bundle's server.py as uv does: by a Python that has none of what the server needs."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "server.py")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env=hosts_environment(**variables),
    )


def test_a_start_without_uv_says_so_in_plain_words(tmp_path: Path) -> None:
    build.assemble(tmp_path)
    done = start_bare(tmp_path, PATH="", UV=str(tmp_path / "no-such-uv"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "could not start: uv was not found" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_start_that_cannot_install_says_so_with_uvs_own_reason_and_leaves_nothing_half_done(
    tmp_path: Path,
) -> None:
    uv = build.uv()
    if uv is None:
        missing("uv is neither on the PATH nor beside this Python")
    build.assemble(tmp_path)
    empty = str(tmp_path / "cache")
    done = start_bare(tmp_path, UV=str(uv), UV_OFFLINE="1", UV_CACHE_DIR=empty)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "installing what it needs failed" in done.stderr
    assert "What uv said:" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / ".dependencies").iterdir()) == []


# --- started as a host does ---------------------------------------------------------------------------


def hosts_environment(**variables: str) -> dict[str, str]:
    """The environment that a host gives: modules beside the program are found, as they are by default."""
    given = environment(**variables)
    given.pop("PYTHONSAFEPATH", None)
    return given


def as_host(folder: Path, given: Mapping[str, str], blank: str) -> StdioServerParameters:
    """What a host starts: `mcp_config` filled in; `blank` is what becomes of options that are not given."""

    def filled(text: str) -> str:
        def value(found: re.Match[str]) -> str:
            if found[1] == "__dirname":
                return str(folder)
            name = found[1].removeprefix("user_config.")
            default = str(OPTIONS[name]["default"])
            return given.get(name) or {"default": default, "empty": "", "literal": found[0]}[blank]

        return re.sub(r"\$\{([^}]+)\}", value, text)

    config = MANIFEST["server"]["mcp_config"]
    env = {name: filled(value) for name, value in config["env"].items()}
    return StdioServerParameters(
        command=config["command"], args=[filled(a) for a in config["args"]], env=hosts_environment(**env)
    )


def without_uv(server: StdioServerParameters, folder: Path) -> StdioServerParameters:
    """The same with this test's Python in place of uv: the file that uv would run, in the same folder."""
    *run, directory, script = server.args
    assert run == ["run", "--directory"]
    assert directory == str(folder)
    return server.model_copy(
        update={"command": sys.executable, "args": [str(folder / script)], "cwd": folder}
    )


def marked(folder: Path) -> str:
    """Give the sources in `folder` a version of their own, to be told from the installed ones by."""
    init = folder / "audience_mcp" / "__init__.py"
    init.write_text(init.read_text(encoding="utf-8").replace(__version__, "99.0.1"), encoding="utf-8")
    return "99.0.1"


async def asked_of_two_vendors(server: StdioServerParameters, version: str) -> None:
    """The server in that version answers with all audiences of Batch and Whop, and knows no other source."""
    async with Client(server) as client:
        assert client.server_info is not None
        assert client.server_info.version == version
        result = await client.call_tool("list_audiences", {"limit": 0})
    answer = result.structured_content
    assert isinstance(answer, dict), result.content
    rows = Sandbox().rows
    assert answer["complete"] is True
    assert {s["source"]: s["audiences"] for s in answer["sources"]} == {
        "batch": len(rows["batch"]),
        "whop": len(rows["whop"]),
    }


def keys(origin: str) -> dict[str, str]:
    """What a user with Batch and Whop fills in."""
    variables = Sandbox().environment(origin)
    mine = {name: value for name, value in variables.items() if name.startswith(("BATCH_", "WHOP_"))}
    further = "; ".join(f"{name}={value}" for name, value in mine.items() if name.lower() not in OPTIONS)
    fields = {name.lower(): value for name, value in mine.items() if name.lower() in OPTIONS}
    return fields | {"further_settings": further}


@pytest.mark.parametrize("blank", ["default", "empty", pytest.param("literal", marks=pytest.mark.slow)])
async def test_the_bundle_starts_whatever_a_host_makes_of_options_left_blank(
    tmp_path: Path, blank: str
) -> None:
    build.assemble(tmp_path)
    version = marked(tmp_path)
    async with serve() as origin:
        server = as_host(tmp_path, keys(origin), blank)
        await asked_of_two_vendors(without_uv(server, tmp_path), version)


@pytest.mark.slow
async def test_with_nothing_filled_in_the_bundle_starts_and_says_what_to_set(tmp_path: Path) -> None:
    build.assemble(tmp_path)
    async with Client(without_uv(as_host(tmp_path, {}, "literal"), tmp_path)) as client:
        assert len((await client.list_tools()).tools) == 2
        result = await client.call_tool("list_audiences", {})
    assert result.is_error
    assert "No vendor is configured yet." in text_of(result)
    assert "Settings > Extensions > Audiences" in text_of(result)
    assert "audience-mcp check" not in text_of(result)


@pytest.mark.slow
async def test_a_settings_file_and_further_accounts_reach_the_bundle(tmp_path: Path) -> None:
    folder, file = tmp_path / "bundle", tmp_path / "keys.env"
    build.assemble(folder)
    async with serve() as origin:
        given = keys(origin)
        file.write_text(
            f"WHOP_API_KEY={given.pop('whop_api_key')}\nWHOP_ACCOUNT_ID={given.pop('whop_account_id')}\n"
        )
        file.chmod(0o600)
        given["settings_file"] = str(file)
        given["further_settings"] += f";\nBATCH_PROJECT_KEY_ACME={given.pop('batch_project_key')}"
        async with Client(without_uv(as_host(folder, given, "literal"), folder)) as client:
            result = await client.call_tool("list_audiences", {"limit": 0})
    answer = result.structured_content
    assert isinstance(answer, dict), result.content
    assert {report["source"] for report in answer["sources"]} == {"batch-acme", "whop"}


@pytest.mark.usefixtures("tools")
def test_the_manifest_passes_mcpbs_own_validation() -> None:
    done = subprocess.run(
        ["node", build.NODE_MODULES / ".bin" / "mcpb", "validate", HERE / "manifest.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    installed = json.loads((build.NODE_MODULES / "@anthropic-ai" / "mcpb" / "package.json").read_text())
    assert installed["version"] == PINNED


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("given", [{}, {"whop_api_key": "key", "further_settings": "A=60"}])
def test_the_server_is_started_here_as_mcpbs_own_code_would_start_it(
    tmp_path: Path, given: dict[str, str]
) -> None:
    script = """
        import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";
        const [manifest, extensionPath, userConfig] = process.argv.slice(1).map((each) => JSON.parse(each));
        const options = { manifest, extensionPath, userConfig, systemDirs: {}, pathSeparator: "/" };
        console.log(JSON.stringify(await getMcpConfigForManifest(options)));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, *map(json.dumps, (MANIFEST, str(tmp_path), given))],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout)
    ours = as_host(tmp_path, given, "default")
    assert (theirs["command"], theirs["args"]) == (ours.command, ours.args)
    assert ours.env == hosts_environment(**theirs["env"])


@pytest.fixture(scope="module")
def bundle(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, packed by build.py."""
    packed = tmp_path_factory.mktemp("bundle") / "audience-mcp.mcpb"
    pack = [sys.executable, str(HERE / "build.py"), str(packed)]
    subprocess.run(pack, capture_output=True, check=True)
    return packed


@pytest.fixture
def unpacked(bundle: Path, tmp_path: Path) -> Path:
    """The bundle, unpacked by mcpb."""
    folder = tmp_path / "unpacked"
    unpack = ["node", str(build.NODE_MODULES / ".bin" / "mcpb"), "unpack", str(bundle), str(folder)]
    subprocess.run(unpack, capture_output=True, check=True)
    return folder


def test_the_packed_bundle_holds_the_sources_and_nothing_that_a_run_leaves_behind(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as packed:
        names = set(packed.namelist())
    assert {
        "manifest.json",
        "server.py",
        "pyproject.toml",
        "requirements.txt",
        "audience_mcp/__main__.py",
    } <= names
    assert not [
        name
        for name in names
        if re.search(r"\.pyc$|\.venv|\.dependencies|uv\.lock|node_modules|tests/", name)
    ]


async def test_the_unpacked_bundle_answers_a_client_with_this_tests_python_in_place_of_uv(
    unpacked: Path,
) -> None:
    version = marked(unpacked)
    async with serve() as origin:
        server = as_host(unpacked, keys(origin), "default")
        await asked_of_two_vendors(without_uv(server, unpacked), version)


async def test_the_unpacked_bundle_is_installed_by_uv_and_answers_a_client(unpacked: Path) -> None:
    uv = build.uv()
    if uv is None:
        missing("uv is neither on the PATH nor beside this Python")
    if not build.up_to_date(build.UV_STAMP):
        missing("uv's cache is not filled for this bundle: python examples/mcpb/build.py --tools")
    version = marked(unpacked)
    async with serve() as origin:
        server = as_host(unpacked, keys(origin), "default")
        assert server.command == "uv"
        # Offline: everything must come from the cache that `--tools` has filled.
        env = {**(server.env or {}), **build.uv_environment(), "UV_OFFLINE": "1"}
        await asked_of_two_vendors(server.model_copy(update={"command": uv, "env": env}), version)
    assert len(list((unpacked / ".dependencies").iterdir())) == 1
