"""What a container alone says about its pod: everything that was lost, and no more than can be known."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from config.layout import BASES_PATH
from config.tiers import TIERS
from tests.support.situations import COPIED, IMAGE, LABELS, MINE, ON_POOL, SYSTEM, UNIVERSAL, pod, running
from worker.errors import InvalidInputError
from worker.planner.container import limits, spec_hash
from worker.planner.host.survivors import ALWAYS_UNSURE, Evidence, rebuilt_record
from worker.planner.volumes.pooled.subvolume import subvolume_labels
from worker.planner.volumes.system import system_label
from worker.pods import naming
from worker.pods.model import PinnedImage, PublishedPort, Record, VolumeClass
from worker.pods.observation import ContainerState, ObservedContainer, ObservedVolume

PORTS: Final = [{"container": port, "protocol": "tcp", "address": "127.0.0.1"} for port in (8080, 80)]


def rebuilt(
    spec: dict[str, Any] | None = None,
    *,
    labels: dict[str, str] | None = None,
    volumes: dict[str, ObservedVolume] | None = None,
    image_id: str = IMAGE.id,
    **evidence: Any,
) -> Record:
    labelled = {naming.LABEL_SPEC: json.dumps({"image": "image", **(spec or {})}), naming.LABEL_ENV: "[]"}
    container: ObservedContainer = running(labels={**LABELS, **labelled, **(labels or {})})(pod())
    container = replace(container, image_id=image_id)
    found: dict[str, Any] = {"env": (), "image_env": (), "ports": (), "mounts": (), "image": IMAGE}
    known = Evidence(**{**found, "limits": limits("dev.small"), **evidence})
    return rebuilt_record("here", container, known, volumes or {})


def published(container: int) -> PublishedPort:
    return PublishedPort(container=container, host=20000 + container, protocol="tcp", address="127.0.0.1")


def test_values_of_env_may_hold_an_equals_sign() -> None:
    record = rebuilt(env=("A=b=c", "REST=1"), labels={naming.LABEL_ENV: '["A"]'})
    assert record.intent.spec is not None
    assert record.intent.spec.env == {"A": "b=c"}


def test_a_container_whose_digest_cannot_be_computed_stays_and_says_what_is_unsure() -> None:
    """It counts as made from the spec that was found, until another one is requested."""
    record = rebuilt(labels={"other": "label"}, env=("A=1",))
    assert record.intent.unsure == ALWAYS_UNSURE
    rest = rebuilt({"hostname": "other"}, env=("A=1",))
    assert rest.state.rebuilt is not None
    assert (rest.state.rebuilt.computed, rest.state.rebuilt.borne) == (spec_hash(rest), spec_hash(pod()))
    assert rest.intent.unsure == ALWAYS_UNSURE


def test_a_label_says_which_subvolume_holds_the_data_of_a_pod_on_a_pool() -> None:
    record = rebuilt(labels=subvolume_labels(pod(system=ON_POOL, subvolume=MINE)))
    assert record.state.subvolume == MINE
    with pytest.raises(InvalidInputError, match="does not say which subvolume"):
        rebuilt(labels={naming.LABEL_SUBVOLUME: "nonsense"})


def test_env_is_unsure_if_no_label_names_it_and_no_guess_fits() -> None:
    container = running(labels={**LABELS, naming.LABEL_SPEC: '{"image": "image", "hostname": "other"}'})(
        pod()
    )
    known = Evidence(
        env=("A=1", "PATH=/bin"),
        image_env=("PATH=/bin",),
        ports=(),
        mounts=(),
        limits=limits("dev.small"),
        image=IMAGE,
    )
    record = rebuilt_record("here", container, known, {})
    assert record.intent.unsure == (*ALWAYS_UNSURE, "env")
    assert record.intent.spec is not None
    assert record.intent.spec.env == {"A": "1"}
    bare = replace(
        container, labels={k: v for k, v in container.labels.items() if k != naming.LABEL_SPEC_HASH}
    )
    left = rebuilt_record("here", bare, known, {}).state.rebuilt
    assert left is not None
    assert left.borne == ""


def test_ports_come_in_the_order_of_the_spec_and_others_after_them() -> None:
    """The order is part of the digest."""
    asked = (published(9), published(80), published(8080))
    record = rebuilt({"ports": PORTS}, ports=asked)
    assert [port.container for port in record.intent.ports] == [8080, 80, 9]


def test_the_image_is_the_container_s_even_if_it_is_gone() -> None:
    for image in (IMAGE, None):
        record = rebuilt(image=image, image_id="sha256:1")
        assert record.state.image == record.intent.image == PinnedImage(reference="image", id="sha256:1")


@pytest.mark.parametrize("tier", ["dev.small", "dev.medium"])
def test_a_tier_follows_from_the_limits_as_they_change_without_another_container(tier: str) -> None:
    record = rebuilt({"tier": "dev.small"}, limits=limits(tier))
    assert record.intent.spec is not None
    assert record.intent.spec.tier == record.state.tier == tier
    assert record.intent.unsure == ALWAYS_UNSURE


def test_a_volume_s_label_says_the_path_that_it_was_made_for() -> None:
    """If a link of the image leads elsewhere, the container mounts the volume there."""
    name = "pinacle-vol-a-home"
    volume = ObservedVolume(
        name=name, labels={**LABELS, naming.LABEL_PATH: "/users", naming.LABEL_IMAGE: "i"}
    )
    layout = {each.name: each for each in rebuilt(volumes={name: volume}).state.layout}
    assert (layout["home"].path, layout["home"].image) == ("/users", "i")
    assert (layout["opt"].path, layout["opt"].image) == ("/opt", None)


@pytest.mark.parametrize(("label", "why"), [("{", "is not JSON"), ("[]", "is no object")])
def test_a_label_without_a_spec_is_named(label: str, why: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"label dev\.pinacle\.spec of pinacle-pod-a {why}"):
        rebuilt(labels={naming.LABEL_SPEC: label})


@pytest.mark.parametrize("label", [system_label(SYSTEM), system_label(COPIED), "not of ours", "{}"])
def test_a_pod_older_than_system_volumes_believes_no_label_of_its_image(label: str) -> None:
    """Its container has the labels of its image, unless we set them."""
    record = rebuilt(labels={naming.LABEL_SYSTEM: label})
    assert record.state.system is None
    assert {volume.name for volume in record.state.layout} == set(UNIVERSAL.split())


def test_a_label_that_we_set_says_how_system_directories_are_kept() -> None:
    container = running(labels={**LABELS, naming.LABEL_SPEC: '{"image": "image"}'})(pod(system=COPIED))
    known = Evidence(env=(), image_env=(), ports=(), mounts=(), limits=limits("dev.small"), image=IMAGE)
    labels = {**container.labels, naming.LABEL_SYSTEM: system_label(COPIED)}
    assert rebuilt_record("here", replace(container, labels=labels), known, {}).state.system == COPIED
    spoiled = {**labels, naming.LABEL_SYSTEM: "not of ours"}
    with pytest.raises(InvalidInputError, match="does not say how"):
        rebuilt_record("here", replace(container, labels=spoiled), known, {})


def test_what_was_reported_is_settled_and_is_that_container_s() -> None:
    """Nothing follows from a record that was just rebuilt."""
    record = rebuilt()
    assert (record.intent.generation, record.state.settled_generation) == (1, 1)
    assert record.state.container_id == "c" * 64
    assert record.state.whole_for == IMAGE.id


def test_of_two_tiers_with_the_same_limits_it_is_the_labelled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TIERS, "dev.alike", TIERS["dev.small"])
    record = rebuilt({"tier": "dev.alike"})
    assert record.state.tier == "dev.alike"


def test_the_base_follows_from_what_the_container_mounts() -> None:
    two = SYSTEM.evolve(directories=("/usr", "/lib"))
    container = running(labels={**LABELS, naming.LABEL_SPEC: '{"image": "image"}'})(pod(system=SYSTEM))
    labels = {**container.labels, naming.LABEL_SYSTEM: system_label(two)}
    mounts = {**container.volumes, "/usr": "pinacle-vol-a-usr", "/run/pinacle/base/usr": "base-usr"}
    known = Evidence(env=(), image_env=(), ports=(), mounts=(), limits=limits("dev.small"), image=IMAGE)
    shown = replace(container, labels=labels, volumes=mounts)
    assert f"{BASES_PATH}/usr" in mounts
    assert rebuilt_record("here", shown, known, {}).state.system == two.evolve(base="base")
    lost = {path: name for path, name in mounts.items() if not path.startswith(BASES_PATH)}
    told = rebuilt_record("here", replace(shown, volumes=lost), known, {}).state.system
    assert told == two.evolve(base=None)


def test_what_no_layout_has_is_a_declared_volume_behind_those_that_are_known() -> None:
    container = running(labels={**LABELS, naming.LABEL_SPEC: '{"image": "image"}'})(pod())
    mounts = {"/more": "pinacle-vol-a-declared.more", "/home": "pinacle-vol-a-home"}
    known = Evidence(
        env=(),
        image_env=(),
        ports=(),
        mounts=(("/home", "pinacle-vol-a-home"),),
        limits=limits("dev.small"),
        image=IMAGE,
    )
    layout = rebuilt_record("here", replace(container, volumes=mounts), known, {}).state.layout
    assert [(each.name, each.volume_class) for each in layout] == [
        ("home", VolumeClass.UNIVERSAL),
        ("declared.more", VolumeClass.DECLARED),
    ]


def test_a_volume_that_is_gone_is_missed_under_its_container_s_incarnation() -> None:
    record = rebuilt(labels={naming.LABEL_INCARNATION: "one"})
    assert {volume.incarnation for volume in record.state.layout} == {"one"}


@pytest.mark.parametrize(("state", "mark"), [("running", "7"), ("created", None)])
def test_a_restored_volume_on_which_it_ran_holds_its_data(state: str, mark: str | None) -> None:
    """Somebody confirmed that before it was started."""
    labels = {naming.LABEL_INCARNATION: "one", naming.LABEL_RESTORED: "7"}
    home = ObservedVolume(name="pinacle-vol-a-home", labels=labels)
    container = running(labels={**LABELS, naming.LABEL_SPEC: '{"image": "image"}'})(pod())
    container = replace(container, state=ContainerState(state))
    known = Evidence(env=(), image_env=(), ports=(), mounts=(), limits=limits("dev.small"), image=IMAGE)
    record = rebuilt_record("here", container, known, {home.name: home})
    assert {v.name: v.restored for v in record.state.layout}["home"] == mark


def test_where_no_guess_of_env_fits_it_is_all_that_is_not_the_image_s() -> None:
    labels = {**LABELS, naming.LABEL_SPEC: '{"image": "image", "hostname": "other"}'}
    known = Evidence(
        env=("A=1", "B=2", "PATH=/bin"),
        image_env=("PATH=/bin",),
        ports=(),
        mounts=(),
        limits=limits("dev.small"),
        image=IMAGE,
    )
    spec = rebuilt_record("here", running(labels=labels)(pod()), known, {}).intent.spec
    assert spec is not None
    assert spec.env == {"A": "1", "B": "2"}
