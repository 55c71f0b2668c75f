"""What the Engine is asked for: each mount, label and limit of a pod's container."""

import json
from dataclasses import replace
from typing import Final

import pytest

from config.layout import UNIVERSAL_VOLUMES
from tests.support.situations import IMAGE, LABELS, OWN, SYSTEM, begun_pod, layout, pod
from worker.planner.container import (
    ContainerRequest,
    Limits,
    VolumeMount,
    container_request,
    limits,
    newest_incarnation,
    spec_hash,
    volume_labels,
)
from worker.planner.volumes.mounts import Temporary
from worker.planner.volumes.system import system_label
from worker.pods import naming
from worker.pods.model import Installation, PublishedPort, Record, Volume, VolumeClass
from worker.pods.shape import ImageShape

GIB: Final = 2**30
PORT: Final = PublishedPort(container=80, host=8080, protocol="tcp", address="127.0.0.1")


def asked(record: Record, own: Installation = OWN) -> ContainerRequest:
    """Return the request for an image without anything special."""
    return container_request(record, own, ImageShape())


def universal(*, no_copy: bool) -> tuple[VolumeMount, ...]:
    return tuple(
        VolumeMount(source=f"pinacle-vol-a-{name}", target=path, no_copy=no_copy)
        for name, path in UNIVERSAL_VOLUMES
    )


def test_an_ordinary_pod() -> None:
    record = pod(spec={"tier": "dev.large", "env": {"SECRET": "1"}}, intent={"ports": (PORT,)})
    request = asked(record)
    assert request.spec == record.intent.spec
    assert replace(request, labels={}) == ContainerRequest(
        name="pinacle-pod-a",
        image_id=IMAGE.id,
        spec=request.spec,
        hostname="a",
        labels={},
        mounts=universal(no_copy=True),
        hides_init=False,
        unasked_labels={naming.LABEL_UNASKED: "one"},
        tmpfs=(Temporary(path="/run"),),
        ports=(PORT,),
        limits=Limits(cpus=4, memory_bytes=8 * GIB),
        runtime=None,
        network="net",
        pids_limit=4096,
        log_max_size="10m",
        log_max_files=3,
    )


def test_its_labels_say_everything_but_the_values_of_the_environment() -> None:
    record = pod(spec={"env": {"SECRET": "hush"}, "hostname": "h"})
    labels = asked(record).labels
    spec = labels.pop(naming.LABEL_SPEC)
    assert labels == {
        naming.LABEL_CONFINED: "1",
        **LABELS,
        naming.LABEL_INCARNATION: "one",
        naming.LABEL_SPEC_HASH: spec_hash(record),
        naming.LABEL_ENV: '["SECRET"]',
    }
    assert " " not in spec
    assert json.loads(spec)["hostname"] == "h"
    assert "SECRET" not in spec


@pytest.mark.parametrize(("path", "hides"), [("/sbin", True), ("/data", False)])
def test_a_volume_where_the_engine_puts_its_init_hides_it(path: str, hides: bool) -> None:
    """So does one that the image declares."""
    assert asked(pod(declared=[path])).hides_init is hides


def test_the_image_fills_a_volume_once() -> None:
    """A volume that is filled is mounted as it is; otherwise what its owner emptied would be refilled."""
    assert asked(begun_pod()).mounts == universal(no_copy=False)
    assert asked(pod()).mounts == universal(no_copy=True)
    mixed = {mount.target: mount.no_copy for mount in asked(pod(unfilled="var srv")).mounts}
    assert {path for path, no_copy in mixed.items() if not no_copy} == {"/var", "/srv"}


@pytest.mark.parametrize("record", [begun_pod(system=SYSTEM), pod(system=SYSTEM)], ids=["new", "filled"])
def test_overlays_layers_and_bases_are_never_filled(record: Record) -> None:
    """Layers and bases are mounted read-only, so that nobody can remove them meanwhile."""
    request = asked(record)
    assert request.hides_init
    assert request.labels[naming.LABEL_SYSTEM] == system_label(SYSTEM)
    own = [mount for mount in request.mounts if mount not in universal(no_copy=record.state.initialised)]
    assert own == [
        VolumeMount(
            source="pinacle-vol-a-system", target="/run/pinacle/system", no_copy=True, read_only=True
        ),
        VolumeMount(source="pinacle-vol-a-usr", target="/usr", no_copy=True),
        VolumeMount(source="base-usr", target="/run/pinacle/base/usr", no_copy=True, read_only=True),
    ]


def test_what_the_spec_says_comes_before_what_the_installation_has() -> None:
    gvisor = replace(OWN, default_runtime="runsc")
    assert asked(pod(), gvisor).runtime == "runsc"
    assert asked(pod(spec={"runtime": "runc"}), gvisor).runtime == "runc"
    assert asked(pod(spec={"hostname": "mine"})).hostname == "mine"


def test_a_volume_says_whose_it_is() -> None:
    record = pod(system=SYSTEM)
    home = next(volume for volume in record.state.layout if volume.name == "home")
    usr = next(volume for volume in record.state.layout if volume.name == "usr")
    common = {**LABELS, naming.LABEL_INCARNATION: "one"}
    home_labels = volume_labels(record, home, OWN)
    assert home_labels.items() >= {**common, naming.LABEL_VOLUME: "home", naming.LABEL_PATH: "/home"}.items()
    assert naming.LABEL_SYSTEM not in home_labels
    expected = {**common, naming.LABEL_VOLUME: "usr", naming.LABEL_SYSTEM: system_label(SYSTEM)}
    assert volume_labels(record, usr, OWN).items() >= expected.items()
    assert naming.LABEL_IMAGE not in home_labels
    filled = volume_labels(record, home.evolve(image="sha256:1"), OWN)
    assert filled[naming.LABEL_IMAGE] == "sha256:1"
    older = volume_labels(record, home.evolve(incarnation=None), OWN)
    assert older[naming.LABEL_INCARNATION] == ""


@pytest.mark.parametrize(
    ("tier", "cpus", "gib"),
    [("dev.small", 1, 2), ("dev.medium", 2, 4), ("dev.xlarge", 8, 16), ("dev.of-an-older-table", 1, 2)],
)
def test_a_tier_is_processors_and_memory(tier: str, cpus: int, gib: int) -> None:
    assert limits(tier) == Limits(cpus=cpus, memory_bytes=gib * GIB)


def test_the_newest_incarnation_is_that_of_the_last_volume_we_made() -> None:
    data = Volume(name="d", path="/d", volume_class=VolumeClass.DECLARED, incarnation="two", filled=True)
    older = data.evolve(incarnation=None)
    assert newest_incarnation(pod(layout=(*layout(), data))) == "two"
    assert newest_incarnation(pod(layout=(*layout(), data, older))) == "two"
    assert newest_incarnation(pod(layout=(older,))) == ""


@pytest.mark.parametrize("record", [pod(intent={"spec": None}), pod(image=None)], ids=["no spec", "no image"])
def test_there_is_no_container_without_spec_and_image(record: Record) -> None:
    with pytest.raises(ValueError, match="pod a: a container needs a spec and a pinned image"):
        asked(record)
    with pytest.raises(ValueError, match="pod a: a spec hash needs"):
        spec_hash(record)


@pytest.mark.parametrize(
    "other",
    [
        pod(spec={"hostname": "other"}),
        pod(image=replace(IMAGE, id="sha256:other")),
        pod(intent={"ports": (PORT,)}),
        pod(declared=["/data"]),
        pod(layout=layout(incarnation="two")),
    ],
    ids=["spec", "image", "ports", "layout", "incarnation"],
)
def test_what_a_container_cannot_change_is_in_its_hash(other: Record) -> None:
    assert spec_hash(other) != spec_hash(pod())


def test_another_base_is_another_container() -> None:
    """As it mounts it."""
    moved = SYSTEM.evolve(base="other")
    assert spec_hash(pod(system=moved)) != spec_hash(pod(system=SYSTEM))


@pytest.mark.parametrize(
    ("pod_id", "hostname"), [("a", "a"), ("a_b-c", "a-b-c"), ("a_", "a"), ("A9", "A9"), ("Xa_X", "Xa-X")]
)
def test_a_host_name_comes_from_the_pods_id(pod_id: str, hostname: str) -> None:
    assert naming.default_hostname(pod_id) == hostname
