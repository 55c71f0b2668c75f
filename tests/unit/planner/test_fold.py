"""What is noted once a step has succeeded, and what is then true without looking again."""

from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.situations import (
    DATABASE,
    IMAGE,
    NOW,
    OTHER_IMAGE,
    PULLED,
    SECOND,
    UNIVERSAL,
    asked_again,
    begun_pod,
    crash,
    created,
    deleting_pod,
    exited,
    looked,
    new_pod,
    pod,
    room,
    running,
    sees,
)
from worker.planner.backoff import lost_crash, next_crash
from worker.planner.exit_reason import ending
from worker.planner.fold.fold import fold
from worker.planner.fold.results import (
    DONE,
    ContainerCreated,
    DirectoriesCompared,
    ExitFound,
    FillBegun,
    FoldersFound,
    FoldersMeasured,
    ImagePinned,
    StepResult,
    VolumeCreated,
    VolumeRemoved,
    VolumesRead,
)
from worker.planner.steps import (
    BeginFill,
    BeginKeep,
    BeginStop,
    CommitFill,
    CompareDirectories,
    ConnectNetwork,
    CopyFolder,
    CreateContainer,
    CreateVolume,
    DistrustCopies,
    FindFolders,
    FinishPurge,
    GiveUpCopies,
    MeasureFolders,
    NoteLost,
    PinImage,
    ReadVolumes,
    RecordExit,
    RemoveContainer,
    RemoveDirectory,
    RemoveEmptyVolume,
    RemoveVolume,
    RenameContainer,
    RenewDirectories,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
    UpdateContainer,
)
from worker.pods.model import Phase, Record
from worker.pods.observation import Comparison, ContainerState, Exit, Observation, ObservedContainer
from worker.pods.own_root import Look, Standing

ID = "c" * 64
MEASURED: Final = room("/data")


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


def test_what_another_image_fills_anew_is_outdated_until_it_is_removed() -> None:
    """What its owner has changed stays, is no image's any more, and is told beside what was kept before."""
    before = pod(declared=("/app", "/site"), kept=("/mine",), kept_generation=1, whole_for="sha256:1")
    layout = tuple(volume.evolve(image=IMAGE.id) for volume in before.state.layout)
    record = before.evolve(state=before.state.evolve(layout=layout))
    *others, app, site = layout
    noted, _ = after(record, sees()(record), RenewDirectories(renewed=(app,), kept=(site,)))
    state = noted.state
    assert state.layout == (*others, site.evolve(image=None))
    assert (state.outdated, state.kept, state.whole_for) == ((app,), ("/mine", "/site"), None)
    again, _ = after(noted, sees()(noted), RenewDirectories(renewed=(others[0],), kept=()))
    assert again.state.outdated == (app, others[0])
    removed, _ = after(again, sees()(again), RemoveDirectory(app))
    assert removed.state.outdated == (others[0],)


@pytest.mark.parametrize(("container", "ended"), [(running(), False), (exited(), True), (None, True)])
def test_a_comparison_says_whether_anything_could_change_since(container: Any, ended: bool) -> None:
    record = pod(declared=("/app", "/site"))
    app, site = record.state.layout[-2:]
    compared = DirectoriesCompared(frozenset({app.name}))
    _, seen = after(record, sees(container)(record), CompareDirectories((app, site)), compared)
    assert seen.compared == Comparison(
        names=frozenset({app.name, site.name}), unchanged=frozenset({app.name}), ended=ended
    )


def test_a_created_container_is_noted_with_what_it_was_given() -> None:
    """It is pending again: followers of the pod learn that its container was away."""
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
    """And the earlier crash is remembered."""
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
    """And what it had begun to fill is a leftover from now on."""
    record = begun_pod(container_id=ID)
    noted, seen = after(record, sees(created(), fresh="one")(record), RemoveContainer(ID))
    assert noted.state.container_id is None
    assert (seen.container, seen.fresh) == (None, None)


def test_a_removed_volume_is_forgotten_unless_it_held_data() -> None:
    """One that was filled stays in the layout, so that it counts as missing."""
    record = pod(unfilled="var")
    noted, seen = after(record, sees()(record), RemoveVolume("pinacle-vol-a-var"))
    assert "var" not in {volume.name for volume in noted.state.layout}
    assert "pinacle-vol-a-var" not in seen.volumes
    assert "pinacle-vol-a-home" in seen.volumes
    noted, _ = after(record, sees()(record), RemoveVolume("pinacle-vol-a-home"))
    assert noted.state.layout == record.state.layout


@pytest.mark.parametrize("gone", [True, False])
def test_a_volume_that_was_not_empty_is_still_there(gone: bool) -> None:
    """It then counts as the owner's when the layout is begun."""
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


def test_what_is_done_to_a_second_container_is_seen_on_it_alone() -> None:
    """The pod's own container is as it was, in record and observation."""
    record = pod()
    own, second = running()(record), replace(running()(record), id=SECOND, name="second")
    third = replace(second, id="e" * 64, name="third")
    paused = replace(second, state=ContainerState.PAUSED)
    table: list[tuple[Step, ObservedContainer, list[ObservedContainer]]] = [
        (StopContainer(SECOND, 3), second, [replace(second, state=ContainerState.EXITED)]),
        (UnpauseContainer(SECOND), paused, [second]),
        (RenameContainer(SECOND, "aside"), second, [replace(second, name="aside")]),
        (RemoveContainer(SECOND), second, []),
        (BeginStop(SECOND, 3), second, [second]),
    ]
    for step, before, left in table:
        seen = sees(lambda _: own)(record).evolve(others=(before, third))
        noted, then = after(record, seen, step)
        assert then == seen.evolve(others=(*left, third)), step
        assert noted.state.container_id == ID


def test_what_a_container_was_found_to_hold_is_known_after_it_has_gone() -> None:
    """It was kept, so nothing else was at the places that were looked at, and nothing was measured."""
    record = pod()
    look = replace(looked("/data"), places=("/data",))
    seen = sees(exited())(record).evolve(look=look, measured=MEASURED, fresh="one")
    _, then = after(record, seen, RemoveContainer(ID))
    assert then.look == replace(look, container_id="", found={})
    assert (then.container, then.fresh, then.measured) == (None, None, None)
    _, never = after(record, seen.evolve(look=None), RemoveContainer(ID))
    assert never.look is None


@pytest.mark.parametrize(
    ("container", "ended"), [(None, True), (exited(), True), (created(), True), (running(), False)]
)
def test_a_look_is_whole_once_the_container_has_ended(container: Any, ended: bool) -> None:
    """While it runs, it goes on writing."""
    record = pod()
    look = Look(container_id=ID, places=("/data",), found={"/data": Standing.DIRECTORY}, ended=not ended)
    _, seen = after(record, sees(container)(record), FindFolders(ID, ("/data",)), FoldersFound(look))
    assert seen.look == replace(look, ended=ended)


def test_what_was_measured_is_known() -> None:
    record = pod()
    step = MeasureFolders(ID, ("/data",))
    assert after(record, sees()(record), step, FoldersMeasured(MEASURED))[1].measured == MEASURED


def test_copies_that_are_not_trusted_are_not_filled_any_more() -> None:
    """Volumes from another container are the pod's; given-up ones leave the layout and are not fresh."""
    record = pod(declared=["/data", "/more"], copied="/data", kept=("/data",), kept_generation=1)
    noted, seen = after(record, sees(fresh="one")(record), DistrustCopies(ID))
    assert [volume.path for volume in noted.state.layout if not volume.filled] == ["/data"]
    assert len(noted.state.layout) == len(record.state.layout)
    assert seen.fresh == "one"
    left, then = after(noted, seen, GiveUpCopies(ID))
    assert [volume.path for volume in left.state.layout if volume not in record.state.layout] == []
    assert {volume.path for volume in record.state.layout} - {v.path for v in left.state.layout} == {"/data"}
    assert (left.state.kept, left.state.kept_generation, then.fresh) == ((), 0, None)
    other, _ = after(record, sees()(record), GiveUpCopies("e" * 64))
    assert other.state.layout == record.state.layout
    # Copied and filled, neither copied nor filled: both are given up; the owner's own stay.
    both = pod(declared=["/data", "/more"], copied="/data", unfilled="declared.more")
    given_up, _ = after(both, sees()(both), GiveUpCopies(ID))
    own = {volume.path for volume in both.state.layout} - {"/data", "/more"}
    assert {volume.path for volume in given_up.state.layout} == own
    copying, same = after(record, sees(fresh="one")(record), CopyFolder(ID, "/data", record.state.layout[-1]))
    assert (copying, same) == (record, sees(fresh="one")(record))


def test_what_is_kept_is_noted_with_its_intent() -> None:
    record = asked_again()
    noted, _ = after(record, sees()(record), BeginKeep(("/data",), ID), FillBegun("second"))
    assert (noted.state.kept, noted.state.kept_generation) == (("/data",), 2)


def test_a_volume_goes_where_the_image_leads_its_path() -> None:
    """Both a first layout and what is kept depend on what was seen of the image."""
    record = new_pod()
    linked = sees(links={"/opt": "/var"})(record)
    noted, _ = after(record, linked, BeginFill(), FillBegun("first"))
    assert {volume.name for volume in noted.state.layout} == set(UNIVERSAL.split()) - {"var"}
    kept = pod(image=DATABASE)
    begun, _ = after(
        kept, sees(links={"/data": "/mnt2"})(kept), BeginKeep(("/mnt2",), ID), FillBegun("second")
    )
    assert begun.state.layout[-1].path == "/data"
    bare = new_pod(image=None)
    without, _ = after(bare, sees()(bare), BeginFill(), FillBegun("first"))
    assert {volume.name for volume in without.state.layout} == set(UNIVERSAL.split())


def test_a_container_that_is_renamed_or_attached_is_seen_so() -> None:
    record = pod()
    container = running()(record)
    step = ConnectNetwork(ID, "net")
    for networks, then in ((("other",), ("other", "net")), ((), ("net",)), (None, ("net",))):
        seen = sees()(record).evolve(container=replace(container, networks=networks))
        assert after(record, seen, step)[1].container == replace(container, networks=then)
    renamed = after(record, sees(running())(record), RenameContainer(ID, "aside"))[1].container
    assert renamed == replace(container, name="aside")


def test_an_image_that_was_found_again_is_not_gone() -> None:
    record, gone = pod(), frozenset({IMAGE.id, OTHER_IMAGE.id})
    _, seen = after(record, sees(gone_images=gone)(record), PinImage("image"), ImagePinned(OTHER_IMAGE))
    assert seen.gone_images == {IMAGE.id}


def test_bases_that_were_read_again_are_the_present_ones() -> None:
    record = pod()
    seen = sees()(record).evolve(bases={})
    fresh = sees()(record)
    assert after(record, seen, ReadVolumes(), VolumesRead(fresh))[1].bases == fresh.bases


def test_a_container_that_nobody_saw_end_is_noted_as_lost() -> None:
    record = pod(starts=3)
    noted, seen = after(record, sees()(record), NoteLost())
    assert noted.state.crash == lost_crash(run=3, now=NOW)
    assert seen == sees()(record)


def test_ends_in_a_row_are_counted_and_reported_by_the_spec() -> None:
    record = pod(
        starts=2,
        crash=crash(run=1, count=4, next_try_at=NOW),
        spec={"command": ("nosuchprogram",)},
    )
    ended = Exit(code=127, oom_killed=False, started_at=NOW - 1, finished_at=NOW)
    noted, _ = after(record, sees(exited())(record), RecordExit(ID), ExitFound(ended))
    expected = next_crash(record.state.crash, ended, run=2, pod_id="a", now=NOW)
    assert noted.state.crash == expected
    assert expected.count == 5
    assert expected != next_crash(record.state.crash, ended, run=2, pod_id="b", now=NOW)
    assert noted.state.reason == ending(expected, record.intent.spec)
    assert noted.state.reason != ending(expected, None)


def test_a_created_container_uses_up_what_was_given_up_and_asked_for() -> None:
    record = asked_again(
        intent={"discard": ("/data",), "discard_generation": 2, "recreate_generation": 1}, image=OTHER_IMAGE
    )
    older = record.evolve(intent=record.intent.evolve(image=PULLED), state=record.state.evolve(image=None))
    noted, _ = after(older, sees()(older), CreateContainer(), ContainerCreated(created()(record)))
    assert (noted.state.discarded_generation, noted.state.recreated_generation) == (2, 1)
    assert noted.state.image == older.image == PULLED
    bare = record.evolve(intent=record.intent.evolve(spec=None))
    told, _ = after(bare, sees()(record), CreateContainer(), ContainerCreated(created()(record)))
    assert told.state.tier is None


def test_what_was_found_of_an_unknown_pod_is_remembered() -> None:
    """Its deletion says whether there was anything."""
    record = deleting_pod(intent={"unknown": True})
    for step in (RemoveVolume("pinacle-vol-a-home"), RemoveContainer(ID)):
        noted, _ = after(record, sees(running())(record), step)
        assert noted.state.remains
        assert after(noted, sees()(record), FinishPurge())[0].state.remains
    known = deleting_pod()
    assert not after(known, sees(running())(known), RemoveVolume("pinacle-vol-a-home"))[0].state.remains
