"""The registry: this package's vendors, and those of other packages."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from audience_mcp.config import load_configuration
from audience_mcp.vendors import Vendor
from audience_mcp.vendors.registry import BUILT_IN, built_in_vendors, load_vendors

GOOD = """
from audience_mcp.vendors import Bearer, Fields, Listing, Rate, Setting, Vendor

LISTS = Listing("lists", kind="list", rows="data", fields=Fields("size"), counts="people", ids="[0-9]+")
OTHER = Listing("others", kind="other", rows="data", fields=Fields("size"), counts="people", ids="[0-9]+")
MORE = Listing("more", kind="more", rows="data", fields=Fields("size"), counts="people", ids="[0-9]+")

class Acme(Vendor):
    name = "acme"
    title = "Acme"
    settings = (
        Setting("api_key", ("ACME_KEY",), "Key", required=True, secret=True),
        Setting("base_url", ("ACME_URL",), "Base URL", default="https://acme.example"),
    )
    listings = (LISTS,)
"""
Registered = Callable[..., Mapping[str, Vendor]]


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registered]:
    """The vendors, where a package with this code and these entry points is installed."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(code: str, points: str = "acme = acme_plugin:Acme") -> Mapping[str, Vendor]:
        tmp_path.joinpath("acme_plugin.py").write_text(code)
        info = tmp_path / "acme_plugin-1.0.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugin\nVersion: 1.0\n")
        info.joinpath("entry_points.txt").write_text(f"[audience_mcp.vendors]\n{points}\n")
        load_vendors.cache_clear()
        return load_vendors()

    yield install
    sys.modules.pop("acme_plugin", None)
    load_vendors.cache_clear()


def names_of_ours() -> list[str]:
    return [kind.name for kind in built_in_vendors().values()]


def test_the_four_vendors_are_there_by_name() -> None:
    assert list(load_vendors())[:4] == ["commbox", "batch", "smallest", "whop"]


def test_another_package_adds_a_vendor_that_is_configured_like_any_other(registered: Registered) -> None:
    there = registered(GOOD)

    assert list(there) == [*names_of_ours(), "acme"]
    sources = load_configuration(
        {"ACME_KEY": "key-of-acme", "ACME_KEY_FR": "key-of-acme-fr"}, there.values()
    ).sources
    assert [source.name for source in sources] == ["acme", "acme-fr"]
    account = sources[0].account
    assert account is not None
    assert account.base_url == "https://acme.example"
    assert account.secrets == ("key-of-acme",)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise ValueError('canary')", "ValueError while loading it"),
        ("import no_such_module_at_all", "ModuleNotFoundError while loading it"),
        ("Acme = 7", "TypeError while loading it"),
        ("def Acme(): return 7", "not a subclass"),
        ("class Acme: pass", "not a subclass"),
        ("from audience_mcp.vendors import Vendor as Acme", "does not set name, title, settings"),
        (GOOD + "\n    def __init__(self): raise RuntimeError('canary')", "RuntimeError while loading it"),
        (GOOD.replace('"acme"', '"Ac-me"'), "its name is not lower-case letters and digits"),
        (GOOD.replace('"acme"', "7"), "TypeError while loading it"),
        (GOOD.replace('"acme"', '"batch"'), "the name batch is taken"),
        (GOOD.replace("default=", "description="), "while loading it"),
        (
            GOOD.replace(', default="https://acme.example"', ""),
            "no setting has the role base_url and a default",
        ),
        (GOOD.replace("required=True, ", ""), "no setting is required"),
        (GOOD.replace("    listings = (LISTS,)\n", ""), "it does not set listings"),
        (GOOD.replace("(LISTS,)", "()"), "its listings are not a tuple of at least one Listing"),
        (GOOD.replace("(LISTS,)", '("lists",)'), "its listings are not a tuple of at least one Listing"),
        (GOOD.replace('ids="[0-9]+"', 'ids="[0-9"'), "the ids of 'lists' are not a regular expression"),
        (GOOD.replace('ids="[0-9]+"', "ids=7"), "the ids of 'lists' are not a regular expression"),
        (
            GOOD.replace("(LISTS,)", "(LISTS, OTHER)").replace('kind="other", ', ""),
            "some of its listings have a kind and others have none",
        ),
        (
            GOOD.replace("(LISTS,)", "(OTHER,)").replace('kind="other"', "within=LISTS"),
            "'others' lies within another listing, and has no kind",
        ),
        (
            GOOD.replace("(LISTS,)", "(OTHER, LISTS)").replace('kind="other"', 'kind="other", within=LISTS'),
            "'others' lies within a listing that does not come before it",
        ),
        *(
            (
                GOOD.replace("(LISTS,)", "(LISTS, OTHER, MORE)").replace('kind="more"', bare),
                "'more' can be bare only beside all its other listings, and within none",
            )
            for bare in (
                'kind="more", bare_beside=(LISTS,)',
                'kind="more", bare_beside=(LISTS, OTHER), within=LISTS',
            )
        ),
        (
            GOOD.replace('Setting("api_key"', 'Setting("token"'),
            "no setting has the role api_key, which its auth needs",
        ),
        (
            GOOD + '    auth = Bearer("api_key"), Bearer("oauth")\n',
            "no setting has the role oauth, which its auth needs",
        ),
        (
            GOOD.replace("Bearer, Fields", "Bearer, Exchange, Fields")
            + '    auth = Exchange("/t", {}, roles=("api_key",), optional=("secret",))\n',
            "no setting has the role secret, which its auth needs",
        ),
        (
            GOOD + '    headers = {"X-Region": "{region}"}\n',
            "no setting has the role region, which its header X-Region needs",
        ),
        (
            GOOD + '    error_hints = {"unauthorized": "Check {key}."}\n',
            "no setting has the role key, which its error hint for 'unauthorized' needs",
        ),
        (
            GOOD + '    limits = {"": [Rate(setting="max_rps")]}\n',
            "no setting has the role max_rps, which one of its limits needs",
        ),
        (
            GOOD.replace('Listing("lists"', 'Listing("lists", json={"in": ["{shop}"]}'),
            "no setting has the role shop, which 'lists' needs",
        ),
        (
            GOOD.replace('Listing("lists"', 'Listing("{project}/lists"'),
            "no setting has the role project, which '{project}/lists' needs",
        ),
        (
            GOOD.replace('kind="list"', 'params={"of": "{parent}"}, kind="list"'),
            "no setting has the role parent, which 'lists' needs",
        ),
    ],
)
def test_a_vendor_that_cannot_be_used_is_left_out_and_told_in_the_log(
    code: str, why: str, registered: Registered, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        there = registered(code)

    assert list(there) == names_of_ours()
    assert len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert said.startswith("vendor plug-in 'acme' (acme_plugin:Acme) was left out: ")
    assert why in said
    assert "canary" not in said


def test_a_bad_vendor_does_not_keep_a_good_one_of_the_same_package_out(
    registered: Registered, caplog: pytest.LogCaptureFixture
) -> None:
    there = registered(GOOD, "aaa = acme_plugin:Missing\nacme = acme_plugin:Acme\nagain = acme_plugin:Acme")

    assert list(there) == [*names_of_ours(), "acme"]
    assert [record.getMessage().split(":")[-1] for record in caplog.records] == [
        " AttributeError while loading it",
        " the name acme is taken",
    ]


def test_what_a_plug_in_prints_does_not_reach_stdout_which_is_the_protocols(
    registered: Registered, capsys: pytest.CaptureFixture[str]
) -> None:
    registered("print('hello from a plug-in')\n" + GOOD)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_start_imports_the_adapters_of_what_is_configured_and_no_others() -> None:
    program = """
import sys
from audience_mcp.server.startup import Startup
from audience_mcp.server.tools import build_server
startup = Startup({"WHOP_API_KEY": "made-up-key", "WHOP_ACCOUNT_ID": "biz_1"}, sandbox=False)
startup.start_log()
build_server(startup.configuration, startup.open_catalog)
print(*sorted(name for name in sys.modules if name.startswith("audience_mcp.")))
"""
    ran = [sys.executable, "-c", program]
    done = subprocess.run(ran, capture_output=True, text=True, timeout=60, check=True)
    there = done.stdout.split()
    loaded = {name.rpartition(".")[2] for name in there if name.startswith("audience_mcp.vendors.")}
    assert loaded & set(BUILT_IN) == {"whop"}
    # What only answers need is imported with the catalog.
    late = (
        "audience_mcp.sources",
        "audience_mcp.store.",
        "audience_mcp.catalog.catalog",
        "audience_mcp.catalog.models",
    )
    assert not [name for name in there if name.startswith(late)]
