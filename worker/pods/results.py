"""What a task answers: plain JSON, never with a value of `env`."""

from typing import Any

from worker.errors import ErrorKind, described
from worker.pods.model import IntentKind, Phase, Record, System, SystemMode
from worker.pods.naming import volume_name
from worker.pods.spec import public_spec


def pod_result(
    record: Record, *, steps: tuple[str, ...] = (), waits_for: str | None = None
) -> dict[str, Any]:
    """Return one pod as callers see it; `waits_for` says why it is pending if the record does not."""
    intent, state = record.intent, record.state
    return {
        "pod_id": record.pod_id,
        "intent": intent.kind.value,
        "generation": intent.generation,
        "phase": visible_phase(record).value,
        "existed": record.existed,
        "host": record.host,
        "created_at": intent.created_at,
        "container_id": state.container_id,
        "image": record.image.id if record.image is not None else None,
        **_system(state.system),
        "volumes": [
            {
                "name": volume_name(record.pod_id, volume.name),
                "path": volume.path,
                "class": volume.volume_class.value,
            }
            for volume in state.layout
        ],
        "ports": [
            {"container": p.container, "host": p.host, "protocol": p.protocol, "address": p.address}
            for p in intent.ports
        ],
        "restarts": state.restarts,
        "last_error": waits_for or state.reason,
        "error": _error(record),
        "retry_at": state.retry_at or None,
        "exit_code": state.crash.exit_code if state.crash is not None and state.crash.known else None,
        "oom_killed": state.crash.oom_killed if state.crash is not None else None,
        "unsure": list(intent.unsure),
        "spec": public_spec(intent.spec) if intent.spec is not None else None,
        "labels": dict(intent.spec.labels) if intent.spec is not None else {},
        "description": intent.spec.description if intent.spec is not None else None,
        "kept": list(state.kept) if state.kept_generation == intent.generation else [],
        "changed": list(intent.changed) if intent.changed_generation == intent.generation else [],
        "steps": list(steps),
    }


def _error(record: Record) -> dict[str, Any] | None:
    """Return what is wrong with a pod that cannot work, as programs read it; None for any other."""
    phase, state = visible_phase(record), record.state
    if phase is Phase.STORAGE_MISSING:
        return described(ErrorKind.STORAGE_MISSING, state.reason or "a volume is missing")
    # A worker of before there were kinds noted none.
    return (
        described(state.kind or ErrorKind.REFUSED, state.reason or "it failed")
        if phase is Phase.FAILED
        else None
    )


def _system(system: System | None) -> dict[str, str | None]:
    """Return how `/usr` and the like are kept, and of which image: an update to another leaves them."""
    if system is None:
        return {"system_volumes": None, "system_image": None}
    kept = system.mode is not SystemMode.OFF
    return {"system_volumes": system.mode.value, "system_image": system.image.id if kept else None}


def visible_phase(record: Record) -> Phase:
    """Return the recorded phase, or what an intent that was accepted since makes of it."""
    intent, state = record.intent, record.state
    if record.purging:
        return Phase.DELETING
    if intent.generation in {state.settled_generation, state.failed_generation}:
        return state.phase
    if intent.kind is IntentKind.DELETED:
        return Phase.DELETED
    # These hold back every intent alike, and say so.
    holding = (Phase.STORAGE_MISSING, Phase.BACKOFF, Phase.FAILED)
    return state.phase if state.phase in holding else Phase.PENDING
