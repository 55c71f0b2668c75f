"""A private Docker Engine: its own folder, socket and network namespace, nothing shared with another one."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

import psutil

from worker.local.packages import find
from worker.local.processes import children, commands, end, inherited
from worker.local.waiting import wait_until

_READY_S: Final = 60.0
_ENDED_S: Final = 30.0
_LONGEST_ROOT: Final = 60
"""Bytes of a folder for sockets: the kernel takes paths of 107, and those of containerd are long."""
_PROJECT: Final = Path(__file__).parents[2]


class EngineFailedError(Exception):
    """The private Engine did not come up, or did not end."""


def require_root() -> None:
    """Raise EngineFailedError for an ordinary user, before anything is made."""
    if os.geteuid() != 0:
        raise EngineFailedError("a private Docker Engine needs root: run this with sudo, or as root")


class PrivateEngine:
    """A dockerd of our own, as long as it is needed. It needs root."""

    def __init__(
        self,
        root: Path,
        *,
        config: Mapping[str, object] | None = None,
        programs: Path | None = None,
        port_proxy: Path | None = None,
    ) -> None:
        """`root` holds everything that is to be kept. `config` is daemon.json.

        `programs` is the root of another Debian whose Docker is used, None for this machine's. `port_proxy`
        is a program by which published ports answer elsewhere than in the Engine's network namespace.
        """
        self._programs = programs
        self._port_proxy = port_proxy
        self.root = root
        self.data_root = root / "data"
        self.namespace = f"pinacle-{sha256(str(root).encode()).hexdigest()[:8]}"
        self._sockets = root if len(os.fsencode(root)) <= _LONGEST_ROOT else Path("/run") / self.namespace
        self.socket = self._sockets / "docker.sock"
        self._exec_root = self._sockets / "exec"
        self._pid_file = root / "dockerd.pid"
        self._containerd_pid_file = self._exec_root / "containerd" / "containerd.pid"
        self._config = dict(config or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        return self.root / "dockerd.log"

    def command(self) -> list[str]:
        """Return what runs dockerd in its own network namespace, in the foreground."""
        # Not `ip netns exec`: that hides the cgroup mounts.
        if self._programs is not None:
            # What compose mounts into a service lies in the project's folder.
            seen = (self.root, _PROJECT)
            return [*self.inside(), *_within(self._programs, seen), "dockerd", *self._arguments()]
        return [*self.inside(), find("dockerd") or "dockerd", *self._arguments()]

    def inside(self) -> list[str]:
        """Return the words to put before a command to run it in the Engine's network namespace."""
        return [find("nsenter") or "nsenter", f"--net=/run/netns/{self.namespace}", "--"]

    def prepare(self) -> None:
        """Make folder and network namespace, and remove what a killed Engine left in this folder.

        Raises EngineFailedError for an ordinary user.
        """
        require_root()
        self.root.mkdir(parents=True, exist_ok=True)
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        self._clear_pid_files()
        (self.root / "daemon.json").write_text(json.dumps(self._config))
        if not Path("/run/netns", self.namespace).exists():
            _run("ip", "netns", "add", self.namespace)
        _run("ip", "-n", self.namespace, "link", "set", "lo", "up")

    def start(self) -> None:
        """Start, and wait until it answers. Raises EngineFailedError with the end of its log."""
        self.prepare()
        with self.log.open("ab") as log:
            self._process = _spawn(self.command(), log)
        wait_until(self._is_ready, _READY_S, what=f"dockerd in {self.root}", failed=self._why_ended)

    def kill(self) -> None:
        """Kill dockerd and its containerd with SIGKILL, as a crash does; containers go on running."""
        pids = [pid for pid in (self._dockerd_pid(), self._containerd_pid()) if pid]
        end([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)])
        self._reap()
        self._clear_pid_files()

    def stop(self) -> None:
        """End dockerd with SIGTERM, which stops its containers first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_ENDED_S)
        except subprocess.TimeoutExpired as error:
            raise EngineFailedError(f"dockerd in {self.root} did not end; {self._tail()}") from error
        self._process = None

    def destroy(self) -> None:
        """Stop and remove everything: containers, mounts, files, namespace."""
        if self._process is not None and self._is_ready():
            self._remove_containers()
        self.stop()
        self._end_shims()
        for mount in self.mounts():
            _run("umount", "--lazy", mount)
        if Path("/run/netns", self.namespace).exists():
            _run("ip", "netns", "delete", self.namespace)
        shutil.rmtree(self.root)
        if self._sockets != self.root:
            shutil.rmtree(self._sockets)

    def mounts(self) -> list[str]:
        """Return the mounts below the Engine's folder, the innermost first."""
        points = [each.mountpoint for each in psutil.disk_partitions(all=True)]
        folders = (f"{self.root}/", f"{self._sockets}/")
        return sorted((point for point in points if point.startswith(folders)), reverse=True)

    def docker(self, *arguments: str, stdin: IO[bytes] | bytes | None = None) -> str:
        """Run Docker's command line against this Engine; return what it prints."""
        content = stdin if isinstance(stdin, bytes) else b"" if stdin is None else None
        done = subprocess.run(
            [find("docker") or "docker", "-H", self.url, *arguments],
            check=False,
            capture_output=True,
            input=content,
            stdin=None if stdin is None or isinstance(stdin, bytes) else stdin,
        )
        if done.returncode != 0:
            raise EngineFailedError(f"docker {' '.join(arguments)}: {done.stderr.decode().strip()}")
        return str(done.stdout.decode())

    def _arguments(self) -> list[str]:
        return [
            f"--host={self.url}",
            f"--data-root={self.data_root}",
            f"--exec-root={self._exec_root}",
            f"--pidfile={self._pid_file}",
            f"--config-file={self.root / 'daemon.json'}",
            *([] if self._port_proxy is None else [f"--userland-proxy-path={self._port_proxy}"]),
        ]

    def _is_ready(self) -> bool:
        return answers(self.socket)

    def _why_ended(self) -> str | None:
        if self._process is None or self._process.poll() is None:
            return None
        return f"dockerd ended with {self._process.returncode}; {self._tail()}"

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return f"the end of {self.log}:\n" + "\n".join(lines)

    def _remove_containers(self) -> None:
        ids = self.docker("ps", "-aq").split()
        if ids:
            self.docker("rm", "-f", *ids)

    def _end_shims(self) -> None:
        """End the shims of containers that the Engine forgot because it was killed while it started them."""
        address = str(self._exec_root / "containerd" / "containerd.sock")
        shims = [process for process, words in commands().items() if address in words]
        end([*(child for shim in shims for child in children(shim)), *shims])

    def _dockerd_pid(self) -> int | None:
        return self._process.pid if self._process is not None else _pid_in(self._pid_file)

    def _containerd_pid(self) -> int | None:
        return _pid_in(self._containerd_pid_file)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(_ENDED_S)
            self._process = None

    def _clear_pid_files(self) -> None:
        """Remove pid files. After a kill they make the next start fail, as the pids may be in use again."""
        self._pid_file.unlink(missing_ok=True)
        self._containerd_pid_file.unlink(missing_ok=True)


def answers(socket_path: Path) -> bool:
    """Whether an Engine answers a ping on a unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            connection.connect(str(socket_path))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def _within(programs: Path, folders: Sequence[Path]) -> list[str]:
    """Return the words to put before a command to run it on another root, which sees `folders` as we do."""
    script = [
        # A real root, not a chroot: the Engine mounts it again.
        f'mount --bind "{programs}" "{programs}"',
        *(f'mount --rbind {path} "{programs}{path}"' for path in ("/proc", "/sys", "/dev")),
        f'mkdir -p "{programs}/old"',
        *(
            f'mkdir -p "{programs}{folder}"; mount --bind "{folder}" "{programs}{folder}"'
            for folder in folders
        ),
        f'mount -t tmpfs none "{programs}/run"',
        f'cd "{programs}"',
        "pivot_root . old",
        """exec chroot . sh -ec 'umount --lazy /old; exec "$@"' sh "$@" """,
    ]
    # In a mount namespace of its own, which ends with its last process.
    return ["unshare", "--mount", "sh", "-ec", "; ".join(script), "sh"]


def _spawn(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = inherited(paths="/usr/sbin:/sbin")
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
    )


def _run(program: str, *arguments: str) -> None:
    subprocess.run([find(program) or program, *arguments], check=True)


def _pid_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
