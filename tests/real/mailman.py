"""A real GNU Mailman core from the Python registry, filled over its own REST API. It handles no mail."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audience_mcp.vendors.parsing import basic
from tests.real.servers import CannotBeHad, RealServer, installed, name_of, run_step

MAILMAN = "3.3.10"
RECIPE = 2
PYTHONS = ("3.11", "3.12", "3.10")
PINS = Path(__file__).with_name("mailman.txt")
RUNNERS = (
    *("archive", "bounces", "command", "in", "lmtp", "nntp", "out"),
    *("pipeline", "retry", "shunt", "virgin", "digest", "task"),
)
"""Everything but the REST API, which is not started."""
USER, PASSWORD = "restadmin", "rest-pass-77"
LARGEST = 5
WELCOME = {"pre_verified": True, "pre_confirmed": True, "pre_approved": True, "send_welcome_message": False}


def find_python() -> Path:
    """A Python that Mailman's packages can be built with: those after 3.12 cannot. Raises CannotBeHad."""
    for version in PYTHONS:
        of_pyenv = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
        for each in (shutil.which(f"python{version}"), *of_pyenv):
            # What is on the PATH may be a stand-in that only says which version to install.
            if each and subprocess.run([each, "-c", "import venv"], capture_output=True).returncode == 0:
                return Path(each)
    raise CannotBeHad(f"Mailman needs one of Python {', '.join(PYTHONS)}, and none of them is here")


def install(folder: Path) -> None:
    """A virtual environment with everything pinned."""
    run_step("making an environment for Mailman", find_python(), "-m", "venv", folder)
    python = folder / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input")
    patient = ("--retries", "2", "--timeout", "60", "--no-deps")
    run_step("installing Mailman", *pip, "install", *patient, "-r", PINS)
    run_step("checking what Mailman needs", *pip, "check")


class Mailman(RealServer):
    """Lists of 0 to 5 members, a quarter of them not advertised. The first has an owner, who is no member."""

    title = "Mailman"

    def install(self) -> Path:
        self._installed = installed(f"mailman-{MAILMAN}-r{RECIPE}", 400, install)
        return self._installed

    def command(self, port: int, home: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        sections: dict[str, dict[str, object]] = {
            "mailman": {"site_owner": "owner@example.com", "layout": "here"},
            "paths.here": {"var_dir": home},
            "webservice": {
                "hostname": "127.0.0.1",
                "port": port,
                "use_https": "no",
                "admin_user": USER,
                "admin_pass": PASSWORD,
                "api_version": "3.1",
                "workers": 1,
            },
            "mta": {"incoming": "mailman.mta.null.NullMTA", "outgoing": "mailman.mta.null.NullMTA"},
            "database": {
                "class": "mailman.database.sqlite.SQLiteDatabase",
                "url": f"sqlite:///{home / 'mailman.db'}",
            },
            **{f"runner.{each}": {"start": "no"} for each in RUNNERS},
        }
        configuration = home / "mailman.cfg"
        lines = [
            line
            for section, settings in sections.items()
            for line in (f"[{section}]", *(f"{name}: {value}" for name, value in settings.items()))
        ]
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        programs = self._installed / "bin"
        return [programs / "master", "-C", configuration], {
            "PATH": f"{programs}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

    def is_ready(self) -> bool:
        return self.as_admin("GET", "/system/versions") is not None

    def environment(self) -> dict[str, str]:
        return {
            "MAILMAN_REST_URL": f"{self.origin}/3.1",
            "MAILMAN_REST_USER": USER,
            "MAILMAN_REST_PASSWORD": PASSWORD,
        }

    def as_admin(self, method: str, path: str, body: object = None) -> Any:
        """A request of its one user."""
        return self.do(method, f"/3.1{path}", body, {"Authorization": basic(USER, PASSWORD)})

    def fill(self) -> None:
        self.as_admin("POST", "/domains", {"mail_host": "example.com"})
        for number in range(self.audiences):
            name, size = name_of(number), number % (LARGEST + 1) if number < 60 else int(number % 13 == 0)
            self._make_list(number, name, size)
            self.truth[name] = size
        if self.audiences:
            owner = {"list_id": "list000.example.com", "subscriber": "boss@x.example", "role": "owner"}
            self.as_admin("POST", "/members", {**owner, **WELCOME})

    def _make_list(self, number: int, name: str, size: int) -> None:
        id = f"list{number:03}.example.com"
        self.as_admin("POST", "/lists", {"fqdn_listname": f"list{number:03}@example.com"})
        shown = {"display_name": name, "description": f"About {name}", "advertised": number % 4 != 3}
        self.as_admin("PATCH", f"/lists/{id}/config", shown)
        for member in range(size):
            person = {
                "list_id": id,
                "subscriber": f"p{member}@x.example",
                "display_name": f"Person {member}",
            }
            self.as_admin("POST", "/members", {**person, **WELCOME})
