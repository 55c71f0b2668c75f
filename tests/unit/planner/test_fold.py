"""What is noted once a step has succeeded, and how the world looks then without looking again."""

from dataclasses import replace

import pytest

from tests.support.situations import (
    IMAGE,
    NOW,
    OTHER_IMAGE,
    asked_again,
    begun_pod,
    crash,
    created,
    exited,
    new_pod,
    pod,
    running,
    sees,
)
from worker.planner.fold.fold import fold
from worker.planner.fold.results import (
    DONE,
    ContainerCreated,
    ExitFound,
    FillBegun,
    StepResult,
    VolumeCreated,
    VolumeRemoved,
    VolumesRead,
)
from worker.planner.steps import (
    BeginFill,
    BeginKeep,
    CommitFill,
    CreateContainer,
    CreateVolume,
    FinishPurge,
    ReadVolumes,
    RecordExit,
    RemoveContainer,
    RemoveEmptyVolume,
    RemoveVolume,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
    UpdateContainer,
)
from worker.pods.model import Phase, Record
from worker.pods.observation import ContainerState, Exit, Observation

ID = "c" * 64


def after(
    record: Record, seen: Observation, step: Step, result: StepResult = DONE
) -> tuple[Record, Observation]:
    return fold(record, seen, step, result, NOW)


def test_a_begun_fill_notes_volumes_image_and_what_is_fresh() -> None:
    record = new_pod(image=None, intent={"image": IMAGE})
    noted, seen = after(record, sees()(record), BeginFill(), FillBegun("first"))
    assert {volume.incarnation for volume in noted.state.layout} == {"first"}
    assert not any(volume.filled for volume in noted.state.layout)
    assert noted.state.image == IMAGE
    assert seen.fresh == "first"


def test_a_begun_fill_takes_what_is_there_as_it_is() -> None:
    """It may hold the owner's data."""
    record = new_pod()
    noted, _ = after(record, sees(more={"home": {}})(record), BeginFill(), FillBegun("first"))
    home = next(volume for volume in noted.state.layout if volume.name == "home")
    assert (home.filled, home.incarnation) == (True, None)


def test_a_committed_fill_notes_the_named_volumes_only() -> None:
    record = begun_pod()
    noted, _ = after(record, sees()(record), CommitFill(("/home",)))
    assert [volume.name for volume in noted.state.layout if volume.filled] == ["home"]
    whole, _ = after(noted, sees()(noted), CommitFill(("/var",)))
    assert [volume.name for volume in whole.state.layout if volume.filled] == ["home", "var"]


def test_a_kept_folder_is_a_volume_to_be_filled() -> None:
    record = pod()
    noted, seen = after(record, sees()(record), BeginKeep(("/data",), "c" * 64), FillBegun("second"))
    assert noted.state.layout[:-1] == record.state.layout
    data = noted.state.layout[-1]
    assert (data.path, data.incarnation, data.filled) == ("/data", "second", False)
    assert data.copied_from == "c" * 64
    assert seen.fresh == "second"


def test_a_created_container_is_noted_with_what_it_was_given() -> None:
    """It is pending again: whoever follows the pod learns that its container was away."""
    record = asked_again(spec={"tier": "dev.large"}, image=OTHER_IMAGE, reason="x")
    container = replace(created()(record), id="d" * 64)
    noted, seen = after(record, sees()(record), CreateContainer(), ContainerCreated(container))
    state = noted.state
    assert (state.container_id, state.tier, state.image) == ("d" * 64, "dev.large", OTHER_IMAGE)
    assert (state.phase, state.reason) == (Phase.PENDING, None)
    assert seen.container == container
    assert not seen.volumes_current


def test_volumes_that_were_read_again_are_current() -> None:
    record = begun_pod()
    seen = sees(created(), volumes_current=False)(record)
    _, current = after(record, seen, ReadVolumes(), VolumesRead(sees(without="home")(record)))
    assert current.volumes_current
    assert "pinacle-vol-a-home" not in current.volumes
    assert current.container == seen.container


def test_a_start_that_was_asked_for_is_no_restart() -> None:
    record = asked_again(crash=crash())
    noted, seen = after(record, sees(exited())(record), StartContainer(ID, unasked=False))
    assert (noted.state.starts, noted.state.restarts, noted.state.settled_generation) == (2, 0, 2)
    assert noted.state.crash is None
    assert seen.container is not None
    assert (seen.container.state, seen.container.exit) == (ContainerState.RUNNING, None)


def test_a_start_that_nobody_asked_for_is_one() -> None:
    """And the crash before it is remembered."""
    record = pod(crash=crash())
    noted, _ = after(record, sees(exited())(record), StartContainer(ID, unasked=True))
    assert (noted.state.starts, noted.state.restarts) == (2, 1)
    assert noted.state.crash == crash()


def test_an_end_is_noted_with_its_run() -> None:
    record = pod(starts=3)
    result = Exit(code=7, oom_killed=True, started_at=NOW - 5, finished_at=NOW)
    noted, seen = after(record, sees(exited())(record), RecordExit(ID), ExitFound(result))
    assert noted.state.crash is not None
    assert (noted.state.crash.run, noted.state.crash.exit_code, noted.state.crash.oom_killed) == (3, 7, True)
    assert noted.state.phase is Phase.PENDING
    assert "exit code 7" in (noted.state.reason or "")
    assert seen.container is not None
    assert seen.container.exit == result


def test_a_container_that_was_removed_is_gone() -> None:
    """And what it had begun to fill is a leftover from here on."""
    record = begun_pod(container_id=ID)
    noted, seen = after(record, sees(created(), fresh="one")(record), RemoveContainer(ID))
    assert noted.state.container_id is None
    assert (seen.container, seen.fresh) == (None, None)


def test_a_removed_volume_is_forgotten_unless_it_held_data() -> None:
    """One that was filled stays in the layout, so that it is missed."""
    record = pod(unfilled="var")
    noted, seen = after(record, sees()(record), RemoveVolume("pinacle-vol-a-var"))
    assert "var" not in {volume.name for volume in noted.state.layout}
    assert "pinacle-vol-a-var" not in seen.volumes
    assert "pinacle-vol-a-home" in seen.volumes
    noted, _ = after(record, sees()(record), RemoveVolume("pinacle-vol-a-home"))
    assert noted.state.layout == record.state.layout


@pytest.mark.parametrize("gone", [True, False])
def test_a_volume_that_was_not_empty_is_still_there(gone: bool) -> None:
    """Then it is taken for the owner's when the layout is begun."""
    record = begun_pod()
    _, seen = after(record, sees()(record), RemoveEmptyVolume("pinacle-vol-a-var"), VolumeRemoved(gone))
    assert ("pinacle-vol-a-var" in seen.volumes) != gone
    noted, _ = after(record, seen, BeginFill(), FillBegun("two"))
    assert ("var" in {volume.name for volume in noted.state.layout if volume.filled}) != gone


def test_a_made_volume_is_seen() -> None:
    record = begun_pod()
    whole = sees()(record)
    made = whole.volumes["pinacle-vol-a-home"]
    _, seen = after(
        record, sees(without="home")(record), CreateVolume(record.state.layout[1]), VolumeCreated(made)
    )
    assert seen.volumes == whole.volumes


def test_states_of_a_container_follow_from_the_steps() -> None:
    record = pod()
    seen = sees(running())(record)
    _, stopped = after(record, seen, StopContainer(ID, 10))
    assert stopped.container is not None
    assert stopped.container.state is ContainerState.EXITED
    _, awake = after(record, stopped, UnpauseContainer(ID))
    assert awake.container is not None
    assert awake.container.state is ContainerState.RUNNING


def test_a_live_update_notes_the_tier() -> None:
    record = pod()
    noted, _ = after(record, sees(running())(record), UpdateContainer(ID, "dev.large"))
    assert noted.state.tier == "dev.large"


def test_a_finished_purge_forgets_the_pod() -> None:
    record = pod(intent={"generation": 5, "purge_generation": 4}, crash=crash(), restarts=3)
    noted, _ = after(record, sees()(record), FinishPurge())
    assert (noted.state.purged_generation, noted.state.phase) == (4, Phase.DELETED)
    assert (noted.state.layout, noted.state.crash, noted.state.restarts) == ((), None, 0)
