"""The life of a pod of one image: everything that can happen to it, and a check after each event."""

import io
import json
import re
import shlex
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import PurePosixPath
from time import time
from typing import Any

from tests.images.zoo import Animal
from tests.support.pods import Pod
from tests.support.stack import Stack
from worker.local.packages import find
from worker.local.waiting import wait_until

_NAMED = re.compile(r"pinacle-(vol|base|storage|fill)-.*")


@dataclass
class Life:
    """One pod, and what should be in it."""

    stack: Stack
    animal: Animal
    expected: dict[str, str] = field(default_factory=dict)
    """What each of the owner's files holds."""
    version: int = 1
    root_is_kept: bool = False
    """Whether what was made outside all volumes has got one by now."""

    @property
    def pod(self) -> Pod:
        return Pod(self.stack.client, self.stack.engine, self.animal.name)

    @property
    def spec(self) -> dict[str, Any]:
        return {"image": f"{self.animal.name}:{self.version}", "stop_timeout_s": 1, **self.animal.spec}

    def create(self) -> None:
        """Create the pod; the owner writes and removes."""
        self.settles("create", self.spec)
        for path in self.animal.removed:
            self.pod.sh(f"rm {shlex.quote(path)}")
        self.looks_right()
        self.write("created")

    def settles(self, task: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Call a task after which the pod runs."""
        answer = self.pod.call(task, *args, **kwargs)
        assert answer["phase"] == "running", answer
        return answer

    def write(self, what: str) -> None:
        """Let the owner write all files again."""
        for path in (*self.animal.written, *self.animal.made):
            self.expected[path] = f"{path} {what}"
            self._put(path, self.expected[path])

    def looks_right(self) -> None:
        """Check everything that the table promises."""
        found = {path: self._get(path) for path in self.expected}
        assert found == self.expected
        assert self._get("/marker/version") == f"{self.version}"
        assert [path for path in self.animal.removed if self._get(path) is not None] == []
        seen = {path: self.pod.sh(f"stat -c '%u:%g %a %F' {path}") for path in self.animal.always}
        assert seen == dict(self.animal.always)
        assert self._mounted_anonymously() == []

    def _mounted_anonymously(self) -> list[str]:
        words = self.stack.engine.docker("inspect", "--format", "{{json .Mounts}}", self.pod.container)
        names = [mount["Name"] for mount in json.loads(words) if mount["Type"] == "volume"]
        return [name for name in names if not _NAMED.fullmatch(name)]

    def _put(self, path: str, text: str) -> None:
        if self.animal.has_shell:
            where, folder = shlex.quote(path), shlex.quote(str(PurePosixPath(path).parent))
            self.pod.sh(f"mkdir -p {folder}; printf %s {shlex.quote(text)} > {where}")
            return
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo(PurePosixPath(path).name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
        target = f"{self.pod.container}:{PurePosixPath(path).parent}"
        self.stack.engine.docker("cp", "-", target, stdin=buffer.getvalue())

    def _get(self, path: str) -> str | None:
        """Return what a file contains, None if it does not exist."""
        if self.animal.has_shell:
            where = shlex.quote(path)
            answer = self.pod.sh(f"if [ -e {where} ]; then printf :; cat {where}; fi")
            return answer[1:] if answer else None
        command = [
            find("docker") or "docker",
            "-H",
            self.stack.engine.url,
            "cp",
            f"{self.pod.container}:{path}",
            "-",
        ]
        done = subprocess.run(command, check=False, capture_output=True)
        if done.returncode != 0:
            assert b"Could not find the file" in done.stderr or b"No such" in done.stderr, done.stderr
            return None
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            member = tar.extractfile(tar.getmembers()[0])
            return None if member is None else member.read().decode()

    def is_stopped_and_started(self) -> None:
        assert self.pod.call("stop")["phase"] == "stopped"
        self.settles("start")

    def loses_its_container(self) -> None:
        if not self.root_is_kept:
            for path in self.animal.made:
                self.expected.pop(path)
        self.pod.lose_container()
        self.pod.wait_for_another_container()
        wait_until(lambda: self.pod.call("get")["phase"] == "running", 30, what="a running pod")

    def is_updated(self) -> None:
        """Give it another hostname, so that its container is made again."""
        before = self.pod.container_id()
        answer = self.settles("update", {**self.spec, "hostname": "renamed"})
        assert set(self.animal.kept) <= set(answer["kept"]), answer
        assert self.pod.container_id() != before
        self.root_is_kept = True

    def loses_redis(self) -> None:
        """Empty Redis: the record is rebuilt, and the container left alone."""
        before = self.pod.container_id()
        self.stack.redis.flush()
        wait_until(lambda: self.pod.id in self.stack.phases(), 30, what="a rebuilt record")
        self.stack.client.call("reconcile")
        answer = self.pod.call("get")
        assert answer["phase"] == "running", answer
        assert self.pod.container_id() == before, answer

    def gets_the_second_version(self) -> None:
        """Update the image. If the table allows a refusal, the pod then runs on as it is."""
        self.animal.version(2).make(self.stack.engine, f"{self.animal.name}:2")
        before = self.pod.container_id()
        self.version = 2
        try:
            self.settles("update", self.spec)
        except Exception as error:
            self.version = 1
            if not self.animal.update_refused or self.animal.update_refused not in str(error):
                raise
            assert self.pod.container_id() == before, "it was refused, and carried out"

    def is_deleted(self) -> None:
        """Delete the pod; nothing is left of it."""
        assert self.pod.call("delete")["phase"] == "deleted"
        assert self.pod.container_id() is None
        names = self.stack.engine.docker("volume", "ls", "-q").split()
        assert [name for name in names if name.startswith(f"pinacle-vol-{self.pod.id}-")] == []


@contextmanager
def no_anonymous_volume(stack: Stack) -> Iterator[None]:
    """Check that each volume that the Engine makes meanwhile has a name of ours."""
    command = [find("docker") or "docker", "-H", stack.engine.url, "events", "--format", "{{.Actor.ID}}"]
    filters = ["--since", f"{time():.0f}", "--filter", "type=volume", "--filter", "event=create"]
    events = subprocess.Popen([*command, *filters], stdout=subprocess.PIPE, text=True)
    try:
        yield
        assert [name for name in _made(stack, events) if not _NAMED.fullmatch(name)] == []
    finally:
        events.terminate()
        events.communicate()


def _made(stack: Stack, events: "subprocess.Popen[str]") -> list[str]:
    """Return all volumes that were made, one of this function's own the last of them."""
    last = stack.engine.docker("volume", "create", "pinacle-fill-last").strip()
    stack.engine.docker("volume", "rm", last)
    assert events.stdout is not None
    return list(takewhile(lambda name: name != last, (line.strip() for line in events.stdout)))
