"""What `pinacle doctor` concludes of the host's pool."""

from typing import Final

from worker.cli.doctor.checks import Check, fail, ok, warn
from worker.errors import PodError
from worker.pool.findings import Found

_GB: Final = 10**9
_LEAST_FREE: Final = 0.1


def pool(path: str | None, found: Found | PodError | None) -> Check:
    """Whether new pods can be made on the pool at `path`; the error says why not."""
    name = "pool"
    if path is None or found is None:
        return ok(name, "none: new pods have Docker's own volumes")
    if isinstance(found, PodError):
        return fail(name, str(found), "docs/pool.md says how a pool is made, and what it needs")
    detail = (
        f"{found.free_bytes / _GB:.1f} of {found.size_bytes / _GB:.1f} GB free at {path}, {found.uuid}, "
        f"encrypted: {found.encrypted}, compression: {found.compression or 'none'}"
    )
    if found.free_bytes < _LEAST_FREE * found.size_bytes:
        return warn(name, detail, "delete pods, or make the filesystem larger: btrfs filesystem resize")
    return ok(name, detail)
