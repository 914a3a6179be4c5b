"""`install` and `uninstall`: our entry in the configuration of a program that starts MCP servers."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from audience_mcp.cli.exits import MISUSED, OK, Stop, say, suggest
from audience_mcp.config import (
    ENV_FILE,
    Configuration,
    Environment,
    expand_path,
    is_set,
    load_configuration,
    read_env_file,
)
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.hosts import entries, files, known
from audience_mcp.hosts.known import Entry, Host, HostError, Variable
from audience_mcp.vendors import Vendor
from audience_mcp.vendors.registry import load_vendors

KEYS = ("ask", "store", "leave")
SETTINGS = tuple(
    f"AUDIENCE_MCP_{name}" for name in ("DEADLINE_S", "CACHE_S", "MAX_CHARS", "LOG_LEVEL", "STORE")
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to install: the host, the server's name in it, an unusual file or None, the environment."""

    host_name: str
    name: str
    file: str | None
    environment: Environment = field(repr=False)

    @property
    def host(self) -> Host:
        """The host with that name. Raises Stop."""
        try:
            host = known.find_host(self.host_name)
        except HostError as e:
            raise Stop(str(e), MISUSED) from None
        if self.host_name.strip().lower() == "claude":
            say("claude is Claude Desktop; for Claude Code: claude-code.")
        return host

    def path(self, host: Host) -> Path:
        """The host's file. Raises HostError."""
        if self.file is not None:
            try:
                return expand_path(self.file).absolute()
            except ValueError as e:
                raise HostError(f"--file cannot be used: {e}.") from None
        return known.config_path(host, sys.platform, Path.home(), self.environment)


@dataclass(frozen=True, slots=True)
class _Keys:
    """What an entry gets of the variables. kept: names that the entry has already and that stay as they are.

    env_file: the settings file that the entry names, or None; in_file: the variables that it holds.
    """

    variables: Sequence[Variable]
    store: bool
    kept: Collection[str] = ()
    env_file: str | None = None
    in_file: Collection[str] = ()

    def fill(self, host: Host, name: str) -> tuple[list[Variable], list[Entry]]:
        """Return the variables of the entry, and the questions that the host asks."""
        open_ones = [v for v in self.variables if self.store or v.name not in self.in_file]
        chosen = open_ones if self.store else [v for v in open_ones if v.name not in self.kept]
        if not self.store:
            chosen = _without_secrets(host, chosen)
        if self.env_file:
            chosen = [Variable(ENV_FILE, self.env_file, False, ENV_FILE), *chosen]
        return entries.ask_for_keys(host, name, chosen)


def install(target: Target, *, keys: str | None, only: Sequence[str], show: bool, sandbox: bool) -> int:
    """Write our entry, or print it. Says on stderr what was done and what to do next."""
    host, name = target.host, _check_name(target.name)
    if keys is not None and keys not in KEYS:
        raise Stop(f"--keys must be one of {', '.join(KEYS)}.", MISUSED)
    configured = _load_configuration(target.environment)
    chosen = _choose_vendors(configured, only)
    variables = [] if sandbox else _find_variables(configured, target.environment, chosen, named=bool(only))
    starts = known.start_command(sys.executable, sys.platform) + (["--sandbox"] if sandbox else [])
    by_hand = bool(host.paste_at) and target.file is None
    try:
        path = None if by_hand else target.path(host)
        before = files.read(path) if path else None
        old = entries.find_entry(files.decode(before), host, name) if before else None
        decided = _decide(host, path, variables, keys, old, target.environment, sandbox=sandbox, ask=not show)
        filled, questions = decided.fill(host, name)
        if path is None or show:
            _print_entry(host, name, starts, filled, questions, path)
            _say_left_out(host, decided, filled)
            return OK
        entry = entries.make_entry(host, starts, filled)
        text = entries.add_entry(files.decode(before), host, name, entry, questions)
        secret = decided.store and any(v.secret for v in variables)
        _write(host, name, path, before, text, secret=secret)
    except HostError as e:
        raise Stop(_explain(target, host, e)) from None
    _say_next(host, sandbox, configured, decided)
    return OK


def uninstall(target: Target, *, purge: bool = False) -> int:
    """Remove our entry, and with `purge` its backups. It is not an error if it does not exist."""
    host, name = target.host, _check_name(target.name)
    if host.paste_at and target.file is None:
        raise Stop(f"remove {name} where you added it. {host.paste_at}", MISUSED)
    try:
        path = target.path(host)
        before = files.read(path)
        old = files.decode(before)
        text = entries.remove_entry(old, host, name)
        absent = before is None or text == old
        if absent:
            say(f"{host.title}: there is no {name} in {path}; nothing was changed.")
        else:
            backup = files.replace(path, before, text, secret=False, backup=not purge)
            say(f"{host.title}: removed {name} from {path}.")
            if backup:
                say(f"The previous file, with any keys in it, was saved as {backup} (--purge deletes it).")
        if purge:
            _purge(host, path)
    except HostError as e:
        raise Stop(_explain(target, host, e)) from None
    if not absent:
        say(host.next_step)
    return OK


def find_installed_hosts(environment: Environment) -> list[Host]:
    """Return the hosts on this machine whose file we write: those whose folder for settings exists."""
    return [host for host in known.HOSTS.values() if not host.paste_at and _is_there(host, environment)]


def _is_there(host: Host, environment: Environment) -> bool:
    try:
        path = known.config_path(host, sys.platform, Path.home(), environment)
    except HostError:  # installed more than once: --file is needed
        return False
    return path.is_file() or (path.parent.is_dir() and path.parent != Path.home())


def _purge(host: Host, path: Path) -> None:
    """Delete the backups of a host's file that hold an entry of ours."""
    deleted = [backup.name for backup in files.list_backups(path) if _delete_ours(host, backup)]
    say(f"Deleted: {', '.join(deleted)}." if deleted else "There is no backup with an entry of audience-mcp.")


def _delete_ours(host: Host, backup: Path) -> bool:
    try:
        ours = entries.find_entry(files.decode(files.read(backup)), host) is not None
        if ours:
            backup.unlink()
    except (HostError, OSError) as e:
        say(f"{backup} was left: {e}")
        return False
    return ours


def _write(host: Host, name: str, path: Path, before: bytes | None, text: str, *, secret: bool) -> None:
    if before is not None and before == text.encode("utf-8"):
        say(f"{host.title}: {name} is already in {path}; nothing was changed.")
        return
    backup = files.replace(path, before, text, secret=secret)
    say(f"{host.title}: added {name} to {path}.")
    if backup:
        say(f"The previous file was saved as {backup}")


def _explain(target: Target, host: Host, e: HostError) -> str:
    text = str(e)
    if not text.startswith(("It ", "Its ")):
        return text
    return f"{target.path(host)} was not changed. {text}"


def _load_configuration(environment: Environment) -> Configuration:
    try:
        return load_configuration(environment, load_vendors().values())
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None


def _choose_vendors(configured: Configuration, only: Sequence[str]) -> list[Vendor]:
    """Return the vendors with these names, or all of them if no name is given. Raises Stop."""
    by_name = {vendor.name: vendor for vendor in configured.vendors.values()}
    for name in only:
        if name not in by_name:
            near = suggest(name, by_name)
            raise Stop(f"there is no vendor '{name}'.{near} Vendors: {', '.join(by_name)}.", MISUSED)
    return [by_name[name] for name in dict.fromkeys(only)] or list(by_name.values())


def _find_variables(
    configured: Configuration, environment: Environment, chosen: Sequence[Vendor], *, named: bool
) -> list[Variable]:
    """Return the variables set for these vendors, and those that a vendor named without any set needs."""
    found: dict[str, Variable] = {}
    for vendor in chosen:
        accounts = [s.account for s in configured.sources if s.vendor is vendor and s.account]
        for setting in vendor.settings:
            description = f"{vendor.title}: {setting.description}"
            names: Iterable[str] = [
                a.variables[setting.role] for a in accounts if setting.role in a.variables
            ]
            for name in names:
                if is_set(environment.get(name)):
                    value = environment[name].strip()
                    found[name] = Variable(name, value, setting.secret, f"{description} ({name})")
            if named and not accounts and setting.required:
                name = setting.variables[0]
                found[name] = Variable(name, None, setting.secret, f"{description} ({name})")
    for name in SETTINGS:
        if found and is_set(environment.get(name)):
            found[name] = Variable(name, environment[name].strip(), False, name)
    return list(found.values())


def _without_secrets(host: Host, variables: Sequence[Variable]) -> list[Variable]:
    """Return the variables for an entry without keys: secrets, where the host can, as what it fills in."""
    if host.env_reference:
        return [Variable(v.name, None, v.secret, v.description) for v in variables]
    kept = [Variable(v.name, None if v.secret else v.value, v.secret, v.description) for v in variables]
    return kept if host.prompts else [v for v in kept if v.value is not None]


def _decide(
    host: Host,
    path: Path | None,
    variables: Sequence[Variable],
    keys: str | None,
    old: Entry | None,
    environment: Environment,
    *,
    sandbox: bool,
    ask: bool,
) -> _Keys:
    """Decide what the entry gets; asks the user if that is wanted and possible. Raises Stop."""
    set_ones = [v for v in variables if v.value is not None]
    if keys == "store":
        if not set_ones:
            raise Stop("there is nothing to store: no vendor's variables are set in full.")
        return _Keys(variables, True)
    env = old.get("env") if old else None
    kept = set(env) if isinstance(env, dict) else set()
    env_file = environment.get(ENV_FILE) if not sandbox and is_set(environment.get(ENV_FILE)) else None
    in_file = set(read_env_file(Path(env_file))) if env_file else set()
    open_ones = [v for v in set_ones if v.name not in kept and v.name not in in_file]
    left = _Keys(variables, False, kept, env_file, in_file)
    if keys == "leave" or not any(v.secret for v in open_ones) or not ask or path is None:
        return left
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return left
    say(f"Set here: {_join(open_ones)}.")
    if host.prompts:
        say(
            f"If they are not stored, {host.title} asks for the keys itself and keeps them securely (better)."
        )
    say(f"Stored variables are plain text in {path}, readable by you alone.")
    if not click.confirm("Store them?", default=False, err=True):
        return left
    return (
        _Keys(variables, True) if not (kept or env_file) else _Keys(open_ones, True, kept, env_file, in_file)
    )


def _print_entry(
    host: Host,
    name: str,
    starts: Sequence[str],
    variables: Sequence[Variable],
    questions: Sequence[Any],
    path: Path | None,
) -> None:
    """Print the entry on stdout, with names in place of keys, and its place on stderr."""
    shown = [
        Variable(v.name, f"<{v.name}>", True, v.description)
        if v.secret and v.value is not None and not v.value.startswith("${")
        else v
        for v in variables
    ]
    print(_write_entry(host, name, starts, shown, questions))
    say(f"This entry is for {path}; nothing was changed." if path else host.paste_at)
    _warn_of_cache()


def _write_entry(
    host: Host, name: str, starts: Sequence[str], variables: Sequence[Variable], questions: Sequence[Any]
) -> str:
    env = {v.name: v.value for v in variables if v.value is not None}
    if host.form == "codex":
        given = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        return shlex.join(["codex", "mcp", "add", name, *given, "--", *starts])
    if host.form == "goose":  # JSON texts are YAML texts too
        texts = {
            "enabled": "true",
            "type": "stdio",
            "name": json.dumps(name),
            "cmd": json.dumps(starts[0]),
            "args": json.dumps(list(starts[1:])),
            "envs": json.dumps(env),
            "timeout": "300",
        }
        lines = "\n".join(f"    {key}: {text}" for key, text in texts.items())
        return f"extensions:\n  {name}:\n{lines}"
    whole: dict[str, Any] = {host.section: {name: entries.make_entry(host, starts, variables)}}
    if questions:
        whole["inputs"] = list(questions)
    return json.dumps(whole, ensure_ascii=False, indent=2)


def _say_next(host: Host, sandbox: bool, configured: Configuration, decided: _Keys) -> None:
    for source in configured.sources if not sandbox else ():
        if source.problem:
            say(f"Left out: {source.problem.message}")
    if sandbox:
        say("It answers from made-up audiences; run install again without --sandbox for your own.")
    else:
        _say_keys(host, decided)
    _warn_of_cache()
    say(host.next_step)


def _say_keys(host: Host, decided: _Keys) -> None:
    """Say what became of each variable."""
    set_ones = [v for v in decided.variables if v.value is not None]
    if decided.env_file:
        say(f"The entry names the settings file {decided.env_file}, and holds no key of it.")
    if decided.store:
        say(f"Stored, readable by you alone: {_join(set_ones)}.")
        return
    kept = [v for v in decided.variables if v.name in decided.kept]
    if kept:
        say(f"Already in the entry, and left as they are: {_join(kept)}. --keys store replaces them.")
    rest = [v for v in decided.variables if v.name not in decided.kept and v.name not in decided.in_file]
    missing = [v for v in rest if v.secret or (host.env_reference and not v.secret)]
    if plain := [v for v in rest if not v.secret and v.value is not None and not host.env_reference]:
        say(f"Stored, as they are no secrets: {_join(plain)}.")
    if missing:
        say(f"Not stored: {_join(missing)}. {host.keys_hint}")
    elif not decided.variables and not decided.kept and not decided.env_file:
        say("No vendor's variables are set here, so the server has no keys yet.")
        if host.prompts:
            say(
                "Set them and run install again with --keys store, or name the vendors that "
                f"{host.title} should ask for: --vendor batch."
            )
        else:
            say(f"{host.keys_hint} Or: audience-mcp setup")


def _say_left_out(host: Host, decided: _Keys, filled: Sequence[Variable]) -> None:
    """Say which variables that are set here an entry that is only shown does not have."""
    there = {v.name for v in filled} | set(decided.in_file)
    if left := [v for v in decided.variables if v.secret and v.name not in there]:
        say(f"Not in it: {_join(left)}. {host.keys_hint} --keys store adds them.")


def _join(variables: Sequence[Variable]) -> str:
    return ", ".join(v.name for v in variables)


def _warn_of_cache() -> None:
    if known.is_cached(sys.executable):
        say(
            "This Python is in a cache that may be emptied at any time. Install audience-mcp "
            "permanently (in a clone of its repository: `uv tool install .`, or `pipx install "
            ".`), then run install again."
        )


def _check_name(name: str) -> str:
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 60:
        raise Stop("--name must be letters, digits, - and _, at most 60 characters.", MISUSED)
    return name
