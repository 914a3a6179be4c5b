"""Write the tools' schemas and all snapshots anew: `python -m tests.snapshots.renew`.

Then read the difference.
"""

from __future__ import annotations

import anyio

from audience_mcp.server.answering import make_schemas
from tests.snapshots.taking import FOLDER, SCHEMAS, file_of, pretty, taken


def main() -> None:
    SCHEMAS.write_text(pretty(make_schemas()), encoding="utf-8")
    shots = anyio.run(taken)
    for file in FOLDER.glob("*.json"):
        file.unlink()
    for name, shot in shots.items():
        file_of(name).write_text(pretty(shot), encoding="utf-8")
    print(f"{len(shots)} snapshots written.")


if __name__ == "__main__":
    main()
