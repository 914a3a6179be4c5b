"""The environment as accounts, sources and settings. Nothing is read when this is imported."""

from audience_mcp.config.account import Account
from audience_mcp.config.environment import Environment, is_set
from audience_mcp.config.settings import LOG_LEVELS, Settings
from audience_mcp.config.sources import (
    Configuration,
    Source,
    describe_needs,
    load_configuration,
    load_sandbox_configuration,
)
from audience_mcp.config.values import is_loopback

__all__ = [
    "LOG_LEVELS",
    "Account",
    "Configuration",
    "Environment",
    "Settings",
    "Source",
    "describe_needs",
    "is_loopback",
    "is_set",
    "load_configuration",
    "load_sandbox_configuration",
]
