"""What a volume's label says about system directories if the record is lost."""

import pytest

from tests.support.shapes import seen_shape
from worker.errors import InvalidInputError
from worker.planner.plan import plan
from worker.planner.volumes.system import labelled_system, system_label
from worker.pods import naming
from worker.pods.layout import image_paths
from worker.pods.model import Installation, Intent, IntentKind, Phase, PinnedImage, Record, System, SystemMode
from worker.pods.observation import Observation, ObservedVolume
from worker.pods.spec import PodSpec

IMAGE = PinnedImage(reference="image", id="sha256:1")


def test_a_label_says_what_was_written_except_for_the_base() -> None:
    system = System(mode=SystemMode.OVERLAY, image=IMAGE, directories=("/usr",), base="today")
    assert labelled_system({naming.LABEL_SYSTEM: system_label(system)}) == system.evolve(base=None)
    assert labelled_system({}) is None


def test_a_label_that_nobody_wrote_fails_its_pod_and_no_other() -> None:
    """A pass over all pods goes on: planning does not raise."""
    labels = {naming.LABEL_SYSTEM: "{nonsense"}
    with pytest.raises(InvalidInputError, match="does not say how"):
        labelled_system(labels)
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=PodSpec(image="image"), image=IMAGE)
    seen = Observation(
        container=None,
        volumes={"pinacle-vol-a-usr": ObservedVolume(name="pinacle-vol-a-usr", labels=labels)},
        shapes={IMAGE.id: seen_shape(image_paths(IMAGE))},
    )
    decided = plan(
        Record(pod_id="a", host="here", intent=intent), seen, 0.0, Installation(name="test", network="net")
    )
    assert (decided.phase, decided.steps) == (Phase.FAILED, ())
