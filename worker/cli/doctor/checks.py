"""What `pinacle doctor` concludes: a pure judgement of each fact that it found, and what to do about it."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from worker.errors import PodError
from worker.interfaces import EngineInfo
from worker.pods.policy import Policy

_MB: Final = 10**6
_CLOCK_WARN_S: Final = 2.0
_SLOW_DRIVERS: Final = ("vfs", "devicemapper", "aufs")
_NO_UPPER: Final = ("overlay", "nfs", "nfs4", "cifs", "vfat", "9p", "fuse", "ecryptfs")
"""File systems that cannot hold the upper layer of an overlay; `fuse` stands for all kinds that begin so."""


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the report."""

    name: str
    status: Status
    detail: str
    remedy: str | None = None
    group: str = ""
    """The part of the report that it belongs to."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(name: str, detail: str) -> Check:
    return Check(name=name, status=Status.OK, detail=detail)


def warn(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, status=Status.WARN, detail=detail, remedy=remedy)


def fail(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, status=Status.FAIL, detail=detail, remedy=remedy)


def runtimes(info: EngineInfo, wanted: str | None) -> Check:
    """Whether the Engine has the runtime that pods should have."""
    known = ", ".join(sorted(info.runtimes))
    if wanted is not None and wanted not in info.runtimes:
        return fail(
            "runtimes",
            f"PINACLE_RUNTIME is {wanted!r}, and the Engine has {known}",
            "add it to the Engine's daemon.json and restart Docker, or set PINACLE_RUNTIME to one it has",
        )
    return ok("runtimes", known)


def policy(allowed: Policy, own_runtime: str | None) -> Check:
    """Show what the settings let a spec ask for, so that the operator sees what is open."""
    runtimes = ", ".join(sorted(allowed.runtimes)) or own_runtime or "the Engine's own"
    detail = (
        f"images {', '.join(allowed.images)}, pulled from {', '.join(sorted(allowed.registries))}, with "
        f"credentials for {', '.join(allowed.named_images) or 'none'}; runtimes: {runtimes}; published on "
        f"{', '.join(allowed.addresses)}, ports {allowed.ports.start}-{allowed.ports.stop - 1}"
    )
    return ok("specs may ask for", detail)


def network(name: str, problem: str | None) -> Check:
    """Whether pods are kept from each other. The options of an existing network cannot be changed."""
    if problem is None:
        return ok("network", f"no pod reaches another on {name}")
    return fail(
        "network",
        problem,
        f"stop all pods, docker network rm {name}, and restart the worker: it makes one on which they "
        "cannot, and attaches pods to it when they start",
    )


def egress(*, is_closed: bool, reached: Collection[str] | PodError, rules: str | None) -> Check:
    """Whether pods are kept from the host and private networks, by what one of them reaches.

    `reached` may be the error why that could not be tried; `rules` are for `nft`, None without a network.
    """
    name = "egress"
    if not is_closed:
        return warn(
            name,
            "open: pods reach private networks, a cloud's metadata and every service of the host",
            "set PINACLE_EGRESS=closed, with what they need in PINACLE_EGRESS_ALLOW, and restart the worker",
        )
    if rules is None:
        return ok(name, "closed as soon as there is a network")
    by_hand = f"as root on the Engine's host, after each of its starts: nft '{rules}'"
    if isinstance(reached, PodError):
        return warn(name, f"could not be tried from a pod: {reached}", f"check it yourself; {by_hand}")
    if reached:
        return fail(
            name,
            f"PINACLE_EGRESS is closed, and a pod reaches {', '.join(reached)}",
            "install nftables on the Engine's host (apt-get install nftables, or dnf), and the worker makes "
            f"the rules within 5 minutes; or {by_hand}",
        )
    return ok(name, "a pod reaches neither the host nor a cloud's metadata")


def private_file(path: Path, mode: int) -> Check:
    """Whether only its owner can read a file with passwords; `mode` is as in `stat`."""
    if mode & 0o077:
        return fail(
            path.name,
            f"{path} has passwords, and other users can read it: its mode is {mode & 0o777:o}",
            f"chmod 600 {path}, and choose other passwords if others had access to this host",
        )
    return ok(path.name, f"only its owner can read {path}")


def image_pins(images: Collection[str], built: str) -> Check:
    """Which images of our own Compose project are named by tag; `built` is made here and has no digest."""
    name = "images of compose"
    tags = [image for image in images if image != built and "sha256:" not in image]
    if not images:
        return ok(name, "the Compose stack does not run on this Engine")
    if tags:
        return ok(name, f"only by tag, which can be moved: {', '.join(tags)}; name:tag@sha256:... pins one")
    return ok(name, "all by digest")


def storage_driver(info: EngineInfo) -> Check:
    """Whether containers are cheap to make."""
    if info.storage_driver in _SLOW_DRIVERS:
        return warn(
            "storage driver",
            f"{info.storage_driver} is slow or no longer maintained",
            "let the Engine use overlay2 (`storage-driver` in its daemon.json), on an empty data root",
        )
    return ok("storage driver", info.storage_driver)


def live_restore(info: EngineInfo) -> Check:
    """Whether a removal may hang after the next restart of the Engine."""
    name = "live-restore"
    if info.live_restore:
        return warn(
            name,
            "on: after a restart, the Engine may hang when it removes a container, until it is restarted "
            "again; no data is lost by that, and `pinacle pods get` reports it",
            "set live-restore to false in the Engine's daemon.json and restart Docker: pods that are to run "
            "are started again",
        )
    return ok(name, "off")


def overlay(mode: str, *, bases: int, filesystem: str | None, kernel_has_it: bool) -> Check:
    """Whether system volumes can be overlays, as far as that can be seen without mounting one.

    `bases` is how many volumes of bases there are: they are made only after a successful trial.
    `filesystem` is that of the data root, None if it cannot be seen.
    """
    name = "overlay volumes"
    if mode != "overlay":
        return ok(name, f"not used: PINACLE_SYSTEM_VOLUMES is {mode}")
    if bases:
        return ok(name, "in use")
    if filesystem is None:
        return warn(
            name,
            "cannot be seen from here; the worker tries it before the first pod of an image",
            "set PINACLE_DATA_ROOT to where the Engine's data root can be seen, or run this on its host",
        )
    if filesystem.startswith(_NO_UPPER):
        return warn(
            name,
            f"the data root is on {filesystem}, which cannot hold them: each pod keeps a copy of /usr",
            "move the Engine's data root to ext4, xfs or btrfs, or set PINACLE_SYSTEM_VOLUMES=copy",
        )
    if not kernel_has_it:
        return warn(
            name,
            "the kernel module overlay is not loaded",
            "load it: modprobe overlay",
        )
    return ok(name, f"the data root is on {filesystem}, which can hold them")


def disk_space(root: Path, free_bytes: int | None, min_free_mb: int) -> Check:
    """Whether pods can be created on the data root; `free_bytes` is None if it cannot be seen."""
    name = "disk space"
    if free_bytes is None:
        return warn(
            name,
            f"{root} cannot be seen from here, so PINACLE_MIN_FREE_MB is not checked",
            "set PINACLE_DATA_ROOT to where it can be seen, if that is possible",
        )
    free_mb = free_bytes // _MB
    detail = f"{free_mb} MB free on {root}, PINACLE_MIN_FREE_MB is {min_free_mb}"
    if free_mb < min_free_mb:
        return fail(name, f"{detail}: no pod is created", "free some space, or give the disk more")
    if free_mb < 2 * min_free_mb:
        return warn(name, detail, "free some space soon: below PINACLE_MIN_FREE_MB no pod is created")
    return ok(name, detail)


def durability(lacks: Collection[str]) -> Check:
    """Whether Redis keeps what is written to it."""
    if lacks:
        return fail(
            "Redis keeps all",
            "; ".join(lacks),
            "set appendonly yes, appendfsync always and maxmemory-policy noeviction, by CONFIG SET and in "
            "its redis.conf",
        )
    return ok("Redis keeps all", "appendonly, appendfsync always, noeviction")


def clock(difference_s: float, interval_s: float) -> Check:
    """Whether this machine's clock and Redis' agree; beat's messages expire after an interval."""
    detail = f"{abs(difference_s):.1f} s from Redis'"
    remedy = "set the clocks of this machine and of Redis' machine by NTP"
    if abs(difference_s) > interval_s:
        return fail("clock", f"{detail}: passes count as expired", remedy)
    return ok("clock", detail) if abs(difference_s) <= _CLOCK_WARN_S else warn("clock", detail, remedy)


def workers(ages: Mapping[str, float], *, ttl_s: float, here: str | None, expected: Collection[str]) -> Check:
    """Whether there is a worker on this host, and on all hosts that should have one."""
    name = "workers"
    live = {host for host, age in ages.items() if abs(age) <= ttl_s}
    if not live:
        return fail(
            name, "none has a heartbeat", "start one: python -m worker; its log says what it waits for"
        )
    told = f"live on {', '.join(sorted(live))}"
    silent = sorted((set(expected) | ages.keys()) - live)
    if silent:
        return warn(name, f"{told}; silent on {', '.join(silent)}", "start their workers: python -m worker")
    if here is not None and here not in live:
        return warn(
            name,
            f"{told}; none for this Engine's host {here}",
            "start one here: python -m worker; or set PINACLE_HOST_ID to what its worker has",
        )
    return ok(name, told)
