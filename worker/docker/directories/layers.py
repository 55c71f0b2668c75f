"""What lies between a base and a pod's system directories: folders for overlays, and whether those work."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

import structlog

from worker.docker.directories.under_way import UnderWay
from worker.docker.request import INIT, LAYERS_IMAGE, LAYERS_INSIDE, filler_body, init_mount, volume_mount
from worker.docker.scratch import Scratch
from worker.errors import EngineUnavailableError, PermanentError, PodError
from worker.planner.volumes.system import overlay_over
from worker.pods import naming
from worker.pods.observation import ObservedVolume

_log: Final = structlog.get_logger(__name__)
_PROBE: Final = f"{naming.BASE_PREFIX}probe-"
_INIT_PATHS: Final = (
    "/usr/bin/docker-init",
    "/usr/libexec/docker/docker-init",
    "/usr/local/libexec/docker/docker-init",
    "/usr/local/bin/docker-init",
    "/usr/sbin/docker-init",
    "/usr/local/sbin/docker-init",
    "/usr/lib/docker/docker-init",
    "/usr/bin/tini-static",
)
"""Where distributions, Docker's own packages and its archive put the init. The API reports only its name."""


MakeVolume = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[ObservedVolume]]
"""Makes a volume with labels and options."""
DropVolume = Callable[[str], Awaitable[None]]


class Layers:
    """Makes the folders that overlays need, and finds out by trying whether overlays work here."""

    def __init__(
        self,
        *,
        scratch: Scratch,
        under_way: UnderWay,
        installation: str,
        init_path: str | None,
        make: MakeVolume,
        drop: DropVolume,
    ) -> None:
        """`init_path` is where the Engine's host has its init, None to look for it."""
        self._scratch = scratch
        self._under_way = under_way
        self._installation = installation
        self._make = make
        self._drop = drop
        self._init_paths = _INIT_PATHS if init_path is None else (init_path,)
        self._init: str | None = None
        self._overlay: bool | None = None

    async def fill(self, name: str) -> None:
        body = filler_body(name, LAYERS_INSIDE, image=LAYERS_IMAGE)
        async with self._scratch.created(naming.filler_name(name), body):
            pass

    async def init(self) -> str | None:
        """Return where the Engine's host has the init that is mounted in pods, None if it cannot be found."""
        if self._init is None:
            self._init = await self._find_init()
        return self._init

    def forget(self) -> None:
        """Forget where the init was found, so that it is looked for again."""
        self._init = None

    async def overlay_works(self) -> bool:
        if self._overlay is None:
            self._overlay = await self._try_overlay()
        return self._overlay

    async def _find_init(self) -> str | None:
        for path in self._init_paths:
            name = f"{_PROBE}{uuid4().hex}"
            try:
                with self._under_way.of(name):
                    async with self._scratch.created(name, self._probe(name, "/init", init_mount(path))):
                        return path
            except PermanentError as error:
                _log.debug("init_not_there", path=path, reason=str(error))
        return None

    async def _try_overlay(self) -> bool:
        """Mount an overlay and run the init beside it, as every pod does."""
        init, name = await self.init(), f"{_PROBE}{uuid4().hex}"
        with self._under_way.of(name):
            return await self._mount_overlay(name, init)

    async def _mount_overlay(self, name: str, init: str | None) -> bool:
        lower, layers, merged = f"{name}-lower", f"{name}-layers", f"{name}-merged"
        try:
            below, own = await self._volume(lower, name), await self._volume(layers, name)
            await self.fill(layers)
            await self._volume(merged, name, overlay_over(below, own, "/usr"))
            mounts = [volume_mount(merged, "/usr"), *([] if init is None else [init_mount(init)])]
            async with self._scratch.created(name, self._probe(name, INIT, *mounts)) as container:
                await self._scratch.start(container)
        except (PermanentError, EngineUnavailableError) as error:
            if not _is_about_mounting(error):
                raise
            _log.warning("overlay_does_not_work", reason=str(error))
            return False
        finally:
            for volume in (merged, layers, lower):
                await self._drop(volume)
        return True

    async def _volume(self, name: str, probe: str, options: Mapping[str, str] = MappingProxyType({})) -> str:
        labels = naming.base_labels(self._installation, "probe", probe)
        return (await self._make(name, labels, options)).mountpoint

    def _probe(self, name: str, program: str, *mounts: dict[str, Any]) -> dict[str, Any]:
        return {
            "Cmd": [program, "--version"],
            "Labels": naming.base_labels(self._installation, "probe", name),
            "HostConfig": {"Mounts": mounts, "NetworkMode": "none", "RestartPolicy": {"Name": "no"}},
        }


def _is_about_mounting(error: PodError) -> bool:
    """Whether the host cannot mount this at all, rather than not just now."""
    return "mount" in str(error) and "no space left" not in str(error)
