"""The environment as accounts, sources and settings. Nothing is read when this is imported."""

from audience_mcp.config.environment import (
    ENV_FILE,
    LOG_LEVELS,
    Environment,
    Settings,
    default_env_file,
    expand_path,
    is_set,
    parse_env_line,
    read_env_file,
    read_environment,
    strip_quotes,
)
from audience_mcp.config.meaning import find_sources, find_vendors, fits_pattern
from audience_mcp.config.mistakes import find_mistyped_settings
from audience_mcp.config.sources import (
    Account,
    Configuration,
    Source,
    describe_needs,
    find_suffix_fault,
    is_loopback,
    load_configuration,
    load_sandbox_configuration,
    name_source,
    name_variables,
)

__all__ = [
    "ENV_FILE",
    "LOG_LEVELS",
    "Account",
    "Configuration",
    "Environment",
    "Settings",
    "Source",
    "default_env_file",
    "describe_needs",
    "expand_path",
    "find_mistyped_settings",
    "find_sources",
    "find_suffix_fault",
    "find_vendors",
    "fits_pattern",
    "is_loopback",
    "is_set",
    "load_configuration",
    "load_sandbox_configuration",
    "name_source",
    "name_variables",
    "parse_env_line",
    "read_env_file",
    "read_environment",
    "strip_quotes",
]
