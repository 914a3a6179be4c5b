"""Who may come in, and who sees what, read again without a restart: what SIGHUP asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable

from audience_mcp.config import ENV_FILE, Environment, is_set
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.secrets import Redactor
from audience_mcp.server.access import ACCESS
from audience_mcp.server.auth import ALLOWED, ISSUER, READ_AGAIN, TOKEN, TOKENS, AccessPolicy

log = logging.getLogger(__name__)

ReadVariables = Callable[[], Environment]
"""Reads all variables, files included. Raises ConfigurationError."""
Judge = Callable[[Environment], AccessPolicy]
"""What variables say of callers. Raises ConfigurationError."""


class Admission:
    """Who is let in, as the settings were last read.

    environment: the variables that the server was started with. read: reads them again. judge: says what they
    mean. redactor: learns the tokens. Raises ConfigurationError for those of the start.
    """

    def __init__(
        self, environment: Environment, read: ReadVariables, judge: Judge, redactor: Redactor
    ) -> None:
        self._environment = environment
        self._file = environment.get(ENV_FILE)
        self._read = read
        self._judge = judge
        self._redactor = redactor
        self.policy = self._take(judge(environment))

    def reread(self) -> AccessPolicy | None:
        """Read the settings again, and log what came of it. None: they are refused, and nothing changes."""
        try:
            environment = self._read()
            policy = self._judge(environment)
        except ConfigurationError as e:
            log.error("SIGHUP changed nothing, as the settings are refused (sources take a restart): %s", e)
            return None
        if missing := [*self._find_gone(environment), *_find_dropped(self.policy, policy)]:
            log.error(
                "SIGHUP changed nothing, as what is in force would be gone: %s. To do without, restart.",
                ", ".join(missing),
            )
            return None
        self._file = environment.get(ENV_FILE)
        self.policy = self._take(policy)
        log.info("SIGHUP: who may come in and who sees what is now as the settings say.")
        for warning in policy.warnings:
            log.warning("%s", warning)
        if waiting := self._find_waiting(environment):
            log.warning("Changed too, but only a restart takes that over: %s", ", ".join(waiting))
        return policy

    def _take(self, policy: AccessPolicy) -> AccessPolicy:
        self._redactor.add(*(token.value for token in policy.tokens))
        return policy

    def _find_gone(self, now: Environment) -> list[str]:
        """The settings file, where it has gone missing since it was last read.

        A file that somebody has named cannot be missing; the one in its usual place can.
        """
        gone = is_set(self._file) and not is_set(now.get(ENV_FILE))
        return [f"the settings file {self._file}"] if gone else []

    def _find_waiting(self, now: Environment) -> list[str]:
        """The names of variables that have changed since the start and are not read again."""
        before = self._environment
        changed = (name for name in {*before, *now} if before.get(name) != now.get(name))
        return sorted(name for name in changed if name.removesuffix("_FILE") not in READ_AGAIN)


def _find_dropped(before: AccessPolicy, now: AccessPolicy) -> list[str]:
    """What kept callers out and does so no more, as the settings say nothing of it.

    A file that is written in place lacks lines for a moment, which must not open the server; what the
    settings do state may.
    """
    dropped = {
        ACCESS: before.access is not None and now.access is None,
        ISSUER: before.oauth is not None and now.oauth is None,
        ALLOWED: bool(before.oauth and before.oauth.allowed) and not (now.oauth and now.oauth.allowed),
        f"{TOKEN} or {TOKENS}": bool(before.tokens) and not now.knows_callers,
    }
    return [name for name, is_dropped in dropped.items() if is_dropped]
