"""What only the Engine's host can do: containers run the host's own programs for it."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiodocker
import aiohttp

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.docker.scratch import Scratch
from worker.errors import OutcomeUnknownError, PermanentError, PodError

_PROGRAMS: Final = ("/usr", "/lib", "/lib64", "/bin", "/sbin")
"""Where a host has programs and libraries. The image has none of them, and not every host has all."""
_NO_SOURCE: Final = re.compile(r"bind source path does not exist: (/\S+)")
_NFT: Final = "nft"
_SHELL: Final = "bash"
_DIAL: Final = (
    'for each in "$@"; do '
    'said=$(timeout 2 bash -c "exec 3<>/dev/tcp/$each" 2>&1); code=$?; '
    'case "$code $said" in 0*) word=reached ;; *refused*) word=reached ;; *) word=not ;; esac; '
    'echo "$each $word"; done'
)
"""A refused connection counts as reached, as the target itself answered. Otherwise a filter may have."""
_LONGEST_TEXT: Final = 2000
_PLACE: Final = "/place"


class HostRules:
    """Runs a program of the Engine's host for a moment, and leaves nothing behind.

    The container's image is empty. The host's programs are mounted in it, read-only: what filters packets for
    the Engine is installed there. So this works wherever the worker itself runs.
    """

    def __init__(self, *, calls: EngineCalls, scratch: Scratch, installation: str, deadline_s: float) -> None:
        self._calls = calls
        self._scratch = scratch
        self._name = f"pinacle-host-{installation}"
        self._deadline_s = deadline_s
        self._one_at_a_time = asyncio.Lock()
        self._missing: set[str] = set()

    async def apply(self, rules: str) -> None:
        """Apply `rules` with the host's `nft`. 6 calls, more if the host lacks a directory.

        Raises PermanentError if that fails or the host has no `nft`, and the errors of the Engine's calls.
        """
        rights = {
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_ADMIN"],
            "NetworkMode": "host",
            # Root of another user namespace may not change the host's network.
            "UsernsMode": "host",
        }
        code, said = await self._run("rules", [_NFT, rules], rights)
        if code != 0:
            raise PermanentError(f"nft on the Engine's host ended with {code}: {said}")

    async def dial(self, network: str, targets: Sequence[str]) -> Mapping[str, bool]:
        """Return which of `targets` (address and port, as `10.0.0.1/80`) answer a pod on `network`.

        Each has 2 s. Raises PermanentError if the host has no bash, and the errors of the Engine's calls.
        """
        command = [_SHELL, "-c", _DIAL, _SHELL, *targets]
        code, said = await self._run("dial", command, {"CapDrop": ["ALL"], "NetworkMode": network})
        words = dict(line.split() for line in said.splitlines() if len(line.split()) == 2)  # noqa: PLR2004
        if code != 0 or words.keys() != set(targets):
            raise PermanentError(f"bash of the Engine's host ended with {code}: {said}")
        return {target: word == "reached" for target, word in words.items()}

    async def make_directory(self, parent: str, name: str) -> None:
        """Make a directory, owned by root, in an existing directory of the host. 6 calls.

        Raises PermanentError if it cannot be made, and the errors of the Engine's calls.
        """
        rights = {"CapDrop": ["ALL"], "NetworkMode": "none", "UsernsMode": "host"}
        command = ["mkdir", "-p", f"{_PLACE}/{name}"]
        code, said = await self._run("mkdir", command, rights, at=parent)
        if code != 0:
            raise PermanentError(f"mkdir on the Engine's host ended with {code}: {said}")

    async def _run(
        self, what: str, command: Sequence[str], rights: Mapping[str, Any], *, at: str | None = None
    ) -> tuple[int, str]:
        """Run a program of the host, which sees the host's directory `at`; return exit code and output."""
        name = f"{self._name}-{what}"
        async with self._one_at_a_time, self._created(name, command, rights, at) as container:
            await self._start(container, command[0])
            ended = await self._calls.json(
                "container_wait", "POST", f"containers/{container}/wait", deadline_s=self._deadline_s
            )
            return int(ended["StatusCode"]), await self._output(container)

    async def _start(self, container: str, program: str) -> None:
        try:
            await self._scratch.start(container)
        except PodError as error:
            if "executable file not found" not in str(error):
                raise
            raise PermanentError(f"the Engine's host has no program {program}") from error

    @asynccontextmanager
    async def _created(
        self, name: str, command: Sequence[str], rights: Mapping[str, Any], at: str | None
    ) -> AsyncIterator[str]:
        while True:
            places = [place for place in _PROGRAMS if place not in self._missing]
            try:
                async with self._scratch.created(name, _body(command, places, rights, at)) as container:
                    yield container
            except PermanentError as error:
                lacking = _NO_SOURCE.search(str(error))
                if lacking is None or lacking[1] not in places:
                    raise
                self._missing.add(lacking[1])
            else:
                return

    async def _output(self, container: str) -> str:
        docker = await self._calls.client()
        self._calls.count("container_logs")
        try:
            async with docker._query(  # noqa: SLF001 - the library's own method mistakes pieces for lines
                f"containers/{container}/logs",
                "GET",
                params={"stdout": "1", "stderr": "1"},
                timeout=aiohttp.ClientTimeout(total=self._deadline_s),
            ) as response:
                text = (await response.read())[:_LONGEST_TEXT].decode(errors="replace")
        except aiodocker.DockerError as error:
            raise explain("container_logs", "the Engine", error) from error
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise OutcomeUnknownError(f"container_logs: broke off: {error}") from error
        return text.replace("\r", "").strip()


def _body(
    command: Sequence[str], places: Sequence[str], rights: Mapping[str, Any], at: str | None
) -> dict[str, Any]:
    mounts = [{"Type": "bind", "Source": place, "Target": place, "ReadOnly": True} for place in places]
    if at is not None:
        mounts.append({"Type": "bind", "Source": at, "Target": _PLACE, "ReadOnly": False})
    return {
        "Cmd": list(command),
        # Then the output is one plain stream, rather than pieces with headers.
        "Tty": True,
        "Env": ["LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "HostConfig": {
            "Mounts": mounts,
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": 64,
            "Memory": 128 * 2**20,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "RestartPolicy": {"Name": "no"},
            # Whatever the Engine's default is: a sandboxed runtime has no part in the host's network.
            "Runtime": "runc",
            **rights,
        },
    }
