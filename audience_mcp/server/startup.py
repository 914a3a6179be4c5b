"""From the environment to an open catalog, in one place for stdio, HTTP and the command line."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from audience_mcp.config import Configuration, Environment, load_configuration, load_sandbox_configuration
from audience_mcp.core import logs
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.secrets import Redactor
from audience_mcp.store import SAVED_WITHIN_S, is_database, open_store
from audience_mcp.vendors.registry import built_in_vendors, load_vendors

if TYPE_CHECKING:
    from audience_mcp.catalog.catalog import Catalog
    from audience_mcp.store.guard import Backend
    from audience_mcp.store.store import Store

log = logging.getLogger(__name__)

NO_DRIVER = (
    "AUDIENCE_MCP_STORE is a database, and its driver is missing: pip install 'audience-mcp[postgres]'."
)
NOWHERE = "http://127.0.0.1:1"
"""The sandbox's address until it is served."""


class Startup:
    """What the environment configures, and how to open it.

    configuration: sources and settings; with `sandbox`, the embedded vendors in place of the real ones.
    remembers: whether to use a store if no setting names one. Raises ConfigurationError.
    """

    def __init__(self, environment: Environment, *, sandbox: bool, remembers: bool = True) -> None:
        self._environment = environment
        self._remembers = remembers
        self.sandbox = sandbox
        self.redactor = Redactor()
        if sandbox:
            from audience_mcp.sandbox import Sandbox

            self._made_up = Sandbox()
            self.configuration = self._at(NOWHERE)
        else:
            self.configuration = load_configuration(environment, load_vendors())
        setting = self.configuration.settings.store
        if setting is not None and is_database(setting) and find_spec("psycopg") is None:
            raise ConfigurationError(NO_DRIVER)

    @asynccontextmanager
    async def reachable(self) -> AsyncIterator[Configuration]:
        """The configuration with sources that can be called: the sandbox is served meanwhile."""
        if not self.sandbox:
            yield self.configuration
            return
        from audience_mcp.sandbox.app import serve

        async with serve(self._made_up) as origin:
            yield self._at(origin)

    @asynccontextmanager
    async def open_catalog(self, saves_within_s: float = SAVED_WITHIN_S) -> AsyncIterator[Catalog]:
        """A catalog of the configured sources. saves_within_s: seconds that pending saves get at the end."""
        from audience_mcp.catalog.catalog import open_catalog

        async with (
            self.reachable() as configuration,
            open_catalog(
                configuration, redactor=self.redactor, store=self.open_store(), saves_within_s=saves_within_s
            ) as catalog,
        ):
            yield catalog

    def open_store(self) -> Store | None:
        """The store, opened at its first use, or None if it is off."""
        if self.sandbox:
            return _open_made_up()
        setting = self.configuration.settings.store
        if setting == "off" or (setting is None and not self._remembers):
            return None
        return open_store(setting)

    def start_log(self, warn: Callable[[str], None] | None = None) -> Redactor:
        """Set up the log on stderr, and report the configuration's warnings there or to `warn`.

        Returns what keeps keys out of texts.
        """
        self.redactor.add(*self.configuration.secrets, *_passwords(self.configuration))
        settings = self.configuration.settings
        logs.set_up(settings.log_level, self.redactor, settings.log_format)
        for warning in self.configuration.warnings:
            if warn:
                warn(warning)
            else:
                log.warning("%s", warning)
        return self.redactor

    def _at(self, origin: str) -> Configuration:
        variables = self._made_up.environment(origin)
        return load_sandbox_configuration(self._environment, variables, built_in_vendors())


def _passwords(configuration: Configuration) -> list[str]:
    """The password in the store's address, if it is a database and has one."""
    setting = configuration.settings.store
    if setting is None or not is_database(setting):
        return []
    try:
        password = urlsplit(setting).password
    except ValueError:
        return []
    return [password, unquote(password)] if password else []


def _open_made_up() -> Store:
    """The sandbox's own history; the user's is not touched."""
    from audience_mcp.sandbox import history
    from audience_mcp.store.store import Store

    def make(_: Callable[[str], None]) -> Backend:
        from audience_mcp.store.made_up import MadeUpBackend

        return MadeUpBackend(history.DAYS, history.size_before, history.GONE)

    return Store(make, made_up=True)
