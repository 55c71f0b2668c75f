"""One pool: what is mounted there is known, and each command runs on that filesystem or not at all."""

from collections.abc import Collection, Sequence
from typing import Final, Protocol

import structlog

from worker.errors import ObjectMissingError
from worker.interfaces import Ended
from worker.pool import findings
from worker.pool.errors import OTHER_FILESYSTEM, PoolMissingError, PoolUnfitError, failure
from worker.pool.findings import LOOK, PLACE, Found, Quotas
from worker.pool.groups import EVERYTHING, SHOW_GROUPS, most_bytes, parse_groups

_log: Final = structlog.get_logger(__name__)
TEMPLATES: Final = f"{PLACE}/templates"
PODS: Final = f"{PLACE}/pods"
_GUARD: Final = f"""
uuid=$(btrfs filesystem show --raw {PLACE} 2>/dev/null | sed -n '1s/.*uuid: //p')
[ "$uuid" = "$1" ] || exit {OTHER_FILESYSTEM}
shift
"""
"""Before each command, in the same exec: nothing can come between."""
_PREPARE: Final = f"""
[ "$1" = none ] && btrfs quota enable --simple {PLACE}
btrfs --format json qgroup show {PLACE} | grep -q '"{EVERYTHING}"' || btrfs qgroup create {EVERYTHING} {PLACE}
for folder in {TEMPLATES} {PODS}; do
    [ -d "$folder" ] || mkdir --mode=700 "$folder"
done
{SHOW_GROUPS}
"""
_LIMIT_ALL: Final = f"""
btrfs qgroup limit "$1" {EVERYTHING} {PLACE}
btrfs filesystem sync {PLACE}
"""


class Helper(Protocol):
    """Runs commands next to the pool, which they see at `PLACE`; see `worker.docker.helper.container`."""

    async def run(self, command: Sequence[str], *, deadline_s: float | None = None) -> Ended:
        """Run a command, perhaps twice, in a container that sees the mount that it began with."""

    async def run_afresh(
        self,
        command: Sequence[str],
        *,
        below: str = "",
        capabilities: Collection[str] = ...,
        deadline_s: float | None = None,
    ) -> Ended:
        """Run a command in a container that sees what the host mounts now, or only what is `below` it."""

    async def remove(self) -> None:
        """Remove the container that is kept; the next command makes another."""

    async def sweep(self) -> None:
        """Remove the containers that processes left which were killed."""


class Pool:
    """The pool of one host. Before anything else, `open` says which filesystem it is."""

    def __init__(self, helper: Helper, *, path: str) -> None:
        """`path` is where the Engine's host mounts it."""
        self._helper = helper
        self._path = path
        self._uuid: str | None = None

    @property
    def path(self) -> str:
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether it is known which filesystem it is."""
        return self._uuid is not None

    @property
    def uuid(self) -> str:
        """Return the filesystem that `open` saw. Raises PoolMissingError before that."""
        return self._known()

    async def open(self, uuid: str | None) -> Found:
        """Look at what the host mounts now, make our folders on it, and return what was found.

        `uuid` is the pool's filesystem if that is known: this host may have pods on it. Raises as
        `findings.check` does, and what a Helper raises; then nothing was made.
        """
        await self._helper.sweep()
        found = await self._look(uuid)
        self._uuid = found.uuid
        groups = parse_groups(await self.run("pool: prepare", _PREPARE, found.quotas.value))
        most = most_bytes(found.free_bytes, groups[EVERYTHING].used)
        await self.run("pool: limit", _LIMIT_ALL, str(most))
        if found.quotas is Quotas.NONE:
            found = await self._look(found.uuid)
        if found.quotas is not Quotas.SIMPLE:
            raise PoolUnfitError(f"the pool at {self._path} cannot count what pods use: {found.quotas}")
        return found

    async def examine(self, uuid: str | None) -> Found:
        """Look at what the host mounts now, and change nothing. `uuid` and errors are as in `open`."""
        found = await self._seen()
        findings.check(found, self._path, uuid)
        return found

    async def confirm(self) -> Found:
        """Look at what the host mounts now; a helper that sees another filesystem is made again.

        Raises as `open` does. A helper that would go on writing to what was unmounted is removed.
        """
        return await self._look(self._known())

    async def run(self, what: str, script: str, *arguments: str, deadline_s: float | None = None) -> str:
        """Run a shell script on the pool, which sees it at `PLACE`; return what it prints.

        It ends at the first command that fails. It may be run twice. Raises PoolMissingError, without having
        run it, if the helper sees another filesystem and so does a new one; otherwise the errors of
        `worker.pool.errors`, and what a Helper raises.
        """
        command = ["sh", "-ec", f"{_GUARD}{script}", "sh", self._known(), *arguments]
        try:
            ended = await self._helper.run(command, deadline_s=deadline_s)
            if ended.exit_code == OTHER_FILESYSTEM:
                # It may be a helper that began before the pool was mounted.
                await self._helper.remove()
                ended = await self._helper.run(command, deadline_s=deadline_s)
        except ObjectMissingError as error:
            raise self._nowhere(error) from error
        if ended.exit_code != 0:
            raise failure(what, self._path, ended)
        return ended.stdout.decode(errors="replace")

    async def run_within(self, what: str, script: str, *arguments: str, below: str) -> str:
        """Run a shell script that sees, at `PLACE`, nothing of the pool but the directory `below` it.

        So links in that directory lead nowhere. It may change what belongs to any user. Raises as `run`.
        """
        command = ["sh", "-ec", script, "sh", *arguments]
        rights = ("DAC_OVERRIDE", "FOWNER")
        ended = await self._helper.run_afresh(command, below=below, capabilities=rights)
        if ended.exit_code != 0:
            raise failure(what, self._path, ended)
        return ended.stdout.decode(errors="replace")

    async def run_reading(self, what: str, script: str, *arguments: str, deadline_s: float) -> str:
        """Run a shell script that may read what belongs to any user, in a container of its own.

        Raises as `run` does.
        """
        command = ["sh", "-ec", f"{_GUARD}{script}", "sh", self._known(), *arguments]
        rights = ("DAC_READ_SEARCH", "SYS_ADMIN")
        try:
            ended = await self._helper.run_afresh(command, capabilities=rights, deadline_s=deadline_s)
        except ObjectMissingError as error:
            raise self._nowhere(error) from error
        if ended.exit_code != 0:
            raise failure(what, self._path, ended)
        return ended.stdout.decode(errors="replace")

    def _known(self) -> str:
        if self._uuid is None:
            raise PoolMissingError(f"the pool at {self._path} was not seen yet: nothing is made")
        return self._uuid

    def _nowhere(self, error: ObjectMissingError) -> PoolMissingError:
        return PoolMissingError(
            f"{error}: it is where PINACLE_POOL says that the pool is mounted, on the Engine's host, not in "
            "the worker's container. Nothing was made or changed"
        )

    async def _look(self, uuid: str | None) -> Found:
        try:
            found = await self.examine(uuid)
        except PoolMissingError:
            await self._helper.remove()
            raise
        await self._renew_stale(found.uuid)
        return found

    async def _seen(self) -> Found:
        try:
            ended = await self._helper.run_afresh(["sh", "-c", LOOK])
        except ObjectMissingError as error:
            raise self._nowhere(error) from error
        if ended.exit_code != 0:
            raise failure("pool: look", self._path, ended)
        return findings.parse(ended.stdout.decode(errors="replace"))

    async def _renew_stale(self, uuid: str) -> None:
        ended = await self._helper.run(["sh", "-ec", _GUARD, "sh", uuid])
        if ended.exit_code != 0:
            _log.warning("helper_stale", pool=self._path)
            await self._helper.remove()
