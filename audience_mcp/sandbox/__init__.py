"""Ten vendors' audience APIs as one small local web app with made-up audiences.

It checks credentials, headers and parameters as the vendors do, and refuses what they might ignore
(unknown parameters, a body on a GET), so that a request that passes here is exactly as documented.
Importing this package needs no web framework; `audience_mcp.sandbox.app` does.
"""

from audience_mcp.sandbox.answers import Sandbox
from audience_mcp.sandbox.exchange import Answer, Asked

__all__ = ["Answer", "Asked", "Sandbox"]
