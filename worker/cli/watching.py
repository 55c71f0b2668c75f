"""`pinacle pods watch`: the current phases, then every change of phase from Redis' stream."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from math import inf
from time import monotonic, time
from typing import Any, Final

from worker.cli import tables
from worker.cli.exits import EndingError, Exit
from worker.cli.records import Records, opened
from worker.cli.screen import Bar, live, results, write_json
from worker.pods.model import Phase, Record
from worker.pods.results import visible_phase
from worker.store.overview import PhaseChange

_LOOK_EVERY_S: Final = 1.0


def watch(pod_id: str | None, *, until: Phase | None, as_json: bool, timeout_s: float | None) -> None:
    """Show changes until one pod has the phase `until`, time is up, or somebody interrupts.

    Raises EndingError for a pod that does not exist, when time is up, and at an interrupt.
    """
    what = "all pods" if pod_id is None else f"pod {pod_id}"
    deadline = inf if timeout_s is None else monotonic() + timeout_s
    try:
        with opened() as records, live(watching := f"watching {what}; Ctrl-C ends it") as update:
            for change in _changes(records, pod_id, deadline, lambda bar: update(watching, bar)):
                _show(change, as_json=as_json)
                if change["phase"] == until:
                    return
    except KeyboardInterrupt:
        raise EndingError(Exit.INTERRUPTED, f"watching ended; {what}: watching changed nothing") from None
    waited_for = f" is not {until} yet, and" if until is not None else ":"
    raise EndingError(Exit.UNFINISHED, f"{what}{waited_for} {timeout_s:g} s are over")


def _changes(
    records: Records, pod_id: str | None, deadline: float, show_bar: Callable[[Bar | None], None]
) -> Iterator[dict[str, Any]]:
    """Yield the pods' current phases, then each change until the deadline; of one pod show its pull too."""
    # The place in the stream is read first: what happens between the two is shown twice rather than never.
    place = records.ask(lambda store: store.overview.last_change())
    phases: dict[str, str] = {}
    for record in _look(records, pod_id):
        phases[record.pod_id] = visible_phase(record)
        yield _now(record, "")
    while (left_s := deadline - monotonic()) > 0:
        news = _news(records, place, left_s)
        for change in news:
            place = change.id
            if pod_id in {None, change.pod_id}:
                phases[change.pod_id] = change.phase
                yield asdict(change)
        if pod_id is not None:
            show_bar(records.progress(pod_id))
        if pod_id is not None and not news:
            # If an intent is accepted or reached without a change of phase, only the record shows it.
            for record in _look(records, pod_id):
                if (phase := visible_phase(record)) != phases[pod_id]:
                    before, phases[pod_id] = phases[pod_id], phase
                    yield _now(record, before)


def _news(records: Records, place: str, left_s: float) -> Sequence[PhaseChange]:
    return records.ask(lambda store: store.overview.changes_after(place, min(_LOOK_EVERY_S, left_s)))


def _look(records: Records, pod_id: str | None) -> list[Record]:
    if pod_id is None:
        found = records.ask(lambda store: store.load_all())
        return [record for _, record in sorted(found.items()) if record.exists or record.purging]
    record = records.ask(lambda store: store.load(pod_id))
    if record is None or not (record.existed or record.purging):
        raise EndingError(
            Exit.FAILED, f"pod {pod_id!r:.80} does not exist. `pinacle pods list` shows those that do"
        )
    return [record]


def _now(record: Record, before: str) -> dict[str, Any]:
    """Return a pod's current phase, in the form of a change."""
    change = PhaseChange(
        id="",
        at=time(),
        pod_id=record.pod_id,
        phase=visible_phase(record),
        previous=before,
        host=record.host,
        reason=record.state.reason or "",
    )
    return asdict(change)


def _show(change: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(change, indent=None)
    else:
        results().print(tables.change_line(change))
