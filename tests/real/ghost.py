"""A real Ghost from npm, filled over its own Admin API. Nothing is compiled, and nothing outside is told.

Ghost asks for a driver of SQLite that has to be compiled. `sqlite.js` beside this module takes its place,
over the one that Node brings: hence the newer Node, from npm too.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.real.servers import QUIET_NPM, Failed, RealServer, installed, name_of, run_step

GHOST, NODE, PNPM = "6.65.0", "24.22.3", "12.4.2"
RECIPE = 1
"""Raised where what is done to install it changes: the folder's name has it."""
ARCH = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
API = "/ghost/api/admin"
OWNER = {"name": "Own Er", "email": "owner@example.com", "password": "Quite-long-pass-77"}
MEMBERS = 12
LETTERS = {"Wöchentlich": "active", "週刊ニュース": "active", "Старая рассылка": "archived", "Leer": "active"}
"""Newsletters by name, with their status, beside the one that every site begins with."""
SILENT = {
    "mail__transport": "Direct",
    "logging__level": "error",
    "logging__transports": '["stdout"]',
    "privacy__useUpdateCheck": "false",
    "privacy__useGravatar": "false",
    "privacy__useRpcPing": "false",
    "privacy__useStructuredData": "false",
    "spam__admin_login__freeRetries": "1000",
    "spam__admin_setup__freeRetries": "1000",
    "security__staffDeviceVerification": "false",
}


def install(folder: Path) -> None:
    """Node and pnpm, Ghost, and what Ghost's own lock file says that it needs."""
    tools, package, cache = folder / "tools", folder / "package", folder / "cache"
    tools.mkdir()
    (tools / "package.json").write_text('{"private": true}', encoding="utf-8")
    quiet = {**QUIET_NPM, "npm_config_cache": str(cache / "npm")}
    quiet |= {f"XDG_{kind}_HOME": str(cache / "pnpm") for kind in ("CACHE", "STATE", "DATA")}
    wanted = (f"node-linux-{ARCH}@{NODE}", f"pnpm@{PNPM}")
    run_step("installing Node and pnpm", "npm", "install", "--no-save", *wanted, cwd=tools, environment=quiet)
    run_step("fetching Ghost", "npm", "pack", f"ghost@{GHOST}", cwd=folder, environment=quiet)
    archive = folder / f"ghost-{GHOST}.tgz"
    run_step("unpacking Ghost", "tar", "xzf", archive, cwd=folder)
    quiet["PATH"] = f"{node_of(folder).parent}:{os.environ['PATH']}"
    pnpm = tools / "node_modules" / ".bin" / "pnpm"
    frozen = ("install", "--prod", "--frozen-lockfile", "--ignore-scripts", f"--store-dir={cache / 'store'}")
    run_step("installing what Ghost needs", pnpm, *frozen, cwd=package, environment=quiet)
    put_driver_in_place(package)
    shutil.rmtree(cache)
    archive.unlink()


def put_driver_in_place(package: Path) -> None:
    """Replace the driver that would have to be compiled. Raises Failed where Ghost has it no longer."""
    places = [*package.glob("node_modules/.pnpm/better-sqlite3@*/node_modules/better-sqlite3/lib")]
    if not places:
        raise Failed("Ghost needs better-sqlite3 no longer: look at sqlite.js")
    for place in places:
        shutil.rmtree(place)  # never written through: its files are links into pnpm's store
        place.mkdir()
        shutil.copy(Path(__file__).with_name("sqlite.js"), place / "index.js")


def node_of(folder: Path) -> Path:
    """The Node that Ghost runs on."""
    return folder / "tools" / "node_modules" / f"node-linux-{ARCH}" / "bin" / "node"


class Ghost(RealServer):
    """Labels of 0 to 12 members, and five newsletters, of which one is archived. key: an Admin API key."""

    title = "Ghost"
    key = ""

    def install(self) -> Path:
        self._installed = installed(f"ghost-{GHOST}-r{RECIPE}", 1024, install)
        return self._installed

    def command(self, port: int, home: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        package, content = self._installed / "package", home / "content"
        shutil.copytree(package / "content", content)
        for each in ("data", "images", "logs", "files", "media", "settings", "adapters"):
            (content / each).mkdir(exist_ok=True)
        settings = {
            **SILENT,
            "NODE_ENV": "development",
            "url": f"{self.origin}/",
            "server__host": "127.0.0.1",
            "server__port": str(port),
            "database__client": "sqlite3",
            "database__connection__filename": str(home / "ghost.db"),
            "database__useNullAsDefault": "true",
            "paths__contentPath": str(content),
        }
        # It looks for its own files in the folder that it is started in.
        start = f"process.chdir({str(package)!r}); require({str(package / 'index.js')!r})"
        return [node_of(self._installed), "-e", start], settings

    def is_ready(self) -> bool:
        return self.ask("GET", f"{API}/site/").status == 200

    def environment(self) -> dict[str, str]:
        return {"GHOST_URL": self.origin, "GHOST_ADMIN_API_KEY": self.key}

    def as_owner(self, method: str, path: str, body: object = None) -> Any:
        """A request of the site's owner, who is logged in by a cookie."""
        return self.do(method, f"{API}/{path}", body, {"Origin": self.origin, "Accept-Version": "v6.0"})

    def fill(self) -> None:
        self.as_owner("POST", "authentication/setup/", {"setup": [{**OWNER, "blogTitle": "Harbour"}]})
        login = {"username": OWNER["email"], "password": OWNER["password"]}
        self.as_owner("POST", "session/", login)
        made = self.as_owner(
            "POST", "integrations/?include=api_keys", {"integrations": [{"name": "audience-mcp"}]}
        )
        key = next(each for each in made["integrations"][0]["api_keys"] if each["type"] == "admin")
        self.key = key["secret"] if ":" in key["secret"] else f"{key['id']}:{key['secret']}"
        letters = self.as_owner("GET", "newsletters/?limit=50")["newsletters"]
        self.truth = dict.fromkeys((each["name"] for each in letters), 0)
        if self.audiences:
            self._fill_newsletters_and_labels()

    def _fill_newsletters_and_labels(self) -> None:
        for name in LETTERS:
            letter = {"name": name, "description": f"About {name}", "subscribe_on_signup": False}
            self.as_owner("POST", "newsletters/", {"newsletters": [{**letter, "status": "active"}]})
        letters = self.as_owner("GET", "newsletters/?limit=50")["newsletters"]
        sizes = {name_of(number): number % (MEMBERS + 1) for number in range(self.audiences)}
        self.truth = {**dict.fromkeys((each["name"] for each in letters), 0), **sizes}
        for member in range(MEMBERS):
            # The newsletter at place n has every (n + 1)th member; the last one has none.
            mine = [each for n, each in enumerate(letters[:-1]) if member % (n + 1) == 0]
            for each in mine:
                self.truth[each["name"]] += 1
            person = {
                "name": f"Member {member}",
                "email": f"m{member}@example.com",
                "labels": [{"name": name} for name, size in sizes.items() if size > member],
                "newsletters": [{"id": each["id"]} for each in mine],
            }
            self.as_owner("POST", "members/", {"members": [person]})
        for name, size in sizes.items():
            if not size:
                self.as_owner("POST", "labels/", {"labels": [{"name": name}]})
        for each in letters:
            if LETTERS.get(each["name"]) == "archived":
                archived = {"newsletters": [{"status": "archived"}]}
                self.as_owner("PUT", f"newsletters/{each['id']}/", archived)
