"""`make demo`: a pod keeps its data while its container is destroyed. Everything it shows is checked."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from rich.console import Console

from worker.client import Client
from worker.local.images import import_busybox, import_helper
from worker.local.packages import ENGINE, FILTER, MissingProgramsError, require
from worker.local.pool_file import SIMPLE_QUOTAS, PoolFile
from worker.local.private_engine import EngineFailedError, PrivateEngine, require_root
from worker.local.processes import inherited
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until
from worker.pods.naming import LABEL_POD

ROOT: Final = Path(__file__).parents[2]
DIRECTORIES: Final = ("/workspace", "/home", "/root", "/etc", "/usr/local", "/opt", "/var", "/srv")
POD, NEIGHBOUR = "demo", "neighbour"
PROGRAMS: Final = ("/usr/local/bin/greet", "/usr/bin/cheer", "/bin/salute")
"""One place where a person installs programs, and one where packages do."""
_WRITTEN: Final = 5 * 10**6
"""Bytes of a file that the owner of the pod writes."""
_screen: Final = Console(highlight=False)


class Stage:
    """The running stack, and what users and accidents do to it."""

    def __init__(self, engine: PrivateEngine, redis_url: str) -> None:
        self.engine = engine
        self._client = Client(redis_url)

    def task(self, name: str, *args: Any) -> dict[str, Any]:
        """Call a task by its name, as a web app does, and show it."""
        began = monotonic()
        shown = ", ".join(repr(arg) for arg in args)
        answer: dict[str, Any] = self._client.call(f"pods.{name}", *args)
        phase = answer.get("phase", "")
        _screen.print(f"  [bold]pods.{name}[/]({shown}) -> {phase} [dim]{monotonic() - began:.2f} s[/]")
        return answer

    def close(self) -> None:
        self._client.close()

    def shell(self, pod: str, script: str) -> str:
        return self.engine.docker("exec", f"pinacle-pod-{pod}", "sh", "-ec", script).strip()

    def volumes(self, pod: str) -> list[str]:
        names = self.engine.docker("volume", "ls", "-q").split()
        return [name for name in names if name.startswith(f"pinacle-vol-{pod}-")]

    def container(self, pod: str) -> str:
        return self.engine.docker("inspect", "--format", "{{.Id}}", f"pinacle-pod-{pod}")

    def containers(self) -> list[str]:
        return self.engine.docker("ps", "--no-trunc", "-q", "--filter", f"label={LABEL_POD}").split()

    def room(self, pod: str) -> tuple[int, float]:
        """Return how many bytes a pod keeps, as measured last, and how many GB it may keep."""
        answer = self._client.call("pods.get", pod)
        return answer["disk_bytes"] or 0, (answer["disk_limit_bytes"] or 0) / 10**9

    def is_up(self, pod: str) -> bool:
        running = self.engine.docker("ps", "--format", "{{.Names}}").split()
        return f"pinacle-pod-{pod}" in running


def main() -> None:
    """Set the stage in a temporary folder, tell the story, remove everything."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument(
        "--pool", action="store_true", help="keep the pods' volumes on a pool, as POOL=1 does"
    )
    on_pool: bool = parser.parse_args().pool
    began = monotonic()
    try:
        require_root()
        require(*ENGINE, wanted=FILTER)
        if on_pool and not SIMPLE_QUOTAS.exists():
            raise SystemExit("error: a pool needs btrfs with simple quotas: Linux 6.7, and `modprobe btrfs`")
        with _stage(on_pool=on_pool) as stage:
            tell(stage, on_pool=on_pool)
    except (EngineFailedError, MissingProgramsError, TimeoutError) as error:
        raise SystemExit(f"error: {error}") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"error: {error.cmd[0]} failed with {error.returncode}; it says why above") from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; everything was removed") from None
    _screen.print(f"\n[bold green]Done in {monotonic() - began:.0f} s.[/] Nothing is left behind.")


def tell(stage: Stage, *, on_pool: bool) -> None:
    """Tell the story. Raises AssertionError if a part of it is not true."""
    _create(stage)
    _fill(stage)
    if on_pool:
        _show_room(stage)
    _stop_and_start(stage)
    _lose_containers(stage)
    _delete(stage)


def _create(stage: Stage) -> None:
    _title("A web app creates a pod, and a neighbour")
    spec = {"image": "pinacle-busybox"}
    for pod in (POD, NEIGHBOUR):
        answer = stage.task("create", pod, spec)
        _check(
            answer["phase"] == "running", f"pod {pod} runs, on {len(answer['volumes'])} volumes of its own"
        )
    for volume in stage.volumes(POD):
        _screen.print(f"    [dim]{volume}[/]")


def _fill(stage: Stage) -> None:
    _title("Its owner writes a file in each directory, and installs programs")
    for directory in DIRECTORIES:
        stage.shell(POD, f"echo 'written to {directory}' > {directory}/note")
    for path in PROGRAMS:
        stage.shell(POD, f"printf '#!/bin/sh\\necho installed as {path}\\n' > {path}; chmod 755 {path}")
    stage.shell(NEIGHBOUR, "echo 'the neighbour was here' > /root/note")
    _show_files(stage)


def _show_room(stage: Stage) -> None:
    _title("Each pod has room of its own on the pool, as much as its tier has")
    stage.shell(POD, f"head -c {_WRITTEN} /dev/urandom > /home/file; sync")
    before = stage.container(POD)
    for tier, most in (("dev.small", 20), ("dev.large", 80)):
        stage.task("update", POD, {"tier": tier})
        wait_until(partial(_has_room, stage, most), 30, what=f"a measurement of pod {POD} with {most} GB")
        kept, may_keep = stage.room(POD)
        _check(may_keep == most, f"pod {POD} keeps {kept / 10**6:.1f} MB, and may keep {may_keep:g} GB")
    _check(stage.container(POD) == before, "its container ran on meanwhile")


def _has_room(stage: Stage, most: int) -> bool:
    kept, may_keep = stage.room(POD)
    return kept > _WRITTEN and may_keep == most


def _stop_and_start(stage: Stage) -> None:
    _title("Stop and start")
    stage.task("stop", POD)
    _check(not stage.is_up(POD), "the container does not run")
    stage.task("start", POD)
    _show_files(stage)


def _lose_containers(stage: Stage) -> None:
    _title("All containers are lost, as when a Lima VM restarts")
    before = stage.containers()
    stage.engine.docker("rm", "-f", *before)
    began = monotonic()
    _screen.print(f"  docker rm -f: {len(before)} containers are gone; nobody tells the system")
    with _screen.status("waiting for the reconciler") if _screen.is_terminal else ExitStack():
        wait_until(
            lambda: stage.is_up(POD) and stage.is_up(NEIGHBOUR),
            60,
            what="the reconciler bringing the pods back",
        )
    _screen.print(f"  both pods run again, {monotonic() - began:.1f} s later, in new containers")
    after = stage.containers()
    _check(not set(before) & set(after), "none of the containers is one of before")
    _show_files(stage)


def _delete(stage: Stage) -> None:
    _title("Only its owner's deletion removes a pod's volumes")
    others = stage.volumes(NEIGHBOUR)
    stage.task("delete", POD)
    _check(stage.volumes(POD) == [], f"no volume of pod {POD} is left")
    left = stage.volumes(NEIGHBOUR)
    note = stage.shell(NEIGHBOUR, "cat /root/note")
    _check(
        left == others and note == "the neighbour was here", f"the neighbour has all {len(left)} of its own"
    )


def _show_files(stage: Stage) -> None:
    for directory in DIRECTORIES:
        text = stage.shell(POD, f"cat {directory}/note")
        _check(text == f"written to {directory}", f"{directory + '/note':16} [dim]{text}[/]")
    for path in PROGRAMS:
        name = Path(path).name
        text = stage.shell(POD, name)
        _check(text == f"installed as {path}", f"{name:16} [dim]{text}[/]")


def _title(text: str) -> None:
    _screen.print(f"\n[bold cyan]{text}[/]")


def _check(holds: bool, claim: str) -> None:  # noqa: FBT001 - reads as the claim does
    if not holds:
        raise AssertionError(f"not true: {claim}")
    _screen.print(f"  [green]ok[/] {claim}")


@contextmanager
def _stage(*, on_pool: bool) -> Iterator[Stage]:
    # The folder is removed last, after everything that uses it has ended.
    with tempfile.TemporaryDirectory(prefix="pin-") as name, ExitStack() as ends:
        folder = Path(name)
        _screen.print("[bold]Setting the stage:[/] a private Docker Engine, a Redis, a worker, beat")
        engine = PrivateEngine(folder / "e")
        ends.callback(engine.destroy)
        engine.start()
        import_busybox(engine)
        pool = _pool(engine, ends) if on_pool else {}
        redis = RedisServer(folder / "r")
        ends.callback(redis.stop)
        redis.start()
        environment = inherited(
            DOCKER_HOST=engine.url,
            PINACLE_REDIS_URL=redis.url,
            PINACLE_RECONCILE_INTERVAL_S="5",
            PINACLE_MIN_FREE_MB="100",
            PINACLE_DISK_INTERVAL_S="1",
            **pool,
        )
        _start(ends, folder, environment, "worker")
        _start(ends, folder, environment, "worker.beat", "--schedule", str(folder / "beat"))
        log = folder / "worker.log"
        wait_until(lambda: " ready." in log.read_text(), 60, what="the worker")
        stage = Stage(engine, redis.url)
        ends.callback(stage.close)
        try:
            yield stage
        except (AssertionError, EngineFailedError, TimeoutError):
            _screen.print(f"[red]The end of the worker's log:[/]\n{log.read_text()[-3000:]}", markup=True)
            raise


def _pool(engine: PrivateEngine, ends: ExitStack) -> dict[str, str]:
    """Mount a pool where the Engine sees it; return what a worker's environment says of it."""
    with _screen.status("making a pool") if _screen.is_terminal else ExitStack():
        image = import_helper(engine, ROOT / ".pinacle" / "cache")
        file = PoolFile(engine, image, "demo")
        file.mount()
    ends.callback(file.unmount)
    return {"PINACLE_POOL": str(file.place), "PINACLE_HELPER_IMAGE": image}


def _start(ends: ExitStack, folder: Path, environment: dict[str, str], module: str, *arguments: str) -> None:
    with (folder / f"{module}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for this process only, which then ends the others in order.
            start_new_session=True,
        )
    ends.callback(process.wait, 60)
    ends.callback(process.terminate)


if __name__ == "__main__":
    main()
