"""A first creation that failed, then another image: what was decided for the first is decided again."""

from collections import Counter

from tests.properties.test_convergence import IMAGE, OTHER, World
from worker.errors import PermanentError
from worker.interfaces import Proposal
from worker.pods import naming
from worker.pods.model import Phase, PinnedImage, Record
from worker.pods.requests import Create, Request, Resolved, Update, intent_for
from worker.pods.spec import PodSpec


class Pod:
    """One pod on a fake Engine without faults."""

    def __init__(self) -> None:
        self.world = World(seed=1, cuts=Counter())

    async def ask(self, request: Request, image: PinnedImage) -> Record:
        """Accept a request and bring the pod as far as it goes."""
        store = self.world.store
        record = await store.load("a")
        generation = record.intent.generation if record is not None else 0
        intent = intent_for(record, request, Resolved(image=image))
        await store.accept(
            Proposal(
                pod_id="a",
                task_id=f"task-{generation}",
                expected_generation=generation,
                host="here",
                intent=intent,
            )
        )
        await self.world.reconciler.reconcile("a")
        return store.records["a"]

    def fail_at(self, operation: str) -> None:
        def fail(name: str) -> None:
            if name == operation:
                raise PermanentError(f"{name} can never work")

        self.world.engine.before = fail


async def test_after_a_creation_that_failed_the_other_image_has_its_own_usr() -> None:
    pod = Pod()
    pod.fail_at("container_create")
    failed = await pod.ask(Create(spec=PodSpec(image="image")), IMAGE)
    assert (failed.state.phase, failed.state.system is not None) == (Phase.FAILED, True)
    pod.world.engine.before = lambda _: None
    pod.world.engine.directories = ("/usr",)
    record = await pod.ask(Update(spec=PodSpec(image="other")), OTHER)
    assert record.state.phase is Phase.RUNNING
    assert record.state.system is not None
    assert record.state.system.image.id == OTHER.id
    assert [volume.name for volume in record.state.layout if volume.volume_class == "system"] == [
        "system",
        "usr",
    ]
    assert "pinacle-vol-a-lib" not in pod.world.engine.volumes
    base = record.state.system.base or ""
    assert pod.world.engine.volumes[naming.base_volume(base, "/usr")].labels[naming.LABEL_BASE] == OTHER.id


async def test_after_a_creation_that_was_whole_it_has_the_pods() -> None:
    """It was never started, and its volumes are filled."""
    pod = Pod()
    pod.fail_at("container_start")
    await pod.ask(Create(spec=PodSpec(image="image")), IMAGE)
    pod.world.engine.before = lambda _: None
    record = await pod.ask(Update(spec=PodSpec(image="other")), OTHER)
    assert record.state.phase is Phase.RUNNING
    assert record.state.system is not None
    assert record.state.system.image.id == IMAGE.id
