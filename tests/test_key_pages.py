"""docs/keys: a page a vendor on how its key is made, and the ways by which people get there."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from audience_mcp.cli.key_pages import find_key_page
from audience_mcp.config import Account
from audience_mcp.sources.responses import describe_status
from audience_mcp.vendors import Fields, Listing, Setting, Vendor
from audience_mcp.vendors.key_pages import DOCUMENTATION, key_page, point_to_key_page
from audience_mcp.vendors.registry import BUILT_IN, built_in_vendors
from tests.vendors.guide import KEYS, key_pages

ROOT = Path(__file__).parents[1]
VENDORS = built_in_vendors()
PAGES = {name: (KEYS / f"{name}.md").read_text(encoding="utf-8") for name in VENDORS}


class PlugIn(Vendor):
    """A vendor of another package."""

    name = "plugin"
    title = "Plug-in"
    settings = (
        Setting("api_key", ("PLUGIN_API_KEY",), "Key", required=True, secret=True),
        Setting("base_url", ("PLUGIN_BASE_URL",), "Base URL", default="https://plugin.example"),
    )
    listings = (Listing("list", rows="rows", fields=Fields(), counts="people", ids="[0-9]+"),)


class Documented(PlugIn):
    """One that says where its keys are made."""

    key_page = "https://plugin.example/keys"


def refused(vendor: Vendor, status: int) -> str:
    variables = {setting.role: setting.variables[0] for setting in vendor.settings}
    return describe_status(status, Account(vendor.name, vendor, {}, variables))[1]


def test_the_heads_of_the_pages_and_their_list_are_what_the_adapters_declare() -> None:
    for path, text in key_pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m tests.vendors.guide"
    assert {path.name for path in KEYS.iterdir()} == {"README.md", *(f"{name}.md" for name in BUILT_IN)}


def test_the_address_that_programs_give_is_the_projects_documentation_and_a_page_that_is_there() -> None:
    (address,) = re.findall(r'^Documentation = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert address == DOCUMENTATION
    for vendor in VENDORS.values():
        folder, _, path = key_page(vendor).partition("/docs/")
        assert f"{folder}/docs" == DOCUMENTATION
        assert (ROOT / "docs" / path).is_file(), path


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: str(vendor.name))
def test_a_refused_key_is_told_with_the_page_and_other_failures_without(vendor: Vendor) -> None:
    for status in (401, 403):
        assert refused(vendor, status).endswith(f" How to make a key: {key_page(vendor)}")
    for status in (402, 404, 429, 500):
        assert "How to make a key" not in refused(vendor, status)


def test_a_plug_in_has_the_page_that_it_names_and_none_otherwise() -> None:
    assert refused(Documented(), 401).endswith(" How to make a key: https://plugin.example/keys")
    assert point_to_key_page(PlugIn()) == ""
    assert refused(PlugIn(), 401).endswith("refused the key.")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_real_variables_and_files_and_the_day_on_which_it_was_read(name: str) -> None:
    text = PAGES[name]
    known = {variable for s in VENDORS[name].settings for variable in s.variables}
    named = set(re.findall(r"`([A-Z][A-Z0-9]+_[A-Z_]+)`", text.partition("<!-- end -->")[2]))
    assert named <= known | {"BATCH_PROJECT_KEY_FR", "OPENAI_API_KEY"}
    assert named >= {s.variables[0] for s in VENDORS[name].settings if s.required}
    for link in re.findall(r"\]\(([^:)]+)\)", text):
        assert (KEYS / link).is_file(), link
    (day,) = re.findall(r"^\*\*Read\*\* on (\d{4}-\d\d-\d\d): ", text, re.M)
    assert date.fromisoformat(day)


@pytest.mark.parametrize("name", PAGES)
def test_on_a_terminal_a_page_has_no_marks_and_leads_to_the_vendor(name: str) -> None:
    page = find_key_page(name)
    assert page is not None
    assert page.text.startswith(f"{VENDORS[name].title}: how to get a key\n\nWho. ")
    assert not re.search(r"<!--|[*`]|\]\(", page.text)
    assert page.address.startswith("https://")
    assert page.address in PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_a_terminal_shows_the_steps_and_not_the_variables_that_are_asked_next_nor_where_a_page_was_read(
    name: str,
) -> None:
    page = find_key_page(name)
    assert page is not None
    steps = re.findall(r"^\d+\. ", PAGES[name], re.M)
    assert re.findall(r"^\d+\. ", page.text, re.M) == steps
    assert "If it is refused. " in page.text
    assert not re.search(r"^(Read on |- [A-Z_]+ )", page.text, re.M)
