"""Which kind of file system a path is on: on some, locks cannot be trusted."""

from __future__ import annotations

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK_TYPES = frozenset(
    "afs afpfs beegfs ceph cifs coda fuse.ceph fuse.cephfs fuse.glusterfs fuse.rclone fuse.s3fs "  # noqa: SIM905
    "fuse.sshfs glusterfs gpfs lustre ncpfs nfs nfs4 smb3 smbfs webdav".split()
)
"""File systems of other computers: SQLite's locks may not hold on them."""


def network_type(path: Path, mounts: str | None = None) -> str | None:
    """The type of the network file system that `path` is on, or would be; None where it is on none.

    mounts: what is mounted, as Linux tells it; read where not given. Elsewhere only a Windows share
    (`\\\\server\\share`) is recognized.
    """
    if os.name == "nt" and str(path).startswith("\\\\"):
        return "a Windows share"
    if mounts is None:
        try:
            mounts = MOUNTS.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
    where = os.path.realpath(path)
    longest, found = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        point = fields[4].replace("\\040", " ").rstrip("/")
        if len(point) >= longest and (where == point or where.startswith(f"{point}/")):
            longest, found = len(point), kind
    return found if found in NETWORK_TYPES else None
