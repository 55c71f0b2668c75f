"""A running pod: what its owner does in it, and what accidents do to it."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from worker.local.client import Client
from worker.local.private_engine import EngineFailedError, PrivateEngine
from worker.local.waiting import wait_until


@dataclass(frozen=True)
class Pod:
    """One pod on one Engine."""

    client: Client
    engine: PrivateEngine
    id: str

    @classmethod
    @contextmanager
    def running(
        cls, client: Client, engine: PrivateEngine, pod_id: str, spec: dict[str, Any]
    ) -> Iterator[Self]:
        """Create a pod and delete it afterwards."""
        pod = cls(client, engine, pod_id)
        phase = client.call("create", pod_id, spec)["phase"]
        # What its image has may have to be read first, which takes its time.
        if phase == "pending":
            wait_until(lambda: pod.call("get")["phase"] == "running", 120, what=f"pod {pod_id}: running")
        else:
            assert phase == "running", client.call("get", pod_id)
        try:
            yield pod
        finally:
            assert client.call("delete", pod_id)["phase"] == "deleted"

    @property
    def container(self) -> str:
        return f"pinacle-pod-{self.id}"

    def call(self, task: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.call(task, self.id, *args, **kwargs)
        return answer

    def sh(self, script: str) -> str:
        """Run a shell script in the pod; returns what it prints, without the last line's end."""
        return self.engine.docker("exec", self.container, "sh", "-ec", script).rstrip("\n")

    def container_id(self) -> str | None:
        try:
            return self.engine.docker("inspect", "--format", "{{.Id}}", self.container).strip()
        except EngineFailedError:
            return None

    def is_up(self) -> bool:
        try:
            return (
                self.engine.docker("inspect", "--format", "{{.State.Running}}", self.container).strip()
                == "true"
            )
        except EngineFailedError:
            return False

    def lose_container(self) -> None:
        """Remove the container behind the system's back, as a restart of a Lima VM does."""
        self.engine.docker("rm", "-f", self.container)

    def wait_for_another_container(self, timeout_s: float = 30) -> None:
        try:
            wait_until(self.is_up, timeout_s, what=f"another container of pod {self.id}")
        except TimeoutError as error:
            error.add_note(f"containers:\n{self.engine.docker('ps', '-a')}")
            error.add_note(f"pods.get: {self.client.call('get', self.id)}")
            raise

    def fingerprint(self, directory: str) -> str:
        """Return type, mode, owner, links, size and target of everything below a directory."""
        return self.sh(
            f"cd {directory} && find . -printf '%P %y %m %U:%G %n %l\\n' | sort; cat note hard link"
        )

    def set_xattr(self, path: str, name: str, value: str) -> None:
        subprocess.run(["setfattr", "-n", name, "-v", value, self._on_disk(path)], check=True)

    def get_xattr(self, path: str, name: str) -> str:
        command = ["getfattr", "--only-values", "--absolute-names", "-n", name, self._on_disk(path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def inside(self, path: str) -> str:
        """Return where this machine sees a file of the running pod; this works under runc."""
        pid = self.engine.docker("inspect", "--format", "{{.State.Pid}}", self.container).strip()
        return f"/proc/{pid}/root{path}"

    def install_package(self, name: str, *, depends: str = "") -> None:
        """Build a small Debian package in the pod and install it with dpkg."""
        fields = {
            "Package": name,
            "Version": "1",
            "Architecture": "all",
            "Maintainer": "none <none@localhost>",
            "Description": "test",
        } | ({"Depends": depends} if depends else {})
        control = shlex.quote("".join(f"{key}: {value}\n" for key, value in fields.items()))
        self.sh(
            "rm -rf /tmp/p && mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin && "
            f"printf %s {control} > /tmp/p/DEBIAN/control && "
            f"printf '#!/bin/sh\\necho hello from a package\\n' > /tmp/p/usr/bin/{name} && "
            f"chmod 755 /tmp/p/usr/bin/{name} && dpkg-deb -b /tmp/p /tmp/p.deb && dpkg -i /tmp/p.deb"
        )

    def _on_disk(self, path: str) -> str:
        """Return where a file in one of the volumes is on this machine."""
        mount = _mount_of(path)
        name = f"pinacle-vol-{self.id}-{mount[1:].replace('/', '-')}"
        return f"{self.engine.data_root}/volumes/{name}/_data{path.removeprefix(mount)}"


def _mount_of(path: str) -> str:
    first, second = path.split("/")[1:3]
    return "/usr/local" if (first, second) == ("usr", "local") else f"/{first}"
