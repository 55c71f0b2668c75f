"""What the reconciler may expect of an Engine: of the fake, and of a real one behind a faulty wire."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.rigs import FakeRig, RealRig, Rig
from tests.support.fault_proxy import Fault
from worker.errors import (
    ConflictError,
    EngineUnavailableError,
    ImageGoneError,
    ObjectMissingError,
    OutcomeUnknownError,
    RetryableError,
)
from worker.planner.container import ContainerRequest, VolumeMount, limits
from worker.planner.volumes.mounts import Temporary
from worker.pods.layout import image_paths
from worker.pods.model import PinnedImage
from worker.pods.naming import (
    LABEL_CONTENDER,
    LABEL_INSTALLATION,
    LABEL_POD,
    LABEL_UNASKED,
    LABEL_VOLUME,
)
from worker.pods.observation import ContainerState
from worker.pods.own_root import Standing
from worker.pods.shape import Kind, next_look
from worker.pods.spec import PodSpec

if TYPE_CHECKING:
    from worker.local.private_engine import PrivateEngine

FULL: Final = frozenset({"pinacle-vol-a-opt"})
LABELS: Final = {LABEL_POD: "a", LABEL_VOLUME: "opt", LABEL_INSTALLATION: "test"}
NO_SUCH_ID: Final = "f" * 64


@pytest.fixture(params=["fake", "real"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "fake":
        yield FakeRig(PinnedImage(reference="pinacle-busybox", id="sha256:1"))
        return
    private: PrivateEngine = request.getfixturevalue("engine")
    request.getfixturevalue("busybox")
    rig = RealRig(private, tmp_path)
    await rig.start()
    try:
        yield rig
    finally:
        await rig.close()


async def wanted(
    rig: Rig, pod: str = "a", *, no_copy: bool = False, image: str | None = None
) -> ContainerRequest:
    found = await rig.engine.find_image("pinacle-busybox")
    assert found is not None
    return ContainerRequest(
        name=f"pinacle-pod-{pod}",
        image_id=image or found.id,
        spec=PodSpec(image="pinacle-busybox"),
        hostname=pod,
        labels={LABEL_POD: pod, LABEL_INSTALLATION: "test"},
        mounts=(VolumeMount(source=f"pinacle-vol-{pod}-opt", target="/opt", no_copy=no_copy),),
        hides_init=False,
        unasked_labels={LABEL_UNASKED: "i1"},
        tmpfs=(Temporary(path="/run"),),
        ports=(),
        limits=limits("dev.small"),
        runtime=None,
        network="contract",
        pids_limit=100,
        log_max_size="1m",
        log_max_files=1,
    )


async def running(rig: Rig, pod: str = "a") -> str:
    labels = {LABEL_POD: pod, LABEL_VOLUME: "opt", LABEL_INSTALLATION: "test"}
    await rig.engine.create_volume(f"pinacle-vol-{pod}-opt", labels)
    container = await rig.engine.create_container(await wanted(rig, pod))
    await rig.engine.start_container(container.id)
    return container.id


async def state_of(rig: Rig, pod: str = "a") -> ContainerState | None:
    seen = await rig.engine.observe(pod, frozenset())
    return None if seen.container is None else seen.container.state


async def test_nothing_is_there_at_first(rig: Rig) -> None:
    """An inspect by name and a list find nothing."""
    before = rig.calls()
    seen = await rig.engine.observe("a", FULL)
    assert (seen.container, dict(seen.volumes)) == (None, {})
    assert rig.calls() - before == 2


async def test_a_pass_is_two_calls(rig: Rig) -> None:
    """Whatever is there."""
    await running(rig)
    before = rig.calls()
    snapshot = await rig.engine.observe_all()
    assert rig.calls() - before == 2
    assert snapshot.containers["pinacle-pod-a"].state is ContainerState.RUNNING
    assert snapshot.containers["pinacle-pod-a"].volumes == {"/opt": "pinacle-vol-a-opt"}
    assert snapshot.pod("a", frozenset()).volumes.keys() == FULL


async def test_a_volume_keeps_the_labels_it_was_made_with(rig: Rig) -> None:
    """Creating it again succeeds and changes nothing."""
    await rig.engine.create_volume("pinacle-vol-a-opt", LABELS)
    again = await rig.engine.create_volume("pinacle-vol-a-opt", {**LABELS, LABEL_POD: "b"})
    assert again.labels == LABELS


async def test_only_an_empty_volume_is_removed_as_such(rig: Rig) -> None:
    """A volume with something in it stays as it is; nothing is left of the look."""
    # What other tests' workers left, such as the container that keeps their storage.
    before = await rig.engine.observe_all()
    await running(rig)
    await rig.end("a")
    container = (await rig.engine.observe("a", FULL)).container
    assert container is not None
    await rig.engine.remove_container(container.id)
    await rig.fill("a", "text")
    assert not await rig.engine.remove_empty_volume("pinacle-vol-a-opt")
    assert await rig.content("a") == "text"
    await rig.fill("a", "")
    assert await rig.engine.remove_empty_volume("pinacle-vol-a-opt")
    seen = await rig.engine.observe_all()
    assert set(seen.containers) <= set(before.containers)
    assert not seen.pod("a", FULL).volumes
    assert await rig.engine.remove_empty_volume("pinacle-vol-a-opt")


async def test_creating_fills_an_empty_volume_from_the_image(rig: Rig) -> None:
    """The image's /opt is in it before anything is started."""
    await rig.engine.create_volume("pinacle-vol-a-opt", LABELS)
    container = await rig.engine.create_container(await wanted(rig))
    assert container.state is ContainerState.CREATED
    assert await state_of(rig) is ContainerState.CREATED
    assert await rig.content("a") != ""


async def test_an_emptied_volume_stays_empty_with_no_copy(rig: Rig) -> None:
    """Without it, the image would fill it again."""
    container_id = await running(rig)
    await rig.fill("a", "")
    await rig.engine.remove_container(container_id, force=True)
    await rig.engine.create_container(await wanted(rig, no_copy=True))
    assert await rig.content("a") == ""


async def test_what_is_in_a_volume_is_never_filled_over(rig: Rig) -> None:
    """With or without no_copy."""
    container_id = await running(rig)
    await rig.fill("a", "mine")
    await rig.engine.remove_container(container_id, force=True)
    await rig.engine.create_container(await wanted(rig))
    assert await rig.content("a") == "mine"


async def test_a_missing_volume_is_made_silently_and_can_be_recognised(rig: Rig) -> None:
    """Creating a container makes it; its label says so, and it has no other label of ours."""
    await rig.engine.create_container(await wanted(rig, no_copy=True))
    seen = await rig.engine.read_volumes("a", FULL)
    assert seen.volumes["pinacle-vol-a-opt"].labels == {LABEL_UNASKED: "i1"}
    assert seen.volumes["pinacle-vol-a-opt"].unasked == "i1"


async def test_a_taken_name_is_a_conflict(rig: Rig) -> None:
    """There cannot be two containers of one pod."""
    await running(rig)
    with pytest.raises(ConflictError):
        await rig.engine.create_container(await wanted(rig))


async def test_an_image_id_that_is_gone_is_told_apart(rig: Rig) -> None:
    """It is neither a missing container nor a failure of the Engine."""
    with pytest.raises(ImageGoneError):
        await rig.engine.create_container(await wanted(rig, image=f"sha256:{'0' * 64}"))


async def test_a_volume_in_use_is_not_removed(rig: Rig) -> None:
    """Not even if its container does not run."""
    await rig.engine.create_container(await wanted(rig))
    with pytest.raises(ConflictError):
        await rig.engine.remove_volume("pinacle-vol-a-opt")


async def test_a_running_container_is_removed_by_force_only(rig: Rig) -> None:
    """And its volume stays."""
    container_id = await running(rig)
    with pytest.raises(ConflictError):
        await rig.engine.remove_container(container_id)
    await rig.engine.remove_container(container_id, force=True)
    seen = await rig.engine.observe("a", FULL)
    assert seen.container is None
    assert seen.volumes.keys() == FULL


async def test_it_is_known_how_a_container_ended(rig: Rig) -> None:
    """From an observation of its pod, and from an inspect."""
    container_id = await running(rig)
    await rig.end("a")
    seen = await rig.engine.observe("a", FULL)
    assert seen.container is not None
    assert seen.container.exit is not None
    assert seen.container.exit.code == 137
    assert (await rig.engine.inspect_exit(container_id)).code == 137
    assert seen.container.exit.finished_at >= seen.container.exit.started_at


async def test_a_paused_container_goes_on(rig: Rig) -> None:
    """And unpausing a running one is fine."""
    container_id = await running(rig)
    await rig.pause("a")
    assert await state_of(rig) is ContainerState.PAUSED
    await rig.engine.unpause_container(container_id)
    assert await state_of(rig) is ContainerState.RUNNING
    await rig.engine.unpause_container(container_id)


async def test_limits_change_while_it_runs(rig: Rig) -> None:
    """One call, and it goes on running."""
    container_id = await running(rig)
    before = rig.calls()
    await rig.engine.update_container(container_id, limits("dev.medium"))
    assert rig.calls() - before == 1
    assert await state_of(rig) is ContainerState.RUNNING


@pytest.mark.parametrize("pod", ["a-b", "a-usr", "ab"])
async def test_other_names_are_never_taken_for_a_pods_own(rig: Rig, pod: str) -> None:
    """Names that begin with another pod's name, or contain it."""
    await running(rig, pod)
    seen = await rig.engine.observe("a", FULL)
    assert (seen.container, dict(seen.volumes)) == (None, {})


async def test_a_container_under_another_name_is_still_the_pods(rig: Rig) -> None:
    """It is found by its labels with one more call; a pass needs no more calls."""
    container_id = await running(rig)
    await rig.rename("a", "elsewhere")
    before = rig.calls()
    seen = await rig.engine.observe("a", FULL, container_id)
    assert rig.calls() - before == 3
    assert seen.container is None
    assert [(c.id, c.name, c.state) for c in seen.others] == [
        (container_id, "elsewhere", ContainerState.RUNNING)
    ]
    assert (await rig.engine.observe_all()).pod("a", FULL).others == seen.others
    await rig.engine.rename_container(container_id, "pinacle-pod-a")
    seen = await rig.engine.observe("a", FULL, container_id)
    assert seen.container is not None
    assert (seen.container.id, seen.others) == (container_id, ())


async def test_another_container_than_the_recorded_one_is_reason_to_look_for_that(rig: Rig) -> None:
    """Somebody may have given its name to a second one."""
    first = await running(rig)
    await rig.rename("a", "elsewhere")
    second = await rig.engine.create_container(await wanted(rig))
    for known in (first, None, second.id):
        seen = await rig.engine.observe("a", FULL, known)
        assert seen.container is not None
        assert seen.container.id == second.id
        assert [c.id for c in seen.others] == ([] if known == second.id else [first])
    assert [c.id for c in (await rig.engine.observe_all()).pod("a", FULL).others] == [first]


async def test_a_pod_without_volumes_is_asked_for_by_name_only(rig: Rig) -> None:
    """A container keeps its volumes: if there are none, there is no container under another name."""
    before = rig.calls()
    assert (await rig.engine.observe("a", FULL, NO_SUCH_ID)).others == ()
    assert rig.calls() - before == 2


async def test_a_name_that_is_taken_is_a_conflict(rig: Rig) -> None:
    """Then nothing is renamed."""
    await running(rig)
    other = await running(rig, "b")
    with pytest.raises(ConflictError):
        await rig.engine.rename_container(other, "pinacle-pod-a")
    assert await state_of(rig, "b") is ContainerState.RUNNING


async def networks_of(rig: Rig, pod: str = "a") -> tuple[str, ...] | None:
    seen = await rig.engine.observe(pod, frozenset())
    assert seen.container is not None
    assert seen.container.network_mode == "contract"
    listed = (await rig.engine.observe_all()).containers[f"pinacle-pod-{pod}"]
    assert listed.networks == seen.container.networks
    return seen.container.networks


@pytest.mark.parametrize("ended", [False, True])
async def test_a_container_that_lost_its_network_gets_it_back(rig: Rig, ended: bool) -> None:
    """Running or not; an inspect and the list both show how it is attached."""
    container_id = await running(rig)
    assert await networks_of(rig) == ("contract",)
    if ended:
        await rig.end("a")
    assert await networks_of(rig) == ("contract",)
    await rig.disconnect("a")
    assert await networks_of(rig) == ()
    await rig.engine.connect_network(container_id, "contract")
    assert await networks_of(rig) == ("contract",)
    await rig.engine.connect_network(container_id, "contract")
    await rig.engine.start_container(container_id)
    assert await networks_of(rig) == ("contract",)


async def test_a_created_container_has_its_network(rig: Rig) -> None:
    """In the answer to its creation, and in what is seen afterwards."""
    created = await rig.engine.create_container(await wanted(rig))
    assert created.networks == await networks_of(rig) == ("contract",)
    assert created.network_mode == "contract"


Act = Callable[[Rig, str], Awaitable[object]]
MISSING: Final[dict[str, Act]] = {
    "start": lambda rig, id_: rig.engine.start_container(id_),
    "stop": lambda rig, id_: rig.engine.stop_container(id_, 1),
    "unpause": lambda rig, id_: rig.engine.unpause_container(id_),
    "update": lambda rig, id_: rig.engine.update_container(id_, limits("dev.small")),
    "exit": lambda rig, id_: rig.engine.inspect_exit(id_),
    "inspect": lambda rig, id_: rig.engine.inspect(id_),
    "rename": lambda rig, id_: rig.engine.rename_container(id_, "pinacle-pod-z"),
    "connect": lambda rig, id_: rig.engine.connect_network(id_, "contract"),
}


@pytest.mark.parametrize("name", MISSING)
async def test_a_container_that_is_gone_is_said_to_be_missing(rig: Rig, name: str) -> None:
    """So that the pod is looked at again; removing what is gone is fine, though."""
    with pytest.raises(ObjectMissingError):
        await MISSING[name](rig, NO_SUCH_ID)
    await rig.engine.remove_container(NO_SUCH_ID)
    await rig.engine.remove_volume("pinacle-vol-a-never")


IDEMPOTENT: Final[dict[str, tuple[str, Act]]] = {
    "volume_create": ("new", lambda rig, _: rig.engine.create_volume("pinacle-vol-b-opt", LABELS)),
    "volume_remove": ("loose", lambda rig, _: rig.engine.remove_volume("pinacle-vol-a-opt")),
    "container_start": ("ended", lambda rig, id_: rig.engine.start_container(id_)),
    "container_stop": ("running", lambda rig, id_: rig.engine.stop_container(id_, 1)),
    "container_unpause": ("paused", lambda rig, id_: rig.engine.unpause_container(id_)),
    "container_update": ("running", lambda rig, id_: rig.engine.update_container(id_, limits("dev.large"))),
    "container_rename": ("running", lambda rig, id_: rig.engine.rename_container(id_, "pinacle-pod-z")),
    "network_connect": ("detached", lambda rig, id_: rig.engine.connect_network(id_, "contract")),
    "container_remove": ("running", lambda rig, id_: rig.engine.remove_container(id_, force=True)),
    "container_inspect": ("running", lambda rig, _: rig.engine.observe("a", FULL)),
    "container_list": ("running", lambda rig, _: rig.engine.observe_all()),
    "volume_list": ("running", lambda rig, _: rig.engine.read_volumes("a", FULL)),
    "image_inspect": ("new", lambda rig, _: rig.engine.find_image("pinacle-busybox")),
}


async def prepared(rig: Rig, situation: str) -> str:
    if situation == "new":
        return ""
    container_id = await running(rig)
    if situation == "paused":
        await rig.pause("a")
    elif situation == "ended":
        await rig.end("a")
    elif situation == "detached":
        await rig.disconnect("a")
    elif situation == "loose":
        await rig.engine.remove_container(container_id, force=True)
    return container_id


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("operation", IDEMPOTENT)
async def test_a_spoiled_call_is_an_error_and_can_be_sent_again(
    rig: Rig, operation: str, fault: Fault
) -> None:
    """Unknown is not gone: every fault is an error after which one tries again, and then it works."""
    situation, act = IDEMPOTENT[operation]
    container_id = await prepared(rig, situation)
    rig.spoil(operation, fault)
    expected = EngineUnavailableError if fault is Fault.ERROR else OutcomeUnknownError
    if rig.hides(operation, fault):
        await act(rig, container_id)
    else:
        with pytest.raises(expected):
            await act(rig, container_id)
    assert not rig.is_armed
    await act(rig, container_id)


@pytest.mark.parametrize("fault", Fault)
async def test_a_spoiled_creation_is_done_or_not_but_never_twice(rig: Rig, fault: Fault) -> None:
    """After a lost answer the name is taken, which shows that it was done."""
    await rig.engine.create_volume("pinacle-vol-a-opt", LABELS)
    request = await wanted(rig)
    rig.spoil("container_create", fault)
    with pytest.raises(RetryableError):
        await rig.engine.create_container(request)
    if fault is Fault.LOST:
        with pytest.raises(ConflictError):
            await rig.engine.create_container(request)
    else:
        await rig.engine.create_container(request)
    assert await state_of(rig) is ContainerState.CREATED
    names = (await rig.engine.observe_all()).containers.keys()
    assert [name for name in names if name.startswith("pinacle-pod-")] == ["pinacle-pod-a"]


async def test_a_mark_has_its_labels_and_holds_its_name(rig: Rig) -> None:
    """The labels report another store; the first one that makes a mark keeps it."""
    labels = {LABEL_INSTALLATION: "test", LABEL_CONTENDER: "s"}
    made = await rig.engine.create_mark("pinacle-contender-test-s", labels)
    with pytest.raises(ConflictError):
        await rig.engine.create_mark("pinacle-contender-test-s", labels)
    found = (await rig.engine.observe_all()).containers["pinacle-contender-test-s"]
    assert (found.id, found.state, dict(found.labels)) == (made, ContainerState.CREATED, labels)
    await rig.engine.remove_container(made)
    assert "pinacle-contender-test-s" not in (await rig.engine.observe_all()).containers


async def test_the_storage_keeps_its_first_identity(rig: Rig) -> None:
    """And a created container keeps its sentinel volume from being removed."""
    assert await rig.engine.keep_storage("test", "one", {"a": "1"}) == "one"
    assert await rig.engine.keep_storage("test", "two", {"a": "2"}) == "one"
    seen = await rig.engine.observe_all()
    assert seen.storages["test"] == "one"
    assert seen.containers["pinacle-storage-test"].state is ContainerState.CREATED
    assert seen.containers["pinacle-storage-test"].labels["a"] == "1"
    assert (await rig.engine.observe("a", FULL)).storages["test"] == "one"
    with pytest.raises(ConflictError):
        await rig.engine.remove_volume("pinacle-storage-test")


async def test_a_storage_that_the_engine_could_not_label_is_made_again(rig: Rig) -> None:
    """The Engine was killed between making the volume and writing its labels."""
    await rig.engine.create_volume("pinacle-storage-test", {})
    assert await rig.engine.keep_storage("test", "one", {}) == "one"
    assert (await rig.engine.observe_all()).storages["test"] == "one"


async def test_an_image_is_looked_at_once_over_its_links(rig: Rig) -> None:
    """Nothing is left of the look; another path is looked at when it is asked for."""
    rig.add_linked("pinacle-linked-look", {"/home": "/var/home", "/data": "/srv", "/srv": "/mnt/srv"})
    image = await rig.engine.find_image("pinacle-linked-look")
    assert image is not None
    shape = await rig.engine.look_at_image(image, image_paths(image))
    places = {path: shape.place(path) for path in ("/home", "/data", "/srv", "/etc", "/home/db")}
    assert places == {
        "/home": "/var/home",
        "/data": "/mnt/srv",
        "/srv": "/mnt/srv",
        "/etc": "/etc",
        "/home/db": "/var/home/db",
    }
    assert shape.kind("/etc") is Kind.DIRECTORY
    assert shape.run is not None
    before = rig.calls()
    assert await rig.engine.look_at_image(image, image_paths(image)) == shape
    assert rig.calls() == before
    more = await rig.engine.look_at_image(image, (*image_paths(image), "/home/db"))
    assert next_look(more, ["/home/db"]) is None
    left = await rig.engine.observe_all()
    # Other tests on this Engine leave its storage and bases.
    found = [*left.containers, *left.volumes]
    looks = [n for n in found if n.startswith("pinacle-base-look-") or not n.startswith("pinacle-")]
    assert looks == []


async def test_what_an_image_was_seen_to_have_comes_with_all_that_is_on_the_host(rig: Rig) -> None:
    """So that a pass does not look again for a pod that waits."""
    rig.add_linked("pinacle-linked-shown", {"/data": "/srv"})
    image = await rig.engine.find_image("pinacle-linked-shown")
    assert image is not None
    assert image.id not in (await rig.engine.observe_all()).shapes
    shape = await rig.engine.look_at_image(image, image_paths(image))
    assert (await rig.engine.observe_all()).pod("a", FULL).shapes[image.id] == shape


async def test_an_image_that_is_gone_cannot_be_looked_at(rig: Rig) -> None:
    gone = PinnedImage(reference="pinacle-gone", id=f"sha256:{NO_SUCH_ID}")
    with pytest.raises(ImageGoneError):
        await rig.engine.look_at_image(gone, image_paths(gone))


async def test_a_look_finds_what_the_owner_has_outside_the_volumes(rig: Rig) -> None:
    """Without what is on a volume, unless it is at a place where another volume is to be."""
    await running(rig)
    await rig.make_file("a", "/data/db/file")
    await rig.make_file("a", "/opt/sub/file")
    container = (await rig.engine.observe("a", FULL)).container
    assert container is not None
    look = await rig.engine.look(container, ["/data/db", "/opt/sub", "/opt/none", "/srv/none"])
    wanted = dict.fromkeys(("/data", "/data/db", "/opt/sub"), Standing.DIRECTORY)
    assert (look.container_id, dict(look.found)) == (container.id, wanted)


async def test_volumes_can_be_looked_into_without_their_pods_container(rig: Rig) -> None:
    container_id = await running(rig)
    await rig.make_file("a", "/opt/sub/file")
    await rig.engine.remove_container(container_id, force=True)
    mounts = {"/opt": "pinacle-vol-a-opt"}
    look = await rig.engine.look_at_volumes(mounts, ["/opt/sub", "/opt/none"])
    assert (look.container_id, dict(look.found)) == ("", {"/opt/sub": Standing.DIRECTORY})


@pytest.mark.parametrize("source", ["the container", "the volumes"])
async def test_a_directory_is_measured_and_copied_into_a_volume(rig: Rig, source: str) -> None:
    """Without what another volume will hold; and no temporary container is left."""
    container_id = await running(rig)
    path = "/data" if source == "the container" else "/opt/sub"
    for name in ("file", "deep/file", "nested/file"):
        await rig.make_file("a", f"{path}/{name}")
    await rig.engine.stop_container(container_id, 1)
    given = container_id if source == "the container" else {"/opt": "pinacle-vol-a-opt"}
    measured = await rig.engine.measure_folders(given, [path], floor_bytes=0)
    assert measured.paths == (path,)
    assert measured.fits(0)
    await rig.engine.create_volume("pinacle-vol-a-new", LABELS)
    await rig.engine.copy_folder(given, path, "pinacle-vol-a-new", [f"{path}/nested"])
    assert await rig.files("a-new", path) == {f"{path}/file", f"{path}/deep/file"}
    names = (await rig.engine.observe_all()).containers.keys()
    assert not [name for name in names if name.startswith("pinacle-fill-")]
