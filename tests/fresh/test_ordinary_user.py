"""`make up` by a user without root, on an Engine that is there: it takes no more than its socket's group."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pwd import getpwnam
from signal import SIGTERM
from typing import Final

import pytest

from tests.support.worker import ROOT
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

USER: Final = "pinacle-dev"
GROUP: Final = "pinacle-docker"
PROJECT: Final = Path("/home") / USER / "my pods"
PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


@pytest.fixture
def user() -> Iterator[None]:
    """An ordinary user, of the group that may use the Engine, with a clone of the project."""
    _run("groupadd", GROUP)
    _run("useradd", "--create-home", "--groups", GROUP, USER)
    try:
        _run("git", "clone", "--quiet", str(ROOT), str(PROJECT))
        _run("chown", "-R", f"{USER}:{USER}", str(PROJECT))
        yield
    finally:
        _run("userdel", "--remove", USER)
        _run("groupdel", GROUP)


@pytest.fixture
def shared_engine(scratch: Path, user: None) -> Iterator[PrivateEngine]:
    """An Engine as Debian's docker.io installs it: root's, its socket for a group."""
    engine = PrivateEngine(scratch / "engine")
    engine.start()
    try:
        import_busybox(engine, "debian:12-slim")
        shutil.chown(engine.socket, group=GROUP)
        engine.socket.chmod(0o660)
        for folder in (scratch, engine.root):
            folder.chmod(0o755)
        yield engine
    finally:
        engine.destroy()


@contextmanager
def up(engine: PrivateEngine, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as written:
        process = subprocess.Popen(
            _as_user("make --no-print-directory up"), env=_environment(engine), stdout=written, stderr=written
        )
        try:
            yield process
        finally:
            process.send_signal(SIGTERM)
            process.wait(90)


@pytest.mark.timeout(900)
def test_a_user_of_the_dockers_group_needs_no_root(shared_engine: PrivateEngine, tmp_path: Path) -> None:
    """From the clone to a pod by the lines that are printed, which keeps what was changed below /usr."""
    log = tmp_path / "up.log"
    with up(shared_engine, log) as process:
        wait_until(
            lambda: "Flower shows" in log.read_text(errors="replace"),
            600,
            what="the stack",
            failed=lambda: log.read_text()[-3000:] if process.poll() is not None else None,
        )
        said = log.read_text().partition("It runs. In another terminal:")[2]
        *before, create, _shell = [line.strip() for line in said.splitlines() if line.startswith("  ")]
        pinacle = shlex.split(create)[0]

        def typed(command: str) -> str:
            lines = "; ".join([*before, command])
            done = subprocess.run(
                _as_user(lines), env=_environment(shared_engine), check=False, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        assert "pod abc is running" in typed(create)
        typed(f"{pinacle} pods exec abc -- sh -c 'echo kept > /usr/kept'")
        shared_engine.docker("rm", "-f", "pinacle-pod-abc")
        wait_until(
            lambda: "pinacle-pod-abc" in shared_engine.docker("ps", "--format", "{{.Names}}"),
            60,
            what="another container",
        )
        assert typed(f"{pinacle} pods exec abc -- cat /usr/kept") == "kept\n"
        assert "is deleted" in typed(f"{pinacle} pods delete abc --yes")
        assert "Traceback" not in log.read_text(errors="replace")
    wait_until(lambda: not _alive(), 10, what="the end of all that the user ran")


def _alive() -> list[str]:
    """Return what the user's processes are, without those that only wait to be noticed by their parent."""
    own = getpwnam(USER).pw_uid
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if each.stat().st_uid == own and (words := (each / "cmdline").read_bytes()):
                found.append(words.replace(b"\0", b" ").decode())
    return found


def _as_user(script: str) -> list[str]:
    switch = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups"]
    return [*switch, "bash", "-c", f"cd {shlex.quote(str(PROJECT))} && exec bash -c {shlex.quote(script)}"]


def _environment(engine: PrivateEngine) -> dict[str, str]:
    left_out = ("PINACLE_", "VIRTUAL_ENV", "PYTHON", "PYTEST", "MAKE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "HOME": str(PROJECT.parent), "USER": USER, "PATH": PATH, "DOCKER_HOST": engine.url}


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
