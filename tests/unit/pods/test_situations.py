"""The table of situations: what is recorded of a pod, what is seen of it, and what follows.

Each row reads: the situation in words; the record; what the Engine shows; the next batch of steps; the phase
in which the pod is meanwhile; and, where it matters, a part of the reason (`because`) and when it is looked
at again (`retry_at`). `pod()` is a pod that was initialised and runs, `sees(running())` shows it as it should
be: a row names only what is otherwise. No step at all means that the pod rests.

To add a row, put it under the heading of its kind and say the situation so that somebody who does not know
the code understands it. The words are in `tests/support/situations.py`; a new kind of step needs none, it is
described by its name and its fields.
"""

from dataclasses import replace
from typing import Final

import pytest

from tests.support.shapes import seen_shape
from tests.support.situations import (
    COPIED,
    GVISOR,
    IMAGE,
    LABELS,
    NOW,
    OTHER_IMAGE,
    OVERLAYS,
    PULLED,
    SYSTEM,
    UNIVERSAL,
    Situation,
    asked_again,
    begun_pod,
    case,
    committed_pod,
    crash,
    created,
    deleting_pod,
    exited,
    in_state,
    layout,
    made_by,
    new_pod,
    pod,
    restored,
    running,
    sees,
    sent_stop,
    stopped_pod,
    stopping_pod,
    tombstone,
)
from worker.pods import naming
from worker.pods.container import spec_hash
from worker.pods.layout import image_paths
from worker.pods.model import Phase, PublishedPort, Rebuilt, SystemMode, Unreadable
from worker.pods.observation import ContainerState, Observation, Unknown
from worker.pods.plan import plan, plan_elsewhere
from worker.pods.spec import PortSpec

BACKOFF, DELETED, DELETING, FAILED, PENDING, RUNNING, STOPPED, STORAGE_MISSING = (
    Phase.BACKOFF,
    Phase.DELETED,
    Phase.DELETING,
    Phase.FAILED,
    Phase.PENDING,
    Phase.RUNNING,
    Phase.STOPPED,
    Phase.STORAGE_MISSING,
)
DEAD, PAUSED, REMOVING, RESTARTING = (
    ContainerState.DEAD,
    ContainerState.PAUSED,
    ContainerState.REMOVING,
    ContainerState.RESTARTING,
)
PORT: Final = PublishedPort(container=80, host=20000, protocol="tcp", address="127.0.0.1")
OTHER_PORT: Final = PublishedPort(container=80, host=20001, protocol="tcp", address="127.0.0.1")
FOREIGN: Final = {naming.LABEL_POD: "a", naming.LABEL_INSTALLATION: "other"}
HOME: Final = "pinacle-vol-a-home"
MARKED: Final = made_by("one", **{naming.LABEL_RESTORED: "1"})

NOTHING: Final = SYSTEM.evolve(mode=SystemMode.OFF, directories=(), base=None)
"""How the system directories of an image that has none are kept."""

REST: Final = [
    # Nothing to do
    case("it runs as it should", pod(), sees(running()), phase=RUNNING),
    case("it was stopped as asked", stopping_pod(), sees(exited()), phase=STOPPED),
    case("it is stopped and has no container any more", stopping_pod(), sees(), phase=STOPPED),
    # From a record that cannot be read nothing follows
    case(
        "its record cannot be read, and it has no container any more",
        replace(pod(), unreadable=Unreadable(reason="intent.spec.tier: no", only_spec=True)),
        sees(),
        phase=FAILED,
        because="intent.spec.tier: no",
    ),
    case(
        "its record cannot be read, and its volumes are gone",
        replace(deleting_pod(), unreadable=Unreadable(reason="state: no", only_spec=False)),
        sees(running(other_spec=True), without="home"),
        phase=FAILED,
        because="state: no",
    ),
    # From what is unknown nothing follows
    case(
        "the Engine did not answer: it keeps its phase",
        pod(),
        Unknown(reason="a 500"),
        phase=RUNNING,
        because="a 500",
    ),
    case("the Engine did not answer about a deleted one", deleting_pod(), Unknown(reason="?"), phase=RUNNING),
    case("the Engine did not answer about a new one", new_pod(), Unknown(reason="?"), phase=PENDING),
]

CREATION: Final = [
    # The first creation, step by step
    case("new: its image is not pinned", new_pod(image=None), sees(), "pin_image image", phase=PENDING),
    case(
        "new: how system directories are kept comes first",
        new_pod(),
        sees(),
        "prepare_system overlay",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case("new: it is noted what will be made", new_pod(), sees(), "begin_fill", phase=PENDING),
    case(
        "new, with a base: it is noted what will be made",
        new_pod(system=SYSTEM),
        sees(),
        "begin_fill",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "noted: the volumes are made, then the container, which fills them",
        begun_pod(),
        sees(fresh="one", without=UNIVERSAL),
        f"create_volume {UNIVERSAL}",
        "create_container",
        phase=PENDING,
    ),
    case(
        "noted, with a base: the layers are made and prepared before what mounts them",
        begun_pod(system=SYSTEM),
        sees(fresh="one", without=f"system usr {UNIVERSAL}"),
        "create_volume system",
        "fill_layers system",
        f"create_volume usr {UNIVERSAL}",
        "create_container",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "created: the volumes are read again before anything else",
        begun_pod(),
        sees(created(), fresh="one", volumes_current=False),
        "read_volumes",
        phase=PENDING,
    ),
    case(
        "created and read: it is noted that all are filled",
        begun_pod(),
        sees(created(), fresh="one"),
        "commit_fill all",
        phase=PENDING,
    ),
    case(
        "filled for good: only then is it started",
        committed_pod(),
        sees(created(), fresh="one"),
        "start_container",
        phase=PENDING,
    ),
    case(
        "created while a volume had gone: the Engine made an empty one, the container goes",
        begun_pod(),
        sees(created(), fresh="one", unasked="home"),
        "remove_container",
        phase=STORAGE_MISSING,
    ),
    case(
        "created while a volume was made by somebody else: the container goes",
        begun_pod(),
        sees(created(), fresh="one", replaced="home"),
        "remove_container",
        phase=STORAGE_MISSING,
    ),
    case(
        "created on a committed layout with a volume missing: it is not started",
        committed_pod(),
        sees(created(), without="home"),
        "remove_container",
        phase=STORAGE_MISSING,
    ),
    # A first creation that was cut off
    case(
        "cut off after the note: it is begun anew",
        begun_pod(),
        sees(without=UNIVERSAL),
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "cut off among the volumes: these are removed, then it is begun anew",
        begun_pod(),
        sees(without="root etc usr-local opt var srv"),
        "remove_volume workspace home",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "cut off after create: nobody knows whether they are filled, so container and volumes go",
        begun_pod(),
        sees(created()),
        "remove_container",
        f"remove_volume {UNIVERSAL}",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "cut off, and a volume bears another incarnation: that one stays",
        begun_pod(),
        sees(replaced="home", without="root etc usr-local opt var srv"),
        "remove_volume workspace",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "cut off, and a volume has no label: a person or an older system made it, it stays",
        begun_pod(),
        sees(unlabelled="home", without="root etc usr-local opt var srv"),
        "remove_volume workspace",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "cut off, and the Engine made a volume for this incarnation by itself: it goes too",
        begun_pod(),
        sees(unasked="home", without="workspace root etc usr-local opt var srv"),
        "remove_volume home",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "cut off at some volumes only: the filled ones stay",
        committed_pod(unfilled="var srv"),
        sees(),
        "remove_volume var srv",
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "cut off with layers: the overlay goes before what it mounts",
        begun_pod(system=SYSTEM),
        sees(without=UNIVERSAL),
        "remove_volume usr on_others system",
        "begin_fill",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "cut off, but the container ran: then they are filled, and the note was lost",
        begun_pod(),
        sees(exited()),
        "commit_fill all",
        phase=PENDING,
    ),
    case(
        "cut off, while a container runs that mounts none of the new volumes: it stays until these are whole",
        committed_pod(declared=["/data"], unfilled="declared.data", starts=1),
        sees(running(mounts=[HOME])),
        "remove_volume declared.data",
        "begin_fill",
        phase=PENDING,
    ),
    # What stands where a new pod's volumes go
    case(
        "new, and volumes without labels bear its names: they are taken as they are",
        new_pod(),
        sees(more={"home": {}}),
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "new, and a volume of its name belongs to another installation",
        new_pod(),
        sees(more={"home": FOREIGN}),
        phase=FAILED,
        because="it is not touched",
    ),
    case(
        "new, and a volume of its name belongs to another pod",
        new_pod(),
        sees(more={"home": {**LABELS, naming.LABEL_POD: "b"}}),
        phase=FAILED,
        because="belongs to pod 'b'",
    ),
    case(
        "new, and the Engine made a volume in place of one that is missing: it is not used",
        new_pod(),
        sees(more={"home": {naming.LABEL_UNASKED: "old"}}),
        phase=STORAGE_MISSING,
        because="in place of a missing one",
    ),
    case(
        "new, without a record, and its volumes say how system directories were kept: so they are kept on",
        new_pod(),
        sees(more={"usr": {naming.LABEL_SYSTEM: '{"mode":"copy","image":{"reference":"i","id":"1"}}'}}),
        "prepare_system copy",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "new, and a volume's label of how they were kept cannot be read",
        new_pod(),
        sees(more={"usr": {naming.LABEL_SYSTEM: "!"}}),
        phase=FAILED,
        because="does not say how system directories are kept",
    ),
    case(
        "new, and a folder that was kept for a pod of this id is there: it becomes part of the pod",
        new_pod(),
        sees(more={"declared.data": made_by("old", **{naming.LABEL_VOLUME: "declared.data"})}),
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "new, and nothing tells where a volume of a pod of this id belongs: it is not left out in silence",
        new_pod(),
        sees(more={"x": made_by("old", **{naming.LABEL_VOLUME: "x"})}),
        phase=FAILED,
        because="volume pinacle-vol-a-x is this pod's, and nothing tells its path",
    ),
    case(
        "cut off, and nothing tells where a further volume of it belongs: it is not begun anew without that",
        begun_pod(),
        sees(more={"x": made_by("old", **{naming.LABEL_VOLUME: "x"})}),
        phase=FAILED,
        because="nothing tells its path",
    ),
    case(
        "new, and a volume of a pod of this id belongs where another one goes",
        new_pod(),
        sees(more={"x": made_by("old", **{naming.LABEL_VOLUME: "x", naming.LABEL_PATH: "/home"})}),
        phase=FAILED,
        because="another volume is mounted at /home",
    ),
    case(
        "an image with a VOLUME that the pod has no volume for: one is begun",
        pod(image=IMAGE.evolve(volumes=("/data",))),
        sees(running()),
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "an image with a VOLUME that the pod has a volume for",
        pod(image=IMAGE.evolve(volumes=("/data/",)), declared=["/data"]),
        sees(running()),
        phase=RUNNING,
    ),
    case(
        "new, of an image with a relative VOLUME: the Engine would make an anonymous volume for it",
        new_pod(image=IMAGE.evolve(volumes=("data/db", "/var/lib/db"))),
        sees(),
        phase=FAILED,
        because="VOLUME data/db: a relative path gets a volume without a name",
    ),
    case(
        "another image, with a relative VOLUME: the pod runs on as it is",
        asked_again(
            image=OTHER_IMAGE.evolve(volumes=("data",)),
            layout=tuple(volume.evolve(image=IMAGE.id) for volume in layout()),
        ),
        sees(running(other_spec=True)),
        phase=FAILED,
        because="VOLUME data: a relative path",
    ),
    case(
        "a pod that has run of an image with a relative VOLUME, made before that was refused",
        pod(image=IMAGE.evolve(volumes=("data",)), declared=["/data"]),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "an image with a VOLUME at a universal volume and one that never persists: none is needed",
        pod(image=IMAGE.evolve(volumes=("/var", "/run/lock"))),
        sees(running()),
        phase=RUNNING,
    ),
]

VOLUMES: Final = [
    # A volume of the pod that its layout does not have
    case(
        "its image wants another volume, and it has one that no container mounts: the container is looked at",
        pod(image=IMAGE.evolve(volumes=("/b",))),
        sees(running(), more={"declared.data": made_by("old", **{naming.LABEL_VOLUME: "declared.data"})}),
        "find_folders",
        phase=PENDING,
    ),
    case(
        "the same, and the container has no such folder: the volume becomes part of the pod",
        pod(image=IMAGE.evolve(volumes=("/b",))),
        sees(
            running(),
            more={"declared.data": made_by("old", **{naming.LABEL_VOLUME: "declared.data"})},
            new_folders=("/other",),
        ),
        "begin_fill",
        phase=PENDING,
    ),
    case(
        "the same, and the container has such a folder of its own: neither of the two is hidden",
        pod(image=IMAGE.evolve(volumes=("/b",))),
        sees(
            running(),
            more={"declared.data.x": made_by("old", **{naming.LABEL_VOLUME: "declared.data.x"})},
            new_folders=("/data",),
        ),
        phase=FAILED,
        because="volume pinacle-vol-a-declared.data.x holds an earlier /data/x",
    ),
    case(
        "its container has a folder of its own, and a volume holds an earlier one: neither is written over",
        pod(),
        sees(
            exited(other_spec=True),
            more={"declared.data": made_by("old", **{naming.LABEL_VOLUME: "declared.data"})},
            new_folders=("/data",),
        ),
        phase=FAILED,
        because="volume pinacle-vol-a-declared.data holds an earlier /data",
    ),
    # A volume is missing, replaced, or made by the Engine
    case(
        "a volume is missing: it does not start on what is left",
        pod(),
        sees(exited(), without="home"),
        phase=STORAGE_MISSING,
        because="pinacle-vol-a-home (/home) is missing",
    ),
    case("a volume is missing, and the container", pod(), sees(without="home"), phase=STORAGE_MISSING),
    case(
        "a volume is missing under a running container: it is left alone",
        pod(),
        sees(running(), without="home"),
        phase=STORAGE_MISSING,
        because="is missing",
    ),
    case(
        "a volume bears another incarnation: it is not this pod's data",
        pod(),
        sees(replaced="home"),
        phase=STORAGE_MISSING,
        because="was replaced",
    ),
    case(
        "a volume has lost its labels: somebody made another one",
        pod(),
        sees(unlabelled="home"),
        phase=STORAGE_MISSING,
        because="was replaced",
    ),
    case(
        "a volume was made by the Engine in place of the missing one",
        pod(),
        sees(unasked="home"),
        phase=STORAGE_MISSING,
        because="an empty one stands in its place",
    ),
    case(
        "a volume without labels was recorded as such, by an older system",
        pod(layout=tuple(volume.evolve(incarnation=None) for volume in layout())),
        sees(unlabelled=UNIVERSAL),
        "create_container",
        phase=PENDING,
    ),
    case(
        "a volume of the pod's name belongs to another installation",
        pod(),
        sees(foreign="home"),
        phase=FAILED,
        because="it is not touched",
    ),
    case(
        "a declared volume is missing",
        pod(declared=["/data"]),
        sees(without="declared.data"),
        phase=STORAGE_MISSING,
        because="(/data) is missing",
    ),
    # Overlays of system directories
    case("with overlays: it runs as it should", pod(system=SYSTEM), sees(running()), phase=RUNNING),
    case(
        "the overlay is gone: nothing is lost with it, it is made anew",
        pod(system=SYSTEM),
        sees(without="usr"),
        "create_volume usr",
        phase=PENDING,
    ),
    case(
        "the overlay leads elsewhere, as after a move of the data root: it is made anew",
        pod(system=SYSTEM),
        sees(elsewhere="usr"),
        "remove_volume usr",
        "create_volume usr",
        phase=PENDING,
    ),
    case(
        "the overlay leads elsewhere, and a container holds on to it",
        pod(system=SYSTEM),
        sees(exited(), elsewhere="usr"),
        "remove_container",
        "remove_volume usr",
        "create_volume usr",
        phase=PENDING,
    ),
    case(
        "the overlay leads elsewhere under a running container: that one is left alone",
        pod(system=SYSTEM),
        sees(running(), elsewhere="usr"),
        phase=RUNNING,
    ),
    case(
        "the overlay was made by the Engine: it goes and is made anew",
        pod(system=SYSTEM),
        sees(unasked="usr", plain="usr"),
        "remove_volume usr",
        "create_volume usr",
        phase=PENDING,
    ),
    case(
        "a plain volume stands in the overlay's place: it may hold what somebody restored",
        pod(system=SYSTEM),
        sees(plain="usr", replaced="usr"),
        phase=STORAGE_MISSING,
        because="was replaced",
    ),
    case(
        "a plain volume with the very labels of the overlay stands in its place: it is not removed",
        pod(system=SYSTEM),
        sees(plain="usr"),
        phase=STORAGE_MISSING,
        because="was replaced by one that holds files itself",
    ),
    case(
        "the layers are missing: what the pod installed is in them",
        pod(system=SYSTEM),
        sees(without="system"),
        phase=STORAGE_MISSING,
        because="pinacle-vol-a-system",
    ),
    case(
        "the base is gone: it is filled again before anything starts",
        pod(system=SYSTEM),
        sees(exited(), bases={}),
        "prepare_system overlay",
        phase=PENDING,
    ),
    case(
        "the base is gone under a running container: it is left alone",
        pod(system=SYSTEM),
        sees(running(), bases={}),
        phase=RUNNING,
    ),
    case(
        "a copied /usr is missing: it is data like any other",
        pod(system=COPIED),
        sees(without="usr"),
        phase=STORAGE_MISSING,
        because="pinacle-vol-a-usr",
    ),
    # The storage of the whole host
    case(
        "the host's storage is missing: nothing is made or removed",
        pod(storage="s-1"),
        sees(),
        phase=STORAGE_MISSING,
        because="does not have its storage",
    ),
    case(
        "the host's storage is another one",
        pod(storage="s-1"),
        sees(running(), storages={"test": "s-2"}),
        phase=STORAGE_MISSING,
        because="is that of storage s-2",
    ),
    case(
        "the host's storage is the recorded one",
        pod(storage="s-1"),
        sees(running(), storages={"test": "s-1"}),
        phase=RUNNING,
    ),
    case(
        "the host's storage is missing: a deletion waits too",
        deleting_pod(storage="s-1"),
        sees(exited()),
        phase=STORAGE_MISSING,
    ),
    case(
        "the host's storage is missing: a tombstone of which nothing is left does not care",
        tombstone(storage="s-1"),
        sees(),
        phase=DELETED,
    ),
    case(
        "another installation's storage is there: that is not ours",
        pod(storage="s-1"),
        sees(exited(), storages={"other": "s-1"}),
        phase=STORAGE_MISSING,
    ),
    case(
        "the host's sentinel alone is gone: it runs on its own volumes, which prove the storage",
        pod(storage="s-1"),
        sees(running()),
        phase=RUNNING,
    ),
    case(
        "the host's sentinel is gone, and a volume under a running container",
        pod(storage="s-1"),
        sees(running(), without="home"),
        phase=STORAGE_MISSING,
        because="does not have its storage",
    ),
]

RESTORING: Final = [
    # A person makes a volume for what was lost: it does not count before a person says so
    case(
        "a volume is missing: the line that makes it bears a mark",
        pod(),
        sees(without="home"),
        phase=STORAGE_MISSING,
        because="--label dev.pinacle.incarnation=one --label dev.pinacle.restored=1 pinacle-vol-a-home`",
    ),
    case(
        "a volume was made by that line, and is empty yet: nothing starts on it",
        pod(missing_generation=1),
        sees(without="home", more={"home": MARKED}),
        phase=STORAGE_MISSING,
        because="(/home) is being restored: when its data is in it, send pods.restart('a', force=true)",
    ),
    case(
        "its owner starts the pod meanwhile: that says nothing about the data",
        asked_again(missing_generation=1),
        sees(without="home", more={"home": MARKED}),
        phase=STORAGE_MISSING,
        because="is being restored",
    ),
    case(
        "a restart by force came before it was seen that the volume is missing",
        asked_again(intent={"force": True}, missing_generation=2),
        sees(without="home", more={"home": MARKED}),
        phase=STORAGE_MISSING,
        because="is being restored",
    ),
    case(
        "a restart by force came afterwards: somebody says that the data is in it, which is noted",
        asked_again(intent={"force": True}, missing_generation=1),
        sees(without="home", more={"home": MARKED}),
        "note_restored ('/home', '1')",
        phase=PENDING,
    ),
    case(
        "it is noted that the data is there: the container is made",
        asked_again(intent={"force": True}, missing_generation=1, layout=restored("1")),
        sees(without="home", more={"home": MARKED}),
        "create_container",
        phase=PENDING,
    ),
    case(
        "the restored volume is lost again: the next one has to be restored again",
        pod(missing_generation=1, layout=restored("1")),
        sees(without="home"),
        "note_restored ('/home', None)",
        phase=PENDING,
    ),
    case(
        "the restored volume is lost again while the pod is stopped",
        stopping_pod(missing_generation=1, layout=restored("1")),
        sees(without="home"),
        "note_restored ('/home', None)",
        phase=PENDING,
    ),
    case(
        "stopped while a volume is being restored: that is said",
        stopping_pod(missing_generation=1),
        sees(without="home", more={"home": MARKED}),
        phase=STORAGE_MISSING,
        because="is being restored",
    ),
    case(
        "a volume was made by hand with another incarnation and the mark: it is none of the pod's",
        pod(),
        sees(without="home", more={"home": {**MARKED, naming.LABEL_INCARNATION: "two"}}),
        phase=STORAGE_MISSING,
        because="was replaced",
    ),
]

KEEPING: Final = [
    # A stopped pod without a container: what no container holds on to, a prune removes
    case(
        "stopped, and its container was pruned: one is made, which keeps its volumes",
        stopped_pod(),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "asked to stop, and there is no container: it is stopped at once, all else comes later",
        stopping_pod(),
        sees(),
        phase=STOPPED,
    ),
    case(
        "stopped, and a container was made: the volumes are read again",
        stopped_pod(),
        sees(created(), volumes_current=False),
        "read_volumes",
        phase=PENDING,
    ),
    case("stopped, with a container that never ran: it rests", stopped_pod(), sees(created()), phase=STOPPED),
    case(
        "stopped, and the container was made while a volume had gone: the empty one is not held",
        stopped_pod(),
        sees(created(), unasked="home"),
        "remove_container",
        phase=STORAGE_MISSING,
    ),
    case(
        "stopped, and a volume of a container that never ran is missing: the others stay held",
        stopped_pod(),
        sees(created(), without="home"),
        phase=STORAGE_MISSING,
        because="is missing",
    ),
    case(
        "stopped, without a container and with a volume missing: nothing is made",
        stopped_pod(),
        sees(without="home"),
        phase=STORAGE_MISSING,
        because="is missing",
    ),
    case(
        "stopped, without a container, and the image is gone: it stays stopped and says what is amiss",
        stopped_pod(),
        sees(image_gone=True),
        phase=STOPPED,
        because="as its image is gone",
        retry_at=NOW + 300,
    ),
    case(
        "stopped, and no container could be made a moment ago",
        stopped_pod(retry_at=NOW + 200, reason="no such image"),
        sees(),
        phase=STOPPED,
        because="no such image",
        retry_at=NOW + 200,
    ),
    case(
        "stopped before its first creation was whole: it has nothing to lose",
        stopped_pod(unfilled="home"),
        sees(without="home"),
        phase=STOPPED,
    ),
    case(
        "stopped, and updated to an image with a VOLUME that has no volume yet: that is for the start",
        stopped_pod(image=IMAGE.evolve(volumes=("/data",))),
        sees(),
        phase=STOPPED,
    ),
    case(
        "stopped, with an overlay that is gone: it holds nothing, and is made before the container",
        stopped_pod(system=SYSTEM),
        sees(without="usr"),
        "create_volume usr",
        phase=PENDING,
    ),
    case(
        "stopped, and the base is gone: it is filled again before the container",
        stopped_pod(system=SYSTEM),
        sees(bases={}),
        "prepare_system overlay",
        phase=PENDING,
    ),
]

CONTAINERS: Final = [
    # A record that was rebuilt
    case(
        "its record was rebuilt, and computes another digest than the container bears: it stays",
        pod(rebuilt=Rebuilt(computed=spec_hash(pod()), borne="other")),
        sees(running(other_spec=True)),
        phase=RUNNING,
    ),
    case(
        "its record was rebuilt, and another spec was asked for since: it is replaced",
        pod(spec={"hostname": "later"}, rebuilt=Rebuilt(computed=spec_hash(pod()), borne="other")),
        sees(exited(other_spec=True), new_folders=()),
        "remove_container",
        phase=PENDING,
    ),
    case(
        "its record was rebuilt, and the container is neither that nor what it was: it is replaced",
        pod(rebuilt=Rebuilt(computed=spec_hash(pod()), borne="another")),
        sees(exited(other_spec=True), new_folders=()),
        "remove_container",
        phase=PENDING,
    ),
    # A tier that is not in the table any more
    case(
        "it runs with a tier that is not in the table any more: it is left alone, and that is said",
        pod(spec={"tier": "dev.gone"}, tier="dev.gone"),
        sees(running()),
        phase=RUNNING,
        because="tier 'dev.gone' is not in the table any more",
    ),
    case(
        "a tier was asked for that went from the table before it was given: the limits stay",
        pod(spec={"tier": "dev.gone"}),
        sees(running()),
        phase=RUNNING,
        because="tier 'dev.gone' is not in the table any more",
    ),
    case(
        "the same under gVisor, where another tier needs another container: it is left alone",
        pod(spec={"tier": "dev.gone"}),
        sees(running()),
        phase=RUNNING,
        own=GVISOR,
    ),
    # Whose container it is
    case(
        "a container without labels bears the pod's name",
        pod(),
        sees(running(labels={})),
        phase=FAILED,
        because="it is not ours",
    ),
    case(
        "a container of another installation bears the pod's name",
        pod(),
        sees(running(labels=FOREIGN)),
        phase=FAILED,
        because="belongs to installation 'other'",
    ),
    case(
        "a container of another pod bears the pod's name",
        pod(),
        sees(running(labels={**LABELS, naming.LABEL_POD: "b"})),
        phase=FAILED,
        because="it is not ours",
    ),
    case(
        "a foreign container bears a stopped pod's name",
        stopping_pod(),
        sees(running(labels={})),
        phase=FAILED,
        because="it is not ours",
    ),
    case(
        "a foreign container that mounts the pod's volumes, without adopt",
        pod(),
        sees(running(labels={}, mounts=[HOME])),
        phase=FAILED,
        because="adopt=true",
    ),
    case(
        "adopt: a foreign container that mounts the pod's own volumes is replaced",
        asked_again(intent={"adopt": True}),
        sees(running(labels={}, mounts=[HOME, "other-data"])),
        "begin_stop 10",
        "stop_container 10",
        "remove_container",
        phase=PENDING,
    ),
    case(
        "adopt: a foreign container that mounts no volume of ours",
        pod(intent={"adopt": True}),
        sees(running(labels={}, mounts=["data"])),
        phase=FAILED,
        because="it is not ours",
    ),
    case(
        "adopt: a foreign container that also mounts another pod's volume",
        pod(intent={"adopt": True}),
        sees(running(labels={}, mounts=[HOME, "pinacle-vol-b-home"])),
        phase=FAILED,
        because="it is not ours",
    ),
    case(
        "adopt: a container of another installation stays its",
        pod(intent={"adopt": True}),
        sees(running(labels=FOREIGN, mounts=[HOME])),
        phase=FAILED,
        because="belongs to installation 'other'",
    ),
    # It was lost, or died
    case(
        "the container was lost: another one is made on its volumes",
        pod(),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "another one was made for the lost one: it counts as a restart",
        pod(),
        sees(created()),
        "start_container unasked",
        phase=PENDING,
    ),
    case(
        "the container is dead: it is removed",
        pod(),
        sees(in_state(DEAD)),
        "remove_container force",
        phase=PENDING,
    ),
    case(
        "the container is being removed: that is waited for",
        pod(),
        sees(in_state(REMOVING)),
        phase=PENDING,
        because="removing",
        retry_at=NOW + 1,
    ),
    case(
        "the Engine restarts it, which nobody asked of it: that is waited for",
        pod(),
        sees(in_state(RESTARTING)),
        phase=PENDING,
        because="restarting",
        retry_at=NOW + 1,
    ),
    case("it was paused behind our back", pod(), sees(in_state(PAUSED)), "unpause_container", phase=PENDING),
    # It ended by itself
    case("it ended: how is found out first", pod(), sees(exited()), "record_exit", phase=PENDING),
    case(
        "it ended, and only the end of an earlier run is noted",
        pod(starts=2, crash=crash(run=1)),
        sees(exited()),
        "record_exit",
        phase=PENDING,
    ),
    case(
        "it ended for the first time: it is started at once",
        pod(crash=crash()),
        sees(exited()),
        "start_container unasked",
        phase=PENDING,
    ),
    case(
        "it ended again: it waits its time",
        pod(crash=crash(count=4, code=7, next_try_at=NOW + 3)),
        sees(exited()),
        phase=BACKOFF,
        because="exit code 7, 4 times in a row",
        retry_at=NOW + 3,
    ),
    *(
        case(
            f"it ends at once with {code} each time: the program is named",
            pod(
                spec={"command": command}, crash=crash(count=2, code=code, next_try_at=NOW + 3, at_once=True)
            ),
            sees(exited()),
            phase=BACKOFF,
            because=f"exit code {code}, 2 times in a row: {because}",
            retry_at=NOW + 3,
        )
        for code, command, because in (
            (
                127,
                ("nosuch", "x"),
                "the program 'nosuch', or one that it runs, was not found in the image or its",
            ),
            (
                127,
                None,
                "the program of the image's command, or one that it runs, was not found in the image",
            ),
            (126, ("/etc/passwd",), "the program '/etc/passwd', or one that it runs, may not be executed"),
        )
    ),
    case(
        "it ended with 127 after a while: that is its own affair",
        pod(spec={"restart": "never"}, crash=crash(code=127)),
        sees(exited()),
        phase=FAILED,
        because="it ended by itself with exit code 127; restart is 'never'",
    ),
    case(
        "it ended again, and its time has come",
        pod(crash=crash(count=4, next_try_at=NOW - 1)),
        sees(exited()),
        "start_container unasked",
        phase=PENDING,
    ),
    case(
        "it waits for a time that no delay reaches: the clock was set back",
        pod(crash=crash(count=4, next_try_at=NOW + 3600)),
        sees(exited()),
        "start_container unasked",
        phase=PENDING,
    ),
    case(
        "it waits its time, and is asked to run meanwhile",
        asked_again(crash=crash(count=4, next_try_at=NOW + 3)),
        sees(exited()),
        "start_container",
        phase=PENDING,
    ),
    case(
        "it waits its time, and its container was made anew: it waits on",
        pod(crash=crash(count=4, next_try_at=NOW + 3)),
        sees(created()),
        phase=BACKOFF,
        retry_at=NOW + 3,
    ),
    case(
        "restart never: it ended well",
        pod(spec={"restart": "never"}, crash=crash(code=0)),
        sees(exited(0)),
        phase=STOPPED,
        because="restart is 'never'",
    ),
    case(
        "restart never: it failed",
        pod(spec={"restart": "never"}, crash=crash(code=3)),
        sees(exited(3)),
        phase=FAILED,
        because="exit code 3",
    ),
    case(
        "restart on-failure: it ended well",
        pod(spec={"restart": "on-failure"}, crash=crash(code=0)),
        sees(exited(0)),
        phase=STOPPED,
        because="restart is 'on-failure'",
    ),
    case(
        "restart on-failure: it failed",
        pod(spec={"restart": "on-failure"}, crash=crash(code=3)),
        sees(exited(3)),
        "start_container unasked",
        phase=PENDING,
    ),
    case(
        "restart never: it ended, and is asked to run again",
        asked_again(spec={"restart": "never"}, crash=crash(code=0)),
        sees(exited(0)),
        "start_container",
        phase=PENDING,
    ),
    # What is finished does not depend on its container
    *(
        case(
            f"restart {policy}: it ended well, and its container was pruned: another is made",
            pod(spec={"restart": policy}, crash=crash(code=0)),
            sees(),
            "create_container",
            phase=PENDING,
        )
        for policy in ("never", "on-failure")
    ),
    *(
        case(
            f"restart {policy}: it ended well, and its container was made anew: that one is not started",
            pod(spec={"restart": policy}, crash=crash(code=0)),
            sees(created()),
            phase=STOPPED,
            because=f"exit code 0; restart is '{policy}'",
        )
        for policy in ("never", "on-failure")
    ),
    case(
        "restart never: it failed, and its container was made anew: that one is not started",
        pod(spec={"restart": "never"}, crash=crash(code=3)),
        sees(created()),
        phase=FAILED,
        because="exit code 3",
    ),
    case(
        "restart never: it is finished, its container was pruned and its image is gone: it stays finished",
        pod(spec={"restart": "never"}, crash=crash(code=0)),
        sees(image_gone=True),
        phase=STOPPED,
        because="a prune would remove its volumes",
        retry_at=NOW + 300,
    ),
    case(
        "restart on-failure: it failed, and its container was pruned: it runs again",
        pod(spec={"restart": "on-failure"}, crash=crash(code=3)),
        sees(created()),
        "start_container unasked",
        phase=PENDING,
    ),
    case(
        "restart never: its container is gone, and nobody saw how it ended: that is noted first",
        pod(spec={"restart": "never"}),
        sees(),
        "note_lost",
        phase=PENDING,
    ),
    case(
        "restart never: it is noted that nobody saw how it ended: it does not run again by itself",
        pod(spec={"restart": "never"}, crash=crash(code=255, known=False)),
        sees(created()),
        phase=FAILED,
        because="how it ended is not known",
    ),
    *(
        case(
            f"restart {policy}: its container is gone, and nobody saw how it ended: it comes back",
            pod(spec={"restart": policy}),
            sees(),
            "create_container",
            phase=PENDING,
        )
        for policy in ("always", "on-failure")
    ),
    case(
        "restart never: its container was taken away by us for another one: that one is started",
        pod(spec={"restart": "never"}, container_id=None),
        sees(created()),
        "start_container unasked",
        phase=PENDING,
    ),
    case(
        "restart never: it ended by our stop, to be made anew: it goes without a note of its end",
        pod(spec={"restart": "never"}, stop=sent_stop(at=NOW)),
        sees(exited(143, other_spec=True), new_folders=()),
        "remove_container",
        phase=PENDING,
    ),
    case(
        "restart never: it ended by itself, and is to be made anew: its end is noted first",
        pod(spec={"restart": "never"}),
        sees(exited(0, other_spec=True)),
        "record_exit",
        phase=PENDING,
    ),
    case(
        "restart never: it ended by itself while an overlay leads elsewhere: its end is noted first",
        pod(spec={"restart": "never"}, system=SYSTEM),
        sees(exited(0), elsewhere="usr"),
        "record_exit",
        phase=PENDING,
    ),
    case(
        "restart never: its container is dead: how it ended is noted before it goes",
        pod(spec={"restart": "never"}),
        sees(in_state(DEAD)),
        "record_exit",
        phase=PENDING,
    ),
    case(
        "restart never: it is finished, and is asked to run again without a container",
        asked_again(spec={"restart": "never"}, crash=crash(code=0)),
        sees(created()),
        "start_container",
        phase=PENDING,
    ),
    # Asked for: stop, start, restart
    case(
        "asked to stop: it is noted first, so that nobody sends it again",
        stopping_pod(),
        sees(running()),
        "begin_stop 10",
        "stop_container 10",
        phase=PENDING,
    ),
    case(
        "it was sent a stop a while ago and still runs: it is not sent another",
        stopping_pod(stop=sent_stop(at=NOW - 30, timeout_s=60)),
        sees(running()),
        phase=PENDING,
        because="it is being stopped",
        retry_at=NOW - 30 + 60 + 10,
    ),
    case(
        "it was sent a stop, and is to run again meanwhile: the stop is not over yet",
        asked_again(stop=sent_stop(at=NOW - 30, timeout_s=60)),
        sees(running()),
        phase=PENDING,
        because="it is being stopped",
        retry_at=NOW - 30 + 60 + 10,
    ),
    case(
        "it was sent a stop, and ended: it starts again as it is asked to",
        asked_again(stop=sent_stop(at=NOW - 30, timeout_s=60)),
        sees(exited()),
        "start_container",
        phase=PENDING,
    ),
    case(
        "it was sent a stop, and somebody paused it: it is woken, or it could not end",
        stopping_pod(stop=sent_stop(at=NOW - 30, timeout_s=60)),
        sees(in_state(PAUSED)),
        "unpause_container",
        phase=PENDING,
    ),
    case(
        "it was sent a stop, and runs after the time in which it should have been killed: once more",
        stopping_pod(stop=sent_stop(at=NOW - 21, timeout_s=10)),
        sees(running()),
        "begin_stop 10",
        "stop_container 10",
        phase=PENDING,
    ),
    case(
        "it was sent a stop that seems to be of the future: the clock was set back",
        stopping_pod(stop=sent_stop(at=NOW + 3600, timeout_s=10)),
        sees(running()),
        "begin_stop 10",
        "stop_container 10",
        phase=PENDING,
    ),
    case(
        "another container was sent a stop: this one is sent its own",
        stopping_pod(stop=sent_stop(at=NOW, container_id="d" * 64)),
        sees(running()),
        "begin_stop 10",
        "stop_container 10",
        phase=PENDING,
    ),
    case(
        "it was sent a stop before it was started again: it is sent another",
        stopping_pod(stop=sent_stop(at=NOW, run=0)),
        sees(running()),
        "begin_stop 10",
        "stop_container 10",
        phase=PENDING,
    ),
    case(
        "it was sent a stop, and is deleted meanwhile: nobody waits for it",
        deleting_pod(stop=sent_stop(at=NOW, timeout_s=600)),
        sees(running(), without=UNIVERSAL),
        "remove_container force",
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "asked to stop, with a time-out of its own",
        stopping_pod(spec={"stop_timeout_s": 60}),
        sees(running()),
        "begin_stop 60",
        "stop_container 60",
        phase=PENDING,
    ),
    case(
        "asked to stop while paused: it cannot receive a signal before it is woken",
        stopping_pod(),
        sees(in_state(PAUSED)),
        "unpause_container",
        "begin_stop 10",
        "stop_container 10",
        phase=PENDING,
    ),
    case(
        "asked to stop while the Engine restarts it",
        stopping_pod(),
        sees(in_state(RESTARTING)),
        phase=PENDING,
        retry_at=NOW + 1,
    ),
    case(
        "asked to stop, and a volume is missing: it says so",
        stopping_pod(),
        sees(exited(), without="home"),
        phase=STORAGE_MISSING,
        because="is missing",
    ),
    case(
        "asked to stop before its first creation was whole: what is not filled need not be there",
        stopping_pod(unfilled=UNIVERSAL),
        sees(without=UNIVERSAL),
        phase=STOPPED,
    ),
    case("asked to start a stopped one", asked_again(), sees(exited()), "start_container", phase=PENDING),
    case("asked to start one that runs", asked_again(), sees(running()), phase=RUNNING),
    case(
        "asked to restart by force",
        asked_again(intent={"force": True}),
        sees(running()),
        "begin_stop 10",
        "stop_container 10",
        phase=PENDING,
    ),
    case(
        "restarted by force, which is done: it is not stopped again",
        pod(intent={"force": True}),
        sees(running()),
        phase=RUNNING,
    ),
    # A program of the host has a host port
    case(
        "a chosen port is taken: another one is chosen",
        committed_pod(spec={"ports": (PortSpec(container=80),)}, intent={"ports": (PORT,)}),
        sees(created(), ports_taken=(PORT,)),
        f"choose_other_ports {PORT}",
        phase=PENDING,
    ),
    case(
        "another port was chosen, and the container still has the old one: it is made again",
        committed_pod(spec={"ports": (PortSpec(container=80),)}, intent={"ports": (PORT,)}),
        sees(created(other_spec=True), ports_taken=(OTHER_PORT,)),
        "remove_container",
        phase=PENDING,
    ),
    case(
        "another port was chosen, and the container has it: it is started",
        committed_pod(spec={"ports": (PortSpec(container=80),)}, intent={"ports": (PORT,)}),
        sees(created(), ports_taken=(OTHER_PORT,)),
        "start_container",
        phase=PENDING,
    ),
    # Another spec
    case(
        "another tier: the limits change while it runs",
        asked_again(spec={"tier": "dev.large"}),
        sees(running()),
        "update_container dev.large",
        phase=PENDING,
    ),
    case(
        "another tier while it is stopped: before it starts",
        asked_again(spec={"tier": "dev.large"}),
        sees(exited()),
        "update_container dev.large",
        "start_container",
        phase=PENDING,
    ),
    case(
        "another tier under gVisor, which cannot change limits: the container is made anew",
        asked_again(spec={"tier": "dev.large"}),
        sees(running(), new_folders=()),
        "begin_stop 10",
        "stop_container 10",
        "remove_container",
        phase=PENDING,
        own=GVISOR,
    ),
    case(
        "another tier under runc by name, where gVisor is the installation's",
        asked_again(spec={"tier": "dev.large", "runtime": "runc"}),
        sees(running()),
        "update_container dev.large",
        phase=PENDING,
        own=GVISOR,
    ),
    case(
        "another spec: it is stopped, and what its owner made below / is looked for first",
        asked_again(),
        sees(running(other_spec=True)),
        "begin_stop 10",
        "stop_container 10",
        "find_folders",
        phase=PENDING,
    ),
    case(
        "another spec, and nothing new below /: it goes",
        asked_again(),
        sees(exited(other_spec=True), new_folders=()),
        "remove_container",
        phase=PENDING,
    ),
    case(
        "another spec, and a new directory below /: a volume for it is noted",
        asked_again(),
        sees(exited(other_spec=True), new_folders=("/data",)),
        "begin_keep /data",
        phase=PENDING,
    ),
    case(
        "another spec, and the noted volume is filled from the container before that one goes",
        asked_again(declared=["/data"], unfilled="declared.data"),
        sees(
            exited(other_spec=True, mounts=[HOME]),
            new_folders=("/data",),
            fresh="one",
            without="declared.data",
        ),
        "create_volume declared.data",
        "copy_folder declared.data",
        "commit_fill /data",
        phase=PENDING,
    ),
    case(
        "another spec, and the new directory is kept: the container goes",
        asked_again(declared=["/data"]),
        sees(exited(other_spec=True, mounts=[HOME]), new_folders=("/data",)),
        "remove_container",
        phase=PENDING,
    ),
    case(
        "another spec, and the container never ran: there is nothing to keep",
        asked_again(),
        sees(created(other_spec=True)),
        "remove_container",
        phase=PENDING,
    ),
    case(
        "another image: it is pinned first",
        asked_again(spec={"image": "new"}),
        sees(running()),
        "pin_image new",
        phase=PENDING,
    ),
    # The image is gone
    case(
        "the image is gone, and has a digest: that is pulled",
        pod(image=PULLED),
        sees(image_gone=True),
        "pull_digest image",
        phase=PENDING,
    ),
    case(
        "the image is gone, and has no digest",
        pod(),
        sees(image_gone=True),
        phase=FAILED,
        because="is gone from this host",
    ),
    case(
        "the spec is not known, as after a loss of store and container",
        pod(intent={"spec": None}),
        sees(),
        phase=FAILED,
        because="the spec is not known",
    ),
    # It failed before
    case(
        "it failed for good a moment ago: nothing is tried before its time",
        pod(failed_generation=1, retry_at=NOW + 300, reason="no such image"),
        sees(),
        phase=FAILED,
        because="no such image",
        retry_at=NOW + 300,
    ),
    case(
        "it failed for good, and its time has come",
        pod(failed_generation=1, retry_at=NOW - 1),
        sees(),
        "create_container",
        phase=PENDING,
    ),
    case(
        "it failed for good, and was asked for something else since",
        asked_again(failed_generation=1, retry_at=NOW + 300),
        sees(),
        "create_container",
        phase=PENDING,
    ),
]

SHAPES: Final = [
    # What the image has where the volumes go
    case(
        "new: the image is looked at before anything is made",
        new_pod(),
        sees(shapes={}),
        "look_at_image image",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case("lost: the image is looked at again", pod(), sees(shapes={}), "look_at_image image", phase=PENDING),
    case("as it should be: nobody looks", pod(), sees(running(), shapes={}), phase=RUNNING),
    case(
        "a volume is missing: nobody looks, and no image that does not fit hides that",
        pod(),
        sees(without="home", shapes={}),
        phase=STORAGE_MISSING,
        because="is missing",
    ),
    case(
        "new, and a directory of ours leads where nothing is kept: nothing is made",
        new_pod(),
        sees(links={"/opt": "/run/opt"}),
        phase=FAILED,
        because="/opt leads to /run/opt, where nothing is kept",
        own=OVERLAYS,
    ),
    case(
        "another image whose /bin is a link: the container stays as it is",
        asked_again(
            system=SYSTEM.evolve(directories=("/usr", "/bin")),
            spec={"image": "image-2"},
            intent={"image": OTHER_IMAGE},
        ),
        sees(running(), links={"/bin": "/usr/bin"}),
        phase=FAILED,
        because="/bin: directories in the pod's system volumes, and links in the image",
        own=OVERLAYS,
    ),
    case(
        "another image after a first creation that failed: system directories are decided on for this one",
        begun_pod(system=SYSTEM, spec={"image": "image-2"}, intent={"generation": 2, "image": OTHER_IMAGE}),
        sees(),
        "prepare_system overlay",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "another image after the first creation was whole: system directories stay the pod's",
        committed_pod(
            system=SYSTEM, spec={"image": "image-2"}, intent={"generation": 2, "image": OTHER_IMAGE}
        ),
        sees(),
        "create_container",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "another image, for a pod that began without system volumes: it stays without",
        committed_pod(
            layout=layout(),
            system=NOTHING,
            spec={"image": "image-2"},
            intent={"generation": 2, "image": OTHER_IMAGE},
        ),
        sees(),
        "create_container",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "the same, and a volume of the other image has begun",
        pod(
            layout=layout(declared=["/data"], unfilled="declared.data"),
            system=NOTHING,
            spec={"image": "image-2"},
            intent={"generation": 2, "image": OTHER_IMAGE},
        ),
        sees(without="declared.data"),
        "begin_fill",
        phase=PENDING,
        own=OVERLAYS,
    ),
    case(
        "a place of the pod's was not looked at: the image is looked at again",
        pod(declared=["/data"]),
        sees(shapes={IMAGE.id: seen_shape(image_paths(IMAGE))}),
        "look_at_image image",
        phase=PENDING,
    ),
    case(
        "another image, and a container ran on what is not noted as filled: it was the pod's",
        begun_pod(system=SYSTEM, spec={"image": "image-2"}, intent={"generation": 2, "image": OTHER_IMAGE}),
        sees(exited()),
        "commit_fill all",
        phase=PENDING,
        own=OVERLAYS,
    ),
]

DELETION: Final = [
    # Deletion
    case(
        "deleted while it runs: container and volumes go, in one go",
        deleting_pod(),
        sees(running()),
        "remove_container force",
        f"remove_volume {UNIVERSAL}",
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "deleted, with overlays: they go before what they mount",
        deleting_pod(system=SYSTEM),
        sees(),
        f"remove_volume usr on_others system {UNIVERSAL}",
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "deleted, and nothing is there",
        deleting_pod(),
        sees(without=UNIVERSAL),
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "deleted, and a volume without labels bears its name: an older system made it, it goes",
        deleting_pod(),
        sees(without=UNIVERSAL, more={"home": {}}),
        "remove_volume home",
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "deleted, and a volume of its name is another installation's: that one stays",
        deleting_pod(),
        sees(foreign="home", without="workspace root etc usr-local opt var"),
        "remove_volume srv",
        "finish_purge",
        phase=DELETING,
    ),
    case(
        "deleted, and a foreign container bears its name: nothing is removed",
        deleting_pod(),
        sees(running(labels={})),
        phase=DELETING,
        because="it is not ours",
    ),
    case(
        "deleted and created again before the removals were done: what is old goes first",
        pod(intent={"generation": 3, "purge_generation": 2}),
        sees(running()),
        "remove_container force",
        f"remove_volume {UNIVERSAL}",
        "finish_purge",
        phase=DELETING,
    ),
    # What shows up of a deleted pod
    case("deleted, and nothing is left", tombstone(), sees(), phase=DELETED),
    case(
        "a container of a deleted pod shows up late",
        tombstone(),
        sees(created()),
        "remove_container force",
        phase=DELETING,
    ),
    case(
        "a volume that we made of a deleted pod shows up late",
        tombstone(),
        sees(more={"home": made_by("one")}),
        "remove_volume home",
        phase=DELETING,
    ),
    case(
        "a volume that the Engine made of a deleted pod shows up late",
        tombstone(),
        sees(more={"home": {**LABELS, naming.LABEL_UNASKED: "one"}}),
        "remove_volume home",
        phase=DELETING,
    ),
    case(
        "a volume of a deleted pod's name without an incarnation: somebody restores it for a new one",
        tombstone(),
        sees(more={"home": LABELS}),
        phase=DELETED,
    ),
    case(
        "a volume of a deleted pod's name without any label",
        tombstone(),
        sees(more={"home": {}}),
        phase=DELETED,
    ),
    case(
        "a volume of a deleted pod's name that another pod made",
        tombstone(),
        sees(more={"home": made_by("one", **{naming.LABEL_POD: "b"})}),
        phase=DELETED,
    ),
    case(
        "a volume of a deleted pod's name that another installation made",
        tombstone(),
        sees(more={"home": made_by("one", **{naming.LABEL_INSTALLATION: "other"})}),
        phase=DELETED,
    ),
    case(
        "a foreign container bears a deleted pod's name", tombstone(), sees(running(labels={})), phase=DELETED
    ),
]

ELSEWHERE: Final = [
    # On a host that the pod does not live on
    case(
        "a pod of another host, of which something is here", pod(host="there"), sees(running()), phase=RUNNING
    ),
    case(
        "a deleted pod of another host, of which something is here",
        deleting_pod(host="there"),
        sees(running(), without="workspace root etc usr-local opt var srv"),
        "remove_container force",
        "remove_volume home",
        phase=DELETING,
    ),
    case(
        "a deleted pod of another host, of which something without our incarnation is here",
        deleting_pod(host="there"),
        sees(unlabelled=UNIVERSAL),
        phase=DELETED,
    ),
]


@pytest.mark.parametrize(
    "situation", [*REST, *CREATION, *VOLUMES, *RESTORING, *KEEPING, *CONTAINERS, *SHAPES, *DELETION]
)
def test_what_follows(situation: Situation) -> None:
    situation.check(plan(situation.record, situation.seen, NOW, situation.own))


@pytest.mark.parametrize("situation", ELSEWHERE)
def test_what_follows_on_another_host(situation: Situation) -> None:
    assert isinstance(situation.seen, Observation)
    situation.check(plan_elsewhere(situation.record, situation.seen, situation.own))
