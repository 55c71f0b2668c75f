"""Everything that a file system stores about the files below a directory, to compare before and after."""

import os
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any

_BLOCK = 512


def attributes(root: Path) -> dict[str, dict[str, Any]]:
    """Return, for `root` and each path below it, what it is and all its metadata.

    Extended attributes include ACLs, capabilities and those of overlays. Hard links show as the paths of one
    file.
    """
    paths = [
        root,
        *(Path(folder, name) for folder, *names in os.walk(root) for name in (*names[0], *names[1])),
    ]
    files: dict[int, list[str]] = {}
    for path in paths:
        files.setdefault(path.lstat().st_ino, []).append(str(path.relative_to(root)))
    return {str(path.relative_to(root)): _of(path, files) for path in paths}


def _of(path: Path, files: dict[int, list[str]]) -> dict[str, Any]:
    found = path.lstat()
    names = os.listxattr(path, follow_symlinks=False)
    return {
        "mode": oct(found.st_mode),
        "owner": (found.st_uid, found.st_gid),
        "device": (os.major(found.st_rdev), os.minor(found.st_rdev)),
        "mtime_ns": found.st_mtime_ns,
        "names": sorted(files[found.st_ino]) if not S_ISDIR(found.st_mode) else [],
        "xattrs": {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)},
        "target": str(path.readlink()) if S_ISLNK(found.st_mode) else None,
        "content": sha256(path.read_bytes()).hexdigest() if S_ISREG(found.st_mode) else None,
        "has_holes": S_ISREG(found.st_mode) and found.st_blocks * _BLOCK < found.st_size,
    }
