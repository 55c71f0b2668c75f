"""What is true of every plan, whatever the record says and whatever the Engine shows."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shapes import seen_shape
from worker.planner.container import spec_hash
from worker.planner.plan import plan
from worker.planner.steps import (
    CreateContainer,
    CreateVolume,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
)
from worker.planner.volumes.system import base_mounts, is_overlay
from worker.pods import naming
from worker.pods.layout import looked_paths, wanted_layout
from worker.pods.model import (
    Crash,
    Installation,
    Intent,
    IntentKind,
    Phase,
    PinnedImage,
    PodState,
    Record,
    System,
    SystemMode,
    Volume,
)
from worker.pods.observation import (
    ALIVE,
    ContainerState,
    Exit,
    Observation,
    ObservedContainer,
    ObservedVolume,
    Unknown,
)
from worker.pods.shape import ImageShape
from worker.pods.spec import PodSpec, Restart

OWN: Final = Installation(name="test", network="net")
IMAGE: Final = PinnedImage(reference="image", id="sha256:1")
SYSTEM: Final = System(mode=SystemMode.OVERLAY, image=IMAGE, directories=("/usr", "/lib"), base="base")
NOW: Final = 1000.0
INCARNATIONS: Final = st.sampled_from([None, "one", "two"])
LABELLED: Final = {naming.LABEL_POD: "pod", naming.LABEL_INSTALLATION: "test"}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A pod at any point of its life; every second one should run and was initialised."""
    ready = draw(st.booleans())
    generation = draw(st.integers(1, 5))
    all_filled = ready or draw(st.booleans())
    system = draw(st.sampled_from([None, SYSTEM]))
    layout = tuple(
        Volume(
            name=name,
            path=path,
            volume_class=volume_class,
            incarnation=draw(INCARNATIONS),
            filled=all_filled or draw(st.booleans()),
        )
        for path, (name, volume_class) in wanted_layout((), system).items()
    )
    crash = Crash(
        run=draw(st.integers(0, 2)),
        count=draw(st.integers(1, 9)),
        exit_code=1,
        oom_killed=False,
        next_try_at=NOW + 9,
    )
    return Record(
        pod_id="pod",
        host="here",
        intent=Intent(
            kind=IntentKind.RUNNING if ready else draw(st.sampled_from(IntentKind)),
            generation=generation,
            spec=PodSpec(image="image", restart=draw(st.sampled_from(Restart))),
            image=IMAGE if ready else draw(st.sampled_from([IMAGE, None])),
            force=draw(st.booleans()),
            purge_generation=0 if ready else draw(st.integers(0, generation)),
        ),
        state=PodState(
            image=draw(st.sampled_from([None, IMAGE])),
            layout=layout if ready else draw(st.sampled_from([layout, ()])),
            settled_generation=draw(st.integers(0, generation)),
            purged_generation=draw(st.integers(0, generation)),
            starts=draw(st.integers(0, 2)),
            tier=draw(st.sampled_from([None, "dev.small"])),
            crash=draw(st.sampled_from([None, crash])),
            system=system,
        ),
    )


@st.composite
def observations(draw: st.DrawFn, record: Record) -> Observation:
    """What an Engine could show of that pod, including foreign objects and missing volumes."""
    volumes = {}
    sound = draw(st.booleans())
    bases = {
        name: ObservedVolume(name=name, labels={naming.LABEL_BASE: "sha256:1"}, mountpoint=f"/v/{name}")
        for name, _ in base_mounts(record.state.system)
        if sound or draw(st.integers(0, 9))
    }
    for path, (short, _) in wanted_layout((), record.state.system).items():
        name = naming.volume_name("pod", short)
        known = next((v.incarnation for v in record.state.layout if v.path == path), None)
        if sound or draw(st.integers(0, 9)):
            labels = {**LABELLED, naming.LABEL_VOLUME: short}
            incarnation = known if sound else draw(st.sampled_from([known, known, known, "else"]))
            if incarnation is not None:
                labels[naming.LABEL_INCARNATION] = incarnation
            if not sound and not draw(st.integers(0, 9)):
                labels[naming.LABEL_UNASKED] = "one"
            options = _options(path, record) if sound else draw(options_of(path, record))
            volumes[name] = ObservedVolume(name=name, labels=labels, mountpoint=f"/v/{name}", options=options)
    return Observation(
        container=draw(st.one_of(containers(record), containers(record), st.none())),
        volumes=volumes,
        bases=bases,
        volumes_current=draw(st.booleans()),
        fresh=draw(st.sampled_from([None, "one"])),
        gone_images=draw(st.sampled_from([frozenset(), frozenset(), frozenset(), frozenset({IMAGE.id})])),
        shapes={} if draw(st.sampled_from([False, False, True])) else {IMAGE.id: _shape(record)},
    )


def _shape(record: Record) -> ImageShape:
    return seen_shape(looked_paths(record, IMAGE), directories=("/usr", "/lib"))


def options_of(path: str, record: Record) -> st.SearchStrategy[dict[str, str]]:
    """The options of a right overlay, of one that leads elsewhere, and of a plain volume."""
    right = _options(path, record)
    return st.sampled_from([right, right, {"type": "overlay", "o": "elsewhere"} if right else {}, {}])


def _options(path: str, record: Record) -> dict[str, str]:
    """Return what the options should be, calculated independently of the planner."""
    if record.state.system is None or path not in record.state.system.directories:
        return {}
    layer = f"/v/pinacle-vol-pod-system{path}"
    words = f"lowerdir=/v/base-{path[1:]},upperdir={layer}/upper,workdir={layer}/work,index=off"
    return {"type": "overlay", "device": "overlay", "o": words}


@st.composite
def containers(draw: st.DrawFn, record: Record) -> ObservedContainer:
    labels = draw(
        st.sampled_from([LABELLED, LABELLED, LABELLED, {}, {**LABELLED, naming.LABEL_POD: "other"}])
    )
    wanted = spec_hash(record) if record.image is not None else "none"
    return ObservedContainer(
        id="c" * 64,
        name=naming.container_name("pod"),
        state=draw(st.sampled_from(ContainerState)),
        image_id="sha256:1",
        labels={**labels, naming.LABEL_SPEC_HASH: draw(st.sampled_from([wanted, wanted, "other"]))},
        volumes={volume.path: naming.volume_name("pod", volume.name) for volume in record.state.layout},
        exit=draw(st.sampled_from([None, Exit(code=1, oom_killed=False, started_at=0, finished_at=1)])),
    )


WORLDS: Final = records().flatmap(lambda record: st.tuples(st.just(record), observations(record)))
THOROUGH: Final = settings()
"""As many examples as the profile says."""
ENOUGH_FOR_A_START: Final = 500
_MOST_ROUNDS: Final = 3


def test_nothing_starts_unless_every_volume_is_filled_there_and_its_own() -> None:
    """This is checked if a start is planned at all, which has to happen now and then."""
    starts = 0

    @settings(THOROUGH, max_examples=4 * THOROUGH.max_examples)
    @given(WORLDS)
    def check(world: tuple[Record, Observation]) -> None:
        nonlocal starts
        starts += _check_start(*world)

    # One world in a hundred has a start, and worlds that are tried one after another are alike.
    for _ in range(_MOST_ROUNDS):
        check()
        if starts:
            break
    assert starts > 0 or THOROUGH.max_examples < ENOUGH_FOR_A_START


def _check_start(record: Record, seen: Observation) -> bool:
    starts = any(isinstance(step, StartContainer) for step in plan(record, seen, NOW, OWN).steps)
    if starts:
        assert record.state.initialised
        assert seen.volumes_current or seen.container is None or seen.container.has_run
        assert record.intent.kind is IntentKind.RUNNING
        for volume in record.state.layout:
            found = seen.volumes[naming.volume_name("pod", volume.name)]
            if is_overlay(record.state.system, volume):
                assert found.options == _options(volume.path, record)
            else:
                assert found.incarnation == volume.incarnation
                assert found.unasked is None
        assert all(name in seen.bases for name, _ in base_mounts(record.state.system))
    return starts


@THOROUGH
@given(WORLDS)
def test_volumes_go_only_by_a_deletion_or_the_rollback_of_an_unfinished_creation(
    world: tuple[Record, Observation],
) -> None:
    record, seen = world
    unfilled = {naming.volume_name("pod", v.name): v for v in record.state.layout if not v.filled}
    overlays = {
        naming.volume_name("pod", v.name) for v in record.state.layout if is_overlay(record.state.system, v)
    }
    for step in plan(record, seen, NOW, OWN).steps:
        if isinstance(step, RemoveVolume) and not record.purging and record.exists:
            found = seen.volumes[step.name]
            # An overlay holds nothing; but a plain one in its place may hold what somebody restored.
            if step.name in overlays and (found.options or found.unasked):
                continue
            volume = unfilled[step.name]
            assert volume.incarnation in (found.incarnation, found.unasked)
            assert (
                seen.container is None
                or not seen.container.has_run
                or step.name not in (seen.container.volumes.values())
            )


@THOROUGH
@given(WORLDS)
def test_what_is_foreign_is_never_touched(world: tuple[Record, Observation]) -> None:
    record, seen = world
    if seen.container is not None and seen.container.pod_id != "pod":
        ids = [getattr(step, "container_id", None) for step in plan(record, seen, NOW, OWN).steps]
        assert seen.container.id not in ids


@THOROUGH
@given(WORLDS)
def test_a_container_with_processes_is_stopped_before_it_is_removed(
    world: tuple[Record, Observation],
) -> None:
    """Except by a deletion."""
    record, seen = world
    if record.purging or not record.exists or seen.container is None or seen.container.state not in ALIVE:
        return
    for step in plan(record, seen, NOW, OWN).steps:
        assert not (isinstance(step, RemoveContainer) and step.force)


@THOROUGH
@given(records())
def test_from_what_is_unknown_nothing_follows(record: Record) -> None:
    decided = plan(record, Unknown(reason="a 500"), NOW, OWN)
    assert decided.steps == ()
    assert decided.phase is record.state.phase


@THOROUGH
@given(WORLDS)
def test_a_stopped_or_deleted_pod_gets_nothing_started_and_no_volume_that_holds_data(
    world: tuple[Record, Observation],
) -> None:
    """A stopped one at most gets a container that keeps its volumes, if all of them are its own."""
    record, seen = world
    if record.intent.kind is IntentKind.RUNNING and not record.purging:
        return
    steps = plan(record, seen, NOW, OWN).steps
    assert not any(isinstance(step, StartContainer) for step in steps)
    made = [step for step in steps if isinstance(step, CreateVolume)]
    assert all(is_overlay(record.state.system, step.volume) for step in made)
    if any(isinstance(step, CreateContainer | CreateVolume) for step in steps):
        assert record.intent.kind is IntentKind.STOPPED
        assert not record.purging
        assert record.state.initialised
        for volume in record.state.layout:
            found = seen.volumes.get(naming.volume_name("pod", volume.name))
            if not is_overlay(record.state.system, volume):
                assert found is not None
                assert (found.incarnation, found.unasked) == (volume.incarnation, None)


@THOROUGH
@given(WORLDS)
def test_a_lost_volume_of_a_filled_layout_stops_the_pod_and_names_it(
    world: tuple[Record, Observation],
) -> None:
    record, seen = world
    if not record.state.initialised or record.purging or record.intent.kind is IntentKind.DELETED:
        return
    missing = [
        volume
        for volume in record.state.layout
        if naming.volume_name("pod", volume.name) not in seen.volumes
        and not is_overlay(record.state.system, volume)
    ]
    decided = plan(record, seen, NOW, OWN)
    if missing and decided.phase is not Phase.FAILED and not decided.steps:
        waits = decided.phase in (Phase.STORAGE_MISSING, Phase.PENDING)
        assert waits, decided
        if decided.phase is Phase.STORAGE_MISSING:
            assert decided.reason is not None
            assert "is missing" in decided.reason or "replaced" in decided.reason
