"""The table of situations for pods on a pool; see `test_situations` for how to read and to extend it."""

from dataclasses import replace
from typing import Any, Final

import pytest

from config.tiers import storage_by_tier
from tests.support.situations import (
    DATABASE,
    IMAGE,
    LABELS,
    MINE,
    NOW,
    ON_POOL,
    OTHER_IMAGE,
    POOLS,
    UNIVERSAL,
    Situation,
    asked_again,
    begun_pod,
    committed_pod,
    created,
    deleting_pod,
    exited,
    layout,
    looked,
    made_by,
    new_pod,
    on_pool,
    pod,
    renamed,
    room,
    running,
    sees,
    stopped_pod,
    tombstone,
)
from tests.support.situations import case as row
from worker.planner.plan import plan
from worker.pods import naming
from worker.pods.layout import declared_name
from worker.pods.model import SUBVOLUME, SYSTEM, Phase, PinnedImage, Record, Volume, VolumeClass
from worker.pods.observation import Comparison, ObservedSize, OnPool

DELETED, DELETING, FAILED, PENDING = Phase.DELETED, Phase.DELETING, Phase.FAILED, Phase.PENDING
RUNNING, STOPPED, MISSING = Phase.RUNNING, Phase.STOPPED, Phase.STORAGE_MISSING
POINTERS: Final = f"usr {UNIVERSAL}"
"""The names of all volumes of a pod on a pool."""
FIRST: Final = {each.path: naming.volume_name("a", each.name) for each in layout(system=ON_POOL)}
"""What its container mounts that was made when its subvolume was."""
REMOVED: Final = " ".join(["remove_volume", *(f"{name} on_others" for name in POINTERS.split())])
HAS: Final[dict[str, Any]] = {"system": ON_POOL, "subvolume": MINE}


APP: Final = Volume(
    name=declared_name("/app"),
    path="/app",
    volume_class=VolumeClass.DECLARED,
    incarnation="one",
    filled=True,
    image=IMAGE.id,
)
"""What the first image has directly below `/`."""


def later_pod(
    *, path: str = "/mine", filled: bool = False, copied_from: str | None = None, **more: Any
) -> Record:
    """Return a pod on a pool with a volume that a later creation has begun."""
    record = asked_again(**{"spec": {"hostname": "new"}, **more}, **HAS)
    later = Volume(
        name=declared_name(path),
        path=path,
        volume_class=VolumeClass.DECLARED,
        incarnation="two",
        filled=filled,
        copied_from=copied_from,
    )
    return record.evolve(state=record.state.evolve(layout=(*record.state.layout, later)))


def app_pod(
    *,
    outdated: bool = False,
    make: Any = asked_again,
    image: PinnedImage = OTHER_IMAGE,
    volume: dict[str, Any] | None = None,
    **intent: Any,
) -> Record:
    """Return a pod on a pool that gets another image; the first one had `/app`."""
    record: Record = make(image=image, intent={"image": image, **intent}, **HAS)
    left = () if outdated else (APP.evolve(**(volume or {})),)
    changed = {"layout": (*record.state.layout, *left), "outdated": (APP,) if outdated else ()}
    return record.evolve(state=record.state.evolve(**changed))


def compared(*unchanged: str, ended: bool = True) -> Comparison:
    """Show which volumes have what their image had."""
    return Comparison(names=frozenset({"declared.app"}), unchanged=frozenset(unchanged), ended=ended)


def case(words: str, *given: Any, **expected: Any) -> Any:
    return row(words, *given, **{"own": POOLS, **expected})


CREATION: Final = [
    case("a new pod", new_pod(), sees(pool=OnPool()), "prepare_system pool", phase=PENDING),
    case(
        "its volumes are noted: its subvolume is made under a name of its own",
        begun_pod(system=ON_POOL),
        sees(without=POINTERS, fresh="one", pool=on_pool()),
        "begin_subvolume",
        phase=PENDING,
    ),
    case(
        "the UUID of its subvolume is noted: it gets the pod's name",
        begun_pod(**HAS),
        sees(without=POINTERS, fresh="one", pool=on_pool(one="mine")),
        "name_subvolume",
        phase=PENDING,
    ),
    case(
        "its subvolume has its name: volumes that point into it are made, and the container",
        begun_pod(**HAS),
        sees(without=POINTERS, fresh="one"),
        f"create_volume {POINTERS}",
        "create_container",
        phase=PENDING,
    ),
    case(
        "its container is made: it is looked at whether the subvolume is still there",
        begun_pod(**HAS),
        sees(created(), fresh="one", volumes_current=False),
        "read_volumes",
        phase=PENDING,
    ),
    case(
        "all is there: that is noted before the first start",
        begun_pod(**HAS),
        sees(created(), fresh="one"),
        "commit_fill all",
        phase=PENDING,
    ),
    case("it is complete", committed_pod(**HAS), sees(created()), "start_container", phase=PENDING),
    case(
        "between its creation and its start somebody has put another subvolume in its place",
        committed_pod(**HAS),
        sees(created(), pool=on_pool("another")),
        "remove_container",
        phase=MISSING,
    ),
]
CUT_OFF: Final = [
    case(
        "its subvolume was begun, and that was never noted: it is begun again",
        begun_pod(system=ON_POOL),
        sees(without=POINTERS, pool=on_pool(one="mine")),
        "remove_subvolume mine one",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "its subvolume was begun and noted, and has not got its name",
        begun_pod(**HAS),
        sees(without=POINTERS, pool=on_pool(one="mine")),
        "remove_subvolume mine one",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "its subvolume has got its name, and nothing was ever started on it",
        begun_pod(**HAS),
        sees(created()),
        "remove_container",
        REMOVED,
        "remove_subvolume mine",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "the Engine did not come to note a volume's labels: it points to the pod's own, and goes",
        begun_pod(system=ON_POOL),
        sees(unlabelled="home", without=POINTERS.replace("home", ""), pool=on_pool()),
        "remove_volume home on_others",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "its volumes are rolled back, and its subvolume is not",
        new_pod(**HAS),
        sees(),
        "remove_subvolume mine",
        phase=PENDING,
    ),
    case(
        "the pool is not mounted: what was begun is not forgotten",
        begun_pod(**HAS),
        sees(without=POINTERS, pool=OnPool(problem="the pool is not mounted")),
        phase=MISSING,
        because="the pool is not mounted",
    ),
    case(
        "what has its name is another's: that stays",
        begun_pod(**HAS),
        sees(without=POINTERS, pool=on_pool("another")),
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "what has its name is another's: the pod is not made",
        begun_pod(system=ON_POOL),
        sees(without=POINTERS, fresh="one", pool=on_pool("another")),
        phase=FAILED,
        because="/pool/pods/a exists",
    ),
    case(
        "what was begun for it came too late: it has its data already",
        pod(**HAS),
        sees(exited(), pool=OnPool(subvolume=on_pool("mine").subvolume, begun={"two": "late"})),
        "remove_subvolume late two",
        phase=PENDING,
    ),
]
LIFE: Final = [
    case("it runs as it should", pod(**HAS), sees(running()), phase=RUNNING),
    case("it was stopped as asked", stopped_pod(**HAS), sees(exited()), phase=STOPPED),
    case("it ended", pod(**HAS), sees(exited()), "record_exit", phase=PENDING),
    case("its container is gone", pod(**HAS), sees(), "create_container", phase=PENDING),
    case(
        "its container is gone, and its volumes with it: they only point to its data",
        pod(**HAS),
        sees(without=POINTERS),
        f"create_volume {POINTERS}",
        phase=PENDING,
    ),
    case(
        "the pool is mounted elsewhere now: a volume that points to the old place is made again",
        pod(**HAS),
        sees(exited(), elsewhere="home"),
        "remove_container",
        "remove_volume home",
        "create_volume home",
        phase=PENDING,
    ),
    case(
        "a volume that holds files itself is in the place of one that points to its data",
        pod(**HAS),
        sees(plain="home"),
        phase=MISSING,
        because="was replaced by one that holds files itself",
    ),
]
STORAGE: Final = [
    case(
        "its subvolume is gone",
        pod(**HAS),
        sees(pool=on_pool()),
        phase=MISSING,
        because="subvolume mine, which holds all data",
    ),
    case(
        "another subvolume has its name",
        pod(**HAS),
        sees(pool=on_pool("another")),
        phase=MISSING,
        because="is another subvolume (another)",
    ),
    case(
        "the pool is not mounted: nothing is made",
        pod(**HAS),
        sees(pool=OnPool(problem="the pool is not mounted")),
        phase=MISSING,
        because="the pool is not mounted",
    ),
    case(
        "the pool was unmounted below a pod that runs: it is left alone",
        pod(**HAS),
        sees(running(), pool=OnPool(problem="the pool is not mounted")),
        phase=MISSING,
        because="the pool is not mounted",
    ),
    case(
        "the host has no pool any more",
        pod(**HAS),
        sees(pool=None),
        phase=MISSING,
        because="set PINACLE_POOL",
    ),
    case(
        "it is stopped, and its subvolume is gone",
        stopped_pod(**HAS),
        sees(exited(), pool=on_pool()),
        phase=MISSING,
        because="subvolume mine",
    ),
    case(
        "its data is there, and which subvolume holds it was lost from its record",
        pod(system=ON_POOL),
        sees(),
        phase=MISSING,
        because="which subvolume holds its data is not known",
    ),
]
DELETION: Final = [
    case(
        "it is deleted: its subvolume goes last, after what points to it",
        deleting_pod(**HAS),
        sees(running()),
        "remove_container force",
        REMOVED,
        "remove_subvolume mine",
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "it is deleted, and the pool is not mounted: it is not known to be gone",
        deleting_pod(**HAS),
        sees(running(), pool=OnPool(problem="the pool is not mounted")),
        phase=DELETING,
        because="the pool is not mounted",
    ),
    case(
        "it is deleted, and another subvolume has its name: that stays",
        deleting_pod(**HAS),
        sees(without=POINTERS, pool=on_pool("another")),
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "it is deleted before its subvolume got its name",
        deleting_pod(system=ON_POOL, unfilled=POINTERS),
        sees(without=POINTERS, pool=on_pool(one="mine")),
        "remove_subvolume mine one",
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "it was deleted, and what was begun for it came too late",
        tombstone(),
        sees(pool=on_pool(one="late")),
        "remove_subvolume late one",
        phase=DELETING,
    ),
    case(
        "it was deleted, and somebody has put a subvolume of its name there",
        tombstone(),
        sees(pool=on_pool("another")),
        phase=DELETED,
    ),
]
LATER: Final = [
    case(
        "its owner has made a directory in /, and there is room: it is noted, and gets a place",
        asked_again(spec={"hostname": "new"}, **HAS),
        sees(exited(other_spec=True), look=looked("/mine"), measured=room("/mine")),
        "begin_keep /mine",
        phase=PENDING,
    ),
    case(
        "that is noted: its place is made, under a name that was never used, and filled",
        later_pod(copied_from="c" * 64),
        sees(
            exited(other_spec=True, volumes=FIRST),
            look=looked("/mine"),
            measured=room("/mine"),
            without="declared.mine",
            fresh="two",
        ),
        "add_directory declared.mine",
        "create_volume declared.mine",
        "copy_folder /mine declared.mine",
        "commit_fill /mine",
        phase=PENDING,
    ),
    case(
        "that was cut off, and is not wanted any more: its place goes with what is in it",
        later_pod(copied_from="c" * 64, spec={}),
        sees(running(volumes=FIRST), look=looked()),
        "remove_directory declared.mine",
        "remove_volume declared.mine on_others",
        "give_up_copies",
        phase=PENDING,
    ),
    case(
        "another image with a VOLUME: that is begun, and gets a place",
        later_pod(path="/data", image=DATABASE, intent={"image": DATABASE}),
        sees(fresh="two", without="declared.data"),
        "add_directory declared.data",
        "create_volume declared.data",
        "create_container",
        phase=PENDING,
    ),
    case(
        "that was cut off: it is begun again under another name",
        later_pod(path="/data", image=DATABASE, intent={"image": DATABASE}),
        sees(),
        "remove_directory declared.data",
        "remove_volume declared.data on_others",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "its later volume is gone: it points to the same place again",
        later_pod(filled=True),
        sees(without="declared.mine"),
        "create_volume declared.mine",
        phase=PENDING,
    ),
    case(
        "its owner has changed nothing outside: its container is replaced, and its programs stay",
        asked_again(image=OTHER_IMAGE, intent={"image": OTHER_IMAGE}, **HAS),
        sees(exited(other_spec=True), look=looked()),
        "remove_container",
        phase=PENDING,
    ),
]
RENEWED: Final = [
    case(
        "another image, while it runs: what its owner did not touch is found out before it is stopped",
        app_pod(),
        sees(running(other_spec=True), look=looked()),
        "compare_directories declared.app",
        phase=PENDING,
    ),
    case(
        "that is known as of before: it is stopped",
        app_pod(),
        sees(running(other_spec=True), look=looked(), compared=compared("declared.app", ended=False)),
        "begin_stop 10",
        "stop_container 10",
        "find_folders",
        phase=PENDING,
    ),
    case(
        "its container is removed: it is found out again, as it ran meanwhile",
        app_pod(),
        sees(compared=compared("declared.app", ended=False)),
        "compare_directories declared.app",
        phase=PENDING,
    ),
    case(
        "its owner has touched nothing there: it is noted as outdated, and what points to it goes",
        app_pod(),
        sees(compared=compared("declared.app")),
        "remove_volume declared.app on_others",
        "renew_directories declared.app",
        phase=PENDING,
    ),
    case(
        "its owner has changed something there: it stays, and that is noted",
        app_pod(),
        sees(compared=compared()),
        "renew_directories kept declared.app",
        phase=PENDING,
    ),
    case(
        "its owner gives it up: nothing is compared",
        app_pod(discard=("/app",), discard_generation=3),
        sees(),
        "remove_volume declared.app on_others",
        "renew_directories declared.app",
        phase=PENDING,
    ),
    case(
        "it is a VOLUME of the next image: it stays the pod's own",
        app_pod(image=OTHER_IMAGE.evolve(volumes=("/app",))),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "it came from no image, or from the next one: nothing is compared",
        app_pod(volume={"image": None}),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "the next image filled it",
        app_pod(volume={"image": OTHER_IMAGE.id}),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "it is not directly below /: it stays the pod's own",
        app_pod(volume={"path": "/srv/app"}),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "it is a universal one: it stays the pod's own",
        app_pod(volume={"volume_class": VolumeClass.UNIVERSAL}),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "a second container of the pod mounts it: it stays as it is",
        app_pod(),
        sees(others=[renamed(exited(volumes={"/app": naming.volume_name("a", APP.name)}), second=True)]),
        "create_container",
        phase=PENDING,
    ),
    case(
        "what another image's has replaced is removed once that is noted",
        app_pod(outdated=True),
        sees(without="declared.app"),
        "remove_directory declared.app",
        phase=PENDING,
    ),
    case(
        "a container was made for the other image, and never started: it goes first",
        app_pod(),
        sees(created()),
        "remove_container",
        phase=PENDING,
    ),
    case(
        "it rests without a container: none is made before it is known",
        app_pod(make=stopped_pod),
        sees(),
        phase=STOPPED,
    ),
]
GB: Final = 10**9
ROOMIER: Final = replace(POOLS, tier_storage=storage_by_tier("25,50,100,200"))
QUOTA: Final = [
    case(
        "it may keep what its tier has",
        pod(**HAS),
        sees(running(), pool=on_pool("mine", ObservedSize(used=3 * GB, limit=20 * GB))),
        phase=RUNNING,
    ),
    case(
        "its limit is another than its tier's",
        pod(**HAS),
        sees(running(), pool=on_pool("mine", ObservedSize(used=3 * GB, limit=40 * GB))),
        f"limit_subvolume mine {20 * GB}",
        phase=PENDING,
    ),
    case(
        "nothing limits it",
        pod(**HAS),
        sees(running(), pool=on_pool("mine", ObservedSize(used=3 * GB, limit=None))),
        f"limit_subvolume mine {20 * GB}",
        phase=PENDING,
    ),
    case(
        "it keeps more than its tier has now: its limit stays as it is",
        pod(**HAS),
        sees(running(), pool=on_pool("mine", ObservedSize(used=30 * GB, limit=40 * GB))),
        phase=RUNNING,
    ),
    case(
        "it gets another tier, and its container is gone",
        asked_again(spec={"tier": "dev.large"}, **HAS),
        sees(),
        f"limit_subvolume mine {80 * GB}",
        "create_container",
        phase=PENDING,
    ),
    case(
        "tiers have other sizes than before",
        pod(**HAS),
        sees(running(), pool=on_pool("mine", ObservedSize(used=3 * GB, limit=20 * GB))),
        f"limit_subvolume mine {25 * GB}",
        own=ROOMIER,
        phase=PENDING,
    ),
    case(
        "tiers have other sizes, and it gets another one",
        asked_again(spec={"tier": "dev.large"}, **HAS),
        sees(running()),
        f"limit_subvolume mine {100 * GB}",
        "update_container dev.large",
        own=ROOMIER,
        phase=PENDING,
    ),
    case(
        "it gets another tier while it runs",
        asked_again(spec={"tier": "dev.large"}, **HAS),
        sees(running()),
        f"limit_subvolume mine {80 * GB}",
        "update_container dev.large",
        phase=PENDING,
    ),
]
LOST: Final = [
    case(
        "its record and its container are lost: a volume's label names the subvolume",
        new_pod(),
        sees(
            pool=on_pool("mine"),
            more={
                "home": made_by(
                    "one",
                    **{
                        naming.LABEL_VOLUME: "home",
                        naming.LABEL_PATH: "/home",
                        naming.LABEL_SYSTEM: SYSTEM.dump_json(ON_POOL).decode(),
                        naming.LABEL_SUBVOLUME: SUBVOLUME.dump_json(MINE).decode(),
                    },
                )
            },
        ),
        "prepare_system pool",
        phase=PENDING,
    ),
    case(
        "a pod of an older system has volumes already: it stays without a pool",
        new_pod(),
        sees(pool=on_pool(), more={"home": LABELS}),
        "prepare_system overlay",
        phase=PENDING,
    ),
]


@pytest.mark.parametrize(
    "situation", [*CREATION, *CUT_OFF, *LIFE, *STORAGE, *DELETION, *LATER, *RENEWED, *QUOTA, *LOST]
)
def test_what_follows_from_each_situation(situation: Situation) -> None:
    situation.check(plan(situation.record, situation.seen, NOW, situation.own))
