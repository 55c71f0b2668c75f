"""Which pods a caller asks for, and what of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from worker.errors import InvalidInputError
from worker.interfaces import DiskUse
from worker.pods.model import Installation, Intent, IntentKind, Phase, Record
from worker.pods.parsing import parse_flag
from worker.pods.results import pod_result, visible_phase
from worker.pods.sizes import check_label_name
from worker.quoting import shown
from worker.service.disk_use import disk_use

MOST_AT_ONCE: Final = 1000
_NOWHERE: Final = Installation(name="", network="")
_NOBODY: Final = Record(pod_id="", host="", intent=Intent(kind=IntentKind.DELETED, generation=0, spec=None))
FIELDS: Final = tuple(pod_result(_NOBODY) | disk_use(_NOBODY, None, _NOWHERE))
"""The keys of a pod in the answer."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What `pods.list` is asked for; None stands for all."""

    orphans: bool = False
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """Labels that a pod has; with None, any value will do."""
    phases: frozenset[Phase] | None = None
    host: str | None = None
    fields: frozenset[str] | None = None
    after: str | None = None
    """Pods up to this id are left out."""
    limit: int | None = None

    def of(self, record: Record, own: Installation, use: DiskUse | None = None) -> dict[str, Any] | None:
        """Return what is wanted of a pod that has `use` on the disk.

        Returns None if it is left out, as a tombstone always is.
        """
        if not self._has(record):
            return None
        pod = pod_result(record) | disk_use(record, use, own)
        if self.fields is None:
            return pod
        return {key: value for key, value in pod.items() if key in self.fields or key == "pod_id"}

    def _has(self, record: Record) -> bool:
        spec = record.intent.spec
        labels = {} if spec is None else spec.labels
        return (
            (record.exists or record.purging)
            and (self.after is None or record.pod_id > self.after)
            and (self.host is None or record.host == self.host)
            and (self.phases is None or visible_phase(record) in self.phases)
            and all(name in labels and value in {None, labels[name]} for name, value in self.labels.items())
        )


def parse_listing(  # noqa: PLR0917 - the arguments of the task, in its order
    orphans: object, labels: object, phase: object, host: object, fields: object, after: object, limit: object
) -> Listing:
    """Return what is asked for; an argument that is null asks for nothing. Raises InvalidInputError."""
    return Listing(
        orphans=parse_flag("orphans", orphans),
        labels=_labels(labels),
        phases=None if phase is None else _phases(phase),
        host=None if host is None else _text("host", host, "the name of a host"),
        fields=None if fields is None else _fields(fields),
        after=None if after is None else _text("after", after, "the 'next' of an answer, or a pod's id"),
        limit=None if limit is None else _limit(limit),
    )


def _labels(value: object) -> Mapping[str, str | None]:
    if value is None:
        return {}
    allowed = "allowed: an object such as {'team': 'a'}, with null for any value"
    if not isinstance(value, dict):
        raise InvalidInputError(f"labels: {shown(value)} is not allowed; {allowed}")
    for name, wanted in value.items():
        check_label_name("labels", name)
        if wanted is not None and not isinstance(wanted, str):
            raise InvalidInputError(f"labels.{name}: {shown(wanted)} is not allowed; {allowed}")
    return value


def _phases(value: object) -> frozenset[Phase]:
    given = value if isinstance(value, list | tuple) else [value]
    for each in given:
        if not isinstance(each, str) or each not in set(Phase):
            raise InvalidInputError(
                f"phase: {shown(each)} is not a phase; allowed: one or a list of {', '.join(Phase)}"
            )
    return frozenset(map(Phase, given))


def _fields(value: object) -> frozenset[str]:
    given = value if isinstance(value, list | tuple) else [value]
    for each in given:
        if not isinstance(each, str) or each not in FIELDS or each is value:
            raise InvalidInputError(
                f"fields: {shown(each)} is not allowed; allowed: a list of {', '.join(FIELDS)}"
            )
    return frozenset(given)


def _text(name: str, value: object, allowed: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"{name}: {shown(value)} is not allowed; allowed: {allowed}")
    return value


def _limit(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_AT_ONCE:
        raise InvalidInputError(
            f"limit: {shown(value)} is not allowed; allowed: a number from 1 to {MOST_AT_ONCE}, null for all"
        )
    return value
