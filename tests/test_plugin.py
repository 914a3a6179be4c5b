"""Packages that add a vendor, each in a fresh environment, with the server started there.

By default a package is put beside the test environment's own packages as an installer would leave it, which
needs no network. Where AUDIENCE_MCP_ALL_CLIENTS is 1, pip installs this package and the example as well.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.vendors.registry import GROUP
from tests.support.process import Spoken, environment
from tests.support.served import FOUR

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "vendor_plugin"
MODULE = "audience_mcp_examplelists"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


api = loaded(EXAMPLE / "tests" / "example_lists_api.py")


class Environment:
    """A fresh virtual environment. Where `alone`, nothing is in it but pip."""

    def __init__(self, place: Path, *, alone: bool = False) -> None:
        venv.create(place, with_pip=alone, symlinks=os.name != "nt")
        windows = os.name == "nt"
        self.python = place / ("Scripts/python.exe" if windows else "bin/python")
        self.packages = next(place.glob("Lib/site-packages" if windows else "lib/python*/site-packages"))
        if not alone:
            # As code: what a plain line adds is not searched for the editable installs that are in it.
            lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
            self.packages.joinpath("_beside.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def put(self, name: str, points: str) -> None:
        """Say that a package of this name is installed, with these entry points."""
        info = self.packages / f"{name.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        info.joinpath("entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")

    @asynccontextmanager
    async def server(self, told: list[str], **variables: str) -> AsyncIterator[Spoken]:
        """`python -m audience_mcp` there; when it has ended, `told` has the lines of its stderr."""
        command = [str(self.python), "-m", "audience_mcp"]
        with anyio.fail_after(60):
            async with await anyio.open_process(
                command, env=environment(**variables), cwd=self.packages
            ) as process:
                try:
                    spoken = Spoken(process)
                    await spoken.initialize()
                    yield spoken
                    assert await spoken.end() == 0
                    assert process.stderr is not None
                    told += b"".join([part async for part in process.stderr]).decode().splitlines()
                finally:
                    if process.returncode is None:
                        process.kill()

    async def listed(self, **variables: str) -> tuple[dict[str, Any], list[str]]:
        """The totals by source, and what is in the log."""
        told: list[str] = []
        async with self.server(told, **variables) as server:
            answer = await server.ask("tools/call", name="list_audiences", arguments={"limit": 0})
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in server.lines)
        result = answer["result"]
        assert not result.get("isError"), result
        return {report["source"]: report for report in result["structuredContent"]["sources"]}, told


def as_files(place: Path, example: Path) -> Environment:
    """The example as an installer would leave it, its entry points as its own pyproject.toml has them."""
    there = Environment(place)
    project = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(example / MODULE, there.packages / MODULE)
    points = project["entry-points"][GROUP]
    there.put(project["name"], "\n".join(f"{name} = {value}" for name, value in points.items()))
    return there


def by_pip(place: Path, example: Path) -> Environment:
    """This package and the example, installed together as a user would, with nothing else there."""
    if os.environ.get("AUDIENCE_MCP_ALL_CLIENTS") != "1":
        pytest.skip("pip may need the network: set AUDIENCE_MCP_ALL_CLIENTS=1")
    there = Environment(place, alone=True)
    ours = f"audience-mcp[testing] @ {ROOT.as_uri()}"
    pip = [str(there.python), "-m", "pip", "install", "-q", ours, str(example)]
    subprocess.run(pip, check=True, timeout=600)
    return there


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that nothing is built or cached beside the files."""
    there = tmp_path_factory.mktemp("example") / "vendor_plugin"
    shutil.copytree(EXAMPLE, there, ignore=shutil.ignore_patterns("__pycache__", ".*", "*.egg-info"))
    return there


@pytest.fixture(scope="module", params=[as_files, by_pip], ids=lambda way: way.__name__)
def there(
    request: pytest.FixtureRequest, example: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    made: Environment = request.param(tmp_path_factory.mktemp("environment"), example)
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


@pytest.mark.slow
async def test_the_server_lists_the_vendor_of_a_plug_in_beside_its_own(there: Environment) -> None:
    rows, made_up = api.made_up_lists(), Sandbox(vendors=FOUR)
    async with serve(made_up) as origin, api.serve(rows) as served:
        sources, told = await there.listed(**made_up.environment(origin), **served.environment)
    assert list(sources) == ["commbox", "batch", "smallest", "whop", "examplelists"]
    assert all(report["complete"] for report in sources.values())
    report = sources["examplelists"]
    assert report["audiences"] == len(rows) == 230
    assert report["sum_of_sizes"] == sum(row["members"] or 0 for row in rows)
    assert report["unknown_sizes"] == sum(row["members"] is None for row in rows)
    assert told == []


@pytest.mark.slow
async def test_an_audience_of_a_plug_in_is_found_by_its_ref(there: Environment) -> None:
    async with api.serve(api.made_up_lists()) as served, there.server([], **served.environment) as server:
        given = {"audience": "examplelists:lst_4101"}
        answer = await server.ask("tools/call", name="get_audience", arguments=given)
    (audience,) = answer["result"]["structuredContent"]["audiences"]
    assert (audience["name"], audience["size"], audience["type"]) == ("Trial users 1", 37, "dynamic")
    assert [asked.path for asked in served.asked] == ["/v1/lists/lst_4101"]


@pytest.mark.slow
async def test_a_plug_in_is_named_where_nothing_is_set(there: Environment) -> None:
    async with there.server([]) as server:
        answer = await server.ask("tools/call", name="list_audiences", arguments={})
    assert answer["result"]["isError"]
    assert "examplelists" in answer["result"]["content"][0]["text"]


@pytest.mark.slow
def test_the_example_passes_its_own_tests_in_that_environment(there: Environment, example: Path) -> None:
    done = subprocess.run(
        [there.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", example / "tests"],
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        cwd=example.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


WHOLE = (EXAMPLE / MODULE / "__init__.py").read_text(encoding="utf-8")
BROKEN = {
    "raises": ("raise ValueError('told to nobody')", "ValueError while loading it"),
    "is no Python": ("class ExampleLists(", "SyntaxError while loading it"),
    "exits": ("import sys; sys.exit('bye')", "SystemExit while loading it"),
    "needs what is not there": ("import no_such_module_at_all", "ModuleNotFoundError while loading it"),
    "has no name": (WHOLE.replace('    name = "examplelists"\n', ""), "it does not set name"),
    "has a name that is taken": (WHOLE.replace('"examplelists"', '"batch"'), "the name batch is taken"),
    "has no listing": (WHOLE.replace("    listings = (", "    lists = ("), "it does not set listings"),
    "needs a setting that it has not": (
        WHOLE.replace('"{api_key}")', '"{token}")'),
        "no setting has the role token, which its auth needs",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_plug_in_is_named_in_the_log_and_left_out_while_the_server_works(
    kind: str, fresh: Environment
) -> None:
    code, why = BROKEN[kind]
    fresh.packages.joinpath("broken_plugin.py").write_text(code, encoding="utf-8")
    fresh.put("broken-plugin", "broken = broken_plugin:ExampleLists")
    made_up = Sandbox(vendors=FOUR)
    async with serve(made_up) as origin:
        sources, told = await fresh.listed(**made_up.environment(origin), EXAMPLELISTS_API_KEY="k")
    assert list(sources) == ["commbox", "batch", "smallest", "whop"]
    assert all(report["complete"] for report in sources.values())
    (line,) = told
    assert line.endswith(f"vendor plug-in 'broken' (broken_plugin:ExampleLists) was left out: {why}")


@pytest.mark.slow
async def test_a_broken_plug_in_keeps_no_other_plug_in_out(fresh: Environment) -> None:
    shutil.copytree(EXAMPLE / MODULE, fresh.packages / MODULE)
    fresh.put("audience-mcp-examplelists", f"examplelists = {MODULE}:ExampleLists")
    fresh.packages.joinpath("broken_plugin.py").write_text("raise ValueError", encoding="utf-8")
    fresh.put("broken-plugin", "broken = broken_plugin:Broken")
    async with api.serve(api.made_up_lists()) as served:
        sources, told = await fresh.listed(**served.environment)
    assert list(sources) == ["examplelists"]
    assert len(told) == 1


@pytest.mark.slow
def test_neither_the_server_nor_the_command_line_imports_the_kit_for_authors_or_pytest() -> None:
    code = (
        "import sys, audience_mcp.server.stdio, audience_mcp.server.http, audience_mcp.cli.app\n"
        "print(sorted({'pytest', 'audience_mcp.testing'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
