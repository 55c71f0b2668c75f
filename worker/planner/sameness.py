"""Whether a step fails in the same way each time. Pure."""

import re
from typing import Final

from worker.pods import naming
from worker.pods.model import Failure, Record

OFTEN: Final = 5
"""The same failure this many times in a row is no accident; with the back-off, that takes ten seconds."""
_LONGEST: Final = 500
_ANOTHER_EACH_TIME: Final = re.compile(r"[0-9a-f]{12,}|\d+")
"""Ids, process numbers, times."""


def next_failure(record: Record, step: str, text: str) -> Failure:
    """Return the note about a step that failed just now: one more of the same, or the first of its kind."""
    this = Failure(step=step, text=plain(text, record.pod_id), generation=record.intent.generation, count=1)
    before = record.state.failure
    if before is None or before.evolve(count=1) != this:
        return this
    return before.evolve(count=before.count + 1)


def plain(text: str, pod_id: str) -> str:
    """Return a text without the pod's names, ids and numbers, so that it can be compared."""
    named = text.replace(naming.container_name(pod_id), "POD").replace(
        naming.volume_name(pod_id, ""), "VOLUME-"
    )
    return _ANOTHER_EACH_TIME.sub("N", named.lower())[:_LONGEST]
