"""Records are rebuilt from the containers that a worker of the first commit made, exactly."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.upgrade.situations import LAST_SPECS, UP
from tests.upgrade.test_written import DIGESTS, OWN, records, seen, written
from worker.docker.parse import evidence, inspected_container
from worker.errors import InvalidInputError
from worker.planner.container import Limits, is_of_present_spec, spec_hash
from worker.planner.host.survivors import Evidence, rebuilt_record
from worker.planner.plan import plan
from worker.pods import naming
from worker.pods.layout import full_names
from worker.pods.model import IntentKind, Phase, Record
from worker.pods.observation import Observation, ObservedContainer, Snapshot
from worker.pods.parsing import parse_spec
from worker.pods.requests import Create, Resolved, Start, Update, check, intent_for

__all__ = ["records", "seen"]
MADE: Final = (*UP, "stopped", "crashing", "finished")
LIVE: Final = {"restart": "always", "stop_timeout_s": 1}
"""What `resized` was made with and was changed live; it stands nowhere but in Redis."""


def found(pod_id: str, *, image_gone: bool = False) -> tuple[ObservedContainer, Evidence]:
    entry = next(each for each in written("inspects") if each["Name"] == f"/pinacle-pod-{pod_id}")
    image = next(each for each in written("images") if each["Id"] == entry["Image"])
    return inspected_container(entry), evidence(entry, None if image_gone else image)


def rebuilt(pod_id: str, seen: Snapshot, *, image_gone: bool = False) -> Record:
    return rebuilt_record("older", *found(pod_id, image_gone=image_gone), seen.volumes)


def observed(record: Record, seen: Snapshot, container: ObservedContainer) -> Observation:
    names = full_names(record.pod_id, record.state)
    return seen.pod(record.pod_id, names).evolve(container=container, storages={})


@pytest.mark.parametrize("image_gone", [False, True])
@pytest.mark.parametrize("pod_id", MADE)
def test_what_is_rebuilt_is_what_was_lost(
    records: dict[str, Record], seen: Snapshot, pod_id: str, *, image_gone: bool
) -> None:
    """Layout, spec with all of its `env`, ports and tier: the digest is the same as the container's."""
    lost, record = records[pod_id], rebuilt(pod_id, seen, image_gone=image_gone)
    assert record.state.layout == lost.state.layout
    assert record.state.system == lost.state.system
    assert record.intent.ports == lost.intent.ports
    expected = LAST_SPECS[pod_id] | (LIVE if pod_id == "resized" else {})
    assert record.intent.spec == parse_spec(expected)
    assert record.state.tier == record.intent.spec.tier
    assert spec_hash(record) == DIGESTS[pod_id]
    assert record.state.rebuilt is None
    assert record.intent.unsure == ("restart", "stop_timeout_s", "labels", "description")
    assert (record.intent.kind is IntentKind.RUNNING) == (pod_id in UP)


@pytest.mark.parametrize("pod_id", MADE)
def test_a_rebuilt_pod_is_left_alone(seen: Snapshot, pod_id: str) -> None:
    record = rebuilt(pod_id, seen)
    decided = plan(record, observed(record, seen, found(pod_id)[0]), 0.0, OWN)
    assert (decided.steps, decided.phase) == ((), record.state.phase)


def test_creation_with_the_spec_that_the_pod_had_is_accepted(seen: Snapshot) -> None:
    """Even if it was changed since its container was made: from then on the spec is certain."""
    for pod_id in UP:
        spec, record = parse_spec(LAST_SPECS[pod_id]), rebuilt(pod_id, seen)
        check(pod_id, record, Create(spec=spec))
        resolved = Resolved(image=record.intent.image, ports=record.intent.ports)
        intent = intent_for(record, Create(spec=spec), resolved)
        assert (intent.spec, intent.unsure) == (spec, ())
        assert intent_for(record, Update(spec=spec), Resolved()).unsure == ()
        assert intent_for(record, Start(), Resolved()).unsure == record.intent.unsure


def test_what_cannot_be_rebuilt_is_left_alone_until_another_spec_is_asked_for(seen: Snapshot) -> None:
    """For example, a volume's place in the order was lost: the container stays the same."""
    container, rest = found("kept")
    rest = replace(rest, mounts=tuple(reversed(rest.mounts)))
    record = rebuilt_record("older", container, rest, seen.volumes)
    assert record.state.rebuilt is not None
    assert spec_hash(record) != container.spec_hash
    assert plan(record, observed(record, seen, container), 0.0, OWN).phase is Phase.RUNNING
    assert plan(record, observed(record, seen, container), 0.0, OWN).steps == ()
    spec = parse_spec({**LAST_SPECS["kept"], "hostname": "other"})
    updated = replace(
        record, intent=intent_for(record, Update(spec=spec), Resolved(image=record.intent.image))
    )
    assert not is_of_present_spec(updated, container)
    assert plan(updated, observed(updated, seen, container), 0.0, OWN).steps


def test_limits_that_are_no_tier_s_are_reported_and_left(seen: Snapshot) -> None:
    """For example those of a tier that is not in the table any more."""
    container, rest = found("plain")
    rest = replace(rest, limits=Limits(cpus=3, memory_bytes=7))
    record = rebuilt_record("older", container, rest, seen.volumes)
    assert record.intent.unsure == ("restart", "stop_timeout_s", "labels", "description", "tier")
    assert plan(record, observed(record, seen, container), 0.0, OWN).steps == ()


def test_names_of_env_on_a_label_are_enough(seen: Snapshot) -> None:
    """They are on all containers made since; a value never is."""
    container, rest = found("database")
    labels = {**container.labels, naming.LABEL_ENV: json.dumps(["PATH"]), naming.LABEL_SPEC_HASH: "unknown"}
    record = rebuilt_record("older", replace(container, labels=labels), rest, seen.volumes)
    assert record.intent.spec is not None
    assert record.intent.spec.env == {"PATH": "/bin"}
    assert record.intent.unsure == ("restart", "stop_timeout_s", "labels", "description")


@pytest.mark.parametrize("label", ["{", "[]", '{"image": 1}', None])
def test_a_label_that_holds_no_spec_is_an_error_of_that_pod(seen: Snapshot, label: str | None) -> None:
    container, rest = found("plain")
    labels: dict[str, Any] = {**container.labels, naming.LABEL_SPEC: label}
    if label is None:
        del labels[naming.LABEL_SPEC]
    with pytest.raises(InvalidInputError):
        rebuilt_record("older", replace(container, labels=labels), rest, seen.volumes)
