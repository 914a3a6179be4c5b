"""Where the host starts: installs what the server needs, once, and serves on stdio.

The host starts this file with uv. It installs exactly what `requirements.txt` lists into a folder beside it,
each file checked against its hash, and says in plain words what is wrong if it cannot.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
PLACEHOLDER = re.compile(r"\$\{.*\}")
INSTALL = ["install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]

NO_UV = """\
audience-mcp could not start: uv was not found, which installs what the server needs.
Update Claude Desktop, which brings uv along, or install uv and start the host again."""
NO_FOLDER = """\
audience-mcp could not start: it cannot write to {folder} ({why}).
Install the extension again, or allow its folder to be written to."""
FAILED = """\
audience-mcp could not start: installing what it needs failed.
Check that this computer can download Python packages (network, proxy), then restart the host.
What uv said:
{said}"""


def main() -> None:
    """Serve, after installing what is missing."""
    take_further_settings()
    if importlib.util.find_spec("mcp") is None:
        site.addsitedir(str(install()))
    from audience_mcp.__main__ import main as serve

    serve()


def take_further_settings() -> None:
    """Put the form's further settings into the environment: NAME=value, with ; or line ends between.

    A field of its own that is filled in wins. The bundle also says where a person finds its settings.
    """
    text = os.environ.pop("FURTHER_SETTINGS", "")
    os.environ["AUDIENCE_MCP_SETTINGS_AT"] = "Settings > Extensions > Audiences"
    if PLACEHOLDER.fullmatch(text.strip()):
        return
    for part in re.split(r"(?:;|\n)\s*(?=[A-Za-z_]\w*\s*=)", text):
        name, equals, value = part.strip().rstrip(";").partition("=")
        before = os.environ.get(name.strip(), "").strip()
        if name.strip() and equals and (not before or PLACEHOLDER.fullmatch(before)):
            os.environ[name.strip()] = value.strip()
        elif part.strip() and not equals:
            print(
                "audience-mcp: a part of Further settings is not NAME=value, and was ignored.",
                file=sys.stderr,
            )


def install() -> Path:
    """The folder with everything that the server needs; filled when it is first asked for."""
    kind = f"{sys.implementation.cache_tag}-{sys.platform}".encode()
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + kind).hexdigest()[:16]
    folder = HERE / ".dependencies" / digest
    if folder.is_dir():
        return folder
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise SystemExit(NO_UV)
    try:
        folder.parent.mkdir(exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError as e:
        raise SystemExit(NO_FOLDER.format(folder=folder.parent, why=e.strerror)) from None
    try:
        _fill(new, uv)
        new.chmod(0o755)
        try:
            new.rename(folder)
        except OSError:  # another start of the server was faster
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _fill(folder: Path, uv: str) -> None:
    command = [uv, "pip", *INSTALL, "--python", sys.executable, "--target", str(folder)]
    try:
        done = subprocess.run(
            [*command, "-r", str(REQUIREMENTS)],
            stdin=subprocess.DEVNULL,  # stdin and stdout belong to the protocol
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError:
        raise SystemExit(NO_UV) from None
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise SystemExit(FAILED.format(said=said))


if __name__ == "__main__":
    main()
