"""Which store owns an installation on one Engine: a table of situations."""

from collections.abc import Iterable
from typing import Final

import pytest

from worker.planner.host.claim import (
    LONGEST_ANSWER_S,
    Claim,
    Claimant,
    answers_within_s,
    confirming,
    contenders,
    judge,
    keeper_labels,
    refusal,
)
from worker.pods import naming
from worker.pods.observation import ContainerState, ObservedContainer, ObservedVolume, Snapshot

NAME: Final = "test"
MARK: Final = {naming.LABEL_INSTALLATION: NAME}


def made(name: str, labels: dict[str, str]) -> ObservedContainer:
    return ObservedContainer(
        id=name, name=name, state=ContainerState.CREATED, image_id="", labels=labels, volumes={}
    )


def keeper(store: str | None) -> ObservedContainer:
    """Return the sentinel's keeper; an older worker's has no store's id."""
    labels = MARK if store is None else keeper_labels(NAME, store)
    return made(naming.storage_name(NAME), labels)


def world(*containers: ObservedContainer, pods: bool = True, sentinel: bool = True) -> Snapshot:
    volumes = []
    if sentinel:
        labels = {**MARK, naming.LABEL_STORAGE: "s-1"}
        volumes.append(ObservedVolume(name=naming.storage_name(NAME), labels=labels))
    if pods:
        labels = {**MARK, naming.LABEL_POD: "a", naming.LABEL_VOLUME: "home"}
        volumes.append(ObservedVolume(name="pinacle-vol-a-home", labels=labels))
    return Snapshot.of(containers, volumes)


NEW: Final = Claimant(store="mine")
KNOWN: Final = Claimant(store="mine", knows_host=True)
HELD: Final = Claimant(store="mine", knows_host=True, held=True)
LOST: Final = Claimant(store="mine", held=True, former=frozenset({"lost"}))

TABLE: Final = {
    "nothing is there at all": (NEW, world(pods=False, sentinel=False), Claim.TAKE),
    "its own": (KNOWN, world(keeper("mine")), Claim.OWN),
    "its own, after a restart before its pods were told of": (NEW, world(keeper("mine")), Claim.OWN),
    "an older worker's keeper, an upgrade": (KNOWN, world(keeper(None)), Claim.TAKE),
    "an older worker's keeper, and its Redis was lost": (NEW, world(keeper(None)), Claim.TAKE),
    "an older worker made the keeper again": (HELD, world(keeper(None)), Claim.TAKE),
    "Redis was lost while this process ran": (LOST, world(keeper("lost")), Claim.TAKE),
    "another's, and no record of the host: Redis was lost, or it is a second one": (
        NEW,
        world(keeper("other")),
        Claim.ASK,
    ),
    "another's, and own records, which may be older": (KNOWN, world(keeper("other")), Claim.REFUSED),
    "another took over while this one was silent": (HELD, world(keeper("other")), Claim.REFUSED),
    "the same, of a Redis that was lost since": (LOST, world(keeper("other")), Claim.REFUSED),
    "another's, and nobody has a pod": (NEW, world(keeper("other"), pods=False), Claim.TAKE),
    "the same, with the host known": (KNOWN, world(keeper("other"), pods=False), Claim.TAKE),
    "another took it while nobody had a pod": (HELD, world(keeper("other"), pods=False), Claim.REFUSED),
    "a prune took the keeper of a known host": (KNOWN, world(), Claim.TAKE),
    "a prune took the keeper of its own": (HELD, world(), Claim.TAKE),
    "a prune took the keeper, whose is not known": (NEW, world(), Claim.ASK),
    "a prune took the keeper, and nobody has a pod": (NEW, world(pods=False), Claim.TAKE),
    "pods that are older than any sentinel": (NEW, world(sentinel=False), Claim.TAKE),
}


@pytest.mark.parametrize("situation", TABLE)
def test_who_may_do_what(situation: str) -> None:
    claimant, seen, expected = TABLE[situation]
    assert judge(claimant, seen, NAME) is expected


def test_another_installation_s_pods_and_keeper_are_nobody_s_business() -> None:
    other = made(naming.storage_name("else"), keeper_labels("else", "other"))
    labels = {naming.LABEL_INSTALLATION: "else", naming.LABEL_POD: "b", naming.LABEL_VOLUME: "home"}
    seen = Snapshot.of([other], [ObservedVolume(name="pinacle-vol-b-home", labels=labels)])
    assert judge(NEW, seen, NAME) is Claim.TAKE


def test_nobody_waits_longer_than_a_living_owner_needs() -> None:
    """However rare passes are: the owner hears of the question by an event."""
    assert (answers_within_s(2.0), answers_within_s(3600.0)) == (4.0, LONGEST_ANSWER_S)


def test_only_what_bears_labels_and_exact_name_of_a_contender_asks() -> None:
    """A container that merely looks like one is not removed."""

    def stores(found: Iterable[ObservedContainer]) -> list[str]:
        return [store for store, _ in contenders(Snapshot.of(found, ()), NAME)]

    asks = {**MARK, naming.LABEL_CONTENDER: "s"}
    name = naming.contender_name(NAME, "s")
    assert stores([made(name, asks)]) == ["s"]
    assert stores([made(f"{name}x", asks)]) == []
    assert stores([made(name, MARK)]) == []
    assert stores([made(name, {**asks, naming.LABEL_INSTALLATION: "else"})]) == []


def test_the_words_name_the_other_store_if_it_is_known() -> None:
    assert "a worker of another Redis (store s-2)." in refusal(NAME, "here", "s-2")
    assert "a worker of another Redis. " in refusal(NAME, "here", None)
    assert "those of another Redis (store s-2): for 3 s more" in confirming(NAME, "here", "s-2", 2.6)
    assert "those of another Redis: for 0 s more" in confirming(NAME, "here", None, -1.0)
