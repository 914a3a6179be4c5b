"""The texts of `--help`."""

from __future__ import annotations

ABOUT = """\
How big are my audiences? One answer for all the marketing platforms that hold them.

Without a command this is an MCP server on stdin and stdout, to be started by a client such as Claude
Desktop, Claude Code, Cursor or VS Code. The commands are for people; they use the same variables.

\b
To look around without any key:
  audience-mcp list --sandbox
  audience-mcp demo

\b
With keys (BATCH_REST_API_KEY and BATCH_PROJECT_KEY, for example):
  audience-mcp check
  audience-mcp list vip --limit 10
  audience-mcp install claude-desktop

\b
Exit codes:
  0    done, and the answer is complete
  1    no answer: nothing matches, or no source could be read
  2    an argument or a setting is not valid
  3    an answer that is not complete: its figures are a lower bound
  130  interrupted
"""
LIST = """\
List all audiences that match, with sizes and totals. WORDS are what to search for.

\b
  audience-mcp list
  audience-mcp list vip --sources batch,whop
  audience-mcp list --sort newest --limit 20
  audience-mcp list --status failed --detail full
  audience-mcp list --group-by source
  audience-mcp list --csv > audiences.csv
  audience-mcp list --html audiences.html     (a picture to send or print)

The exit code is 3 if the answer is not complete because a source could not be read in full.
"""
GET = """\
Show one audience in full: by its ref (batch:vip), by a vendor's id, or by its name.

\b
  audience-mcp get batch:vip
  audience-mcp get "Newsletter 2026" --sources commbox

The exit code is 1 if nothing matches, and 3 if a source could not be read, so that others may match.
"""
CHECK = """\
Read one page of every configured source: can it be reached, which variable is wrong, how many audiences.

The exit code is 1 if any source fails, or if none is configured.
"""
RECORD = """\
Read every source now and store the sizes, for scheduled jobs: one line per source. docs/store.md has entries
for cron, launchd, systemd and Windows.

The exit code is 3 if a source could not be read in full, and 1 if nothing was stored.
"""
HISTORY = """\
Show stored sizes over time: for all audiences, or for one by its ref, id or name. No vendor is asked.

\b
  audience-mcp history
  audience-mcp history batch:VIP --since 2026-09-01
  audience-mcp history --csv > sizes.csv
  audience-mcp history --sandbox              (made-up sizes of eight weeks)
"""
STORE = """\
Show where readings and sizes are stored, how much, since when, and for which accounts.
"""
CLEAR = """\
Forget everything that is stored, or what is stored for one source. History cannot be recovered.
"""
INSTALL = """\
Add the server to a host's configuration. Everything else in the file stays as it is; a backup is kept.

\b
  audience-mcp install claude-desktop
  audience-mcp install vscode --keys leave    (VS Code asks for the keys)
  audience-mcp install cursor --print         (only shows the entry)
  audience-mcp install claude-code --sandbox  (made-up audiences, no keys)
"""
UNINSTALL = "Remove the server from a host's configuration; a backup is kept."
DEMO = """\
Start the server on made-up audiences, ask it questions through a real MCP client, and print the answers.
"""

KEYS = """\
What to do with the variables that are set here: ask, store (in the host's file, readable by you alone), or \
leave (VS Code asks for them, Cursor reads its own, other hosts get none). Default: ask on a terminal, \
otherwise leave."""

SHORT = {
    "check": "Check that each source can be read, and how to fix it if not.",
    "list": "List audiences, with sizes and totals.",
    "get": "Show one audience in full.",
    "record": "Store the sizes of now.",
    "history": "Show stored sizes over time.",
    "store": "Show what is stored and where, or forget it.",
    "clear": "Forget what is stored.",
    "install": "Add the server to a host's configuration.",
    "uninstall": "Remove it again.",
    "demo": "Questions and answers on made-up audiences.",
}
