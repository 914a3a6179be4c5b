"""Starts the server as lightly as can be; anything else goes to the command line."""

from __future__ import annotations

import gc
import sys

from audience_mcp.core.process import fill_std_streams, tune_gc


def main() -> None:
    """The `audience-mcp` command."""
    arguments = sys.argv[1:]
    fill_std_streams()
    if arguments in ([], ["--sandbox"]):
        # Nothing made while importing is ever garbage: looking for it costs start-up and exit time.
        gc.disable()
        _build_models_late()
        from audience_mcp.server.stdio import serve

        tune_gc()
        sys.exit(serve(sandbox=bool(arguments)))
    from audience_mcp.cli import run

    sys.exit(run(arguments))


def _build_models_late() -> None:
    """Let models be built when they are first used. The SDK has hundreds, of which a session uses a few.

    It holds for all of the process, which is why it is set here and nowhere else.
    """
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True


if __name__ == "__main__":
    main()
