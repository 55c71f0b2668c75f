"""What is in Redis about a pod, read as a record."""

from collections.abc import Mapping, Sequence
from typing import Final

from worker.pods.model import INTENT, STATE, PodState, Record

FIELDS: Final = ("host", "intent", "state")
"""Of a pod's hash, in the order in which they are read."""


def read_record(pod_id: str, fields: Sequence[str | None], storages: Mapping[str, str]) -> Record | None:
    """Return the record, None where there is none. `storages` are host to the identity of its storage."""
    host, intent, state = fields
    if host is None or intent is None:
        return None
    return Record(
        pod_id=pod_id,
        host=host,
        intent=INTENT.validate_json(intent),
        state=PodState() if state is None else STATE.validate_json(state),
        storage=storages.get(host),
    )
