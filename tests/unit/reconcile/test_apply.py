"""Each step makes exactly these Engine calls, and its result is what they return."""

from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.situations import (
    BELOW,
    DATABASE,
    IMAGE,
    MINE,
    ON_POOL,
    OTHER_IMAGE,
    PULLED,
    SYSTEM,
    begun_pod,
    exited,
    pod,
    room,
    running,
    sees,
)
from worker.errors import ObjectMissingError
from worker.interfaces import tell_nobody
from worker.planner import steps
from worker.planner.container import container_request, limits, volume_labels
from worker.planner.fold.results import (
    DONE,
    ContainerCreated,
    DirectoriesCompared,
    ExitFound,
    FillBegun,
    FoldersFound,
    FoldersMeasured,
    ImagePinned,
    ImageSeen,
    StepResult,
    SubvolumeBegun,
    SubvolumeNamed,
    VolumeCreated,
    VolumeRemoved,
    VolumesRead,
)
from worker.planner.steps import Step, step_name
from worker.planner.volumes.system import overlay_options
from worker.pods.layout import full_names, looked_paths
from worker.pods.model import Installation, PinnedImage, Record
from worker.pods.observation import Exit, ImageDirectory, Observation, ObservedSize
from worker.reconcile.apply import Surroundings, apply

ID: Final = "c" * 64
OWN: Final = Installation(name="test", network="net", min_free_mb=7)
ANSWER: Final[Any] = object()
"""What the Engine answers to each call: it is handed on as it is."""


class _Calls:
    """An Engine that records how it is called."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.made: list[tuple[Any, ...]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.made.append((name, *args, *([kwargs] if kwargs else [])))
            return self._answers.get(name, ANSWER)

        return call


async def done(
    step: Step, record: Record, seen: Observation | None = None, **answers: Any
) -> tuple[list[tuple[Any, ...]], StepResult]:
    """Apply a step; return the calls and the result."""
    calls = _Calls(answers)
    shown: Any = seen or sees(exited())(record)
    at = Surroundings(engine=calls, record=record, seen=shown, installation=OWN, incarnation="new")
    return calls.made, await apply(step, at)


NO_CALL: Final[list[tuple[Step, StepResult]]] = [
    (steps.BeginFill(), FillBegun("new")),
    (steps.BeginKeep(("/data",), ID), FillBegun("new")),
    (steps.NoteRestored((("/home", "1"),)), DONE),
    (steps.DistrustCopies(ID), DONE),
    (steps.GiveUpCopies(ID), DONE),
    (steps.BeginStop(ID, 3), DONE),
    (steps.NoteLost(), DONE),
    (steps.FinishPurge(), DONE),
]
ONE_CALL: Final[list[tuple[Step, tuple[Any, ...], StepResult]]] = [
    (steps.FillLayers(pod().state.layout[0]), ("fill_layers", "pinacle-vol-a-workspace"), DONE),
    (steps.CommitFill(("/home",)), ("sync_volumes", {"on_pool": False}), DONE),
    (steps.RemoveVolume("a-volume"), ("remove_volume", "a-volume"), DONE),
    (steps.RemoveEmptyVolume("a-volume"), ("remove_empty_volume", "a-volume"), VolumeRemoved(ANSWER)),
    (steps.StartContainer(ID, unasked=True), ("start_container", ID), DONE),
    (steps.UnpauseContainer(ID), ("unpause_container", ID), DONE),
    (
        steps.UpdateContainer(ID, "dev.large"),
        ("update_container", ID, limits("dev.large")),
        DONE,
    ),
    (steps.RenameContainer(ID, "name"), ("rename_container", ID, "name"), DONE),
    (steps.ConnectNetwork(ID, "net"), ("connect_network", ID, "net"), DONE),
    (steps.StopContainer(ID, 3), ("stop_container", ID, 3), DONE),
    (steps.RemoveContainer(ID, force=True), ("remove_container", ID, {"force": True}), DONE),
    (steps.RemoveContainer(ID), ("remove_container", ID, {"force": False}), DONE),
    (steps.LookAtImage(IMAGE, ("/home",)), ("look_at_image", IMAGE, ("/home",)), ImageSeen(ANSWER)),
    (
        steps.MeasureFolders(ID, ("/data",)),
        ("measure_folders", ID, ("/data",), {"floor_bytes": 7_000_000}),
        FoldersMeasured(ANSWER),
    ),
]


@pytest.mark.parametrize(("step", "result"), NO_CALL, ids=[step_name(step) for step, _ in NO_CALL])
async def test_a_note_is_no_call(step: Step, result: StepResult) -> None:
    assert await done(step, pod()) == ([], result)


@pytest.mark.parametrize(
    ("step", "call", "result"), ONE_CALL, ids=[step_name(step) for step, _, _ in ONE_CALL]
)
async def test_a_step_is_one_call(step: Step, call: tuple[Any, ...], result: StepResult) -> None:
    assert await done(step, pod()) == ([call], result)


async def test_ports_are_not_chosen_on_the_engine() -> None:
    with pytest.raises(ValueError, match="in the store"):
        await done(steps.ChooseOtherPorts(()), pod())


async def test_an_image_is_pulled_if_the_host_has_none() -> None:
    find = steps.PinImage("image")
    assert await done(find, pod(), find_image=IMAGE) == ([("find_image", "image")], ImagePinned(IMAGE))
    pulled = await done(find, pod(), find_image=None, pull_image=PULLED)
    pull = ("pull_image", "image", {"tell": tell_nobody})
    assert pulled == ([("find_image", "image"), pull], ImagePinned(PULLED))


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        (PULLED, ("pull_image", "image@sha256:d", {"pinned": True, "tell": tell_nobody})),
        (IMAGE, ("pull_image", "image", {"pinned": False, "tell": tell_nobody})),
    ],
)
async def test_what_was_pinned_is_pulled_by_its_digest_and_keeps_its_reference(
    image: PinnedImage, asked: tuple[Any, ...]
) -> None:
    other = PinnedImage(reference="image@sha256:d", id="sha256:1", repo_digest="image@sha256:d")
    expected = ([asked], ImagePinned(other.evolve(reference="image")))
    assert await done(steps.PullDigest(image), pod(), pull_image=other) == expected


async def test_a_base_is_made_under_the_new_incarnation() -> None:
    record = pod(system=SYSTEM)
    calls, result = await done(steps.PrepareSystem(SYSTEM), record)
    assert calls == [("prepare_system", SYSTEM, sees()(record).bases, {"attempt": "new"})]
    assert result is ANSWER


async def test_a_volume_is_made_with_its_labels_and_an_overlay_with_its_options() -> None:
    record = begun_pod(system=SYSTEM)
    seen = sees()(record)
    assert isinstance(seen, Observation)
    for volume in record.state.layout:
        name = f"pinacle-vol-a-{volume.name}"
        options = overlay_options(record, seen, volume) if volume.name == "usr" else {}
        call = ("create_volume", name, volume_labels(record, volume, OWN), options)
        assert await done(steps.CreateVolume(volume), record) == ([call], VolumeCreated(ANSWER))


async def test_all_volumes_that_the_pod_has_or_would_have_are_read() -> None:
    record = pod(declared=["/data"])
    call = ("read_volumes", "a", full_names("a", record.state))
    made = await done(steps.ReadVolumes(), record)
    assert made == ([(*call, {"on_pool": False})], VolumesRead(ANSWER))
    ((*_, told),), _ = await done(steps.ReadVolumes(), pod(system=ON_POOL, subvolume=MINE))
    assert told == {"on_pool": True}


async def test_a_subvolume_begins_with_what_its_image_has_for_each_volume() -> None:
    """It is named and removed by its UUID, which is noted before."""
    record = begun_pod(system=ON_POOL)
    paths = {volume.name: volume.path for volume in record.state.layout}
    begun = ("begin_subvolume", "a", "one", IMAGE, paths, {"limit": 20 * 10**9})
    assert await done(steps.BeginSubvolume(), record) == ([begun], SubvolumeBegun(ANSWER))
    noted = begun_pod(system=ON_POOL, subvolume=MINE)
    named = ("name_subvolume", "a", "one", "mine")
    assert await done(steps.NameSubvolume(), noted) == ([named], SubvolumeNamed(ANSWER))
    limited = ("limit_subvolume", "a", "mine", 7)
    assert await done(steps.LimitSubvolume("mine", 7), noted) == ([limited], DONE)
    for begun_as in ("one", None):
        removed = ("remove_subvolume", "a", "mine", begun_as)
        assert await done(steps.RemoveSubvolume("mine", begun_as), noted) == ([removed], DONE)


async def test_what_is_kept_has_to_fit_into_what_a_pod_on_a_pool_may_keep() -> None:
    """Not onto the Engine's own disk, which is measured as well."""
    record, measure = pod(system=ON_POOL, subvolume=MINE), steps.MeasureFolders(ID, ("/mine",))
    for size, free in ((ObservedSize(used=15, limit=20), 5), (ObservedSize(used=25, limit=20), 0)):
        _, result = await done(measure, record, measure_folders=room("/mine"), subvolume_size=size)
        assert isinstance(result, FoldersMeasured)
        assert (result.measured.free_bytes, result.measured.where) == (free, "the pod's own storage")
    for nothing in (None, ObservedSize(used=15, limit=None)):
        _, result = await done(measure, record, measure_folders=room("/mine"), subvolume_size=nothing)
        assert result == FoldersMeasured(room("/mine"))


async def test_later_volumes_have_directories_of_names_that_were_never_used() -> None:
    """What they are filled with is on the pool's disk before that is noted."""
    record = pod(system=ON_POOL, subvolume=MINE)
    later = record.state.layout[1].evolve(incarnation="two", filled=False)
    for kind, call in ((steps.AddDirectory, "add_directory"), (steps.RemoveDirectory, "remove_directory")):
        assert await done(kind(later), record) == ([(call, "a", "mine", f"{later.name}.two")], DONE)
    synced = ("sync_volumes", {"on_pool": True})
    assert await done(steps.CommitFill((later.path,)), record) == ([synced], DONE)


async def test_what_is_below_a_volume_is_not_compared_with_its_image() -> None:
    """Each volume with the image that filled it, in one question for each image."""
    record = pod(system=ON_POOL, subvolume=MINE, declared=("/app", "/app/data", "/site"))
    app, _, site = (each.evolve(image=IMAGE.id) for each in record.state.layout[-3:])
    later = site.evolve(incarnation="two", image=OTHER_IMAGE.id)
    asked = [
        (IMAGE.id, app.name, ImageDirectory(name=app.name, path="/app", hidden=("data",))),
        (OTHER_IMAGE.id, site.name, ImageDirectory(name=f"{site.name}.two", path="/site")),
    ]
    told, result = await done(
        steps.CompareDirectories((app, later)), record, unchanged_directories=frozenset({app.name})
    )
    calls = [("unchanged_directories", "a", "mine", image, {name: each}) for image, name, each in asked]
    assert (told, result) == (calls, DirectoriesCompared(frozenset({app.name})))


async def test_only_the_container_that_was_seen_is_looked_into() -> None:
    record = pod()
    seen = sees(running())(record)
    assert isinstance(seen, Observation)
    find = steps.FindFolders(ID, ("/data",))
    assert await done(find, record, seen) == ([("look", seen.container, ("/data",))], FoldersFound(ANSWER))
    for gone in (seen.evolve(container=None), sees(running(id="d" * 64))(record)):
        with pytest.raises(ObjectMissingError, match=ID):
            await done(find, record, gone)


async def test_without_a_container_the_volumes_above_are_looked_into_measured_and_copied() -> None:
    """The volumes that are filled and contain the requested places, and no others."""
    record = pod(image=BELOW)
    holders = {"/srv": "pinacle-vol-a-srv"}
    find = steps.FindFolders("", ("/srv/db",))
    assert await done(find, record) == (
        [("look_at_volumes", holders, ("/srv/db",))],
        FoldersFound(ANSWER),
    )
    measure = steps.MeasureFolders("", ("/srv/db",))
    assert (await done(measure, record))[0] == [
        ("measure_folders", holders, ("/srv/db",), {"floor_bytes": 7_000_000})
    ]
    copy = steps.CopyFolder("", "/srv/db", record.state.layout[-1])
    paths = [volume.path for volume in record.state.layout]
    assert await done(copy, record) == (
        [("copy_folder", holders, "/srv/db", "pinacle-vol-a-srv", paths)],
        DONE,
    )
    of_container = steps.CopyFolder(ID, "/srv/db", record.state.layout[-1])
    assert (await done(of_container, record))[0] == [
        ("copy_folder", ID, "/srv/db", "pinacle-vol-a-srv", paths)
    ]


async def test_a_container_is_made_of_the_image_as_it_was_seen() -> None:
    """The image is looked at again only if nothing is known of it."""
    record = pod(image=DATABASE, declared=["/data"])
    seen = sees()(record)
    assert isinstance(seen, Observation)
    made = container_request(record, OWN, seen.shapes[DATABASE.id])
    create = ("create_container", made)
    assert await done(steps.CreateContainer(), record, seen) == ([create], ContainerCreated(ANSWER))
    calls, _ = await done(
        steps.CreateContainer(), record, seen.evolve(shapes={}), look_at_image=seen.shapes[DATABASE.id]
    )
    assert calls == [("look_at_image", DATABASE, looked_paths(record, DATABASE)), create]
    with pytest.raises(ValueError, match="pod a: a container needs a pinned image"):
        await done(steps.CreateContainer(), pod(image=None))


async def test_an_end_that_was_seen_is_not_asked_for() -> None:
    record = pod()
    seen = sees(exited())(record)
    assert isinstance(seen, Observation)
    container = seen.container
    assert container is not None
    exit_ = Exit(code=1, oom_killed=False, started_at=1.0, finished_at=2.0)
    known = seen.evolve(container=replace(container, exit=exit_))
    assert await done(steps.RecordExit(ID), record, known) == ([], ExitFound(exit_))
    asked = [("inspect_exit", ID)]
    for unknown in (seen.evolve(container=None), seen.evolve(container=replace(container, exit=None))):
        assert await done(steps.RecordExit(ID), record, unknown) == (asked, ExitFound(ANSWER))
