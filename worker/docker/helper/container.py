"""The helper: a container of ours on the Engine that sees a directory of its host and runs tools on it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from json import dumps
from typing import Any, Final
from uuid import uuid4

import aiohttp

from worker.docker.calls import EngineCalls
from worker.docker.helper.shell import LOOP, Shell, ShellGoneError
from worker.docker.inside.streams import ContainerStreams
from worker.docker.scratch import Scratch
from worker.errors import (
    ConflictError,
    EngineUnavailableError,
    ForeignObjectError,
    ImageGoneError,
    ObjectMissingError,
    OutcomeUnknownError,
    PermanentError,
)
from worker.interfaces import Ended
from worker.pods import naming

_MOST_BYTES: Final = 2**20
"""Of output; a line for each of some thousand pods is less."""
_TOO_LONG: Final = (124, 137)
"""How `timeout` ends if the command did not end in time, or had to be killed."""
_CANNOT_RUN: Final = (126, 127)
_NO_SOURCE: Final = "bind source path does not exist"
_SHELLS: Final = 8
"""Commands under way at a time: each is up to four of the container's 64 processes."""
_AFTER_S: Final = 60.0
"""Seconds for which a fresh container is there at most besides the time that its command may take."""
_GRACE_S: Final = 2.0
"""Seconds more for the Engine to answer than the command has to end."""


class Helper:
    """Runs commands in one container that is kept running, or in a fresh one.

    The container keeps the mount that it began with. So it goes on seeing a filesystem that the host has
    unmounted since, and never one that was mounted later: only a fresh one sees what the host mounts now.
    """

    def __init__(
        self,
        *,
        calls: EngineCalls,
        scratch: Scratch,
        streams: ContainerStreams,
        installation: str,
        image: str,
        source: str,
        place: str,
        deadline_s: float,
    ) -> None:
        """`source` is the host's directory, and `place` is where the commands see it."""
        self._calls = calls
        self._scratch = scratch
        self._streams = streams
        self._installation = installation
        self._image = image
        self._source = source
        self._place = place
        self._deadline_s = deadline_s
        self._name = f"pinacle-helper-{installation}"
        self._container: str | None = None
        self._one_at_a_time = asyncio.Lock()
        self._shells = asyncio.Semaphore(_SHELLS)
        self._idle: list[tuple[str, Shell]] = []
        """Shells that have nothing to do, with the container that each is in."""

    async def run(self, command: Sequence[str], *, deadline_s: float | None = None) -> Ended:
        """Run a command in the container that is kept, in a shell that is kept there.

        No call; 2 if there is no shell that has nothing to do, and more if the container has to be made.

        Raises OutcomeUnknownError if the command does not end in time, ObjectMissingError if the host has no
        such directory, PermanentError if the image is missing or lacks a program, ForeignObjectError if
        another container has the helper's name, and the errors of the Engine's calls.
        """
        seconds = self._deadline_s if deadline_s is None else deadline_s
        container = await self._kept()
        try:
            return await self._typed(container, command, seconds)
        except (ObjectMissingError, ConflictError, ShellGoneError):
            # It was removed, has ended or is paused; rarely after the command was run, so commands may be run
            # twice.
            await self._look_again_at(container)
        except OutcomeUnknownError:
            # One that somebody has paused answers nothing, and would never.
            await self._look_again_at(container)
            raise
        await self._close_idle()
        return await self._typed(await self._kept(), command, seconds)

    async def run_afresh(
        self,
        command: Sequence[str],
        *,
        below: str = "",
        capabilities: Collection[str] = ("SYS_ADMIN",),
        deadline_s: float | None = None,
    ) -> Ended:
        """Run a command in a container of its own, which sees what the host mounts now. 6 calls.

        It sees nothing but the directory `below` the source. Raises as `run` does.
        """
        seconds = self._deadline_s if deadline_s is None else deadline_s
        async with self._fresh(f"{self._source}{below}", capabilities, seconds) as container:
            return await self._execute(container, command, seconds)

    async def close(self) -> None:
        """Close the shells; the container stays for the next process."""
        await self._close_idle()

    async def remove(self) -> None:
        """Remove the container that is kept, if there is one of ours; the next command makes another."""
        await self._close_idle()
        async with self._one_at_a_time:
            self._container = None
            if await self._is_ours(self._name):
                await self._scratch.remove(self._name)

    async def sweep(self) -> None:
        """Remove the fresh containers that ended by themselves: their process was killed. 1 call.

        So is one that is paused, as it never ends. One that was made and not started may be about to be.
        """
        labels = [f"{naming.LABEL_INSTALLATION}={self._installation}", naming.LABEL_HELPER]
        filters = dumps({"label": labels, "status": ["exited", "dead", "paused"]})
        params = {"all": "1", "filters": filters}
        for entry in await self._calls.json("container_list", "GET", "containers/json", params=params):
            if self._name not in (name.lstrip("/") for name in entry["Names"]):
                await self._scratch.remove(entry["Id"])

    async def _typed(self, container: str, command: Sequence[str], seconds: float) -> Ended:
        """Run a command in a shell of a container; raise as `run`."""
        try:
            async with asyncio.timeout(seconds):
                await self._shells.acquire()
        except TimeoutError:
            raise EngineUnavailableError(
                f"helper: {_SHELLS} commands are under way, and none has ended within {seconds:g} s"
            ) from None
        try:
            shell = await self._shell(container)
            try:
                ended = await shell.run(_limited(command, seconds), seconds=seconds + _GRACE_S)
            except BaseException:
                await shell.close()
                raise
            self._idle.append((container, shell))
        finally:
            self._shells.release()
        return self._judged(ended, command, seconds)

    async def _shell(self, container: str) -> Shell:
        while self._idle:
            of, shell = self._idle.pop()
            if of == container:
                return shell
            await shell.close()
        async with AsyncExitStack() as opening:
            begun = self._streams.session(container, ["sh", "-c", LOOP], user="0:0", terminal=None)
            try:
                async with asyncio.timeout(self._deadline_s):
                    session = await opening.enter_async_context(begun)
            except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
                raise EngineUnavailableError(
                    f"the Engine opens no shell in the helper: {str(error) or 'time is up'}"
                ) from error
            return Shell(session, opening.pop_all())

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop()[1].close()

    async def _kept(self) -> str:
        async with self._one_at_a_time:
            if self._container is None:
                self._container = await self._find_or_make()
            return self._container

    async def _look_again_at(self, container: str) -> None:
        """Let the next command see what has become of the container that was kept."""
        async with self._one_at_a_time:
            if self._container == container:
                self._container = None

    async def _find_or_make(self) -> str:
        body = self._body(self._source, ("SYS_ADMIN",), seconds="infinity")
        try:
            container = await self._create(self._name, body)
        except ConflictError:
            container = await self._taken_over(body)
        await self._scratch.start(container)
        return container

    async def _taken_over(self, body: dict[str, Any]) -> str:
        """Return the helper that there is, or a new one if that differs, has ended or is paused."""
        entry = await self._inspect(self._name)
        labels = entry["Config"].get("Labels") or {}
        if labels.get(naming.LABEL_INSTALLATION) != self._installation:
            raise ForeignObjectError(
                f"the container {self._name} is not ours, and the helper needs its name: rename or remove it"
            )
        is_same = labels.get(naming.LABEL_HELPER) == body["Labels"][naming.LABEL_HELPER]
        # To `Running` alone a paused one is running too.
        if is_same and entry["State"]["Status"] == "running":
            return str(entry["Id"])
        await self._scratch.remove(str(entry["Id"]))
        return await self._create(self._name, body)

    async def _is_ours(self, name: str) -> bool:
        try:
            entry = await self._inspect(name)
        except ObjectMissingError:
            return False
        labels = entry["Config"].get("Labels") or {}
        return bool(labels.get(naming.LABEL_INSTALLATION) == self._installation)

    async def _inspect(self, name: str) -> Any:
        return await self._calls.json("container_inspect", "GET", f"containers/{name}/json")

    async def _create(self, name: str, body: dict[str, Any]) -> str:
        try:
            return await self._scratch.create(name, body)
        except ImageGoneError as error:
            raise PermanentError(
                f"the helper's image {self._image} is not on the Engine's host: {_HOW_TO_GET}"
            ) from error
        except PermanentError as error:
            if _NO_SOURCE not in str(error):
                raise
            raise ObjectMissingError(
                f"the Engine's host has no directory {body['HostConfig']['Mounts'][0]['Source']}"
            ) from error

    @asynccontextmanager
    async def _fresh(self, source: str, capabilities: Collection[str], seconds: float) -> AsyncIterator[str]:
        # If this process is killed, the container ends by itself, and is swept up later.
        body = self._body(source, capabilities, seconds=f"{seconds + _AFTER_S:g}")
        container = await self._create(f"{self._name}-{uuid4().hex}", body)
        try:
            await self._scratch.start(container)
            yield container
        finally:
            await self._scratch.remove(container)

    async def _execute(self, container: str, command: Sequence[str], seconds: float) -> Ended:
        ended = await self._streams.execute(
            container,
            _limited(command, seconds),
            user="0:0",
            timeout_s=seconds + _GRACE_S,
            most_bytes=_MOST_BYTES,
        )
        return self._judged(ended, command, seconds)

    def _judged(self, ended: Ended, command: Sequence[str], seconds: float) -> Ended:
        if ended.timed_out or ended.exit_code is None or ended.exit_code in _TOO_LONG:
            raise OutcomeUnknownError(
                f"helper: {command[0]} did not end within {seconds:g} s; it may or may not have been done"
            )
        if ended.exit_code in _CANNOT_RUN:
            said = ended.stderr.decode(errors="replace").strip()
            raise PermanentError(f"the helper's image {self._image} lacks a program ({said}): {_HOW_TO_GET}")
        return ended

    def _body(self, source: str, capabilities: Collection[str], *, seconds: str) -> dict[str, Any]:
        mount = {
            "Type": "bind",
            "Source": source,
            "Target": self._place,
            "BindOptions": {"Propagation": "rprivate"},
        }
        body: dict[str, Any] = {
            "Image": self._image,
            "Entrypoint": [],
            "Cmd": ["sleep", seconds],
            "Env": ["LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "User": "0:0",
            "WorkingDir": "/",
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "Mounts": [mount],
                "CapDrop": ["ALL"],
                "CapAdd": sorted(capabilities),
                "SecurityOpt": ["no-new-privileges"],
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                # Root of another user namespace may not change a filesystem of the host.
                "UsernsMode": "host",
                "PidsLimit": 64,
                "Memory": 256 * 2**20,
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "RestartPolicy": {"Name": "no"},
                # A sandboxed runtime has a kernel of its own, which knows no such filesystem.
                "Runtime": "runc",
            },
        }
        made_as = sha256(dumps(body, sort_keys=True).encode()).hexdigest()
        labels = {naming.LABEL_INSTALLATION: self._installation, naming.LABEL_HELPER: made_as}
        return {**body, "Labels": labels}


def _limited(command: Sequence[str], seconds: float) -> list[str]:
    """Return the command with a deadline of its own, or it would go on after its caller gave up."""
    return ["timeout", "-k", "1", f"{seconds:g}", *command]


_HOW_TO_GET: Final = (
    "pull it, or import a Debian root that has the package btrfs-progs, 6.14 or newer (docs/pool.md has the "
    "lines), and name it in PINACLE_HELPER_IMAGE"
)
