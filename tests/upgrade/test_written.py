"""What a worker of the first commit wrote is read as intended: records, labels and messages."""

import base64
import inspect
import json
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic.dataclasses import dataclass

import tasks.hosts
import tasks.pods  # noqa: F401 - registers the tasks
from tests.upgrade.situations import LAST_SPECS, UP
from worker.app import app
from worker.docker.parse import inspected_container, listed_container, listed_volume
from worker.planner.container import spec_hash
from worker.planner.plan import plan
from worker.planner.volumes.system import labelled_system
from worker.pods import naming
from worker.pods.layout import full_names
from worker.pods.model import Installation, IntentKind, Phase, Record
from worker.pods.observation import Observation, Snapshot
from worker.pods.parsing import parse_spec
from worker.pods.spec import PodSpec, PortSpec, canonical_hash, recreating_part
from worker.store.reading import FIELDS, read_record

OWN: Final = Installation(name="pinacle", network="pinacle")
DIGESTS: Final = {
    "plain": "1fd4a9a61366fdaae347662dca37de2452a5d399ae510ea229601ad038877302",
    "every-key": "cc181d69761ebd9c20c38a6c308b3021b813c2761ae8c8f76badd59e63ec8d73",
    "database": "8d0ee23ef61dd531c1c8a1f4c3cf440acd4634ad9a78650bde89cc27a9789f5e",
    "moved": "b2738a7a3a8afebc4767b08cc0e6ef5cf895fd54a6c0e99122e7567875d4eb4a",
    "kept": "ae190d4c863c8270555a9ea0ef3496855337577f22b23e49c8d5f4f291cf0c55",
    "resized": "652ccd37f85155c1aae05fbd931238913946309e32b3afa4ea3ce45a86b4a8b7",
    "restored": "65c842f235edda615dfd25ca741ed6c68350154b18ce9e07d3439de0008d769d",
    "stopped": "db31f0d11d179c2be316f923a97aeebd6f06d36d1c8263e1ff7d3c62639fad8f",
    "crashing": "302a306549f0ebac90e8fdb65338d588e7723f0c417585b312fd627f13da826f",
    "finished": "12da5a629c754e7d870f9877f4a18ab25421a888a82d46e3bdce9c18c8e2b405",
}
"""Pod id to the digest that its container has."""
_ANY: Final[dict[str, Any]] = {"image": "debian:12-slim"}
SPEC_DIGESTS: Final[list[tuple[dict[str, Any], str]]] = [
    (_ANY, "e2b9de7ea27bd36518b432f2bc08d0f40816a57e67b062254fdfb816091b98f7"),
    (
        {"image": f"registry.example:5000/a/b@sha256:{'0' * 64}"},
        "714c203f1fb71c25ef8d58d165e01ecd41c278944b1c2525d5564e1e6d36ccd2",
    ),
    (
        {**_ANY, "command": ["sh", "-c", "echo ü"]},
        "8149bd699da342fd88720befe8ea3acf979819dfd2d856f72876cf92ad0e2cb5",
    ),
    ({**_ANY, "command": []}, "e6d730f604a83d4a90c0882f56f62258d49544b68cd0f8189c132997a9bd23f7"),
    (
        {**_ANY, "env": {"B": "2", "A": "1"}},
        "b82316b7ea29f414cbafe937f0a1e3e412213363130f01e7ba73bee99862c818",
    ),
    (
        {**_ANY, "env": {"A": "1", "B": "2"}},
        "b82316b7ea29f414cbafe937f0a1e3e412213363130f01e7ba73bee99862c818",
    ),
    ({**_ANY, "working_dir": "/srv"}, "7cdb4dd57787fbe6a9c9b6aae82e6381dc8526e5624f8348ab56e31b1ab0c71e"),
    ({**_ANY, "user": "1000:1000"}, "be6c9a90b244c603ed120c1cac8249fec90e5f2aa7242710e5f2a95485fa8421"),
    ({**_ANY, "hostname": "my-machine"}, "1c46bebb8df7199de492678ce2522f9e22419586e37892d729d0761f1d04908b"),
    (
        {
            **_ANY,
            "ports": [
                {"container": 80},
                {"container": 53, "host": 5353, "protocol": "udp", "address": "::1"},
            ],
        },
        "c4f7dc5e8c0bb1c81cbfc4bbfe4a6c3e6100df0fab88e3a3985507e747599de7",
    ),
    ({**_ANY, "runtime": "runsc"}, "bc1537fe06aa808c1086519fa21d98ca1135a2a4ae9a33106833ae6aa2ec490c"),
    ({**_ANY, "init": False}, "44be1438bf3b0f6859881895e14cac1a38664fdee90aa4262158ad707f65ea60"),
    (
        {**_ANY, "tier": "dev.xlarge", "restart": "never", "stop_timeout_s": 300},
        "e2b9de7ea27bd36518b432f2bc08d0f40816a57e67b062254fdfb816091b98f7",
    ),
    (
        {
            "image": "debian:12-slim",
            "command": ["sleep", "9"],
            "env": {"A": ""},
            "working_dir": "/",
            "user": "root",
            "hostname": "h",
            "ports": [{"container": 1}],
            "tier": "dev.large",
            "runtime": "runc",
            "restart": "on-failure",
            "init": False,
            "stop_timeout_s": 0,
        },
        "448b513c18f8c346f0dd08eb6d91f87b94153df66f08a8260275e912b54ae47e",
    ),
]
"""A spec, and the digest of that part of it that has the container made again, as the first commit had it."""


def written(name: str) -> Any:
    return json.loads((Path(__file__).parent / "written" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    store = written("store")
    found = {
        pod_id: read_record(
            pod_id,
            [store[f"pinacle:pod:{pod_id}"].get(name) for name in FIELDS],
            store["pinacle:storages"],
        )
        for pod_id in store["pinacle:pods"]
    }
    return {pod_id: record for pod_id, record in found.items() if record is not None}


@pytest.fixture(scope="module")
def seen() -> Snapshot:
    return Snapshot.of(map(listed_container, written("containers")), map(listed_volume, written("volumes")))


def observed(record: Record, seen: Snapshot) -> Observation:
    """Return the observation of a pod, from the inspect of its container."""
    found = seen.pod(record.pod_id, full_names(record.pod_id, record.state))
    inspects = {entry["Id"]: entry for entry in written("inspects")}
    if found.container is None:
        return found
    return found.evolve(container=inspected_container(inspects[found.container.id]))


def test_every_record_is_read_with_all_of_its_spec(records: dict[str, Record]) -> None:
    assert records.keys() == LAST_SPECS.keys()
    for pod_id, record in records.items():
        assert record.intent.spec == parse_spec(LAST_SPECS[pod_id]), pod_id
        assert record.host == "older"
        assert record.storage is not None
    phases = {pod_id: record.state.phase for pod_id, record in records.items()}
    assert {pod_id for pod_id, phase in phases.items() if phase is Phase.RUNNING} == {*UP}
    assert phases["crashing"] is Phase.BACKOFF
    assert records["crashing"].state.crash is not None
    assert records["deleted"].intent.kind is IntentKind.DELETED
    assert [v.path for v in records["kept"].state.layout][-2:] == ["/data", "/x-y"]
    assert records["restored"].state.layout[6].incarnation is None, "it was restored by hand"
    assert all(records[pod_id].state.initialised for pod_id in UP)


def test_the_digest_of_what_a_container_was_made_of_stays(records: dict[str, Record], seen: Snapshot) -> None:
    """Byte for byte: with another digest, every container of a fleet would be replaced."""
    for pod_id, digest in DIGESTS.items():
        container = seen.containers[naming.container_name(pod_id)]
        assert spec_hash(records[pod_id]) == digest == container.spec_hash, pod_id


@pytest.mark.parametrize(("spec", "digest"), SPEC_DIGESTS)
def test_the_digest_of_a_spec_stays(spec: dict[str, Any], digest: str) -> None:
    """With each of the nine keys that are in it, and with the keys that are not."""
    assert canonical_hash(recreating_part(parse_spec(spec))) == digest


@dataclass(frozen=True, kw_only=True)
class GrownPort(PortSpec):
    """A port with a key that a later version has."""

    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class GrownSpec(PodSpec):
    """A spec with keys that a later version has."""

    ports: tuple[GrownPort, ...] = ()
    devices: list[str] = field(default_factory=list)


def test_a_later_key_is_in_the_digest_only_if_it_is_not_at_its_default() -> None:
    """Otherwise a version with a new key would replace every container at its first start."""
    spec, grown = PodSpec(image="i", ports=(PortSpec(container=1),)), GrownPort(container=1)
    same = GrownSpec(image="i", ports=(grown,))
    assert recreating_part(same) == recreating_part(spec)
    assert recreating_part(GrownSpec(image="i", ports=(grown,), devices=["/dev/kvm"]))["devices"] == [
        "/dev/kvm"
    ]
    named = GrownSpec(image="i", ports=(GrownPort(container=1, name="web"),))
    assert recreating_part(named) != recreating_part(same)


def test_labels_say_whose_a_container_and_a_volume_are(records: dict[str, Record], seen: Snapshot) -> None:
    """And how its system directories are kept."""
    assert seen.pod_ids("pinacle") == LAST_SPECS.keys() - {"deleted"}
    assert seen.storages == {"pinacle": records["plain"].storage}
    for pod_id in UP:
        found = observed(records[pod_id], seen)
        assert found.container is not None
        assert found.container.pod_id == pod_id
        kept = labelled_system(found.container.labels)
        assert kept is not None
        system = records[pod_id].state.system
        assert system is not None
        assert kept == system.evolve(base=None)
        full = {naming.volume_name(pod_id, volume.name) for volume in records[pod_id].state.layout}
        assert full == found.volumes.keys(), pod_id


def test_a_pass_finds_nothing_to_do(records: dict[str, Record], seen: Snapshot) -> None:
    """An upgrade restarts nobody's pod."""
    for pod_id in (*UP, "stopped", "finished", "deleted"):
        decided = plan(records[pod_id], observed(records[pod_id], seen), 0.0, OWN)
        assert not decided.steps, (pod_id, decided)
        assert decided.phase is records[pod_id].state.phase


@pytest.mark.parametrize("way", ["sent", "passed_on"])
def test_every_message_fits_the_task_that_it_names(way: str) -> None:
    """What waited in a queue while the worker was replaced is done by the new one."""
    for message in written("messages")[way]:
        task = app.tasks[message["headers"]["task"]]
        args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
        bound = inspect.signature(task.run).bind(*args, **kwargs)
        if "spec" in bound.arguments:
            parse_spec(bound.arguments["spec"])
