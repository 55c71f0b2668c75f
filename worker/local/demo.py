"""`make demo`: a pod keeps its data while its container is destroyed. Everything it shows is checked."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

from rich.console import Console

from worker.client import Client
from worker.local.images import import_busybox
from worker.local.packages import ENGINE, FILTER, MissingProgramsError, require
from worker.local.private_engine import EngineFailedError, PrivateEngine, require_root
from worker.local.processes import inherited
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

ROOT: Final = Path(__file__).parents[2]
DIRECTORIES: Final = ("/workspace", "/home", "/root", "/etc", "/usr/local", "/opt", "/var", "/srv")
POD, NEIGHBOUR = "demo", "neighbour"
PROGRAMS: Final = ("/usr/local/bin/greet", "/usr/bin/cheer", "/bin/salute")
"""One place where a person installs programs, and one where packages do."""
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

    def is_up(self, pod: str) -> bool:
        running = self.engine.docker("ps", "--format", "{{.Names}}").split()
        return f"pinacle-pod-{pod}" in running


def main() -> None:
    """Set the stage in a temporary folder, tell the story, remove everything."""
    began = monotonic()
    try:
        require_root()
        require(*ENGINE, wanted=FILTER)
        with _stage() as stage:
            tell(stage)
    except (EngineFailedError, MissingProgramsError, TimeoutError) as error:
        raise SystemExit(f"error: {error}") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"error: {error.cmd[0]} failed with {error.returncode}; it says why above") from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; everything was removed") from None
    _screen.print(f"\n[bold green]Done in {monotonic() - began:.0f} s.[/] Nothing is left behind.")


def tell(stage: Stage) -> None:
    """Tell the story. Raises AssertionError if a part of it is not true."""
    _create(stage)
    _fill(stage)
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


def _stop_and_start(stage: Stage) -> None:
    _title("Stop and start")
    stage.task("stop", POD)
    _check(not stage.is_up(POD), "the container does not run")
    stage.task("start", POD)
    _show_files(stage)


def _lose_containers(stage: Stage) -> None:
    _title("All containers are lost, as when a Lima VM restarts")
    before = stage.engine.docker("ps", "--no-trunc", "-q").split()
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
    after = stage.engine.docker("ps", "--no-trunc", "-q").split()
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
def _stage() -> Iterator[Stage]:
    # The folder is removed last, after everything that uses it has ended.
    with tempfile.TemporaryDirectory(prefix="pin-") as name, ExitStack() as ends:
        folder = Path(name)
        _screen.print("[bold]Setting the stage:[/] a private Docker Engine, a Redis, a worker, beat")
        engine = PrivateEngine(folder / "e")
        ends.callback(engine.destroy)
        engine.start()
        import_busybox(engine)
        redis = RedisServer(folder / "r")
        ends.callback(redis.stop)
        redis.start()
        environment = inherited(
            DOCKER_HOST=engine.url,
            PINACLE_REDIS_URL=redis.url,
            PINACLE_RECONCILE_INTERVAL_S="5",
            PINACLE_MIN_FREE_MB="100",
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
