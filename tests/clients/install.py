"""Installs the clients that the tests ask the server with, each into a folder of its own beside this file.

Needs npm, and an index for npm and pip. What is there already and up to date is left alone.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE_MODULES = HERE / "node_modules"
VENVS = {name: HERE / f".venv-{name}" for name in ("mcp1", "fastmcp", "agents", "msads")}
STAMP = ".installed"


def python(name: str) -> Path:
    """The interpreter of one of `VENVS`."""
    return VENVS[name] / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def wanted(folder: Path) -> str:
    """What the stamp of a folder says when it is up to date."""
    if folder == NODE_MODULES:
        return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    pins = HERE / f"{folder.name.removeprefix('.venv-')}.txt"
    return hashlib.sha256(pins.read_bytes()).hexdigest()


def installed(folder: Path) -> bool:
    """Whether a folder holds what is pinned now."""
    stamp = folder / STAMP
    if folder in VENVS.values() and not python(folder.name.removeprefix(".venv-")).exists():
        return False  # never made, or the interpreter that it was made from is gone
    return stamp.is_file() and stamp.read_text() == wanted(folder)


def install(folder: Path) -> str:
    """Make a folder hold what is pinned; a line about it. Raises CalledProcessError, FileNotFoundError."""
    began = time.monotonic()
    if installed(folder):
        return f"{folder.name}: up to date"
    if folder == NODE_MODULES:
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is not on the PATH")
        # No install scripts: none is needed, and the Node that the clients run on comes as a plain package.
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
    else:
        name = folder.name.removeprefix(".venv-")
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=find_spec("uv") is None)
        pins = HERE / f"{name}.txt"
        # Lists that name all they need are not resolved again, which takes longer than installing them.
        whole = ["--no-deps"] if "uv pip compile" in pins.read_text() else []
        if find_spec("uv"):
            install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(python(name))]
        else:
            install = [str(python(name)), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        _run([*install, *whole, "-r", str(pins)])
    (folder / STAMP).write_text(wanted(folder))
    return f"{folder.name}: installed in {time.monotonic() - began:.0f} s"


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=HERE, check=True, stdin=subprocess.DEVNULL)


def main() -> int:
    """Install all of them at once; 1 where one could not be."""
    failed = False
    with ThreadPoolExecutor() as pool:
        installing = {folder: pool.submit(install, folder) for folder in (NODE_MODULES, *VENVS.values())}
        for folder, done in installing.items():
            if fault := done.exception():
                failed = True
                print(f"{folder.name}: not installed: {fault}", file=sys.stderr)
            else:
                print(done.result())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
