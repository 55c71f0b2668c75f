"""Which store owns an installation on one Engine, so that two never manage the same containers.

The container that keeps a host's sentinel has the id of the store that holds the installation's records.
A store that finds another's there asks before it takes over, by a container that a living owner removes. One
that has records of its own never takes over by itself: they may be older than what is there, and what
they say was deleted would be removed. If nobody has a pod there is nothing to contend for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from worker.pods import naming
from worker.pods.observation import ObservedContainer, Snapshot

LONGEST_ANSWER_S: Final = 20.0
"""Seconds within which a living owner answers: it follows the Engine's events, and restarts in less."""
_ANSWER_INTERVALS: Final = 2.0
"""A pass answers too; if passes are frequent, waiting for two of them is enough."""


class Claim(StrEnum):
    """What a store may do about an installation on one Engine."""

    OWN = "it is this store's"
    TAKE = "nobody else's: this store puts its id there"
    ASK = "another store's, which may be gone: this one asks"
    REFUSED = "another store's: a person decides"


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """One store, as one of its processes knows it."""

    store: str
    former: frozenset[str] = frozenset()
    """The ids that this store had in this process's life, before it was lost."""
    held: bool = False
    """Whether the installation was its own in this process's life."""
    knows_host: bool = False
    """Whether it has the records of this host's pods."""


def judge(claimant: Claimant, seen: Snapshot, installation: str) -> Claim:
    """Return what a store may do about an installation, from what the Engine shows."""
    keeper = keeper_of(seen, installation)
    holder = None if keeper is None else keeper.labels.get(naming.LABEL_STORE)
    if holder == claimant.store:
        return Claim.OWN
    if holder is not None and holder in claimant.former:
        return Claim.TAKE
    if keeper is not None and holder is None:
        return Claim.TAKE  # An older worker made it; one that knows of ids would have put its own there.
    if holder is not None and (claimant.held or (claimant.knows_host and seen.pod_ids(installation))):
        return Claim.REFUSED
    if claimant.held or claimant.knows_host or installation not in seen.storages:
        return Claim.TAKE
    return Claim.ASK if seen.pod_ids(installation) else Claim.TAKE


def keeper_of(seen: Snapshot, installation: str) -> ObservedContainer | None:
    """Return the container that keeps the sentinel, None if there is none."""
    return seen.containers.get(naming.storage_name(installation))


def keeper_labels(installation: str, store: str) -> dict[str, str]:
    """Return the labels of that container."""
    return {naming.LABEL_INSTALLATION: installation, naming.LABEL_STORE: store}


def answers_within_s(interval_s: float) -> float:
    """Return within how many seconds a living owner answers; `interval_s` is the time between passes."""
    return min(_ANSWER_INTERVALS * interval_s, LONGEST_ANSWER_S)


def contender_labels(installation: str, store: str) -> dict[str, str]:
    """Return the labels of the container by which a store asks."""
    return {naming.LABEL_INSTALLATION: installation, naming.LABEL_CONTENDER: store}


def contenders(seen: Snapshot, installation: str) -> Iterator[tuple[str, ObservedContainer]]:
    """Yield the stores that ask, each with its container."""
    for container in seen.containers.values():
        store = container.labels.get(naming.LABEL_CONTENDER)
        ours = container.labels.get(naming.LABEL_INSTALLATION) == installation
        if ours and store and container.name == naming.contender_name(installation, store):
            yield store, container


def refusal(installation: str, host: str, holder: str | None) -> str:
    """Return the error for a store that has to leave the installation to another."""
    other = "another Redis" if holder is None else f"another Redis (store {holder})"
    return (
        f"installation {installation!r} on the Engine of host {host} is looked after by a worker of {other}. "
        "Two with one name would end each other's pods, so nothing is made, changed or removed from here. "
        "Give this one a name of its own: set another PINACLE_INSTALLATION, and start its worker again; or "
        "set PINACLE_REDIS_URL to the other's Redis. Only if that other one is gone for good, send "
        f"hosts.accept_storage({host!r}): its pods are then taken over, except those that this Redis has as "
        "deleted, which are removed"
    )


def contended(installation: str, host: str, contender: str) -> str:
    """Return the warning for the owner of an installation that another store asked for."""
    return (
        f"a worker with another Redis (store {contender}) was started for installation {installation!r} on "
        f"the Engine of host {host}, and turned away: give that one another PINACLE_INSTALLATION, or the "
        "PINACLE_REDIS_URL of this one"
    )


def confirming(installation: str, host: str, holder: str | None, left_s: float) -> str:
    """Return what a store that asks is waiting for."""
    other = "another Redis" if holder is None else f"another Redis (store {holder})"
    return (
        f"the pods of installation {installation!r} on the Engine of host {host} are those of {other}: for "
        f"{max(left_s, 0.0):.0f} s more its worker may object, then they are taken over as they are"
    )
