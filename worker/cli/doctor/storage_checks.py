"""What `pinacle doctor` concludes from a host's storage, and from what protects volumes from a prune."""

from collections.abc import Mapping
from typing import Final

from worker.cli.doctor.checks import Check, fail, ok, warn
from worker.planner.host.claim import keeper_of, refusal
from worker.planner.host.renaming import former_names, renamed_problem
from worker.planner.volumes.storage import host_storage_problem
from worker.pods import naming
from worker.pods.observation import Snapshot

NEVER: Final = (
    "never run `docker volume prune`, `docker system prune --volumes` or `docker container prune` there"
)
_MOST_NAMED: Final = 5


def held(seen: Snapshot, installation: str) -> Check:
    """Whether containers mount every pod's volumes: a prune removes a volume that no container mounts."""
    name = "volumes held"
    mounted = {volume for container in seen.containers.values() for volume in container.volumes.values()}
    pods = seen.pod_ids(installation) & seen.labelled.keys()
    loose = sorted(pod_id for pod_id in pods if not seen.labelled[pod_id] <= mounted)
    if loose:
        more = f" and {len(loose) - _MOST_NAMED} more" if len(loose) > _MOST_NAMED else ""
        return warn(
            name,
            f"no container holds all volumes of {', '.join(loose[:_MOST_NAMED])}{more}: a prune removes them",
            "`pinacle pods get` says why there is none; an orphan has none before `pinacle pods create`; "
            f"{NEVER}",
        )
    return ok(name, f"by containers, all of them; {NEVER}")


def owner(host: str, store: str | None, contender: str | None, seen: Snapshot, installation: str) -> Check:
    """Whether the installation on this Engine is this Redis', and no worker of another Redis asked for it.

    `store` is the id of this Redis, None if it has none yet; `contender` is its note about another one.
    """
    name, keeper = "installation", keeper_of(seen, installation)
    holder = None if keeper is None else keeper.labels.get(naming.LABEL_STORE)
    if holder not in (None, store) and seen.pod_ids(installation):
        return fail(
            name,
            refusal(installation, host, holder),
            "give one of the two another PINACLE_INSTALLATION, or the other's PINACLE_REDIS_URL",
        )
    if contender is not None:
        return warn(name, contender, "this was within the last day; it touched no pod")
    return ok(name, f"{installation}, this Redis' own")


def others(seen: Snapshot, installation: str) -> Check:
    """Which other installations live on this Engine: each leaves the others' pods alone."""
    name = "other installations"
    found = sorted(seen.storages.keys() - {installation})
    if not found:
        return ok(name, "none on this Engine")
    named = ", ".join(f"{other} ({len(seen.pod_ids(other))} pods)" for other in found)
    return ok(name, f"{named}; each leaves the others' pods alone")


def confined(seen: Snapshot, installation: str) -> Check:
    """Whether no container has more rights than new ones get."""
    name = "rights of containers"
    old = sorted(
        container.pod_id or ""
        for those in seen.by_pod.values()
        for container in those
        if container.labels.get(naming.LABEL_INSTALLATION) == installation
        and naming.LABEL_CONFINED not in container.labels
    )
    if not old:
        return ok(name, "none may forge packets (NET_RAW) or make devices (MKNOD)")
    more = f" and {len(old) - _MOST_NAMED} more" if len(old) > _MOST_NAMED else ""
    named = f"{', '.join(old[:_MOST_NAMED])}{more}"
    return warn(
        name,
        f"{len(old)} were made when containers still got NET_RAW and MKNOD: {named}",
        f"when a short interruption is all right: `pinacle pods restart {old[0]} --recreate`",
    )


def storage(host: str, noted: Mapping[str, str], seen: Snapshot, installation: str) -> Check:
    """Whether the Engine has the storage that holds this host's pods."""
    name, known, found = "storage", noted.get(host), seen.storages.get(installation)
    former = former_names(noted, host, found)
    if former:
        return fail(name, renamed_problem(host, former), f"`pinacle hosts rename {former[0]} {host}`")
    problem = host_storage_problem(host, known, found, installation)
    if problem is not None:
        kept = naming.storage_name(installation)
        return fail(name, problem, f"the right disk or Engine has the volume {kept} with that identity")
    return ok(name, "not given an identity yet: no worker was here" if known is None else f"{known}, its own")
