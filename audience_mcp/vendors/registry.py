"""The registry: the vendors of this package, and those that other packages add.

Another package adds one through the entry point group `audience_mcp.vendors`; the entry point names a
subclass of `Vendor`. One that cannot be used is left out and said so in the log; it stops nothing.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from audience_mcp.vendors.base import Vendor
from audience_mcp.vendors.batch import Batch
from audience_mcp.vendors.commbox import CommBox
from audience_mcp.vendors.smallest import Smallest
from audience_mcp.vendors.whop import Whop

log = logging.getLogger(__name__)

GROUP = "audience_mcp.vendors"
BUILT_IN: tuple[type[Vendor], ...] = (CommBox, Batch, Smallest, Whop)
_NAME = re.compile(r"[a-z][a-z0-9]{0,39}")


@cache
def load_vendors() -> Mapping[str, Vendor]:
    """Every vendor by name, this package's own first."""
    found: dict[str, Vendor] = {kind.name: kind() for kind in BUILT_IN}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        vendor = None
        try:
            with contextlib.redirect_stdout(
                sys.stderr
            ):  # stdout is the protocol's, whatever a plug-in prints
                vendor = point.load()()
            fault = _fault(vendor, found)
        except (Exception, SystemExit) as e:  # whatever another package does must not stop the server
            fault = f"{type(e).__name__} while loading it"
            log.debug("vendor plug-in %r", point.name, exc_info=True)
        if fault or vendor is None:
            log.warning("vendor plug-in %r (%s) is left out: %s", point.name, point.value, fault)
        else:
            found[vendor.name] = vendor
    return found


def _fault(vendor: object, taken: Mapping[str, Vendor]) -> str | None:
    """Why a plug-in's vendor cannot be used, or None."""
    if not isinstance(vendor, Vendor):
        return "it is not a subclass of audience_mcp.vendors.base.Vendor"
    lacks = [a for a in ("name", "title", "settings", "size_counts", "id_shape") if not hasattr(vendor, a)]
    if lacks:
        return f"it does not set {', '.join(lacks)}"
    if not _NAME.fullmatch(vendor.name):
        return "its name is not lower-case letters and digits"
    if vendor.name in taken:
        return f"the name {vendor.name} is taken"
    if not isinstance(vendor.id_shape, re.Pattern):
        return "its id_shape is not a compiled pattern"
    if not any(s.role == "base_url" and s.default for s in vendor.settings):
        return "no setting has the role base_url and a default"
    if not any(s.required for s in vendor.settings):
        return "no setting is required, so no source of it could ever be made"
    return None
