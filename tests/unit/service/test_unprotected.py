"""What `pods.get` says would be lost with a pod's container."""

from dataclasses import replace
from typing import Any, Final

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OWN, pod
from worker.planner.container import VolumeMount, container_request
from worker.planner.volumes.unprotected import ENGINES_OWN, Change, ChangeKind
from worker.pods.shape import ImageShape
from worker.service.patience import Patience
from worker.service.queries import Queries

NOBODY: Final[Any] = None


async def test_only_what_the_container_mounts_is_said_to_be_safe() -> None:
    """Not its whole layout: a volume may be made only with the next container, or mounted elsewhere."""
    record = pod()
    engine, store = FakeEngine(), FakeStore()
    engine.images["image"] = IMAGE
    queries = Queries(
        host=record.host,
        engine=engine,
        store=store,
        installation=OWN.name,
        passes=NOBODY,
        inside=NOBODY,
        patience=Patience(dispatcher=NOBODY, task_wait_s=1.0),
    )
    request = replace(container_request(record, OWN, ImageShape()), mounts=())
    home = VolumeMount(source="pinacle-vol-a-home", target="/real/home", no_copy=True)
    made = await engine.create_container(replace(request, mounts=(home,)))
    changes = [Change(path, ChangeKind.ADDED) for path in ("/real/home/file", "/home/file", "/srv/file")]
    engine.containers["pinacle-pod-a"].changes = changes
    known = record.evolve(state=record.state.evolve(container_id=made.id))
    store.records["a"] = known
    assert (await queries.get("a"))["unprotected_paths"] == [*ENGINES_OWN, "/home/file", "/srv/file"]
