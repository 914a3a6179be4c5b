"""The project's tasks: `nox -s lint tests` while working, and all that `.ci/run` asks of a change.

Tasks run in the clone's own `.venv`, which the README's second command makes. Only those that need another
Python or a fresh copy make environments of their own, under `.nox/`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "none"
nox.options.error_on_external_run = False
nox.options.sessions = ["lint", "tests"]

HERE = Path(__file__).parent
MADE = HERE / ".nox"
PYTHON = str(HERE / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
UV = [PYTHON, "-m", "uv"]
EVERY_TEST = ["-m", "slow or not slow"]
NEWEST = ("3.14", "3.13", "3.12")
OLDEST = ("3.10",)


def commands(page: str) -> list[str]:
    """The shell blocks of a page, as they stand there."""
    return re.findall(r"^```sh\n(.*?)\n```", (HERE / page).read_text(encoding="utf-8"), re.M | re.S)


def run_as_written(session: nox.Session, command: str) -> None:
    """Run a shell command of a page, word for word."""
    session.log(command)
    session.run("bash", "-euo", "pipefail", "-c", command, silent=False)


def ready(session: nox.Session, extras: str) -> None:
    """Bring `.venv` up to what the following steps need."""
    session.run(PYTHON, "-m", "pip", "install", "-q", "-e", f".[{extras}]")


def find_python(session: nox.Session, *versions: str) -> str:
    """The first of these Pythons that this computer has. Fails the session where it has none."""
    for version in versions:
        installed = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
        for each in (shutil.which(f"python{version}"), *installed):
            # What is on the PATH may be a stand-in that only says which version to install.
            if each and subprocess.run([each, "-c", "import venv"], capture_output=True).returncode == 0:
                return str(each)
    session.error(f"No Python {' or '.join(versions)} on this computer, so this part of the gate cannot run.")


def fresh_copy(session: nox.Session, name: str) -> Path:
    """The files that are the project's, committed or not yet, in a folder that holds nothing else."""
    copy = MADE / name / HERE.name
    shutil.rmtree(copy, ignore_errors=True)
    listed = session.run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", silent=True, log=False
    )
    for each in str(listed).split("\0"):
        if each and (HERE / each).is_file():
            (copy / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / each, copy / each)
    # A checkout of its own: what is not the project's is told apart as in a clone.
    session.run("git", "init", "-q", str(copy), log=False)
    shared = HERE.parent / "shared"
    if shared.is_dir() and not (beside := copy.parent / "shared").exists():
        beside.symlink_to(shared)
    return copy


@nox.session
def demo(session: nox.Session) -> None:
    """The README's first command: the server on made-up audiences, asked by a real client."""
    run_as_written(session, commands("README.md")[0])


@nox.session
def tests(session: nox.Session) -> None:
    """The README's second command: the tests, but the slow ones."""
    run_as_written(session, commands("README.md")[1])


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types of the package, the tests and the examples, and the floors that imports keep to."""
    ready(session, "test,lint")
    session.run(PYTHON, "-m", "ruff", "check", ".")
    session.run(PYTHON, "-m", "ruff", "format", "--check", ".")
    session.run(PYTHON, "-m", "mypy")
    session.run(PYTHON, "-m", "pyright", "--pythonpath", PYTHON)
    session.run(str(Path(PYTHON).with_name("lint-imports")), "--no-cache")


@nox.session
def graders(session: nox.Session) -> None:
    """What others judge by: the package, its workflows, its words, and the server as it answers over HTTP."""
    place = MADE / "graders"
    session.run(*UV, "venv", "-q", "--clear", "--python", find_python(session, *NEWEST), str(place))
    session.run(*UV, "pip", "install", "-q", "--no-deps", "--python", str(place), "-r", ".ci/graders.txt")
    tools = place / "bin"
    with session.chdir(fresh_copy(session, "graded")):
        session.run(str(tools / "codespell"))
        session.run(str(tools / "validate-pyproject"), "pyproject.toml")
        session.run(str(tools / "zizmor"), "-q", "--offline", "--min-severity=medium", ".github/workflows")
        session.run(str(tools / "skillsaw"), "lint", "--strict", ".")
        session.run(str(tools / "pyroma"), "--min", "10", ".")
        session.run(*UV, "build", "-q", "--out-dir", "dist")
        built = [str(each) for each in Path("dist").iterdir() if each.suffix in (".whl", ".gz")]
        session.run(str(tools / "check-wheel-contents"), *[each for each in built if each.endswith(".whl")])
        session.run(str(tools / "twine"), "check", "--strict", *built)
    with serve_sandbox() as url:
        session.run(str(tools / "jbt-mcpcheck"), "--strict", "--legacy-probes", url)


@contextmanager
def serve_sandbox() -> Iterator[str]:
    """The address of the server on made-up audiences, over HTTP at a free port."""
    command = [PYTHON, "-m", "audience_mcp", "--http", "--sandbox", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            yield next(word for word in server.stderr.readline().split() if word.startswith("http://"))
        finally:
            server.terminate()


@nox.session
def any_input(session: nox.Session) -> None:
    """Properties over many times as many inputs as in every run."""
    arguments = ["-q", "-n", "auto", "tests/test_properties.py", *EVERY_TEST]
    session.run(PYTHON, "-m", "pytest", *arguments, env={"PROPERTY_EXAMPLES": "250"})


@nox.session
def newcomer(session: nox.Session) -> None:
    """CONTRIBUTING.md's commands, one after the other, on a fresh copy."""
    with session.chdir(fresh_copy(session, "newcomer")):
        for command in commands("CONTRIBUTING.md"):
            run_as_written(session, command)


@nox.session
def uv(session: nox.Session) -> None:
    """The README's lines for uv, on a fresh copy."""
    ready(session, "test,lint")
    lines = re.findall(r"`(uv run [^`]+)`", (HERE / "README.md").read_text(encoding="utf-8"))
    if len(lines) != 2:
        session.error(f"The README should have two lines for uv: {lines}")
    beside = f"{Path(PYTHON).parent}:{os.environ['PATH']}"
    with session.chdir(fresh_copy(session, "uv")):
        for line in lines:
            session.run("bash", "-euo", "pipefail", "-c", line, env={"PATH": beside})


@nox.session
def oldest(session: nox.Session) -> None:
    """The oldest Python, with the lowest dependencies that are allowed."""
    ready(session, "test,lint")
    place, python = MADE / "oldest", find_python(session, *OLDEST)
    session.run(*UV, "venv", "-q", "--clear", "--python", python, str(place))
    lowest = ["--resolution", "lowest-direct", "--extra", "test", "pyproject.toml"]
    pins = str(place / "lowest.txt")
    session.run(*UV, "pip", "compile", "-q", "--python", python, *lowest, "-o", pins)
    session.run(*UV, "pip", "install", "-q", "--python", str(place), "-r", pins, "-e", ".")
    # Old releases of one package use what newer ones of another deprecate: that is told, and no failure here.
    warnings = ["-W", "default::DeprecationWarning"]
    pytest = (str(place / "bin" / "python"), "-m", "pytest", "-q", "-n", "auto", *warnings)
    session.run(*pytest)
    session.run(*pytest, "tests/e2e", "-m", "slow")  # the real program, all of it


@nox.session
def newest(session: nox.Session) -> None:
    """The newest Python here runs every test on the built wheel, with all clients and a browser there."""
    place, python = MADE / "newest", find_python(session, *NEWEST)
    shutil.rmtree(place, ignore_errors=True)
    session.run(python, "-m", "venv", str(place))
    inside = str(place / "bin" / "python")
    session.run(inside, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(place / "wheel"), ".")
    (wheel,) = (place / "wheel").glob("*.whl")
    look_into(session, wheel)
    session.run(inside, "-m", "pip", "install", "-q", f"{wheel}[test,oracles]", "uv")
    install_the_rest(session, inside)
    environment = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONSAFEPATH": "1",  # the wheel, not the folder beside the tests
        "AUDIENCE_MCP_ALL_CLIENTS": "1",
        "AUDIENCE_MCP_NO_SKIPS": "1",
    }
    pytest = (inside, "-m", "pytest", "-q", "--import-mode=append", *EVERY_TEST)
    session.run(*pytest, "-n", "auto", "--ignore=tests/real", env=environment)
    # Real servers take half a gigabyte each: in one process, each is started once.
    session.run(*pytest, "-n", "0", "tests/real", env=environment)


def look_into(session: nox.Session, wheel: Path) -> None:
    """Fail where a wheel lacks a file that is no module, or holds what is not the package's."""
    names = zipfile.ZipFile(wheel).namelist()
    needed = [
        "audience_mcp/py.typed",
        "audience_mcp/server/schemas.json",
        *(f"audience_mcp/keys/{page.name}" for page in Path("docs/keys").iterdir()),
    ]
    if lacking := sorted({*needed} - {*names}):
        session.error(f"the wheel lacks {lacking}")
    if strays := [each for each in names if not each.startswith(("audience_mcp/", "audience_mcp-"))]:
        session.error(f"the wheel holds what it should not: {strays}")


def install_the_rest(session: nox.Session, python: str) -> None:
    """What a Python package cannot bring: other clients, the tool for bundles, and a browser."""
    session.run(python, "tests/clients/install.py")
    session.run(python, "examples/mcpb/build.py", "--tools")
    browsers = ("chromium", "chromium-headless-shell", "google-chrome", "chromium-browser")
    lacking = [] if any(map(shutil.which, browsers)) else ["chromium"]
    # Servers and a checker that examples are tried with; they stand where only root looks for programs.
    beside = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    lacking += [
        package
        for package, program in (("nginx-light", "nginx"), ("caddy", "caddy"), ("systemd", "systemd-analyze"))
        if not shutil.which(program, path=beside)
    ]
    if lacking:
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        session.run(*as_root, "apt-get", "update", "-qq", silent=True)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *lacking]
        session.run(*as_root, *install, silent=True, env={"DEBIAN_FRONTEND": "noninteractive"})


@nox.session(venv_backend="venv")
def build(session: nox.Session) -> None:
    """The wheel, the source package and the desktop bundle, checked, in `dist/`."""
    dist = HERE / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("-q", "build", "twine", "uv")
    session.run("python", "-m", "build", "--outdir", str(dist))
    (wheel,) = dist.glob("*.whl")
    look_into(session, wheel)
    session.run("python", "-m", "twine", "check", "--strict", *map(str, dist.iterdir()))
    version = wheel.name.split("-")[1]
    session.run("python", "examples/mcpb/build.py", "--tools")
    session.run("python", "examples/mcpb/build.py", str(dist / f"audience-mcp-{version}.mcpb"))
