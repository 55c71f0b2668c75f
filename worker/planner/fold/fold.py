"""Record and observation as they are once a step has succeeded."""

from worker.planner.fold.observation import fold_observation
from worker.planner.fold.record import fold_record
from worker.planner.fold.results import StepResult
from worker.planner.steps import Step
from worker.pods.model import Record
from worker.pods.observation import Observation


def fold(
    record: Record, seen: Observation, step: Step, result: StepResult, now: float
) -> tuple[Record, Observation]:
    """Return record and observation as they are once `step` has succeeded with `result`.

    `now` is in seconds since the epoch. Raises TypeError if `result` is another step's.
    """
    return fold_record(record, seen, step, result, now), fold_observation(seen, step, result)
