"""The registry: the vendors of this package, and those that other packages add.

A vendor of this package is imported when the environment mentions it, or when it is asked for by name, so
that many vendors cost the start no more than few. Another package adds one through the entry point group
`audience_mcp.vendors`; the entry point names a subclass of `Vendor`. One that cannot be used is left out and
said so in the log; it stops nothing.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audience_mcp.vendors.base import Vendor

log = logging.getLogger(__name__)

GROUP = "audience_mcp.vendors"
BUILT_IN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "commbox": ("CommBox", ("COMMBOX_",)),
    "batch": ("Batch", ("BATCH_",)),
    "smallest": ("Smallest", ("SMALLEST_", "ATOMS_")),
    "whop": ("Whop", ("WHOP_",)),
    "mailchimp": ("Mailchimp", ("MAILCHIMP_",)),
    "hubspot": ("HubSpot", ("HUBSPOT_",)),
    "klaviyo": ("Klaviyo", ("KLAVIYO_",)),
    "mailerlite": ("MailerLite", ("MAILERLITE_",)),
    "meta": ("Meta", ("META_",)),
    "googleads": ("GoogleAds", ("GOOGLE_ADS_",)),
    "brevo": ("Brevo", ("BREVO_",)),
    "sendgrid": ("SendGrid", ("SENDGRID_",)),
    "intercom": ("Intercom", ("INTERCOM_",)),
    "customerio": ("CustomerIo", ("CUSTOMERIO_",)),
    "onesignal": ("OneSignal", ("ONESIGNAL_",)),
    "activecampaign": ("ActiveCampaign", ("ACTIVECAMPAIGN_", "AC_API_")),
    "braze": ("Braze", ("BRAZE_",)),
    "pinterest": ("Pinterest", ("PINTEREST_",)),
    "shopify": ("Shopify", ("SHOPIFY_",)),
    "posthog": ("PostHog", ("POSTHOG_",)),
    "segment": ("Segment", ("SEGMENT_",)),
    "mixpanel": ("Mixpanel", ("MIXPANEL_",)),
    "amplitude": ("Amplitude", ("AMPLITUDE_",)),
}
"""Each vendor's module in this package, with its class and what its variables begin with."""
_NAME = re.compile(r"[a-z][a-z0-9]{0,39}")


class Vendors(Mapping[str, "Vendor"]):
    """Vendors by name, this package's own first; each is imported when it is looked at."""

    def __init__(self, names: Iterable[str], plug_ins: Mapping[str, Vendor]) -> None:
        self._names = [*names, *plug_ins]
        self._loaded = dict(plug_ins)

    def __getitem__(self, name: str) -> Vendor:  # noqa: D105
        if name not in self._names:
            raise KeyError(name)
        if name not in self._loaded:
            module = import_module(f"audience_mcp.vendors.{name}")
            self._loaded[name] = getattr(module, BUILT_IN[name][0])()
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:  # noqa: D105
        return iter(self._names)

    def __len__(self) -> int:  # noqa: D105
        return len(self._names)

    def mentioned_in(self, variables: Iterable[str]) -> list[Vendor]:
        """The vendors that these names of set variables belong to, and all plug-ins."""
        given = [*variables]
        return [
            self[name]
            for name in self._names
            if name not in BUILT_IN or any(v.startswith(BUILT_IN[name][1]) for v in given)
        ]


def built_in_vendors() -> Vendors:
    """The vendors of this package alone."""
    return Vendors(BUILT_IN, {})


@cache
def load_vendors() -> Vendors:
    """Every vendor by name, this package's own first."""
    found: dict[str, Vendor] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        vendor = None
        try:
            with contextlib.redirect_stdout(
                sys.stderr
            ):  # stdout is the protocol's, whatever a plug-in prints
                vendor = point.load()()
            fault = _find_fault(vendor, found)
        except (Exception, SystemExit, GeneratorExit) as e:  # another package must not stop the server
            fault = f"{type(e).__name__} while loading it"
            log.debug("vendor plug-in %r", point.name, exc_info=True)
        if fault or vendor is None:
            log.warning("vendor plug-in %r (%s) was left out: %s", point.name, point.value, fault)
        else:
            found[vendor.name] = vendor
    return Vendors(BUILT_IN, found)


def _find_fault(vendor: object, taken: Mapping[str, Vendor]) -> str | None:
    """Why a plug-in's vendor cannot be used, or None."""
    from audience_mcp.vendors.base import Vendor

    if not isinstance(vendor, Vendor):
        return "it is not a subclass of audience_mcp.vendors.Vendor"
    lacks = [a for a in ("name", "title", "settings", "size_counts", "id_shape") if not hasattr(vendor, a)]
    if lacks:
        return f"it does not set {', '.join(lacks)}"
    if not _NAME.fullmatch(vendor.name):
        return "its name is not lower-case letters and digits"
    if vendor.name in taken or vendor.name in BUILT_IN:
        return f"the name {vendor.name} is taken"
    if not isinstance(vendor.id_shape, re.Pattern):
        return "its id_shape is not a compiled pattern"
    if not any(s.role == "base_url" and (s.default or s.required) for s in vendor.settings):
        return "no setting has the role base_url and a default"
    if not any(s.required for s in vendor.settings) and not vendor.needs_one_of:
        return "no setting is required, so no source of it could ever be made"
    return None
