"""`install` and `uninstall`: our entry in the configuration of a program that starts MCP servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from audience_mcp.cli import MISUSED, OK, Stop
from audience_mcp.config import Configuration, is_set, load_configuration
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.hosts import entries, files, known
from audience_mcp.hosts.known import HOSTS, Host, HostError, Variable
from audience_mcp.vendors import Vendor
from audience_mcp.vendors.registry import load_vendors

KEYS = ("ask", "store", "leave")
SETTINGS = (
    "AUDIENCE_MCP_DEADLINE_S",
    "AUDIENCE_MCP_CACHE_S",
    "AUDIENCE_MCP_MAX_CHARS",
    "AUDIENCE_MCP_LOG_LEVEL",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed: the host, the server's name in it, perhaps the file, and the environment."""

    host_name: str
    name: str
    file: str | None
    environment: Mapping[str, str]

    @property
    def host(self) -> Host:
        """The host of that name. Raises Stop."""
        found = HOSTS.get(self.host_name.strip().lower())
        if found is None:
            raise Stop(f"there is no host '{self.host_name}'. Hosts: {', '.join(HOSTS)}.", MISUSED)
        return found

    def path(self) -> Path:
        """The host's file. Raises HostError."""
        if self.file is not None:
            return Path(self.file).expanduser().absolute()
        return known.config_path(self.host, sys.platform, Path.home(), self.environment)


def install(wanted: Wanted, *, keys: str | None, only: Sequence[str], show: bool, sandbox: bool) -> int:
    """Write our entry, or show it; what was done and what to do next is said on stderr."""
    host, name = wanted.host, _good_name(wanted.name)
    if keys is not None and keys not in KEYS:
        raise Stop(f"--keys must be one of {', '.join(KEYS)}.", MISUSED)
    configured = _configuration(wanted.environment)
    variables = [] if sandbox else _variables(configured, wanted.environment, _chosen(configured, only))
    try:
        path = wanted.path()
        stored = _store(host, path, variables, keys, may_ask=not show)
        starts = known.start_command(sys.executable, sys.platform) + (["--sandbox"] if sandbox else [])
        filled, questions = entries.ask_for_keys(
            host, name, _left(host, variables) if not stored else variables
        )
        if show:
            _print(host, name, starts, filled, questions, path)
            return OK
        before = files.read(path)
        text = entries.add_entry(
            files.decode(before), host, name, entries.make_entry(host, starts, filled), questions
        )
        secret = stored and any(v.secret for v in variables)
        _write(host, name, path, before, text, secret=secret)
    except HostError as e:
        raise Stop(_about(wanted, e)) from None
    _say_next(host, sandbox, configured, variables, stored)
    return OK


def uninstall(wanted: Wanted) -> int:
    """Take our entry out again; what was not there is no fault."""
    host, name = wanted.host, _good_name(wanted.name)
    try:
        path = wanted.path()
        before = files.read(path)
        old = files.decode(before)
        text = entries.remove_entry(old, host, name)
        if before is None or text == old:
            _say(f"{host.title}: there is no {name} in {path}; nothing was changed.")
            return OK
        backup = files.replace(path, before, text, secret=False)
    except HostError as e:
        raise Stop(_about(wanted, e)) from None
    _say(f"{host.title}: {name} was taken out of {path}.")
    _say(f"The file as it was, with any keys in it: {backup}")
    _say(host.then)
    return OK


def _write(host: Host, name: str, path: Path, before: bytes | None, text: str, *, secret: bool) -> None:
    if before is not None and before == text.encode("utf-8"):
        _say(f"{host.title}: {name} is in {path} already; nothing was changed.")
        return
    backup = files.replace(path, before, text, secret=secret)
    _say(f"{host.title}: {name} is in {path} now.")
    if backup:
        _say(f"The file as it was: {backup}")


def _about(wanted: Wanted, e: HostError) -> str:
    text = str(e)
    if not text.startswith(("It ", "Its ")):
        return text
    return f"{wanted.path()} was not changed. {text}"


def _configuration(environment: Mapping[str, str]) -> Configuration:
    try:
        return load_configuration(environment, load_vendors().values())
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None


def _chosen(configured: Configuration, only: Sequence[str]) -> list[Vendor]:
    """The vendors whose variables are meant; all of them where none is named. Raises Stop."""
    known = {vendor.name: vendor for vendor in configured.vendors.values()}
    for name in only:
        if name not in known:
            raise Stop(f"there is no vendor '{name}'. Vendors: {', '.join(known)}.", MISUSED)
    return [known[name] for name in dict.fromkeys(only)] or list(known.values())


def _variables(
    configured: Configuration, environment: Mapping[str, str], chosen: Sequence[Vendor]
) -> list[Variable]:
    """What is set for the chosen vendors' sources; what a vendor without any needs, if it was named."""
    found: dict[str, Variable] = {}
    named = len(chosen) < len(configured.vendors)
    for vendor in chosen:
        accounts = [s.account for s in configured.sources if s.vendor is vendor and s.account]
        for setting in vendor.settings:
            said = f"{vendor.title}: {setting.description}"
            names: Iterable[str] = [
                a.variables[setting.role] for a in accounts if setting.role in a.variables
            ]
            for name in names:
                if is_set(environment.get(name)):
                    value = environment[name].strip()
                    found[name] = Variable(name, value, setting.secret, f"{said} ({name})")
            if named and not accounts and setting.required:
                name = setting.variables[0]
                found[name] = Variable(name, None, setting.secret, f"{said} ({name})")
    for name in SETTINGS:
        if found and is_set(environment.get(name)):
            found[name] = Variable(name, environment[name].strip(), False, name)
    return list(found.values())


def _left(host: Host, variables: Sequence[Variable]) -> list[Variable]:
    """The variables where keys are left to the host: those that it asks for, and what is no secret."""
    if not host.asks:
        return []
    return [Variable(v.name, None if v.secret else v.value, v.secret, v.description) for v in variables]


def _store(host: Host, path: Path, variables: Sequence[Variable], keys: str | None, *, may_ask: bool) -> bool:
    """Whether the keys are to be stored, asked where that is wanted and can be."""
    set_ones = [v for v in variables if v.value is not None]
    secrets = [v.name for v in set_ones if v.secret]
    if keys == "store":
        if not set_ones:
            raise Stop("there is nothing to store: no vendor's variables are set in full.")
        return True
    if keys == "leave" or not secrets or not may_ask:
        return False
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    _say(f"Set here: {', '.join(v.name for v in set_ones)}.")
    if host.asks:
        _say(f"If they are not stored, {host.title} asks for the keys itself and keeps them safe (better).")
    _say(f"Stored, they stand as plain text in {path}, readable by you alone.")
    return bool(typer.confirm("Store them?", default=False, err=True))


def _print(
    host: Host,
    name: str,
    starts: Sequence[str],
    variables: Sequence[Variable],
    questions: Sequence[Any],
    path: Path,
) -> None:
    """The entry as it would be written, keys aside, on stdout; where it belongs, on stderr."""
    shown = [
        Variable(v.name, f"<{v.name}>", True, v.description)
        if v.secret and v.value is not None and not v.value.startswith("${input:")
        else v
        for v in variables
    ]
    whole: dict[str, Any] = {host.section: {name: entries.make_entry(host, starts, shown)}}
    if questions:
        whole["inputs"] = list(questions)
    print(json.dumps(whole, ensure_ascii=False, indent=2))
    _say(f"For {path}; nothing was changed.")
    _warn_of_cache()


def _say_next(
    host: Host, sandbox: bool, configured: Configuration, variables: Sequence[Variable], stored: bool
) -> None:
    for source in configured.sources if not sandbox else ():
        if source.problem:
            _say(f"Left out: {source.problem.message}")
    secrets = [v.name for v in variables if v.secret]
    if sandbox:
        _say("It answers from made-up audiences; install again without --sandbox for your own.")
    elif stored:
        _say(f"Stored, readable by you alone: {', '.join(v.name for v in variables if v.value is not None)}.")
    elif secrets:
        _say(f"Not stored: {', '.join(secrets)}. {host.without}")
    else:
        needed = f"{host.without} " if not host.asks else ""
        more = " (or name vendors that VS Code should ask for, as in --vendor batch)" if host.asks else ""
        _say(
            f"No vendor's variables are set here, so it has no keys yet. {needed}"
            f"Set them and install again with --keys store{more}."
        )
    _warn_of_cache()
    _say(host.then)


def _warn_of_cache() -> None:
    if known.is_fleeting(sys.executable):
        _say(
            "This Python is in a cache that may be emptied. Install it for good first, for example with "
            "`uv tool install audience-mcp` or `pipx install audience-mcp`, and run install again."
        )


def _good_name(name: str) -> str:
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 60:
        raise Stop("--name must be letters, digits, - and _, at most 60.", MISUSED)
    return name


def _say(text: str) -> None:
    print(text, file=sys.stderr)
