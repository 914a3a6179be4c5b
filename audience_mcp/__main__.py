"""Starts the server as lightly as can be; anything else goes to the command line."""

from __future__ import annotations

import gc
import os
import sys

from audience_mcp.core.process import fill_std_streams, remember_hangup, tune_gc

COMPLETE = "_AUDIENCE_MCP_COMPLETE"
"""Set by a shell that asks what may be typed next."""


def main() -> None:
    """The `audience-mcp` command."""
    arguments = sys.argv[1:]
    if "--http" in arguments:
        # Whoever runs the server may send it while all that serving takes is still being imported.
        remember_hangup()
    fill_std_streams()
    if arguments in ([], ["--sandbox"]) and COMPLETE not in os.environ:
        # Nothing made while importing is ever garbage: looking for it costs start-up and exit time.
        gc.disable()
        _build_models_late()
        from audience_mcp.server.stdio import serve

        tune_gc()
        sys.exit(serve(sandbox=bool(arguments)))
    from audience_mcp.cli.app import run

    sys.exit(run(arguments))


def _build_models_late() -> None:
    """Let models be built when they are first used. The SDK has hundreds, of which a session uses a few.

    It holds for all of the process, which is why it is set here and nowhere else.
    """
    from pydantic import BaseModel, TypeAdapter

    BaseModel.model_config["defer_build"] = True
    # The SDK's adapters over all its messages ask only their own configuration. A pydantic without this
    # attribute builds them at once, as before.
    TypeAdapter._defer_build = True  # type: ignore[assignment,method-assign]  # a property of each adapter


if __name__ == "__main__":
    main()
