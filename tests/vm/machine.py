"""A small virtual machine that runs Engine, Redis and worker, and whose power can be cut.

qemu emulates the processor (TCG), so that it runs wherever the tests do. The disk's base is made once.
"""

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from worker.local.images import ROOT, bootstrap, download_wheels
from worker.local.packages import find
from worker.local.private_engine import EngineFailedError
from worker.local.redis import free_port
from worker.local.waiting import wait_until

_PACKAGES: Final = (
    *("linux-image-cloud-amd64", "docker.io", "iptables", "iproute2", "redis-server"),
    *("python3", "python3-venv", "ca-certificates"),
)
_DISK_SIZE: Final = "6G"
_BOOT_S: Final = 900.0
"""Only a machine that never comes up is late: how fast this one is emulated says nothing of the product."""
_TAIL: Final = 3000


class Machine:
    """One machine with a disk of its own, which outlives its power."""

    def __init__(self, folder: Path, cache: Path) -> None:
        """`folder` is for the disk, `cache` for its base."""
        self._folder = folder
        self._base = _base(cache)
        self._disk, self._project = folder / "disk.qcow2", folder / "project.img"
        self.console = folder / "console.log"
        self._engine_port, self._redis_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        _run(
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            str(self._base / "disk.img"),
            self._disk,
        )
        _pack_project(self._project)

    @property
    def engine_url(self) -> str:
        return f"tcp://127.0.0.1:{self._engine_port}"

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self._redis_port}/0"

    def power_on(self, *parameters: str) -> None:
        """Boot, with additional kernel parameters, and wait until the worker takes work."""
        before = len(self.text())
        kernel = ("console=ttyS0", "root=/dev/vda", "rw", "quiet", "init=/sbin/machine-init", *parameters)
        card = "user,id=n,restrict=on" + "".join(
            f",hostfwd=tcp:127.0.0.1:{here}-10.0.2.15:{there}"
            for here, there in ((self._engine_port, 2375), (self._redis_port, 6379))
        )
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [
                    find("qemu-system-x86_64") or "qemu-system-x86_64",
                    *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"),
                    *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"),
                    *("-kernel", str(self._base / "vmlinuz"), "-initrd", str(self._base / "initrd.img")),
                    *("-append", " ".join(kernel)),
                    *("-drive", f"file={self._disk},if=virtio,format=qcow2"),
                    *("-drive", f"file={self._project},if=virtio,format=raw,readonly=on"),
                    *("-netdev", card, "-device", "virtio-net-pci,netdev=n", "-device", "virtio-rng-pci"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(
                lambda: " ready." in self.text()[before:],
                _BOOT_S,
                what="a worker in the machine",
                failed=self.why_off,
            )
        except TimeoutError as error:
            error.add_note(self.text()[-_TAIL:])
            raise

    def cut_power(self) -> None:
        """Cut the power: what the guest had not yet written to its disk is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def docker(self, *arguments: str, stdin: IO[bytes] | bytes | None = None) -> str:
        """Run Docker's command line against the machine's Engine; return what it prints."""
        assert stdin is None or isinstance(stdin, bytes)
        done = subprocess.run(
            self.docker_command(*arguments), check=False, capture_output=True, input=stdin or b""
        )
        if done.returncode != 0:
            raise EngineFailedError(f"docker {' '.join(arguments)}: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    def docker_command(self, *arguments: str) -> list[str]:
        return [find("docker") or "docker", "-H", self.engine_url, *arguments]

    def text(self) -> str:
        """Return what the machine's console has shown since it was first switched on."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def why_off(self) -> str | None:
        """Return why there is nothing more to wait for; None while the power is on."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"qemu ended with {self._process.returncode}: {self.text()[-_TAIL:]}"


def _base(cache: Path) -> Path:
    """Return the folder with kernel, initial root and disk, made again when the lock or this file changes."""
    parts = (ROOT / "requirements.lock", Path(__file__), Path(__file__).with_name("init"))
    digest = sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:12]
    folder = cache / f"machine-{digest}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cache))
        try:
            _make_base(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _make_base(folder: Path) -> None:
    print("making the disk of the machine, once: about 3 minutes", flush=True)
    with tempfile.TemporaryDirectory(prefix="pinacle-machine-") as name:
        root = Path(name)
        bootstrap(root, _PACKAGES)
        download_wheels(ROOT / "requirements.lock", root / "wheels")
        shutil.copy(ROOT / "requirements.lock", root / "wheels")
        _run("chroot", name, "python3", "-m", "venv", "/venv")
        words = ("--no-index", "--find-links", "/wheels", "-r", "/wheels/requirements.lock")
        _run("chroot", name, "/venv/bin/pip", "-q", "install", *words)
        shutil.rmtree(root / "wheels")
        shutil.rmtree(root / "var/cache/apt")
        shutil.copy(Path(__file__).with_name("init"), root / "sbin/machine-init")
        for kind in ("vmlinuz", "initrd.img"):
            shutil.copy(next((root / "boot").glob(f"{kind}-*")), folder / kind)
        _run("mkfs.ext4", "-q", "-d", name, folder / "disk.img", _DISK_SIZE)


def _pack_project(image: Path) -> None:
    """Put the code on a disk of its own, so that a change of the code needs no new base."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("config", "worker", "tasks"):
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        _run("mkfs.ext4", "-q", "-d", folder, image, "64M")


def _run(program: str, *arguments: str | Path) -> None:
    path = {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    subprocess.run([find(program) or program, *map(str, arguments)], check=True, env={**os.environ, **path})
