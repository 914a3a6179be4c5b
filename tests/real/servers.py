"""Real servers for the tests: installed once into a cache folder, run on loopback, gone when they are left.

The cache is `$AUDIENCE_REAL_CACHE`, or `audience-real` in the user's cache folder. What is installed there is
pinned, and comes from the npm and Python registries alone.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from typing_extensions import Self

INSTALL_S = 900
READY_S = 180
STOP_S = 15
PORTS = 3
"""So many ports are tried: one that was free may be taken before the server has it."""
WHOLE = "whole"
"""The file that says that an installation came to its end."""
AWAY = (
    *("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH"),
    *("FetchError", "CERT", "ERR_SOCKET", "UND_ERR", "ERR_PNPM_META_FETCH"),
    *("NewConnectionError", "ConnectTimeout", "Temporary failure in name resolution", "Max retries exceeded"),
    *("Connection refused", "Network is unreachable", "ReadTimeoutError", "ProxyError", "SSLError"),
    "from versions: none",
)
"""What npm, pnpm and pip say where a registry is out of reach."""
QUIET_NPM = {
    "CI": "true",
    "npm_config_fund": "false",
    "npm_config_audit": "false",
    "npm_config_update_notifier": "false",
    "npm_config_loglevel": "error",
    "npm_config_fetch_retries": "2",
    "npm_config_fetch_retry_mintimeout": "2000",
    "npm_config_fetch_retry_maxtimeout": "10000",
    "npm_config_fetch_timeout": "60000",
}
SCRIPTS = ("Label", "Käufer", "Größe –", "読者", "قراء", "Łódź 🎉", "Ünïcode & <b>", "naïve, comma")


class CannotBeHad(Exception):
    """Why a real server cannot be asked here: a registry is out of reach, or a program is missing."""


class Failed(Exception):
    """A real server could not be installed, started or filled, though everything for it is there."""


def name_of(number: int) -> str:
    """What the audience with this number is called; audiences of one server differ by their numbers."""
    return f"{SCRIPTS[number % len(SCRIPTS)]} {number:03}"


# --- Installing ---------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where real servers are installed."""
    given = os.environ.get("AUDIENCE_REAL_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "audience-real"


def run_step(
    what: str, *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """One command of an installation. Raises CannotBeHad where a registry or a program is missing."""
    try:
        ran = subprocess.run(
            [str(each) for each in command],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_S,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise CannotBeHad(f"{what} needs {command[0]}, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise CannotBeHad(f"{what} took more than {INSTALL_S} s") from None
    if ran.returncode:
        last = "\n".join(ran.stdout.strip().splitlines()[-8:])
        if any(word in ran.stdout for word in AWAY):
            raise CannotBeHad(f"{what}: the registry is out of reach, and {cache_folder()} lacks it\n{last}")
        raise Failed(f"{what} failed:\n{last}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else installs there meanwhile; a second test run waits for the first."""
    import fcntl  # not on Windows

    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(name: str, free_mb: int, install: Callable[[Path], None]) -> Path:
    """The folder of an installation, which is made where it is not there yet or not whole."""
    if sys.platform != "linux":
        raise CannotBeHad("real servers are installed on Linux alone")
    folder = cache_folder() / name
    with _alone(folder):
        if (folder / WHOLE).exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        if shutil.disk_usage(folder.parent).free < free_mb << 20:
            raise Failed(f"less than {free_mb} MB are free in {folder.parent}")
        folder.mkdir()
        try:
            install(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        (folder / WHOLE).touch()
    return folder


# --- Running ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """What a server answered. body: its JSON, else its text."""

    status: int
    headers: Mapping[str, str]
    body: Any


class RealServer(ABC):
    """A server with data of its own, in a folder that goes with it.

    origin: where it is reached. truth: the size of each audience that it was filled with, by name; an answer
    must have exactly these. audiences: how many it is filled with, 0 for what it brings itself.
    """

    title: str

    def __init__(self, audiences: int = 250) -> None:
        self.audiences = audiences
        self.origin = ""
        self.truth: dict[str, int] = {}
        self.folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path()
        proxies = urllib.request.ProxyHandler({})
        self._opener = urllib.request.build_opener(proxies, urllib.request.HTTPCookieProcessor(CookieJar()))

    @abstractmethod
    def install(self) -> Path:
        """Install it where it is not. Returns its folder."""

    @abstractmethod
    def command(self, port: int, home: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """The command that runs it on a port, with what it writes in `home`, and its environment."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers. Raises OSError or HTTPException where nothing does."""

    @abstractmethod
    def fill(self) -> None:
        """Put the audiences in, over its own API, and their sizes into `truth`."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The variables that point audience-mcp at it."""

    def __enter__(self) -> Self:
        installation = self.install()
        assert (installation / WHOLE).exists()
        self.folder = Path(tempfile.mkdtemp(prefix="audience-real-"))
        try:
            self._start()
            self.fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """End it, if it still runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        for _ in range(PORTS):
            if self._start_on(_free_port()):
                return
        raise Failed(f"{self.title} found {PORTS} ports taken:\n{self._last_lines()}")

    def _start_on(self, port: int) -> bool:
        """Whether it is up; False where the port was taken meanwhile. Raises Failed."""
        home = self.folder / str(port)
        home.mkdir()
        self._log = home / "output.log"
        self.origin = f"http://127.0.0.1:{port}"
        command, environment = self.command(port, home)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(each) for each in command],
                cwd=home,
                env={"PATH": os.environ["PATH"], "HOME": str(home), "TZ": "UTC", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            said = self._last_lines()
            if "EADDRINUSE" in said or "Address already in use" in said:
                self.stop()
                return False
            if (code := self._process.poll()) is not None:
                raise Failed(f"{self.title} ended with {code} before it was ready:\n{said}")
            try:
                if self.is_ready():
                    return True
            except (OSError, HTTPException):
                pass
            time.sleep(0.1)
        raise Failed(f"{self.title} was not ready after {READY_S} s:\n{self._last_lines()}")

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Said:
        """A request to it, whatever it answers; it keeps the cookies that it sets."""
        data = None if body is None else json.dumps(body).encode()
        typed = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(
            f"{self.origin}{path}", data, {**typed, **(headers or {})}, method=method
        )
        try:
            with self._opener.open(request, timeout=120) as answer:
                return Said(answer.status, dict(answer.headers), _read(answer.read()))
        except urllib.error.HTTPError as e:
            with e:
                return Said(e.code, dict(e.headers), _read(e.read()))

    def do(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The same; what it answers. Raises Failed where it refuses."""
        said = self.ask(method, path, body, headers)
        if said.status not in (200, 201, 204):
            raise Failed(f"{method} {path} answered {said.status}: {str(said.body)[:300]}")
        return said.body


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
