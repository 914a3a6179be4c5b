"""The registry: the vendors of this package, and those that other packages add.

A vendor of this package is imported when the environment mentions it, or when it is requested by name, so
that many vendors do not slow the start down. Another package adds one through the entry point group
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
    from collections.abc import Sequence

    from audience_mcp.vendors.base import Vendor
    from audience_mcp.vendors.listing import Listing

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
    "linkedin": ("LinkedIn", ("LINKEDIN_",)),
    "microsoftads": ("MicrosoftAds", ("MICROSOFT_ADS_", "BING_ADS_")),
    "datamanager": ("DataManager", ("DATAMANAGER_",)),
    "openaiads": ("OpenAiAds", ("OPENAI_ADS_",)),
    "tiktok": ("TikTok", ("TIKTOK_",)),
    "ghost": ("Ghost", ("GHOST_",)),
    "mailman": ("Mailman", ("MAILMAN_",)),
    "ga4": ("Ga4", ("GA4_",)),
    "criteo": ("Criteo", ("CRITEO_",)),
    "snapchat": ("Snapchat", ("SNAPCHAT_",)),
    "listmonk": ("Listmonk", ("LISTMONK_",)),
    "beehiiv": ("Beehiiv", ("BEEHIIV_",)),
    "campaignmonitor": ("CampaignMonitor", ("CAMPAIGNMONITOR_", "CAMPAIGN_MONITOR_", "CREATESEND_")),
    "iterable": ("Iterable", ("ITERABLE_",)),
}
"""Each vendor's module in this package, with its class and what its variables begin with."""
_NAME = re.compile(r"[a-z][a-z0-9]{0,39}")


class Vendors(Mapping[str, "Vendor"]):
    """Vendors by name, this package's own first; each is imported when it is looked at."""

    def __init__(self, names: Iterable[str], plug_ins: Mapping[str, Vendor]) -> None:
        self._names = [*names, *plug_ins]
        self._loaded = dict(plug_ins)

    def __getitem__(self, name: str) -> Vendor:
        """The vendor of that name. Raises KeyError."""
        if name not in self._names:
            raise KeyError(name)
        if name not in self._loaded:
            module = import_module(f"audience_mcp.vendors.{name}")
            self._loaded[name] = getattr(module, BUILT_IN[name][0])()
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        """All names, in the order of registration."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many vendors there are."""
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
    from audience_mcp.vendors.listing import Listing

    if not isinstance(vendor, Vendor):
        return "it is not a subclass of audience_mcp.vendors.Vendor"
    lacks = [a for a in ("name", "title", "settings", "listings") if not hasattr(vendor, a)]
    if lacks:
        return f"it does not set {', '.join(lacks)}"
    if not _NAME.fullmatch(vendor.name):
        return "its name is not lower-case letters and digits"
    if vendor.name in taken or vendor.name in BUILT_IN:
        return f"the name {vendor.name} is taken"
    if not any(s.role == "base_url" and (s.default or s.required) for s in vendor.settings):
        return "no setting has the role base_url and a default"
    if not any(s.required for s in vendor.settings) and not vendor.needs_one_of:
        return "no setting is required, so no source of it could ever be made"
    if not vendor.listings or not all(isinstance(each, Listing) for each in vendor.listings):
        return "its listings are not a tuple of at least one Listing"
    return _find_fault_in_ids(vendor) or _find_fault_in_roles(vendor)


def _find_fault_in_ids(vendor: Vendor) -> str | None:
    """Why the ids of a vendor's listings could not be told apart, or None."""
    before: list[Listing] = []
    for listing in vendor.listings:
        try:
            re.compile(listing.ids)
        except (re.error, TypeError):
            return f"the ids of '{listing.path}' are not a regular expression"
        if (listing.kind is None) is not (vendor.listings[0].kind is None):
            return "some of its listings have a kind and others have none"
        if listing.within is not None and listing.kind is None:
            return f"'{listing.path}' lies within another listing, and has no kind"
        if listing.within is not None and not any(each is listing.within for each in before):
            return f"'{listing.path}' lies within a listing that does not come before it"
        others = {id(each) for each in vendor.listings if each is not listing}
        if listing.bare_beside and (listing.within or {*map(id, listing.bare_beside)} != others):
            return f"'{listing.path}' can be bare only beside all its other listings, and within none"
        before.append(listing)
    return None


def _find_fault_in_roles(vendor: Vendor) -> str | None:
    """Which role is needed that no setting has, or None."""
    from audience_mcp.vendors.auth import roles_in
    from audience_mcp.vendors.talk import roles_in_body

    ways = vendor.auth if isinstance(vendor.auth, tuple) else (vendor.auth,)
    used: dict[str, Sequence[str]] = {
        "its auth": [role for way in ways for role in (*way.roles, *getattr(way, "optional", ()))]
    }
    used |= {f"its header {name}": roles_in(text) for name, text in vendor.headers.items()}
    used |= {f"its error hint for '{kind}'": roles_in(text) for kind, text in vendor.error_hints.items()}
    used["one of its limits"] = [
        each.setting for rates in vendor.limits.values() for each in rates if each.setting
    ]
    for listing in vendor.listings:
        texts = (listing.path, *listing.params.values())
        roles = {role for text in texts for role in roles_in(text)} | roles_in_body(listing.json)
        used[f"'{listing.path}'"] = [*(roles - {"parent"} if listing.within is not None else roles)]
    known = {setting.role for setting in vendor.settings}
    for what, names in used.items():
        if missing := next((role for role in names if role not in known), None):
            return f"no setting has the role {missing}, which {what} needs"
    return None
