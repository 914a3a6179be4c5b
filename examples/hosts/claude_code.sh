#!/bin/sh
# The name comes before -e, the program after --. The keys are taken from the shell that runs this, so that
# none is written here; Claude Code keeps them in its own configuration.
set -eu
claude mcp add audience-mcp \
  -e WHOP_API_KEY="$WHOP_API_KEY" \
  -e WHOP_ACCOUNT_ID="$WHOP_ACCOUNT_ID" \
  -- /absolute/path/to/audience-mcp
