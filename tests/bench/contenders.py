"""The same pod four ways: the Engine's floor, ours, a shell script, and Compose.

All make what a pod without system volumes is: eight named volumes, a container on the same network with the
same limits, filled from the image. Ours is measured with its system volumes too.
"""

import asyncio
import json
import os
import shlex
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import aiodocker

from config.layout import LAYERS_VOLUME, UNIVERSAL_VOLUMES
from tests.support.worker import WorkerProcess
from worker.docker.request import LAYERS_IMAGE, LAYERS_INSIDE, filler_body
from worker.local.client import Client
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until
from worker.process.loop_thread import LoopThread

NETWORK: Final = "pinacle"
STOP_S: Final = 1
_NAME: Final = "{name}"
"""Stands for the beginning of a pod's volume names."""
AT_ONCE: Final = 8
"""Pods that floor, script and Compose work on at once: more of them hold each other up on a small machine."""


class Contender(Protocol):
    """A way to do with pods what we do."""

    name: str

    def create(self, pods: Sequence[str]) -> None:
        """Create these pods, all at the same time; return when they run."""

    def stop(self, pods: Sequence[str]) -> None:
        """Stop these pods."""

    def start(self, pods: Sequence[str]) -> None:
        """Start these stopped pods."""

    def recover(self, pods: Sequence[str]) -> None:
        """Bring back these pods, whose containers are gone."""

    def delete(self, pods: Sequence[str]) -> None:
        """Remove containers and volumes."""

    def container(self, pod: str) -> str:
        """Return the name of a pod's container."""


class Ours:
    """`apply_async` to the result in the caller's hands, through Redis and a worker process."""

    def __init__(self, name: str, client: Client, image: str) -> None:
        self.name = name
        self._client = client
        self._spec = {"image": image, "stop_timeout_s": STOP_S}

    def create(self, pods: Sequence[str]) -> None:
        self._all("create", pods, self._spec)

    def stop(self, pods: Sequence[str]) -> None:
        self._all("stop", pods)

    def start(self, pods: Sequence[str]) -> None:
        self._all("start", pods)

    def recover(self, pods: Sequence[str]) -> None:
        self._all("restart", pods)

    def delete(self, pods: Sequence[str]) -> None:
        self._all("delete", pods)

    def container(self, pod: str) -> str:
        return f"pinacle-pod-{pod}"

    def _all(self, task: str, pods: Sequence[str], *more: Any) -> None:
        wanted = {"create": "running", "start": "running", "restart": "running", "stop": "stopped"}
        sent = [self._client.send(task, pod, *more) for pod in pods]
        phase = wanted.get(task, "deleted")
        for pod, one in zip(pods, sent, strict=True):
            if self._client.receive(one, 300)["phase"] != phase:
                self._wait(pod, phase)

    def _wait(self, pod: str, phase: str) -> None:
        """Wait for a phase: if work takes longer than a task may wait, the task answers before its end."""
        wait_until(lambda: self._client.call("get", pod)["phase"] == phase, 300, what=f"{pod}: {phase}")


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a pod of ours is made of, according to the Engine; the floor makes the same under other names."""

    container: str
    """The body that creates the container, as JSON."""
    volumes: str
    """JSON: volume name to the options that it is created with."""

    @classmethod
    def of(cls, engine: PrivateEngine, pod: str) -> Self:
        found = json.loads(engine.docker("inspect", f"pinacle-pod-{pod}"))[0]
        body = {"Image": found["Image"], "OpenStdin": True, "HostConfig": found["HostConfig"]}
        names = engine.docker("volume", "ls", "-q", "--filter", f"label=dev.pinacle.pod={pod}").split()
        volumes = json.loads(engine.docker("volume", "inspect", *names))
        ours = f"pinacle-vol-{pod}-"
        return cls(
            container=json.dumps(body).replace(ours, _NAME),
            volumes=json.dumps({v["Name"]: v["Options"] or {} for v in volumes}).replace(ours, _NAME),
        )

    def body(self, pod: str, *, filled: bool) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.container.replace(_NAME, f"floor-{pod}-"))
        for mount in body["HostConfig"]["Mounts"]:
            if filled and mount["Type"] == "volume":
                mount.setdefault("VolumeOptions", {})["NoCopy"] = True
        return body

    def volumes_of(self, pod: str, *, overlaid: bool) -> dict[str, dict[str, str]]:
        """Return the pod's volumes that are, or are not, overlays of others, with their options."""
        volumes: dict[str, dict[str, str]] = json.loads(self.volumes.replace(_NAME, f"floor-{pod}-"))
        return {name: options for name, options in volumes.items() if bool(options) is overlaid}


class Floor:
    """The fewest Engine calls that reach the same state, with the best number of pods at once."""

    def __init__(self, name: str, engine: PrivateEngine, template: Template, *, at_once: int = 8) -> None:
        self.name = name
        self.at_once = at_once
        self._template = template
        self._loop = LoopThread()
        self._docker = self._loop.run(self._connect(engine.url))

    def create(self, pods: Sequence[str]) -> None:
        self._all(pods, self._create)

    def stop(self, pods: Sequence[str]) -> None:
        self._all(pods, lambda pod: self._call("POST", f"containers/{self.container(pod)}/stop?t={STOP_S}"))

    def start(self, pods: Sequence[str]) -> None:
        self._all(pods, lambda pod: self._call("POST", f"containers/{self.container(pod)}/start"))

    def recover(self, pods: Sequence[str]) -> None:
        self._all(pods, self._run)

    def delete(self, pods: Sequence[str]) -> None:
        self._all(pods, self._delete)

    def container(self, pod: str) -> str:
        return f"floor-{pod}"

    def close(self) -> None:
        self._loop.run(self._docker.close())
        self._loop.close()

    async def _connect(self, url: str) -> aiodocker.Docker:
        return aiodocker.Docker(url=url)

    def _all(self, pods: Sequence[str], do: Callable[[str], Awaitable[object]]) -> None:
        async def everything() -> None:
            turn = asyncio.Semaphore(self.at_once)

            async def one(pod: str) -> None:
                async with turn:
                    await do(pod)

            await asyncio.gather(*map(one, pods))

        self._loop.run(everything())

    async def _create(self, pod: str) -> None:
        await self._make(self._template.volumes_of(pod, overlaid=False))
        overlays = self._template.volumes_of(pod, overlaid=True)
        if overlays:
            layers = f"floor-{pod}-{LAYERS_VOLUME[0]}"
            body = {**filler_body(layers, LAYERS_INSIDE, image=LAYERS_IMAGE), "Image": LAYERS_IMAGE}
            filler = await self._call("POST", "containers/create", body)
            await self._call("DELETE", f"containers/{filler['Id']}")
            await self._make(overlays)
        await self._run(pod, filled=False)

    async def _make(self, volumes: dict[str, dict[str, str]]) -> None:
        bodies = [{"Name": name, "DriverOpts": options} for name, options in volumes.items()]
        await asyncio.gather(*(self._call("POST", "volumes/create", body) for body in bodies))

    async def _run(self, pod: str, *, filled: bool = True) -> None:
        path = f"containers/create?name={self.container(pod)}"
        made = await self._call("POST", path, self._template.body(pod, filled=filled))
        await self._call("POST", f"containers/{made['Id']}/start")

    async def _delete(self, pod: str) -> None:
        await self._call("DELETE", f"containers/{self.container(pod)}?force=1")
        for overlaid in (True, False):
            names = self._template.volumes_of(pod, overlaid=overlaid)
            await asyncio.gather(*(self._call("DELETE", f"volumes/{name}") for name in names))

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        return await self._docker._query_json(path, method=method, data=body)


class Script:
    """The docker command line, as the original system used it, without its sleeps."""

    name = "docker CLI"

    def __init__(self, engine: PrivateEngine, image: str) -> None:
        self._engine = engine
        self._image = image

    def create(self, pods: Sequence[str]) -> None:
        self._all(pods, lambda pod: self._volumes(pod) + self._run(pod))

    def stop(self, pods: Sequence[str]) -> None:
        self._all(pods, lambda pod: f"docker stop -t {STOP_S} {self.container(pod)}")

    def start(self, pods: Sequence[str]) -> None:
        self._all(pods, lambda pod: f"docker start {self.container(pod)}")

    def recover(self, pods: Sequence[str]) -> None:
        self._all(pods, lambda pod: self._volumes(pod) + self._run(pod))

    def delete(self, pods: Sequence[str]) -> None:
        self._all(pods, self._removal)

    def container(self, pod: str) -> str:
        return f"cli-{pod}"

    def _removal(self, pod: str) -> str:
        names = " ".join(f"cli-{pod}-{name}" for name, _ in UNIVERSAL_VOLUMES)
        return f"docker rm -f {self.container(pod)}; docker volume rm {names}"

    def _volumes(self, pod: str) -> str:
        lines = [
            f"docker volume inspect cli-{pod}-{name} || docker volume create cli-{pod}-{name}"
            for name, _ in UNIVERSAL_VOLUMES
        ]
        return "\n".join(lines) + "\n"

    def _run(self, pod: str) -> str:
        volumes = " ".join(f"-v cli-{pod}-{name}:{path}" for name, path in UNIVERSAL_VOLUMES)
        limits = "--cpus 1 --memory 2g --memory-swap 2g --pids-limit 4096"
        options = f"-i --init --network {NETWORK} --tmpfs /run {limits} {volumes}"
        name = self.container(pod)
        return f"docker create --name {name} {options} {self._image}\ndocker start {name}"

    def _all(self, pods: Sequence[str], script: Callable[[str], str]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda pod: self._sh(script(pod)), pods))

    def _sh(self, script: str) -> None:
        environment = {**os.environ, "DOCKER_HOST": self._engine.url}
        done = subprocess.run(
            ["sh", "-c", script], check=False, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


class Compose:
    """`docker compose up -d` with the same eight volumes, a project for each pod."""

    name = "compose"

    def __init__(self, engine: PrivateEngine, image: str, program: Path, folder: Path) -> None:
        self._engine = engine
        self._image = image
        self._program = program
        self._folder = folder

    def create(self, pods: Sequence[str]) -> None:
        for pod in pods:
            self._file(pod).write_text(json.dumps(self._project(pod)))
        self._all(pods, "up", "-d")

    def stop(self, pods: Sequence[str]) -> None:
        self._all(pods, "stop", "-t", str(STOP_S))

    def start(self, pods: Sequence[str]) -> None:
        self._all(pods, "start")

    def recover(self, pods: Sequence[str]) -> None:
        self._all(pods, "up", "-d")

    def delete(self, pods: Sequence[str]) -> None:
        self._all(pods, "down", "-v", "-t", str(STOP_S))

    def container(self, pod: str) -> str:
        return f"{pod}-pod-1"

    def _file(self, pod: str) -> Path:
        return self._folder / f"{pod}.json"

    def _project(self, pod: str) -> dict[str, Any]:
        service = {
            "image": self._image,
            "init": True,
            "stdin_open": True,
            "cpus": 1,
            "mem_limit": "2g",
            "memswap_limit": "2g",
            "pids_limit": 4096,
            "tmpfs": "/run",
            "volumes": [f"{name}:{path}" for name, path in UNIVERSAL_VOLUMES],
            "networks": [NETWORK],
        }
        return {
            "name": pod,
            "services": {"pod": service},
            "volumes": {name: {} for name, _ in UNIVERSAL_VOLUMES},
            "networks": {NETWORK: {"external": True}},
        }

    def _all(self, pods: Sequence[str], *words: str) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda pod: self._compose(pod, *words), pods))

    def _compose(self, pod: str, *words: str) -> None:
        command = [str(self._program), "-f", str(self._file(pod)), *words]
        environment = {**os.environ, "DOCKER_HOST": self._engine.url}
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"


@contextmanager
def our_worker(
    folder: Path, environment: dict[str, str], name: str, **settings: str
) -> Iterator[tuple[WorkerProcess, Client]]:
    """Run a worker with a Redis of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    redis = RedisServer(folder / "redis")
    redis.start()
    worker = WorkerProcess(folder, {**environment, "PINACLE_REDIS_URL": redis.url, **settings}, name)
    client = Client(redis.url)
    worker.start()
    try:
        yield worker, client
    finally:
        client.close()
        worker.stop()
        redis.stop()


def lose(engine: PrivateEngine, contender: Contender, pods: Sequence[str]) -> None:
    """Remove their containers behind their backs."""
    names = [contender.container(pod) for pod in pods]
    with suppress(FileNotFoundError):
        subprocess.run(
            [find("docker") or "docker", "-H", engine.url, "rm", "-f", *names],
            check=True,
            stdout=subprocess.DEVNULL,
        )
