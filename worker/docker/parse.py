"""Parses the Engine's JSON into observations. No JSON leaves this package."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from worker.docker.request import CPU_PERIOD_US
from worker.planner.container import Limits
from worker.planner.host.survivors import Evidence
from worker.planner.volumes.unprotected import MADE_BY_THE_ENGINE
from worker.pods.model import PinnedImage, PublishedPort
from worker.pods.observation import ContainerState, Exit, ObservedContainer, ObservedVolume
from worker.pods.references import repository_of

_NEVER: Final = "0001-01-01T00:00:00Z"
_MICROSECONDS: Final = 6


def listed_container(entry: Mapping[str, Any]) -> ObservedContainer:
    """Parse an entry of the container list, which does not say how a container ended."""
    return ObservedContainer(
        id=entry["Id"],
        # Legacy links give a container more names, with more slashes.
        name=next((n[1:] for n in entry["Names"] if n.count("/") == 1), ""),
        state=ContainerState(entry["State"]),
        image_id=entry["ImageID"],
        labels=entry.get("Labels") or {},
        volumes=_volume_mounts(entry.get("Mounts") or ()),
        networks=_networks(entry),
        network_mode=(entry.get("HostConfig") or {}).get("NetworkMode") or "",
        binds=_bind_mounts(entry.get("Mounts") or ()),
    )


def inspected_container(entry: Mapping[str, Any]) -> ObservedContainer:
    """Parse the answer to an inspect."""
    state = ContainerState(entry["State"]["Status"])
    return ObservedContainer(
        id=entry["Id"],
        name=entry["Name"].removeprefix("/"),
        state=state,
        image_id=entry["Image"],
        labels=entry["Config"].get("Labels") or {},
        volumes=_volume_mounts(entry.get("Mounts") or ()),
        binds=_bind_mounts(entry.get("Mounts") or ()),
        exit=inspected_exit(entry) if state is ContainerState.EXITED else None,
        networks=_networks(entry),
        network_mode=(entry.get("HostConfig") or {}).get("NetworkMode") or "",
    )


def inspected_exit(entry: Mapping[str, Any]) -> Exit:
    state = entry["State"]
    return Exit(
        code=state["ExitCode"],
        oom_killed=bool(state.get("OOMKilled")),
        started_at=_seconds(state["StartedAt"]),
        finished_at=_seconds(state["FinishedAt"]),
    )


def listed_volume(entry: Mapping[str, Any]) -> ObservedVolume:
    return ObservedVolume(
        name=entry["Name"],
        labels=entry.get("Labels") or {},
        mountpoint=entry["Mountpoint"],
        options=entry.get("Options") or {},
    )


def inspected_image(reference: str, entry: Mapping[str, Any]) -> PinnedImage:
    digests = entry.get("RepoDigests") or ()
    declared = (entry.get("Config") or {}).get("Volumes") or {}
    return PinnedImage(
        reference=reference,
        id=entry["Id"],
        repo_digest=_digest_for(reference, digests),
        volumes=tuple(sorted(declared)),
    )


def evidence(entry: Mapping[str, Any], image: Mapping[str, Any] | None) -> Evidence:
    """Parse an inspect of a container and one of its image; `image` is None if the image is gone."""
    host = entry["HostConfig"]
    mounts = [mount for mount in host.get("Mounts") or () if mount["Type"] == "volume"]
    return Evidence(
        env=tuple(entry["Config"].get("Env") or ()),
        image_env=None if image is None else tuple((image.get("Config") or {}).get("Env") or ()),
        ports=tuple(_published(host.get("PortBindings") or {})),
        mounts=tuple((mount["Target"], mount["Source"]) for mount in mounts),
        limits=Limits(
            cpus=host["CpuQuota"] // (host["CpuPeriod"] or CPU_PERIOD_US), memory_bytes=host["Memory"]
        ),
        image=inspected_image(entry["Config"]["Image"], image) if image is not None else None,
    )


def _published(bindings: Mapping[str, Any]) -> Iterator[PublishedPort]:
    for key, places in bindings.items():
        number, _, protocol = key.partition("/")
        for place in places or ():
            yield PublishedPort(
                container=int(number),
                host=int(place["HostPort"]),
                protocol="udp" if protocol == "udp" else "tcp",
                address=place["HostIp"],
            )


def _digest_for(reference: str, digests: Any) -> str | None:
    """Return the digest in the repository that the reference names, otherwise any."""
    repository = repository_of(reference)
    return next((d for d in digests if d.partition("@")[0] == repository), next(iter(digests), None))


def _networks(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple((entry.get("NetworkSettings") or {}).get("Networks") or ())


def _volume_mounts(mounts: Any) -> dict[str, str]:
    return {mount["Destination"]: mount["Name"] for mount in mounts if mount.get("Type") == "volume"}


def _bind_mounts(mounts: Any) -> tuple[str, ...]:
    """Return where directories and files of the host are mounted, except those that the Engine mounts."""
    bound = (mount["Destination"] for mount in mounts if mount.get("Type") == "bind")
    return tuple(path for path in bound if path not in MADE_BY_THE_ENGINE)


def _seconds(text: str) -> float:
    """Return seconds since the epoch; 0 for the Engine's "never". Nanoseconds are cut off."""
    if text == _NEVER:
        return 0.0
    whole, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(f"{whole}.{fraction[:_MICROSECONDS]:0<6}").replace(tzinfo=UTC)
    return moment.timestamp()
