"""The files around the code: what registries, installers and readers take from them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from audience_mcp import __version__
from audience_mcp.config import LOG_LEVELS, Settings
from audience_mcp.vendors.registry import BUILT_IN, built_in_vendors

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT.parent / "shared" / "specs" / "server.schema.json"
SERVER: dict[str, Any] = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
VENDORS = (ROOT / "docs" / "vendors.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"{SCHEMA.name} is kept beside the project and is not here")
def test_server_json_is_valid_by_the_registrys_schema() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    faults = list(Draft7Validator(schema, format_checker=Draft7Validator.FORMAT_CHECKER).iter_errors(SERVER))
    assert not [fault.message for fault in faults]


def test_server_json_says_what_the_schema_cannot_check() -> None:
    package = SERVER["packages"][0]
    assert SERVER["version"] == package["version"] == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert len(SERVER["description"]) <= 100
    assert package["identifier"] == "audience-mcp"
    assert f"mcp-name: {SERVER['name']}" in README


def test_server_json_names_every_variable_as_the_vendors_declare_it() -> None:
    told = {v["name"]: v for v in SERVER["packages"][0]["environmentVariables"]}
    declared = {}
    for vendor in built_in_vendors().values():
        for setting in vendor.settings:
            declared[setting.variables[0]] = (setting.secret, setting.default)
    default = Settings()
    own = {
        "AUDIENCE_MCP_DEADLINE_S": (False, str(default.deadline_s)),
        "AUDIENCE_MCP_CACHE_S": (False, str(default.cache_s)),
        "AUDIENCE_MCP_MAX_CHARS": (False, str(default.max_chars)),
        "AUDIENCE_MCP_LOG_LEVEL": (False, default.log_level),
        "AUDIENCE_MCP_STORE": (False, default.store),
    }
    assert {n: (v.get("isSecret", False), v.get("default")) for n, v in told.items()} == declared | own
    assert told["AUDIENCE_MCP_LOG_LEVEL"]["choices"] == list(LOG_LEVELS)
    # Any one vendor is enough, so that no variable is required by itself.
    assert not any(v["isRequired"] for v in told.values())


def test_the_guide_to_vendors_that_the_readme_leads_to_names_every_variable_with_its_default() -> None:
    assert "(docs/vendors.md)" in README
    for vendor in built_in_vendors().values():
        for setting in vendor.settings:
            for variable in setting.variables:
                assert f"`{variable}`" in VENDORS
            if setting.default is not None:
                assert setting.default in VENDORS


def test_no_adapter_holds_a_comment_that_switches_a_check_off() -> None:
    # What a check finds in an adapter is a question to the kit.
    suppression = re.compile(r"#.*(fmt: *(skip|off)|isort: *skip|noqa|type: *ignore)")
    folder = ROOT / "audience_mcp" / "vendors"
    for name in BUILT_IN:
        assert not suppression.search((folder / f"{name}.py").read_text(encoding="utf-8")), name


def test_no_file_holds_a_path_of_a_machine_or_a_registrys_address() -> None:
    unwanted = re.compile(r"pyp[i]\.org|npmj[s]\.org|pythonhoste[d]|/(?:root|home/[a-z]+)/")
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT).parts
        if path.suffix in (".py", ".md", ".toml", ".json", ".sh") and not any(
            part.startswith(".") or part in ("node_modules", "dist", "build") for part in inside
        ):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not unwanted.search(text), f"{path.relative_to(ROOT)}: {unwanted.search(text)}"
