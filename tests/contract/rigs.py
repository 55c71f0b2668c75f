"""What the contract tests need, on the fake Engine and on a real one behind the proxy."""

from pathlib import Path
from typing import Any, Final, Protocol

from tests.support.fake_engine import FakeEngine
from tests.support.fault_proxy import Fault, FaultProxy
from worker.docker.engine import DockerEngine
from worker.errors import EngineUnavailableError, OutcomeUnknownError
from worker.interfaces import Engine
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.pods.model import PinnedImage

_READS = ("container_inspect", "container_list", "volume_list", "image_inspect")
STEP_DEADLINE_S = 4.0
"""A real Engine may take seconds for a call while others work on this machine."""


class Rig(Protocol):
    """An Engine, and what a test does to it behind the caller's back."""

    engine: Engine

    def spoil(self, operation: str, fault: Fault) -> None:
        """Make `fault` happen to the next call of `operation`."""

    @property
    def is_armed(self) -> bool:
        """Whether the fault has not happened yet."""

    def hides(self, operation: str, fault: Fault) -> bool:
        """Whether the caller never learns of this fault."""

    def calls(self) -> int:
        """Return how many Engine calls were sent so far."""

    async def fill(self, pod: str, content: str) -> None:
        """Write into the pod's volume `opt`, replacing everything there."""

    async def content(self, pod: str) -> str:
        """Return what is in the pod's volume `opt`, empty if nothing is."""

    async def make_file(self, pod: str, path: str) -> None:
        """Let the owner of a running pod make a file, with the directories above it."""

    async def files(self, volume: str, path: str) -> set[str]:
        """Return the files in a volume, by its name without prefix, as seen when mounted at `path`."""

    async def end(self, pod: str) -> None:
        """End the pod's container unexpectedly, with exit code 137."""

    async def pause(self, pod: str) -> None:
        """Pause the pod's container."""

    def add_linked(self, name: str, links: dict[str, str]) -> None:
        """Add an image with these links, absolute path to absolute target."""

    async def rename(self, pod: str, name: str) -> None:
        """Give the pod's container another name."""

    async def disconnect(self, pod: str) -> None:
        """Detach the pod's container from its network."""

    async def close(self) -> None:
        """Remove everything that was made."""


class FakeRig:
    """On the fake."""

    def __init__(self, image: PinnedImage) -> None:
        self.fake = FakeEngine()
        self.fake.images[image.reference] = image
        self.engine: Engine = self.fake
        self.is_armed = False

    def hides(self, operation: str, fault: Fault) -> bool:
        return False

    def spoil(self, operation: str, fault: Fault) -> None:
        self.is_armed = True

        def once(name: str) -> None:
            if name != operation:
                return
            self.is_armed = False
            self.fake.before = self.fake.after = lambda _: None
            raise {
                Fault.ERROR: EngineUnavailableError("spoiled: 500"),
                Fault.HANG: OutcomeUnknownError("spoiled: no answer"),
                Fault.CUT: OutcomeUnknownError("spoiled: cut"),
                Fault.LOST: OutcomeUnknownError("spoiled: lost"),
            }[fault]

        # For a question, a lost answer is the same as a lost request.
        if fault is Fault.LOST and operation not in _READS:
            self.fake.after = once
        else:
            self.fake.before = once

    def calls(self) -> int:
        return self.fake.calls.total()

    async def fill(self, pod: str, content: str) -> None:
        self.fake.volumes[f"pinacle-vol-{pod}-opt"].content = content

    async def content(self, pod: str) -> str:
        return self.fake.volumes[f"pinacle-vol-{pod}-opt"].content

    async def make_file(self, pod: str, path: str) -> None:
        self.fake.make_file(pod, path, "text")

    async def files(self, volume: str, path: str) -> set[str]:
        return set(self.fake.volumes[f"pinacle-vol-{volume}"].files)

    async def end(self, pod: str) -> None:
        self.fake.crash(pod, 137)

    async def pause(self, pod: str) -> None:
        self.fake.pause(pod)

    def add_linked(self, name: str, links: dict[str, str]) -> None:
        image = PinnedImage(reference=name, id=f"sha256:{name}", volumes=("/data",))
        self.fake.images[name] = image
        # The Engine resolves a link through all further links.
        self.fake.links[image.id] = {path: links.get(target, target) for path, target in links.items()}

    async def rename(self, pod: str, name: str) -> None:
        await self.fake.rename_container(self.fake.of_pod(pod)[0].observed.id, name)

    async def disconnect(self, pod: str) -> None:
        self.fake.disconnect(pod)

    async def close(self) -> None:
        return


class RealRig:
    """On a real Engine, behind the proxy."""

    PATHS: Final = {
        "container_inspect": r"^GET /containers/[^/]+/json$",
        "container_list": r"^GET /containers/json",
        "volume_list": r"^GET /volumes$",
        "volume_create": r"^POST /volumes/create",
        "volume_remove": r"^DELETE /volumes/",
        "container_create": r"^POST /containers/create",
        "container_start": r"^POST /containers/[^/]+/start",
        "container_stop": r"^POST /containers/[^/]+/stop",
        "container_unpause": r"^POST /containers/[^/]+/unpause",
        "container_update": r"^POST /containers/[^/]+/update",
        "container_remove": r"^DELETE /containers/",
        "container_rename": r"^POST /containers/[^/]+/rename",
        "network_connect": r"^POST /networks/contract/connect",
        "image_inspect": r"^GET /images/",
    }

    def __init__(self, private: PrivateEngine, folder: Path) -> None:
        self._private = private
        self.proxy = FaultProxy(folder / "proxy.sock", private.socket)
        self.engine: Any = DockerEngine(
            self.proxy.url,
            step_deadline_s=STEP_DEADLINE_S,
            list_deadline_s=STEP_DEADLINE_S,
            fill_deadline_s=STEP_DEADLINE_S,
            pull_silence_s=10,
            docker_config=folder,
            network="contract",
            installation="test",
        )

    async def start(self) -> None:
        await self.proxy.start()
        # A client asks for the version once, and the network is made once for an Engine.
        await self.engine.info()
        await self.engine.ensure_network()

    def spoil(self, operation: str, fault: Fault) -> None:
        self.proxy.spoil(self.PATHS[operation], fault)

    @property
    def is_armed(self) -> bool:
        return self.proxy.is_armed

    def hides(self, operation: str, fault: Fault) -> bool:
        """Whether the caller never learns of the fault.

        The HTTP library sends GET and DELETE again if the connection breaks, which is allowed. And a look at
        one pod asks for its volumes by name if their list does not come.
        """
        if operation == "volume_list":
            return True
        sent_again = self.PATHS[operation].startswith(("^GET", "^DELETE"))
        return sent_again and fault in {Fault.CUT, Fault.LOST}

    def calls(self) -> int:
        return self.proxy.requests.total()

    async def fill(self, pod: str, content: str) -> None:
        folder = self._folder(pod)
        for path in folder.iterdir():
            path.unlink()
        if content:
            (folder / "file").write_text(content)

    async def content(self, pod: str) -> str:
        return " ".join(path.read_text().strip() for path in self._folder(pod).iterdir())

    async def make_file(self, pod: str, path: str) -> None:
        script = f"mkdir -p {Path(path).parent}; echo text > {path}"
        self._private.docker("exec", f"pinacle-pod-{pod}", "sh", "-ec", script)

    async def files(self, volume: str, path: str) -> set[str]:
        folder = self._private.data_root / "volumes" / f"pinacle-vol-{volume}" / "_data"
        return {f"{path}/{each.relative_to(folder)}" for each in folder.rglob("*") if each.is_file()}

    async def end(self, pod: str) -> None:
        self._private.docker("kill", f"pinacle-pod-{pod}")
        self._private.docker("wait", f"pinacle-pod-{pod}")

    async def pause(self, pod: str) -> None:
        self._private.docker("pause", f"pinacle-pod-{pod}")

    def add_linked(self, name: str, links: dict[str, str]) -> None:
        inside = {path[1:]: target for path, target in links.items()}
        import_busybox(self._private, name, links=inside, changes=("VOLUME /data",))

    async def rename(self, pod: str, name: str) -> None:
        self._private.docker("rename", f"pinacle-pod-{pod}", name)

    async def disconnect(self, pod: str) -> None:
        self._private.docker("network", "disconnect", "contract", f"pinacle-pod-{pod}")

    async def close(self) -> None:
        await self.engine.close()
        await self.proxy.stop()
        listings = (("rm", ("ps", "-a", "--format", "{{.Names}}")), ("volume", ("volume", "ls", "-q")))
        for kind, listed in listings:
            # The sentinel of the workers that other tests run on this Engine stays.
            left = set(self._private.docker(*listed).split()) - {"pinacle-storage-pinacle"}
            if left:
                self._private.docker(*([kind, "-f"] if kind == "rm" else [kind, "rm", "-f"]), *left)
        self._private.docker("network", "rm", "contract")

    def _folder(self, pod: str) -> Path:
        return self._private.data_root / "volumes" / f"pinacle-vol-{pod}-opt" / "_data"
