"""What in a pod is as its image has it: names, content, owners, modes, links and attributes, but no times."""

from collections.abc import Mapping
from typing import Final

from worker.errors import ForeignObjectError
from worker.pods.observation import ImageDirectory
from worker.pool.pool import Pool
from worker.pool.subvolumes import UUID_OF

_OTHER: Final = "/other"
"""No volume's name has a slash."""
_PACK: Final = (
    "tar --create --sort=name --format=posix --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime "
    "--mtime=@0 --numeric-owner --acls --xattrs --xattrs-include='*' --sparse --anchored --no-wildcards "
    "--exclude-from=-"
)
_COMPARE: Final = f"""
cd /pool
{UUID_OF}
[ "$(uuid_of "pods/$1")" = "$2" ] || {{ echo {_OTHER}; exit 0; }}
pod="pods/$1" template="templates/$3"
shift 3
listed() {{
    printf %s "$hidden" | {{ {_PACK} -vv --file=/dev/null --directory="$1" . || echo "$1"; }} |
        sed -E 's/ [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} [0-9]{{2}}:[0-9]{{2}} / /' | sha256sum
}}
packed() {{
    printf %s "$hidden" | {{ {_PACK} --file=- --directory="$1" . || echo "$1"; }} | sha256sum
}}
is_same() {{
    [ "$($1 "$template/$volume")" = "$($1 "$pod/$directory")" ]
}}
while [ $# -gt 0 ]; do
    volume=$1 directory=$2 hidden=$3
    shift 3
    if is_same listed && is_same packed; then echo "$volume"; fi
done
"""
"""What cannot be read is not the same: its own name is in what is compared. Content is only read if all the
rest is the same, and no link is followed."""


async def unchanged_volumes(
    pool: Pool,
    pod_id: str,
    uuid: str,
    template: str,
    directories: Mapping[str, ImageDirectory],
    *,
    deadline_s: float,
) -> frozenset[str]:
    """Return the volumes whose directories are as a template has them.

    Raises ForeignObjectError if another subvolume has the pod's name, and as `Pool.run_reading` does.
    """
    arguments: list[str] = []
    for volume, directory in directories.items():
        hidden = "".join(f"./{path}\n" for path in directory.hidden)
        arguments += [volume, directory.name, hidden]
    printed = await pool.run_reading(
        "pod: compare", _COMPARE, pod_id, uuid, template, *arguments, deadline_s=deadline_s
    )
    same = frozenset(printed.split())
    if _OTHER in same:
        raise ForeignObjectError(
            f"pod {pod_id}: what has its name on the pool is not its own subvolume {uuid}"
        )
    return same
