"""Images made from a description: folders, files, links, owners, and lines of a Dockerfile."""

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final, Self

from worker.local.images import STAY, CommandLine
from worker.local.packages import find, require

_FOLDERS: Final = (
    "bin lib etc home root opt srv var/log var/lib usr/local/bin usr/bin tmp run proc sys dev workspace"
)
_ACCOUNTS: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    "etc/group": "root:x:0:\nuser:x:1000:\n",
}


@dataclass(frozen=True)
class Entry:
    """A folder, a file with `content`, or a link to `target`."""

    content: str | bytes | None = None
    target: str | None = None
    mode: int = 0o755
    owner: int = 0


@dataclass(frozen=True)
class Image:
    """What an image contains, by path without the first slash, and the lines of its Dockerfile."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    command: tuple[str, ...] = ("sh", "-c", STAY)

    @classmethod
    def busybox(cls) -> Self:
        """Return one with real /bin and /lib folders."""
        folders = {path: Entry() for path in _FOLDERS.split()}
        files = {path: Entry(content=text, mode=0o644) for path, text in _ACCOUNTS.items()}
        links = {f"bin/{applet}": Entry(target="busybox") for applet in _applets()}
        return cls({**folders, **files, **links, "bin/busybox": Entry(content=_program())})

    @classmethod
    def merged(cls) -> Self:
        """Return one whose /bin and /lib are links into /usr, as on today's distributions."""
        whole = cls.busybox()
        moved = {
            f"usr/{path}" if path == "lib" or path.startswith("bin/") else path: entry
            for path, entry in whole.entries.items()
            if path != "bin"
        }
        return replace(whole, entries=moved).link("bin", "usr/bin").link("lib", "usr/lib")

    @classmethod
    def scratch(cls) -> Self:
        """Return one with a single static program and nothing else, not even a shell."""
        # By its name, busybox knows that its first argument says which program it is.
        return cls({"busybox-app": Entry(content=_program())}, command=("/busybox-app", "sleep", "1000000"))

    def folder(self, path: str, *, mode: int = 0o755, owner: int = 0) -> Self:
        return self._with(path, Entry(mode=mode, owner=owner))

    def file(self, path: str, content: str, *, mode: int = 0o644, owner: int = 0) -> Self:
        return self._with(path, Entry(content=content, mode=mode, owner=owner))

    def link(self, path: str, target: str) -> Self:
        """Replace whatever was there, and everything below it, by a link."""
        return self.without(path)._with(path, Entry(target=target))

    def without(self, path: str) -> Self:
        """Leave out a path and everything below it."""
        left = {name: each for name, each in self.entries.items() if f"{name}/".find(f"{path}/") != 0}
        return replace(self, entries=left)

    def line(self, *lines: str) -> Self:
        """Add lines of a Dockerfile, such as `VOLUME /data`."""
        return replace(self, lines=(*self.lines, *lines))

    def make(self, engine: CommandLine, name: str) -> str:
        """Import it under a name, and return that."""
        command = f"CMD {json.dumps(list(self.command))}"
        flags = [flag for line in (command, *self.lines) for flag in ("--change", line)]
        engine.docker("import", *flags, "-", name, stdin=self._tar())
        return name

    def _with(self, path: str, entry: Entry) -> Self:
        return replace(self, entries={**self.entries, path: entry})

    def _tar(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path, entry in self.entries.items():
                _add(tar, path, entry)
        return buffer.getvalue()


def _add(tar: tarfile.TarFile, path: str, entry: Entry) -> None:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
    content = entry.content.encode() if isinstance(entry.content, str) else entry.content or b""
    if entry.target is not None:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
    elif entry.content is None:
        info.type = tarfile.DIRTYPE
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


@cache
def _program() -> bytes:
    require("busybox")
    return Path(find("busybox") or "/bin/busybox").read_bytes()


@cache
def _applets() -> tuple[str, ...]:
    program = find("busybox") or "/bin/busybox"
    listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    return tuple(applet for applet in listed if applet != "busybox")
