"""Programs that the local stack needs, installed from the distribution's packages if that is possible."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from worker.local.processes import inherited

_PACKAGES: Final = {
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "pasta": "passt",
    "busybox": "busybox-static",
    "debootstrap": "debootstrap",
    "setfattr": "attr",
    "faketime": "faketime",
    "docker-registry": "docker-registry",
    "docker": "docker.io",
    "redis-server": "redis-server",
    "openssl": "openssl",
    "locale-gen": "locales",
    "curl": "curl",
    "node": "nodejs",
    "npm": "npm",
    "runsc": "runsc",
    "haproxy": "haproxy",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "systemd-analyze": "systemd",
    "mkfs.ext4": "e2fsprogs",
}
"""Program to the Debian and Ubuntu package that has it."""
ENGINE: Final = ("dockerd", "containerd", "runc", "iptables", "ip", "nsenter", "busybox")
FILTER: Final = ("nft",)
"""What keeps pods from private networks. An Engine runs without it, and `doctor` says what that means."""
MACHINE: Final = ("qemu-system-x86_64", "qemu-img", "mkfs.ext4")
"""What `make test-vm` needs, and nothing else does."""
_ON_DEMAND: Final = (*MACHINE, "runsc")
_SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MissingProgramsError(Exception):
    """Programs are missing, and only a person can install them."""


def find(program: str) -> str | None:
    """Return where a program is, even if a user's PATH does not contain its folder."""
    return shutil.which(program, path=f"{os.defpath}:{_SEARCH_PATH}")


def require(*programs: str, wanted: Collection[str] = ()) -> None:
    """Install what is missing if possible: as root on Debian or Ubuntu.

    Otherwise it raises MissingProgramsError, which says what to install. If something is missing that is only
    `wanted`, it prints a warning.
    """
    missing = [program for program in programs if find(program) is None]
    lacking = [program for program in wanted if find(program) is None]
    if os.geteuid() == 0 and shutil.which("apt-get") is not None:
        _install_some(missing, lacking)
    elif missing:
        packages = _packages(missing + lacking)
        raise MissingProgramsError(
            f"missing: {', '.join(missing)}. Install them (on Debian or Ubuntu: apt-get install "
            f"{packages}), or run this as root on Debian or Ubuntu, where it does that itself"
        )
    left = [program for program in lacking if find(program) is None]
    if left:
        print(
            f"warning: goes on without {', '.join(left)} (on Debian or Ubuntu: apt-get install "
            f"{_packages(left)}): `pinacle doctor` says what that means",
            file=sys.stderr,
            flush=True,
        )


def _packages(programs: Collection[str]) -> str:
    return " ".join(sorted({_PACKAGES[program] for program in programs}))


def _install_some(missing: list[str], lacking: list[str]) -> None:
    """Raise CalledProcessError only if something is still missing that is required."""
    if not missing and not lacking:
        return
    try:
        _install(_packages(missing + lacking).split())
    except subprocess.CalledProcessError:
        if any(find(program) is None for program in missing):
            raise


def _install(packages: list[str]) -> None:
    print(f"Installing {' '.join(packages)} ...", flush=True)
    environment = inherited(DEBIAN_FRONTEND="noninteractive")
    # Packages start their services when they are installed, unless this file forbids it.
    policy = Path("/usr/sbin/policy-rc.d")
    had_policy = policy.exists()
    if not had_policy:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"]
        subprocess.run(["apt-get", *quiet, "update"], check=True, env=environment)
        subprocess.run(
            ["apt-get", *quiet, "install", "-y", "--no-install-recommends", *packages],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
    finally:
        if not had_policy:
            policy.unlink()


if __name__ == "__main__":
    try:
        require(*(program for program in _PACKAGES if program not in _ON_DEMAND))
    except MissingProgramsError as error:
        raise SystemExit(f"error: {error}") from None
