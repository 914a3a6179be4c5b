"""Which of a vendor's requests are for sizes, and not for rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from audience_mcp.sandbox import Asked

COUNTS: Mapping[str, Callable[[Asked], bool]] = {
    "klaviyo": lambda asked: (
        "segment-values-reports" in asked.path or "additional-fields[list]" in asked.query
    ),
    "customerio": lambda asked: asked.path.endswith("customer_count"),
    "onesignal": lambda asked: asked.path.count("/") > 3,
    "braze": lambda asked: asked.path.endswith("data_series"),
    "shopify": lambda asked: b"AudienceSizes" in asked.body,
    "ga4": lambda asked: asked.path.endswith(":runReport"),
    "criteo": lambda asked: asked.path.endswith("/compute-sizes"),
    "campaignmonitor": lambda asked: asked.path.endswith("/stats.json") or "/segments/" in asked.path,
    "iterable": lambda asked: asked.path.endswith("/size"),
}
"""By vendor: tells requests for sizes from those for rows, by what the vendor's own talks request."""
