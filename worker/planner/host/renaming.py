"""A host that has another name than the one under which its pods are recorded."""

from collections.abc import Mapping

from worker.quoting import shown


def former_names(storages: Mapping[str, str], host: str, found: str | None) -> tuple[str, ...]:
    """Return the other hosts that are noted with the storage of `host`: it is in one place only."""
    return tuple(sorted(name for name, identity in storages.items() if name != host and identity == found))


def renamed_problem(host: str, former: tuple[str, ...]) -> str:
    """Return what is wrong if a host was renamed, and what to do."""
    old = former[0]
    return (
        f"host {host} has the storage of host {', '.join(former)}: it was renamed, or two workers have "
        f"different names for one Engine. Its pods are recorded under {old}, and nobody looks after them. "
        f"Nothing is made or removed here before you set PINACLE_HOST_ID={old} again, or send "
        f"hosts.rename({old!r}, {host!r})"
    )


def rename_refusal(storages: Mapping[str, str], live: frozenset[str], old: str, new: str) -> str | None:
    """Return why the pods of `old` cannot become those of `new`, None if they can."""
    if new == old:
        return f"new: {shown(new)} is the same name; allowed: the name that the host has now"
    if old not in storages:
        known = ", ".join(sorted(storages)) or "none"
        return f"old: {shown(old)} is not a host whose storage is known; allowed: {known}"
    if old in live:
        return (
            f"old: host {old} has a worker with a fresh heartbeat; allowed: a host that is gone by that name"
        )
    known_as = storages.get(new)
    if known_as is not None and known_as != storages[old]:
        return (
            f"new: host {new} has storage {known_as}, and the pods of {old} lie on {storages[old]}; allowed: "
            "the host on whose Engine they are"
        )
    return None
