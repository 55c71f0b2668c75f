"""What is kept of a container when another one replaces it, and what prevents that."""

from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.shapes import seen_shape
from tests.support.situations import (
    BELOW,
    DATABASE,
    IMAGE,
    LABELS,
    NOW,
    OTHER_IMAGE,
    OVERLAYS,
    OWN,
    SYSTEM,
    View,
    asked_again,
    begun_pod,
    created,
    described,
    exited,
    looked,
    new_pod,
    pod,
    room,
    running,
    sees,
    stopped_pod,
    stopping_pod,
)
from worker.planner.decision import Plan
from worker.planner.steps import FindFolders
from worker.planner.volumes.adopting import plan_adoption
from worker.planner.volumes.keeping import rests_without
from worker.planner.volumes.kept import (
    _too_many,
    foreign_mounts,
    keeping,
    keeping_nested,
    nested_places,
    places,
    space_problem,
    volume_for,
)
from worker.planner.volumes.replacing import give_up_copies, look_of, plan_nested, plan_replacing
from worker.pods.layout import looked_paths
from worker.pods.model import Installation, Record, SystemMode
from worker.pods.observation import Observation, ObservedContainer
from worker.pods.own_root import Look, Measured, Standing

LATER: Final = "e" * 64
DATA: Final = "pinacle-vol-a-declared.data"
FOREIGN: Final[dict[str, str]] = {}
"""The labels of a container that is to be adopted."""


def scene(record: Record, view: View) -> tuple[Record, Observation, ObservedContainer]:
    seen = view(record)
    if record.image is not None:
        seen = seen.evolve(shapes={record.image.id: seen_shape(looked_paths(record, record.image), {})})
    assert seen.container is not None
    return record, seen, seen.container


def kept(record: Record, view: View, look: Look) -> tuple[tuple[str, ...], str]:
    found = keeping(*scene(record, view), look)
    return found.paths, found.problem or ""


def discarding(*paths: str, **more: Any) -> Record:
    return asked_again(**more, intent={"discard": paths, "discard_generation": 2})


def test_what_has_a_volume_of_the_pod_already_is_not_kept_once_more() -> None:
    record = asked_again(declared=["/data"])
    assert kept(record, sees(exited(other_spec=True)), looked("/data", "/new")) == (("/new",), "")


def test_what_was_begun_from_this_very_container_is_still_kept() -> None:
    record = asked_again(declared=["/data"], copied="/data", unfilled="declared.data")
    assert kept(record, sees(exited(other_spec=True, mounts=["x"])), looked("/data")) == (("/data",), "")


@pytest.mark.parametrize(
    ("given_up", "left"), [("/data", ()), ("/data/db", ("/data",)), ("/dat", ("/data",))]
)
def test_what_is_given_up_goes_with_all_that_is_below_it(given_up: str, left: tuple[str, ...]) -> None:
    look = looked("/data", "/data/db")
    found, problem = kept(discarding(given_up, image=DATABASE), sees(exited(other_spec=True)), look)
    expected = left if given_up != "/dat" else ("/data", "/data/db")
    assert (found, problem) == (expected, "")


def test_system_directories_are_kept_together_if_the_image_becomes_another() -> None:
    """Programs of one image and libraries of another would not fit together; within one image they do."""
    look = replace(looked("/usr"), system=("/lib",))
    assert kept(asked_again(), sees(exited(other_spec=True)), look) == (("/usr",), "")
    other = kept(asked_again(image=OTHER_IMAGE), sees(exited(other_spec=True)), look)
    assert other == (("/lib", "/usr"), "")


def test_a_volume_that_stands_where_one_would_be_made_is_in_the_way() -> None:
    found, problem = kept(
        asked_again(), sees(exited(other_spec=True), more={"declared.data": {}}), looked("/data")
    )
    assert f"volume {DATA} exists for it" in problem
    assert found == ("/data",)


def test_a_volume_that_holds_an_earlier_one_is_neither_written_over_nor_hidden() -> None:
    labels = {**LABELS, "dev.pinacle.volume": "declared.data.db", "dev.pinacle.path": "/data/db"}
    _, problem = kept(
        asked_again(), sees(exited(other_spec=True), more={"declared.data.db": labels}), looked("/data")
    )
    assert "holds an earlier /data/db" in problem


@pytest.mark.parametrize(
    ("look", "why"),
    [(looked(other="/link"), "/link (a file or link in /)"), (looked(nothing="/app"), "/app (removed")],
)
def test_what_no_volume_can_hold_refuses_it(look: Look, why: str) -> None:
    assert why in kept(asked_again(), sees(exited(other_spec=True)), look)[1]
    path = next(iter(look.found))
    assert kept(discarding(path), sees(exited(other_spec=True)), look) == ((), "")


def test_a_refusal_says_how_to_keep_things_or_to_give_them_up() -> None:
    """An adoption cannot give anything up; if there are many things, the first twenty are named."""
    view = sees(exited(other_spec=True))
    said = kept(asked_again(), view, looked(other="/link"))[1]
    assert said.endswith(
        "(a file or link in /): move them into a directory, such as /root, or give up what is there with "
        "pods.update(…, discard=['/link'])"
    )
    adopted = kept(asked_again(intent={"adopt": True}), view, looked(other="/link"))[1]
    assert adopted.endswith("in /): move them into a directory or remove them, then ask again")
    names = [f"/link-{number:02}" for number in range(21)]
    for number, more in ((20, "in /): move"), (21, "in /) and 1 more: move")):
        found = dict.fromkeys(names[:number], Standing.OTHER)
        said = kept(asked_again(), view, Look(container_id="c" * 64, found=found, ended=True))[1]
        assert more in said
        assert "/link-19" in said
        assert "/link-20" not in said


def test_a_foreign_container_s_volumes_are_kept_but_for_those_that_never_persist_and_its_own() -> None:
    mounts = {"/data": "theirs", "/tmp": "theirs-too", "/home": "pinacle-vol-a-home", "/srv": "other"}
    record, seen, container = scene(
        pod(image=DATABASE, intent={"adopt": True}), sees(exited(labels=FOREIGN, volumes=mounts))
    )
    assert foreign_mounts(record, seen, container) == ("/data", "/srv")
    assert "/data" in places(record, seen, container)
    assert foreign_mounts(record, seen, replace(container, labels=LABELS)) == ()


def test_a_foreign_container_with_directories_of_the_host_is_refused_unless_they_are_given_up() -> None:
    view = sees(exited(labels=FOREIGN, binds=("/host", "/host2")))
    assert "/host, /host2" in kept(asked_again(), view, looked())[1]
    assert kept(discarding("/host", "/host2"), view, looked())[1] == ""


def test_a_container_of_the_spec_s_image_has_no_places_to_look_at() -> None:
    record, seen, container = scene(asked_again(image=DATABASE, whole_for=DATABASE.id), sees(exited()))
    assert places(record, seen, container) == ()
    record, seen, container = scene(asked_again(image=DATABASE), sees(exited()))
    assert places(record, seen, container) == ("/data",)


def below(record: Record) -> Observation:
    seen = sees()(record)
    return seen.evolve(shapes={BELOW.id: seen_shape(looked_paths(record, BELOW), {})})


def test_of_volumes_below_others_only_those_that_have_not_begun_are_looked_at() -> None:
    fresh = asked_again(image=BELOW)
    assert nested_places(fresh, below(fresh)) == ("/srv/db",)
    by_image = asked_again(image=BELOW, declared=["/srv/db"], unfilled="declared.srv.db")
    assert nested_places(by_image, below(by_image)) == ()
    copying = asked_again(image=BELOW, declared=["/srv/db"], unfilled="declared.srv.db", copied="/srv/db")
    assert nested_places(copying, below(copying)) == ("/srv/db",)


def test_of_what_was_looked_at_below_a_volume_only_new_places_count() -> None:
    record = asked_again(image=BELOW)
    look = looked("/srv/db", "/srv/else", container_id="", places=True)
    assert keeping_nested(record, below(record), look).paths == ("/srv/db",)
    given_up = discarding("/srv", image=BELOW)
    assert keeping_nested(given_up, below(given_up), look).paths == ()
    a_link = looked(other="/srv/db", container_id="", places=True)
    assert "/srv/db (a volume is to be here" in str(keeping_nested(record, below(record), a_link).problem)


MEASURED: Final = room("/data")


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        (MEASURED, None),
        (
            MEASURED.evolve(free_bytes=2_999_999),
            "/data 2 MB; /v has 2 MB free, of which 1 MB stay",
        ),
        (MEASURED.evolve(free_bytes=3_000_000), None),
        (MEASURED.evolve(free_bytes=None), None),
        (MEASURED.evolve(most_bytes=1_999_999), "at most 1 MB are copied within PINACLE_FILL_DEADLINE_S"),
        (MEASURED.evolve(init_is_hidden=True), "would hide the Engine's init"),
    ],
)
def test_there_is_room_for_it_or_it_is_said_what_is_missing(measured: Measured, why: str | None) -> None:
    """A hidden init is reported even if there is room, as nothing would start."""
    found = space_problem(asked_again(), measured, 1_000_000)
    assert (found is None) if why is None else (why in str(found))


def test_what_needs_most_room_is_named_first_and_holes_if_they_count() -> None:
    measured = room("/a").evolve(
        paths=("/a", "/b"), sizes={"/a": 500_000, "/b": 1_500_000}, most_bytes=2_000_000, free_bytes=0
    )
    holes = " (holes of sparse files cannot be kept here, so they count)"
    for keeps_holes, words in ((True, ""), (False, holes)):
        found = str(space_problem(asked_again(), measured.evolve(keeps_holes=keeps_holes), 0))
        assert f"needs 2 MB{words}: /b 2 MB, /a 1 MB; /v has 0 MB free" in found
        assert found.endswith("or give up what is there with pods.update(…, discard=['/a', '/b'])")
    adopting = str(space_problem(asked_again(intent={"adopt": True}), measured, 0))
    assert adopting.endswith("Make it smaller, or make room")


def test_a_look_counts_only_for_the_container_and_the_places_that_are_asked_for() -> None:
    seen = sees(running(), look=looked("/data", places=True))(pod())
    assert look_of(seen, FindFolders("c" * 64, ("/data",))) is not None
    assert look_of(seen, FindFolders("d" * 64, ("/data",))) is None
    assert look_of(seen, FindFolders("c" * 64, ("/data", "/other"))) is None


def replacing(record: Record, view: View) -> tuple[str, ...]:
    record, seen, container = scene(record, view)
    return described(record, plan_replacing(record, seen, container, NOW, OWN).steps)


def test_a_foreign_container_that_never_ran_is_looked_into_all_the_same() -> None:
    """Files may have been copied into it."""
    adopting = asked_again(intent={"adopt": True})
    assert replacing(adopting, sees(created(labels=FOREIGN))) == ("find_folders",)
    assert replacing(adopting, sees(created())) == ("remove_container",)


def test_another_directory_since_the_copies_were_named_has_them_named_again() -> None:
    record = asked_again(declared=["/data"], copied="/data")
    view = sees(
        exited(other_spec=True, mounts=["x"]),
        look=looked("/data", "/later", places=True),
        measured=room("/data", "/later"),
        fresh="one",
    )
    assert replacing(record, view) == ("distrust_copies", "remove_volume declared.data", "give_up_copies")


def test_all_directories_that_are_kept_are_copied_before_any_counts_as_filled() -> None:
    record = asked_again(
        declared=["/data", "/later"], unfilled="declared.data declared.later", copied="/data /later"
    )
    view = sees(
        exited(other_spec=True, mounts=["x"]),
        look=looked("/data", "/later", places=True),
        measured=room("/data", "/later"),
        fresh="one",
        without="declared.data declared.later",
    )
    assert replacing(record, view) == (
        "create_volume declared.data",
        "copy_folder /data declared.data",
        "create_volume declared.later",
        "copy_folder /later declared.later",
        "commit_fill /data /later",
    )


def test_what_stays_free_on_the_disk_is_not_used_for_what_is_kept() -> None:
    record, seen, container = scene(
        asked_again(),
        sees(running(other_spec=True), look=looked("/data"), measured=room("/data", free=100)),
    )
    for min_free_mb, words in ((98, ""), (99, "99 MB stay (PINACLE_MIN_FREE_MB)")):
        decided = plan_replacing(record, seen, container, NOW, replace(OWN, min_free_mb=min_free_mb))
        assert words in str(decided.reason)
        assert (decided.given_up is not None) == bool(words)


def test_what_is_on_a_volume_below_which_another_begins_is_copied_into_that() -> None:
    record = asked_again(image=BELOW, declared=["/srv/db"], unfilled="declared.srv.db", copied="/srv/db")
    view = sees(
        look=looked("/srv/db", container_id="", places=True),
        measured=room("/srv/db"),
        without="declared.srv.db",
    )
    seen = view(record).evolve(shapes={BELOW.id: seen_shape(looked_paths(record, BELOW), {})})
    decided = plan_nested(record, seen, NOW, OWN)
    assert decided is not None
    assert described(record, decided.steps) == (
        "create_volume declared.srv.db",
        "copy_folder /srv/db declared.srv.db",
        "commit_fill /srv/db",
    )


def test_a_directory_that_was_not_measured_is() -> None:
    view = sees(running(other_spec=True), look=looked("/data", "/later"), measured=room("/data"))
    assert replacing(asked_again(), view) == ("measure_folders /data /later",)


def test_a_volume_that_bears_another_incarnation_is_no_copy_of_ours() -> None:
    """A person may have replaced the copy meanwhile: only ours is removed."""
    record = asked_again(declared=["/data"], copied="/data")
    record, seen, container = scene(record, sees(exited(mounts=["x"]), replaced="declared.data"))
    assert described(record, give_up_copies(record, seen, container)) == ("give_up_copies",)


def test_a_container_in_the_way_of_a_look_at_volumes_goes_first() -> None:
    """It never ran, and it holds the new volumes."""
    record = asked_again(image=BELOW)
    seen = sees(created(other_spec=True))(record)
    seen = seen.evolve(shapes={BELOW.id: seen_shape(looked_paths(record, BELOW), {})})
    decided = plan_nested(record, seen, NOW, OWN)
    assert decided is not None
    assert described(record, decided.steps) == ("remove_container",)


def test_what_the_image_fills_below_a_volume_is_no_copy() -> None:
    """Of two new volumes below others, one begins with the image's files, the other with what is there."""
    image = replace(BELOW, volumes=("/srv/db", "/opt/db"))
    record = asked_again(image=image, declared=["/opt/db"], unfilled="declared.opt.db")
    look = Look(container_id="", found={"/srv/db": Standing.DIRECTORY}, places=("/srv/db",), ended=True)
    seen = sees(look=look, measured=room("/srv/db"))(record)
    seen = seen.evolve(shapes={image.id: seen_shape(looked_paths(record, image), {})})
    decided = plan_nested(record, seen, NOW, OWN)
    assert decided is not None
    assert described(record, decided.steps) == ("begin_keep /srv/db",)


def test_nothing_is_nested_if_nothing_was_begun() -> None:
    record = begun_pod(image=IMAGE)
    assert plan_nested(record, sees()(record), NOW, OWN) is None


def test_an_adoption_asks_what_is_in_the_way_before_anything_is_made() -> None:
    """Only if nothing was made yet, and only from a container that is not the pod's."""
    adopting = new_pod(intent={"adopt": True})
    look = looked(other="/link", places=True)
    refused = adoption(adopting, sees(exited(labels=FOREIGN), look=look))
    assert refused is not None
    assert refused.given_up is not None
    assert "/link" in refused.given_up.reason
    assert adoption(asked_again(intent={"adopt": True}), sees(exited(labels=FOREIGN), look=look)) is None
    assert adoption(adopting, sees(exited(), look=look)) is None
    assert adoption(adopting, sees(exited(labels=FOREIGN), look=looked("/data", places=True))) is None


@pytest.mark.parametrize(
    ("mode", "own", "steps"),
    [
        (None, OVERLAYS, ("prepare_system copy",)),
        (None, OWN, ()),
        (SystemMode.COPY, OVERLAYS, ()),
        (SystemMode.OVERLAY, OWN, ("prepare_system copy",)),
    ],
)
def test_changed_programs_of_an_adopted_container_are_copied_and_not_laid_over_a_base(
    mode: SystemMode | None, own: Installation, steps: tuple[str, ...]
) -> None:
    system = None if mode is None else SYSTEM.evolve(mode=mode)
    record = new_pod(intent={"adopt": True}).evolve(state=new_pod().state.evolve(system=system, layout=()))
    decided = adoption(record, sees(exited(labels=FOREIGN), look=looked("/usr", places=True)), own)
    assert (() if decided is None else described(record, decided.steps)) == steps


def adoption(record: Record, view: View, own: Installation = OWN) -> Plan | None:
    record, seen, container = scene(record, view)
    assert seen.look is not None
    look = replace(seen.look, places=places(record, seen, container))
    return plan_adoption(record, seen.evolve(look=look), own, NOW)


def test_only_what_rests_stopped_may_be_without_a_container() -> None:
    assert rests_without(stopped_pod())
    for record in (pod(), stopping_pod(), asked_again()):
        assert not rests_without(record)


def test_what_is_kept_is_named_as_the_image_s_links_have_it() -> None:
    record = pod(image=DATABASE)
    seen = sees(links={"/data": "/mnt2"})(record)
    assert volume_for(record, seen, "/mnt2").path == "/data"
    assert volume_for(record, sees()(record), "/mnt2").path == "/mnt2"


@pytest.mark.parametrize(("count", "end"), [(1, ": /f0"), (20, ", /f19"), (21, ", /f19, …")])
def test_of_too_many_directories_the_first_are_named(count: int, end: str) -> None:
    before = [f"/b{number}" for number in range(32)]
    record = asked_again(declared=before, copied=" ".join(before), container_id=LATER)
    container = running(id=LATER)(record)
    problem = _too_many(record, container, [f"/f{number}" for number in range(count)])
    assert problem is not None
    assert problem.endswith(end)
