"""Reads what Redis has about a pod as a record; one that cannot be read does not stop the others."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from worker.errors import ErrorKind
from worker.pods.model import INTENT, STATE, Intent, IntentKind, Phase, PodState, Record, Unreadable

FIELDS: Final = ("host", "generation", "intent", "state")
"""The fields of a pod's hash, in the order in which they are read."""


def read_record(pod_id: str, fields: Sequence[str | None], storages: Mapping[str, str]) -> Record | None:
    """Return the record, None if there is none. `storages` maps a host to the identity of its storage.

    If a part cannot be read, the record says so in `unreadable`; what is in its place may be shown and is of
    no other use. A deletion needs neither spec nor state, so it is read without them.
    """
    host, generation, intent_text, state_text = fields
    if host is None or intent_text is None:
        return None
    intent, wrong_intent, only_spec = _intent(intent_text, generation)
    state, wrong_state = _state(state_text, intent)
    record = Record(pod_id=pod_id, host=host, intent=intent, state=state, storage=storages.get(host))
    wrong = wrong_state or wrong_intent
    if wrong is None:
        return record
    return _unreadable(record, wrong, only_spec=only_spec and wrong_state is None)


def no_record(pod_id: str) -> Record:
    """Return what is shown of a pod if what is kept under its name is no record at all."""
    intent = Intent(kind=IntentKind.RUNNING, generation=0, spec=None)
    text = (
        "the record cannot be read: something else is kept under its name in Redis; restore it from a backup"
    )
    state = PodState(phase=Phase.FAILED, reason=text, kind=ErrorKind.RECORD_UNREADABLE)
    shown = Record(pod_id=pod_id, host="", intent=intent, state=state)
    return shown.evolve(unreadable=Unreadable(reason=text, only_spec=False))


def _unreadable(record: Record, wrong: str, *, only_spec: bool) -> Record:
    """Return what is shown of a pod whose record cannot be read."""
    remedy = (
        "send pods.update with the whole spec and replace=true, or pods.delete"
        if only_spec
        else "go back to the worker that wrote it, restore it from a backup of Redis, or send pods.delete"
    )
    text = f"the record cannot be read: {wrong}. Container and volumes are left alone; {remedy}"
    generation = record.intent.generation
    state = record.state.evolve(
        phase=Phase.FAILED,
        reason=text,
        kind=ErrorKind.RECORD_UNREADABLE,
        failed_generation=generation,
        purged_generation=generation,
        retry_at=0.0,
    )
    return record.evolve(state=state, unreadable=Unreadable(reason=text, only_spec=only_spec))


def _intent(text: str, generation: str | None) -> tuple[Intent, str | None, bool]:
    """Return the intent, what is wrong with it, and whether that is nothing but its spec."""
    wrong, intent = _read(INTENT, text, "intent")
    if intent is not None:
        return intent, None, False
    whole = _object(text)
    try:
        known: Intent = INTENT.validate_python({**whole, "spec": None})
    except ValidationError:
        number = int(generation) if generation is not None and generation.isdecimal() else 0
        # It is not known what the pod should do, but it is known that there is such a pod.
        return Intent(kind=IntentKind.RUNNING, generation=number, spec=None), wrong, False
    return known, None if known.kind is IntentKind.DELETED else wrong, True


def _state(text: str | None, intent: Intent) -> tuple[PodState, str | None]:
    if text is None:
        return PodState(), None
    wrong, state = _read(STATE, text, "state")
    if state is not None:
        return state, None
    return PodState(), None if intent.kind is IntentKind.DELETED else wrong


def _read(kind: TypeAdapter[Any], text: str, part: str) -> tuple[str | None, Any]:
    """Return what is wrong, without any value in it, and what was read."""
    try:
        return None, kind.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join((part, *map(str, first["loc"])))
        return f"{where}: {first['msg']}", None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
