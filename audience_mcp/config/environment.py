"""The variables that the program was started with."""

from __future__ import annotations

import re
from collections.abc import Mapping

Environment = Mapping[str, str]

_PLACEHOLDER = re.compile(r"\$\{.*\}")


def is_set(value: str | None) -> bool:
    """Whether a variable has a value; empty ones and placeholders that a host left as they were have none."""
    return value is not None and bool(value.strip()) and not _PLACEHOLDER.fullmatch(value.strip())
