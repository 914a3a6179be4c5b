"""Packs the server as an MCPB bundle, which Claude Desktop installs with a double click.

    python examples/mcpb/build.py --tools     installs the pinned `mcpb` (needs npm), once
    python examples/mcpb/build.py [FILE]      packs to FILE, or to examples/mcpb/dist/
    python examples/mcpb/build.py --lock      writes requirements.txt anew (needs uv)

The bundle holds the sources and requirements.txt: everything that they depend on, by version and hash.
The host's uv installs it when the bundle is first started.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NODE_MODULES = HERE / "node_modules"
MCPB_STAMP = NODE_MODULES / ".mcpb-installed"
UV_STAMP = NODE_MODULES / ".uv-cached"
REQUIREMENTS = HERE / "requirements.txt"
COMPILE = (
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--upgrade",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--python-version",
    "3.10",
)
OPTIONS = "Options: --tools (once), --lock, or the file to write."


def version() -> str:
    """The package's version, from the one place where it is written."""
    text = (ROOT / "audience_mcp" / "__init__.py").read_text(encoding="utf-8")
    return str(re.findall(r'^__version__ = "(.+)"$', text, re.M)[0])


def project() -> str:
    """The package's own [project] table with its version filled in, and nothing else."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = re.findall(r"^\[project\]\n.*?(?=^\[)", text, re.M | re.S)[0]
    return re.sub(r'^dynamic = \["version"\]$', f'version = "{version()}"', table, flags=re.M).rstrip() + "\n"


def bundled_project() -> str:
    """The bundle's pyproject.toml: which Python uv is to take, and no dependencies.

    Those are in requirements.txt with their hashes, and installed by server.py.
    """
    requires = re.findall(r'^requires-python = ".+"$', project(), re.M)[0]
    return (
        f'[project]\nname = "audience-mcp-bundle"\nversion = "{version()}"\n{requires}\ndependencies = []\n'
    )


def assemble(folder: Path) -> None:
    """Put into `folder` everything that the bundle holds."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("manifest.json", "server.py", "requirements.txt", ".mcpbignore"):
        shutil.copy(HERE / name, folder)
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "pyproject.toml").write_text(bundled_project(), encoding="utf-8")
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "audience_mcp", folder / "audience_mcp", ignore=unwanted)


def mcpb(*arguments: str) -> None:
    """Run the pinned `mcpb`, never one that npx would fetch. Raises FileNotFoundError, CalledProcessError."""
    _run(_program("npx"), "--no-install", "@anthropic-ai/mcpb", *arguments)


def pack(bundle: Path) -> None:
    """Assemble and pack. The manifest must say the package's version."""
    written = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))["version"]
    if written != version():
        raise SystemExit(
            f"manifest.json has the version {written}, the package {version()}: make them equal."
        )
    if not up_to_date(MCPB_STAMP):
        raise SystemExit(
            "mcpb is not installed. Run `python examples/mcpb/build.py --tools` once (needs npm)."
        )
    bundle = bundle.resolve()
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        assemble(Path(folder))
        mcpb("pack", folder, str(bundle))


def uv() -> str | None:
    """The uv on the PATH, or beside this Python."""
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def uv_environment() -> dict[str, str]:
    """What makes uv take packages from our own cache and this Python, and download no other."""
    cache = str(NODE_MODULES / ".uv-cache")
    return {"UV_CACHE_DIR": cache, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}


def up_to_date(stamp: Path) -> bool:
    """Whether the part with this stamp is installed as it should be now."""
    return stamp.is_file() and stamp.read_text() == _wanted(stamp)


def install_tools() -> None:
    """Install `mcpb`, and where there is uv fill its cache, so that the tests need no network.

    What is up to date is left alone. Raises FileNotFoundError, CalledProcessError.
    """
    if not up_to_date(MCPB_STAMP):
        _run(_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        MCPB_STAMP.write_text(_wanted(MCPB_STAMP))
    if (program := uv()) and not up_to_date(UV_STAMP):
        with tempfile.TemporaryDirectory() as folder:
            assemble(Path(folder))
            install = ("pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:")
            target = ("--target", str(Path(folder) / "installed"), "-r", str(REQUIREMENTS))
            _run(program, *install, "--python", sys.executable, *target, **uv_environment())
        UV_STAMP.write_text(_wanted(UV_STAMP))


def lock() -> None:
    """Write requirements.txt anew: the newest versions that fit, for every platform and Python."""
    program = uv()
    if program is None:
        raise FileNotFoundError("uv is not on the PATH: install uv")
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "pyproject.toml"
        wanted.write_text(project(), encoding="utf-8")
        _run(program, *COMPILE, str(wanted), "-o", str(REQUIREMENTS))


def _wanted(stamp: Path) -> str:
    is_made_of = (
        (HERE / "package-lock.json").read_text()
        if stamp == MCPB_STAMP
        else REQUIREMENTS.read_text() + sys.version
    )
    return hashlib.sha256(is_made_of.encode()).hexdigest()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not on the PATH: install Node.js")
    return found


def _run(*command: str, **variables: str) -> None:
    subprocess.run(command, cwd=HERE, check=True, stdin=subprocess.DEVNULL, env=os.environ | variables)


def main(arguments: list[str]) -> None:
    """The command line."""
    try:
        if arguments == ["--tools"]:
            install_tools()
        elif arguments == ["--lock"]:
            lock()
        elif len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
            raise SystemExit(f"{Path(__file__).name}: {' '.join(arguments)} is no option. {OPTIONS}")
        else:
            pack(Path(arguments[0]) if arguments else HERE / "dist" / f"audience-mcp-{version()}.mcpb")
    except (FileNotFoundError, subprocess.CalledProcessError) as e:
        raise SystemExit(f"{Path(__file__).name}: {e}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
