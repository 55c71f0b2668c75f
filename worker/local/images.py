"""Base images made on this machine, for use without a registry."""

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, Protocol

from worker.local.packages import find, require
from worker.local.private_engine import PrivateEngine
from worker.local.processes import inherited

ROOT: Final = Path(__file__).parents[2]
SUITE: Final = "bookworm"
"""Debian 12, whose Python is the oldest that we support."""
HELPER_SUITE: Final = "trixie"
"""Debian 13: btrfs-progs 6.14. Those of Debian 12 cannot turn simple quotas on."""
_PYTHON_PACKAGES: Final = ("python3", "python3-venv", "redis-server", "btrfs-progs")
STAY: Final = 'trap "exit 0" TERM; while :; do sleep 1 & wait; done'
"""A command that keeps running, and ends at once on SIGTERM."""
_FOLDERS: Final = (
    *("bin", "lib", "etc", "home", "root", "opt", "srv", "var/log", "var/lib", "usr/local/bin", "usr/bin"),
    *("workspace", "tmp", "run", "proc", "sys", "dev"),
)
_FILES: Final = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    "etc/group": b"root:x:0:\nuser:x:1000:\n",
    "opt/readme": b"This came with the image.\n",
    "var/log/boot": b"This too.\n",
}


@dataclass(frozen=True)
class Folder:
    """A directory of an image, with its owner and mode."""

    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class CommandLine(Protocol):
    """Docker's command line against one Engine."""

    def docker(self, *arguments: str, stdin: IO[bytes] | bytes | None = None) -> str:
        """Run it; return what it prints."""


def import_busybox(
    engine: CommandLine,
    name: str = "pinacle-busybox",
    *,
    changes: tuple[str, ...] = (),
    files: Mapping[str, bytes] | None = None,
    links: Mapping[str, str] | None = None,
    folders: Sequence[Folder] = (),
) -> str:
    """Make a 2 MB image with real /bin and /lib folders, and return its name.

    `changes` are Dockerfile lines, such as `VOLUME /var/lib/db`; `files` are additional files by their path,
    and `folders` additional directories. `links` give path and target, as `home` and `var/home`: the path is
    then no directory, and what is below it is put where it leads. With `bin` and `usr/bin`, `/usr` is merged.
    """
    require("busybox")
    command = f"CMD {json.dumps(['sh', '-c', STAY])}"
    flags = [flag for change in (command, *changes) for flag in ("--change", change)]
    engine.docker("import", *flags, "-", name, stdin=_busybox_root(files or {}, links or {}, folders))
    return name


def import_debian(
    engine: PrivateEngine,
    cache: Path,
    name: str = "pinacle-debian",
    *,
    packages: tuple[str, ...] = (),
    changes: tuple[str, ...] = (),
) -> str:
    """Make a Debian image from the distribution's packages, and return its name.

    The root is made once for each choice of `packages` (about 40 s), and kept in `cache` as a tar of about
    120 MB. `changes` are Dockerfile lines.
    """
    root = cache / f"{'-'.join(('debian', SUITE, *packages))}.tar"
    with _made_once(root) as missing:
        if missing:
            _bootstrap(root, packages)
    command = f"CMD {json.dumps(['sh', '-c', STAY])}"
    flags = [flag for change in (command, *changes) for flag in ("--change", change)]
    with root.open("rb") as tar:
        engine.docker("import", *flags, "-", name, stdin=tar)
    return name


def import_helper(engine: CommandLine, cache: Path, name: str = "pinacle-helper") -> str:
    """Make an image with the tools for a pool from the distribution's packages, and return its name.

    They are those of another Debian than pods have: simple quotas are unknown to older ones. The root is made
    once (about 40 s), and kept in `cache` as a tar of 130 MB.
    """
    root = cache / f"helper-{HELPER_SUITE}.tar"
    with _made_once(root) as missing:
        if missing:
            _bootstrap(root, ("btrfs-progs",), suite=HELPER_SUITE)
    with root.open("rb") as tar:
        engine.docker("import", "-", name, stdin=tar)
    return name


def import_python(engine: CommandLine, cache: Path, name: str = "pinacle-python") -> str:
    """Make a base image with Python and a Redis server from the distribution's packages; return its name.

    Its btrfs-progs are too old for a pool: the image of `import_helper` has newer ones.

    It also has everything in requirements-traces.lock, and so all of requirements.lock, and what builds the
    package: the worker's image can be built on it from either lock without any network. It is made once
    (about 2 minutes) and kept in `cache` until a lock changes.
    """
    locks = (ROOT / "requirements-traces.lock", ROOT / "requirements-build.lock")
    made_of = " ".join(_PYTHON_PACKAGES).encode() + b"".join(lock.read_bytes() for lock in locks)
    root = cache / f"python-{sha256(made_of).hexdigest()[:12]}.tar"
    with _made_once(root) as missing:
        if missing:
            _bootstrap(root, _PYTHON_PACKAGES, wheels_of=locks)
    settings = ("ENV PIP_NO_INDEX=1", "ENV PIP_FIND_LINKS=/wheels")
    flags = [flag for setting in settings for flag in ("--change", setting)]
    with root.open("rb") as tar:
        engine.docker("import", *flags, "-", name, stdin=tar)
    return name


@contextmanager
def _made_once(root: Path) -> Iterator[bool]:
    """Yield whether it has yet to be made; others that want it wait meanwhile, in other processes too."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield not root.exists()


def _bootstrap(
    tar: Path, packages: tuple[str, ...] = (), *, suite: str = SUITE, wheels_of: Sequence[Path] = ()
) -> None:
    require("debootstrap")
    with tempfile.TemporaryDirectory(prefix="pinacle-root-") as folder:
        bootstrap(Path(folder), packages, suite=suite)
        for lock in wheels_of:
            download_wheels(lock, Path(folder, "wheels"))
        partial = tar.with_suffix(".partial")
        packed = ["tar", "-C", folder, "--numeric-owner", "--one-file-system", "-cf", str(partial), "."]
        subprocess.run(packed, check=True)
        partial.rename(tar)


def bootstrap(folder: Path, packages: tuple[str, ...] = (), *, suite: str = SUITE) -> None:
    """Fill a folder with a Debian root that has these packages."""
    program = find("debootstrap") or "debootstrap"
    include = [f"--include={','.join(packages)}"] if packages else []
    environment = inherited(paths="/usr/sbin:/sbin")
    subprocess.run(
        [program, "--variant=minbase", *include, suite, str(folder)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    folder.chmod(0o755)  # Otherwise only root could enter the pods' root.
    # Published images have neither: what was downloaded to make the image would fill every pod's /var.
    for leftover in (*folder.glob("var/cache/apt/archives/*.deb"), *folder.glob("var/lib/apt/lists/*_*")):
        leftover.unlink()


def download_wheels(lock: Path, folder: Path) -> None:
    """Download what a lock names, for Debian's Python."""
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    wanted = ["--require-hashes", "-r", str(lock), "--python-version", "3.11", "--only-binary=:all:"]
    subprocess.run([*pip, "download", *wanted, "-d", str(folder)], check=True)


def _busybox_root(files: Mapping[str, bytes], links: Mapping[str, str], folders: Sequence[Folder]) -> bytes:
    program = Path(find("busybox") or "/bin/busybox")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    bin_folder = links.get("bin", "bin")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        own = {path: Folder(path) for path in (*_FOLDERS, bin_folder) if not _is_below(path, links)}
        for folder in (own | {each.path: each for each in folders}).values():
            _add(tar, folder.path, kind=tarfile.DIRTYPE, mode=folder.mode, owner=(folder.uid, folder.gid))
        for path, target in links.items():
            _add(tar, path, kind=tarfile.SYMTYPE, link=target)
        usual = {path: content for path, content in _FILES.items() if not _is_below(path, links)}
        for path, content in {**usual, **files}.items():
            _add(tar, path, content, mode=0o644)
        _add(tar, f"{bin_folder}/busybox", program.read_bytes(), mode=0o755)
        for applet in applets:
            if applet != "busybox":
                _add(tar, f"{bin_folder}/{applet}", kind=tarfile.SYMTYPE, link="busybox")
    return buffer.getvalue()


def _is_below(path: str, links: Mapping[str, str]) -> bool:
    return any(path == link or path.startswith(f"{link}/") for link in links)


def _add(
    tar: tarfile.TarFile,
    path: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o777,
    link: str = "",
    owner: tuple[int, int] = (0, 0),
) -> None:
    entry = tarfile.TarInfo(path)
    entry.uid, entry.gid = owner
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), link
    tar.addfile(entry, io.BytesIO(content))
