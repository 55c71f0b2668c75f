"""Short words for what is recorded and what is seen of a pod: for rows in tables about the planner.

`pod()` is an initialised pod that was asked to run, and `sees()` shows it running with everything that it
should have. A situation says only what differs from that.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, Final

import pytest

from config.layout import LAYERS_VOLUME, UNIVERSAL_VOLUMES
from tests.support.shapes import seen_shape
from worker.planner.container import spec_hash
from worker.planner.decision import Plan
from worker.planner.steps import Step, step_name
from worker.pods import naming
from worker.pods.layout import declared_name, looked_paths
from worker.pods.model import (
    Crash,
    Installation,
    Intent,
    IntentKind,
    Phase,
    PinnedImage,
    PodState,
    Record,
    SentStop,
    Subvolume,
    System,
    SystemMode,
    Volume,
    VolumeClass,
)
from worker.pods.observation import (
    ContainerState,
    Exit,
    Observation,
    ObservedContainer,
    ObservedSize,
    ObservedSubvolume,
    ObservedVolume,
    OnPool,
    Unknown,
)
from worker.pods.own_root import Look, Measured, Standing
from worker.pods.spec import PodSpec

OWN: Final = Installation(name="test", network="net", system_volumes=SystemMode.OFF)
OVERLAYS: Final = Installation(name="test", network="net", system_volumes=SystemMode.OVERLAY)
GVISOR: Final = Installation(
    name="test", network="net", default_runtime="runsc", system_volumes=SystemMode.OFF
)
POOLS: Final = Installation(name="test", network="net", system_volumes=SystemMode.POOL)
IMAGE: Final = PinnedImage(reference="image", id="sha256:1")
DATABASE: Final = PinnedImage(reference="image", id="sha256:3", volumes=("/data",))
BELOW: Final = PinnedImage(reference="image", id="sha256:4", volumes=("/srv/db",))
PULLED: Final = PinnedImage(reference="image", id="sha256:1", repo_digest="image@sha256:d")
OTHER_IMAGE: Final = PinnedImage(reference="image-2", id="sha256:2")
SYSTEM: Final = System(mode=SystemMode.OVERLAY, image=IMAGE, directories=("/usr",), base="base")
COPIED: Final = System(mode=SystemMode.COPY, image=IMAGE, directories=("/usr",))
ON_POOL: Final = System(mode=SystemMode.POOL, image=IMAGE, directories=("/usr",))
MINE: Final = Subvolume(uuid="mine", pool="p", incarnation="one")
UNIVERSAL: Final = " ".join(name for name, _ in UNIVERSAL_VOLUMES)
"""The names of the universal volumes, in their order."""
NOW: Final = 1000.0
CONTAINER_ID: Final = "c" * 64
SECOND: Final = "d" * 64
"""The id of a second container of the pod; its own has only the letter c."""
LABELS: Final = {naming.LABEL_POD: "a", naming.LABEL_INSTALLATION: "test"}
_PATHS: Final = dict((*UNIVERSAL_VOLUMES, LAYERS_VOLUME, ("usr", "/usr")))
_SYSTEM_NAMES: Final = (LAYERS_VOLUME[0], "usr")

View = Callable[[Record], Observation]
ContainerView = Callable[[Record], ObservedContainer]


# What is recorded.


def pod(
    *,
    spec: Mapping[str, Any] | None = None,
    intent: Mapping[str, Any] | None = None,
    image: PinnedImage | None = IMAGE,
    system: System | None = None,
    declared: Sequence[str] = (),
    unfilled: str = "",
    copied: str = "",
    storage: str | None = None,
    host: str = "here",
    **state: Any,
) -> Record:
    """Return the record of an initialised, running pod, with the given differences.

    `spec`, `intent` and `state` are fields of PodSpec, Intent and PodState; `unfilled` names volumes whose
    first fill is not noted as done; `declared` gives the paths of volumes beyond the universal ones.
    """
    # A record takes keys that it does not know, as a newer worker may have written them.
    misspelt = state.keys() - PodState.__dataclass_fields__.keys()
    assert not misspelt, misspelt
    reference = image.reference if image is not None else "image"
    wanted = PodSpec(**{"image": reference, **(spec or {})})
    return Record(
        pod_id="a",
        host=host,
        storage=storage,
        intent=Intent(**{"kind": IntentKind.RUNNING, "generation": 1, "spec": wanted, **(intent or {})}),
        state=PodState(
            **{
                "phase": Phase.RUNNING,
                "container_id": "c" * 64,
                "image": image,
                "layout": layout(system=system, declared=declared, unfilled=unfilled, copied=copied),
                "system": system,
                "settled_generation": 1,
                "tier": "dev.small",
                "starts": 1,
                **state,
            }
        ),
    )


def layout(
    *,
    system: System | None = None,
    declared: Sequence[str] = (),
    unfilled: str = "",
    copied: str = "",
    incarnation: str = "one",
) -> tuple[Volume, ...]:
    """Return a recorded layout, made by one incarnation."""
    open_ones = unfilled.split()
    own = () if system is None else _SYSTEM_NAMES[0 if system.mode is SystemMode.OVERLAY else 1 :]
    classes = dict.fromkeys(own, VolumeClass.SYSTEM)
    classes |= {name: VolumeClass.UNIVERSAL for name, _ in UNIVERSAL_VOLUMES}
    entries = [(name, _PATHS[name], volume_class) for name, volume_class in classes.items()]
    entries += [(declared_name(path), path, VolumeClass.DECLARED) for path in declared]
    return tuple(
        Volume(
            name=name,
            path=path,
            volume_class=volume_class,
            incarnation=incarnation,
            filled=name not in open_ones,
            copied_from="c" * 64 if path in copied.split() else None,
        )
        for name, path, volume_class in entries
    )


_NOTHING: Final[Mapping[str, Any]] = {
    "phase": Phase.PENDING,
    "container_id": None,
    "settled_generation": 0,
    "tier": None,
    "starts": 0,
}


def new_pod(**more: Any) -> Record:
    """Return a pod about which only its intent is recorded."""
    return pod(**{**_NOTHING, "layout": (), **more})


def begun_pod(**more: Any) -> Record:
    """Return a pod whose first creation has begun: its volumes are noted, and none as filled."""
    return pod(**{**_NOTHING, "unfilled": f"{UNIVERSAL} system usr", **more})


def committed_pod(**more: Any) -> Record:
    """Return a pod whose first creation is complete, but that was never started."""
    return pod(**{**_NOTHING, "tier": "dev.small", **more})


def asked_again(*, kind: IntentKind = IntentKind.RUNNING, **more: Any) -> Record:
    """Return a pod that ran and has an intent that is not reached yet."""
    intent = {"kind": kind, "generation": 2, **more.pop("intent", {})}
    return pod(**more, intent=intent)


def stopping_pod(**more: Any) -> Record:
    """Return a pod that ran and is asked to stop."""
    return asked_again(kind=IntentKind.STOPPED, **more)


def stopped_pod(**more: Any) -> Record:
    """Return a pod that was asked to stop and has stopped."""
    return stopping_pod(**{"phase": Phase.STOPPED, "settled_generation": 2, **more})


def restored(mark: str) -> tuple[Volume, ...]:
    """Return the layout of a pod whose /home was lost and is noted as restored, with this mark."""
    return tuple(v.evolve(restored=mark if v.name == "home" else None) for v in layout())


def deleting_pod(**more: Any) -> Record:
    """Return a pod that ran and is to be deleted with everything that it has."""
    intent = {"kind": IntentKind.DELETED, "purge_generation": 2, **more.pop("intent", {})}
    return asked_again(**more, intent=intent)


def tombstone(**more: Any) -> Record:
    """Return the record of a pod that was deleted and of which nothing is left."""
    return deleting_pod(**{**_NOTHING, "layout": (), "purged_generation": 2, **more})


def crash(*, run: int = 1, count: int = 1, code: int = 1, next_try_at: float = 0.0, **more: bool) -> Crash:
    """Return the note that the container of start `run` ended by itself."""
    noted = Crash(run=run, count=count, exit_code=code, oom_killed=False, next_try_at=next_try_at)
    return noted.evolve(**more)


def sent_stop(*, at: float, run: int = 1, timeout_s: int = 10, container_id: str = "c" * 64) -> SentStop:
    """Return the note that a stop was sent to the container of start `run`."""
    return SentStop(container_id=container_id, run=run, sent_at=at, timeout_s=timeout_s)


# What is seen.


def running(**more: Any) -> ContainerView:
    return in_state(ContainerState.RUNNING, **more)


def created(**more: Any) -> ContainerView:
    return in_state(ContainerState.CREATED, **more)


def exited(code: int = 1, **more: Any) -> ContainerView:
    ended = Exit(code=code, oom_killed=False, started_at=NOW - 9, finished_at=NOW)
    return in_state(ContainerState.EXITED, **{"exit": ended, **more})


def renamed(view: ContainerView, name: str = "elsewhere", *, second: bool = False) -> ContainerView:
    """Show a container under another name; with `second` it is not the recorded one."""

    def container(record: Record) -> ObservedContainer:
        shown = view(record)
        return replace(shown, name=name, id=SECOND if second else shown.id)

    return container


def in_state(
    state: ContainerState,
    *,
    labels: Mapping[str, str] = LABELS,
    mounts: Sequence[str] | None = None,
    other_spec: bool = False,
    **more: Any,
) -> ContainerView:
    """Show the pod's container, made from the recorded spec unless `other_spec`.

    `labels` replace ours; `mounts` are the full names of the volumes that it mounts, by default the recorded
    ones.
    """

    def container(record: Record) -> ObservedContainer:
        digest = "other" if other_spec or record.image is None else spec_hash(record)
        own = {v.path: naming.volume_name(record.pod_id, v.name) for v in record.state.layout}
        return ObservedContainer(
            **{
                "id": "c" * 64,
                "name": naming.container_name(record.pod_id),
                "state": state,
                "image_id": IMAGE.id,
                "labels": {**labels, naming.LABEL_SPEC_HASH: digest},
                "volumes": own if mounts is None else {f"/{name}": name for name in mounts},
                **more,
            }
        )

    return container


def sees(
    container: ContainerView | None = None,
    *,
    without: str = "",
    replaced: str = "",
    unasked: str = "",
    unlabelled: str = "",
    foreign: str = "",
    plain: str = "",
    elsewhere: str = "",
    more: Mapping[str, Mapping[str, str]] | None = None,
    links: Mapping[str, str] | None = None,
    others: Sequence[ContainerView] = (),
    **rest: Any,
) -> View:
    """Show the volumes that are recorded, each as it should be, and `container`, or none.

    Names of volumes, separated by blanks, say which are missing (`without`), have another incarnation
    (`replaced`), were made by the Engine for a missing one (`unasked`), have no label (`unlabelled`) or
    another installation's (`foreign`), are plain volumes although they should be overlays (`plain`), or mount
    something else (`elsewhere`). A pod on a pool has its subvolume there, unless `pool` says otherwise.
    `more` gives the labels of additional volumes by short name, `links` the images' links, path to target.
    `others` are containers with the pod's labels and another name. `rest` are fields of Observation.
    """
    gone, other, engines = without.split(), replaced.split(), unasked.split()
    bare, strange, simple, moved = unlabelled.split(), foreign.split(), plain.split(), elsewhere.split()

    def labels(volume: Volume) -> dict[str, str]:
        incarnation = "another" if volume.name in other else volume.incarnation or ""
        if volume.name in bare:
            return {}
        if volume.name in engines:
            return {naming.LABEL_UNASKED: incarnation}
        owner = {naming.LABEL_INSTALLATION: "other"} if volume.name in strange else {}
        return made_by(incarnation, **{naming.LABEL_VOLUME: volume.name}) | owner

    def options(record: Record, volume: Volume) -> dict[str, str]:
        right = {} if volume.name in simple else _pointer(record, volume)
        return (
            {key: re.sub("/(v|pool)/", "/moved/", value) for key, value in right.items()}
            if volume.name in moved
            else right
        )

    def observation(record: Record) -> Observation:
        shown = [
            _volume(volume.name, labels(volume), options(record, volume))
            for volume in record.state.layout
            if volume.name not in gone
        ]
        shown += [_volume(name, its) for name, its in (more or {}).items()]
        base = replace(
            _volume("", {naming.LABEL_BASE: "sha256:1"}), name="base-usr", mountpoint="/v/base-usr"
        )
        seen = {
            "container": container(record) if container is not None else None,
            "volumes": {volume.name: volume for volume in shown},
            "bases": {base.name: base},
            "shapes": {
                image.id: seen_shape(looked_paths(record, record.image or image), links)
                for image in (IMAGE, OTHER_IMAGE, DATABASE, BELOW)
            },
            "others": tuple(other(record) for other in others),
            "pool": on_pool("mine") if _is_pooled(record) else None,
        }
        return Observation(**{**seen, **rest})

    return observation


def looked(
    *kept: str,
    other: str = "",
    nothing: str = "",
    ended: bool = True,
    container_id: str = "c" * 64,
    places: bool = False,
) -> Look:
    """Show what a look into the container found: directories, a file or link, and what was removed.

    `places` is true if it also looked at every new volume of a situation.
    """
    found = dict.fromkeys(kept, Standing.DIRECTORY)
    found |= {other: Standing.OTHER} if other else {}
    found |= {nothing: Standing.NOTHING} if nothing else {}
    where = (*(path for _, path in UNIVERSAL_VOLUMES), "/data", "/srv/db") if places else ()
    return Look(container_id=container_id, found=found, ended=ended, places=where)


def room(*paths: str, free: int = 100) -> Measured:
    """Show that what is to be kept needs 2 MB, and that `free` MB are free."""
    sizes = dict.fromkeys(paths, 2_000_000)
    return Measured(
        paths=paths,
        needed_bytes=2_000_000,
        free_bytes=free * 1_000_000,
        most_bytes=10**9,
        where="/v",
        sizes=sizes,
    )


def made_by(incarnation: str, **labels: str) -> dict[str, str]:
    """Return the labels of a volume of this pod that an incarnation made."""
    return {**LABELS, naming.LABEL_INCARNATION: incarnation, **labels}


def _volume(
    short: str, labels: Mapping[str, str], options: Mapping[str, str] | None = None
) -> ObservedVolume:
    name = naming.volume_name("a", short)
    return ObservedVolume(name=name, labels=labels, mountpoint=f"/v/{name}", options=options or {})


def on_pool(uuid: str | None = None, size: ObservedSize | None = None, **begun: str) -> OnPool:
    """Show what the pool has of the pod: the UUID under its name, and others by their incarnations."""
    named = None if uuid is None else ObservedSubvolume(uuid=uuid, path="/pool/pods/a", size=size)
    return OnPool(subvolume=named, begun=begun)


def _directory(volume: Volume) -> str:
    return volume.name if volume.incarnation == "one" else f"{volume.name}.{volume.incarnation}"


def _is_pooled(record: Record) -> bool:
    return record.state.system is not None and record.state.system.mode is SystemMode.POOL


def _pointer(record: Record, volume: Volume) -> dict[str, str]:
    """Return the options that a volume should have, calculated independently of the planner."""
    if _is_pooled(record):
        return {"type": "none", "o": "bind", "device": f"/pool/pods/a/{_directory(volume)}"}
    return _overlay(record, volume)


def _overlay(record: Record, volume: Volume) -> dict[str, str]:
    """Return the options that an overlay should have, calculated independently of the planner."""
    system = record.state.system
    if system is None or system.mode is not SystemMode.OVERLAY or volume.path not in system.directories:
        return {}
    layer = f"/v/pinacle-vol-a-system{volume.path}"
    words = f"lowerdir=/v/base-{volume.path[1:]},upperdir={layer}/upper,workdir={layer}/work,index=off"
    return {"type": "overlay", "device": "overlay", "o": words}


# What follows.


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One row: what is recorded, what is seen, and what follows."""

    record: Record
    seen: Observation | Unknown
    steps: tuple[str, ...]
    phase: Phase
    because: str
    retry_at: float | None
    until: float | None
    own: Installation

    def check(self, decided: Plan) -> None:
        """Compare with what follows."""
        found = described(self.record, decided.steps)
        assert (found, decided.phase) == (self.steps, self.phase), decided.reason
        given_up = decided.given_up.reason if decided.given_up is not None else ""
        assert self.because in (decided.reason or given_up)
        assert self.retry_at is None or decided.retry_at == self.retry_at
        if self.until is not None:
            assert decided.given_up is not None
            assert decided.given_up.until == self.until
            assert self.because in given_up


def case(
    words: str,
    record: Record,
    view: View | Unknown,
    *steps: str,
    phase: Phase,
    because: str = "",
    retry_at: float | None = None,
    until: float | None = None,
    own: Installation = OWN,
) -> Any:
    """Return one row: the situation in words, what is recorded, what is seen, and what follows.

    `because` is a part of the expected reason; `retry_at` is checked if it is given; `until` is given if the
    intent is given up until that time and the pod goes on as it was.
    """
    situation = Situation(
        record=record,
        seen=view if isinstance(view, Unknown) else view(record),
        steps=steps,
        phase=phase,
        because=because,
        retry_at=retry_at,
        until=until,
        own=own,
    )
    return pytest.param(situation, id=words)


def described(record: Record, steps: Sequence[Step]) -> tuple[str, ...]:
    """Describe each step with its details, such as `create_volume home var` or `remove_container force`.

    Consecutive steps of one kind are one line. The pod's container is not named, but a second one is.
    """
    words = [(step_name(step), _details(record, step)) for step in steps]
    lines = []
    for name, same in groupby(words, key=lambda each: each[0]):
        details = [detail for _, detail in same if detail]
        lines.append(" ".join([name, *details]))
    return tuple(lines)


def _details(record: Record, step: Step) -> str:
    said = (_said(record, field.name, getattr(step, field.name)) for field in fields(step))
    return " ".join(filter(None, said))


def _said(record: Record, name: str, value: Any) -> str:
    """Describe the value of one field of a step; empty if it is the usual one."""
    if name == "container_id":
        return {"": "", CONTAINER_ID: "", SECOND: "of the second"}.get(value, f"of {value!r}")
    if name == "places" or value is None or value is False:
        return ""
    match value:
        case True:
            said = name
        case Volume(name=short):
            said = short
        case PinnedImage(reference=reference):
            said = reference
        case System(mode=mode):
            said = mode.value
        case tuple():
            everything = tuple(volume.path for volume in record.state.layout)
            words = [each.name if isinstance(each, Volume) else str(each) for each in value]
            said = "all" if value == everything else " ".join(words)
            said = f"kept {said}" if name == "kept" and said else said
        case _:
            said = str(value).removeprefix(naming.volume_name(record.pod_id, ""))
    return said
