"""A container request, as the Engine's JSON."""

from collections.abc import Mapping
from typing import Any

from config.layout import SYSTEM_DIRECTORIES
from worker.planner.container import ContainerRequest, Limits, VolumeMount
from worker.planner.volumes.mounts import Temporary
from worker.pods.model import PublishedPort

EMPTY_IMAGE = "pinacle-empty:latest"
"""An image with nothing in it, made when it is needed: containers cannot be created without an image."""
LAYERS_IMAGE = "pinacle-layers:1"
"""An image with the folders that overlays need. A volume is filled with them as from any image."""
LAYERS_INSIDE = "/layers"
OWN_IMAGES = {
    EMPTY_IMAGE: (),
    LAYERS_IMAGE: (
        LAYERS_INSIDE[1:],
        *(
            f"{LAYERS_INSIDE[1:]}{directory}{folder}"
            for directory in SYSTEM_DIRECTORIES
            for folder in ("", "/upper", "/work")
        ),
    ),
}
"""Name to folders."""
INIT = "/sbin/docker-init"
"""Where the Engine mounts its init for `Init: true`. A volume there or above hides it, unless a mount of ours
is at exactly this place: that one wins."""
_TMPFS_OPTIONS = "rw,nosuid,nodev,exec"
"""As distributions mount `/run`, but with exec, for programs that unpack themselves there."""
DROPPED_CAPABILITIES = ("MKNOD", "NET_RAW")
"""Capabilities that Docker grants and no pod gets. With NET_RAW a pod could forge ARP on the bridge and get
what is sent to another pod's published port. With MKNOD it could make device files. AUDIT_WRITE stays, as
sshd needs it at each login."""
CPU_PERIOD_US = 100_000
"""Microseconds; the kernel's own default."""


def create_body(
    request: ContainerRequest, *, init_path: str | None, seccomp: str | None = None
) -> dict[str, Any]:
    """Return the body of `POST /containers/create`.

    `init_path` is where the Engine's host has its init; it is needed if `request.hides_init`. `seccomp` is a
    profile as JSON; None means Docker's own.
    """
    spec = request.spec
    body: dict[str, Any] = {
        # By id: its reference may mean another image by now (protocol 12).
        "Image": request.image_id,
        "Hostname": request.hostname,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": request.labels,
        # Nobody types into it, but an image whose command is a shell keeps running this way.
        "OpenStdin": True,
        "StopTimeout": spec.stop_timeout_s,
        "ExposedPorts": {_port_key(port): {} for port in request.ports},
        # Nothing reads it, and an image may ask for a check every millisecond, which the Engine has to run.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(request, init_path)
        | ({"SecurityOpt": [f"seccomp={seccomp}"]} if seccomp is not None else {}),
    }
    given = {"Cmd": spec.command, "WorkingDir": spec.working_dir, "User": spec.user}
    return body | {key: value for key, value in given.items() if value is not None}


def volume_mount(volume: str, target: str, *, no_copy: bool = True) -> dict[str, Any]:
    """Return a volume mount as the Engine's JSON."""
    return {"Type": "volume", "Source": volume, "Target": target, "VolumeOptions": {"NoCopy": no_copy}}


def init_mount(path: str) -> dict[str, Any]:
    """Return the mount that puts the Engine's init where a volume would hide it."""
    return {"Type": "bind", "Source": path, "Target": INIT, "ReadOnly": True}


def filler_body(volume: str, target: str, *, image: str = EMPTY_IMAGE) -> dict[str, Any]:
    """Return the body of a container, never started, for filling a volume from an image or by copying."""
    mount = volume_mount(volume, target, no_copy=image == EMPTY_IMAGE)
    return {
        "Image": image,
        "Cmd": ["/never-started"],
        "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
    }


def keeper_body(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a container that is never started and keeps a volume from being pruned."""
    return mark_body(labels, volume_mount(name, "/storage"))


def mark_body(labels: Mapping[str, str], *mounts: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a container that is never started and exists for its labels."""
    return {
        "Cmd": ["/never-started"],
        "Labels": dict(labels),
        "HostConfig": {
            "Mounts": list(mounts),
            "NetworkMode": "none",
            "RestartPolicy": {"Name": "no"},
        },
    }


def update_body(limits: Limits) -> dict[str, Any]:
    """Return the limits as `HostConfig` and `POST /containers/{id}/update` want them."""
    # By default a pod could use as much swap as memory, twice what its tier has. Equal values mean no swap.
    # A quota rather than `NanoCPUs`, which the Engine refuses on a host with fewer processors.
    return {
        "CpuPeriod": CPU_PERIOD_US,
        "CpuQuota": limits.cpus * CPU_PERIOD_US,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
    }


def _host_config(request: ContainerRequest, init_path: str | None) -> dict[str, Any]:
    init = [init_mount(init_path)] if init_path is not None and request.spec.init else []
    config: dict[str, Any] = {
        "Mounts": [*(_mount(mount, request.unasked_labels) for mount in request.mounts), *init],
        "Tmpfs": {each.path: _tmpfs(each) for each in request.tmpfs},
        "NetworkMode": request.network,
        "PortBindings": _bindings(request.ports),
        "PidsLimit": request.pids_limit,
        "CapDrop": list(DROPPED_CAPABILITIES),
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": request.log_max_size, "max-file": str(request.log_max_files)},
        },
        # Docker's own restarts would race the reconciler and skip the storage check.
        "RestartPolicy": {"Name": "no"},
        "Init": request.spec.init,
        **update_body(request.limits),
    }
    return config | ({"Runtime": request.runtime} if request.runtime is not None else {})


def _mount(mount: VolumeMount, unasked_labels: dict[str, str]) -> dict[str, Any]:
    return {
        "Type": "volume",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "VolumeOptions": {"NoCopy": mount.no_copy, "Labels": unasked_labels},
    }


def _tmpfs(temporary: Temporary) -> str:
    owner = f",uid={temporary.uid},gid={temporary.gid}" if temporary.uid or temporary.gid else ""
    return f"{_TMPFS_OPTIONS},mode={temporary.mode:o}{owner}"


def _bindings(ports: tuple[PublishedPort, ...]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bindings.setdefault(_port_key(port), []).append({"HostIp": port.address, "HostPort": str(port.host)})
    return bindings


def _port_key(port: PublishedPort) -> str:
    return f"{port.container}/{port.protocol}"
