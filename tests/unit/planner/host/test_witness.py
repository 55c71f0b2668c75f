"""What proves that the storage is the host's own although its sentinel is gone: what is seen of its pods."""

from typing import Final

import pytest

from tests.support.situations import (
    MINE,
    ON_POOL,
    SYSTEM,
    UNIVERSAL,
    View,
    begun_pod,
    created,
    deleting_pod,
    exited,
    layout,
    new_pod,
    pod,
    running,
    sees,
    stopped_pod,
    tombstone,
)
from worker.planner.host.witness import has_its_volumes, is_same_storage, is_witness
from worker.pods.model import Record

NOTHING: Final = sees(without=f"system usr {UNIVERSAL}", bases={})
UNLABELLED: Final = tuple(volume.evolve(incarnation=None) for volume in layout())

PROVEN: Final[dict[str, list[tuple[Record, View]]]] = {
    "one runs on its volumes": [(pod(), sees(running()))],
    "one runs, and a stopped one lost its volumes to the prune that took the sentinel": [
        (pod(), sees(running())),
        (stopped_pod(), NOTHING),
    ],
    "nothing runs, and the volumes of all are there": [(pod(), sees(exited())), (stopped_pod(), sees())],
    "the volumes are there, and an overlay, which holds nothing, is gone": [
        (stopped_pod(system=SYSTEM), sees(without="usr"))
    ],
    "what was never filled need not be there": [(pod(), sees(exited())), (new_pod(), NOTHING)],
    "the data of a pod on a pool is not there": [
        (pod(), sees(exited())),
        (stopped_pod(system=ON_POOL, subvolume=MINE), NOTHING),
    ],
    "what was deleted need not be there": [(pod(), sees(exited())), (tombstone(), NOTHING)],
}
OPEN: Final[dict[str, list[tuple[Record, View]]]] = {
    "there is no pod": [],
    "an unmounted disk shows nothing": [(pod(), NOTHING), (stopped_pod(), NOTHING)],
    "no pod was ever filled": [(new_pod(), sees())],
    "nothing runs, and one volume of one pod is missing": [
        (pod(), sees(exited())),
        (stopped_pod(), sees(without="home")),
    ],
    "one runs, and one of its volumes is missing": [(pod(), sees(running(), without="home"))],
    "one runs, and one of its volumes is another": [(pod(), sees(running(), replaced="home"))],
    "one runs, and one of its volumes was made by the Engine": [(pod(), sees(running(), unasked="home"))],
    "one runs, and on other volumes": [(pod(), sees(running(mounts=["elsewhere"]), without="home"))],
    "one runs that mounts but one of its volumes, and another lost its own": [
        (pod(), sees(running(mounts=["pinacle-vol-a-home"]))),
        (stopped_pod(), NOTHING),
    ],
    "the container was only created, and another pod's volumes are missing": [
        (pod(), sees(created())),
        (stopped_pod(), NOTHING),
    ],
    "volumes without labels prove nothing": [(pod(layout=UNLABELLED), sees(running(), unlabelled=UNIVERSAL))],
    "a pod on a pool that does not run proves nothing": [
        (stopped_pod(system=ON_POOL, subvolume=MINE), sees(exited()))
    ],
    "only a deleted pod has its volumes": [(deleting_pod(), sees(running()))],
}


@pytest.mark.parametrize("name", PROVEN)
def test_it_is_the_same(name: str) -> None:
    assert is_same_storage([(record, view(record)) for record, view in PROVEN[name]])


@pytest.mark.parametrize("name", OPEN)
def test_it_is_not_proven(name: str) -> None:
    assert not is_same_storage([(record, view(record)) for record, view in OPEN[name]])


def test_volumes_that_are_noted_as_begun_prove_nothing() -> None:
    """They may have been made a moment ago."""
    record = begun_pod()
    seen = sees(running())(record)
    assert not has_its_volumes(record, seen)
    assert not is_witness(record, seen)
    assert is_witness(pod(), sees(running())(pod()))
