"""From the environment to an open catalog: once, for stdio, HTTP and the command line."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import Configuration, Environment, load_configuration, load_sandbox_configuration
from audience_mcp.core import logs
from audience_mcp.core.secrets import Redactor
from audience_mcp.vendors.registry import built_in_vendors, load_vendors

log = logging.getLogger(__name__)

NOWHERE = "http://127.0.0.1:1"
"""Where the sandbox is said to be until it is served."""


class Startup:
    """What the environment configures, and the ways to make use of it.

    configuration: sources and settings; with `sandbox`, the embedded vendors in place of the real ones.
    Raises ConfigurationError.
    """

    def __init__(self, environment: Environment, *, sandbox: bool) -> None:
        self._environment = environment
        self.sandbox = sandbox
        self.redactor = Redactor()
        if sandbox:
            from audience_mcp.sandbox import Sandbox

            self._made_up = Sandbox()
            self.configuration = self._at(NOWHERE)
        else:
            self.configuration = load_configuration(environment, load_vendors())

    @asynccontextmanager
    async def reachable(self) -> AsyncIterator[Configuration]:
        """The configuration, while its sources can be asked: the sandbox is served meanwhile."""
        if not self.sandbox:
            yield self.configuration
            return
        from audience_mcp.sandbox.app import serve

        async with serve(self._made_up) as origin:
            yield self._at(origin)

    @asynccontextmanager
    async def open_catalog(self) -> AsyncIterator[Catalog]:
        """A catalog of the configured sources."""
        async with (
            self.reachable() as configuration,
            open_catalog(configuration, redactor=self.redactor) as catalog,
        ):
            yield catalog

    def start_log(self, *further_secrets: str, warn: Callable[[str], None] | None = None) -> Redactor:
        """Log to stderr, and tell the configuration's warnings there or by `warn`; what hides its keys."""
        self.redactor.add(*self.configuration.secrets, *further_secrets)
        logs.set_up(self.configuration.settings.log_level, self.redactor)
        for warning in self.configuration.warnings:
            if warn:
                warn(warning)
            else:
                log.warning("%s", warning)
        return self.redactor

    def _at(self, origin: str) -> Configuration:
        variables = self._made_up.environment(origin)
        return load_sandbox_configuration(self._environment, variables, built_in_vendors())
