"""The index of volumes: a list, and the events since; never less than what there is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from worker.docker.volume_index import Listing, VolumeNames, _listed
from worker.pods import naming

POD = "a"


def entry(name: str, **labels: str) -> dict[str, Any]:
    return {"Name": name, "Labels": labels, "Mountpoint": f"/v/{name}", "Options": None}


def of_a_pod(pod_id: str, short: str) -> dict[str, Any]:
    labels = {naming.LABEL_POD: pod_id, naming.LABEL_VOLUME: short}
    return entry(naming.volume_name(pod_id, short), **labels)


def base(number: int) -> dict[str, Any]:
    return entry(f"{naming.BASE_PREFIX}{number}-usr", **{naming.LABEL_BASE: f"sha256:{number}"})


ALL = [
    of_a_pod("a", "home"),
    of_a_pod("a-b", "home"),
    entry("pinacle-vol-a-older"),
    base(1),
    base(2),
    entry("somebody-elses"),
]


async def listed(names: VolumeNames, entries: Sequence[dict[str, Any]]) -> None:
    with names.listing() as listing:
        await listing.came(entries)


async def test_it_knows_what_the_list_says_and_what_was_heard_since() -> None:
    names = VolumeNames()
    with names.connection():
        await listed(names, [of_a_pod("a", "home"), of_a_pod("a-b", "home"), base(1)])
        names.hear("pinacle-vol-a-new", is_there=True)
        names.hear("pinacle-base-2-usr", is_there=True)
        names.hear("somebody-elses", is_there=True)
        names.hear("pinacle-base-1-usr", is_there=True)  # Mounted: it had been there.
        known = names.of_pod("a")
        assert known is not None
        assert known.names == {"pinacle-vol-a-home", "pinacle-vol-a-new", "pinacle-base-2-usr"}
        assert known.bases.keys() == {"pinacle-base-1-usr"}
        names.hear("pinacle-base-1-usr", is_there=False)
        known = names.of_pod("a")
        assert known is not None
        assert not known.bases


async def test_without_the_events_it_knows_nothing() -> None:
    names = VolumeNames()
    await listed(names, ALL)
    assert names.of_pod(POD) is None, "no stream"
    with names.listing() as listing:
        with names.connection():
            await listing.came(ALL)
            assert names.of_pod(POD) is None, "the list was asked for before the stream began"
            await listed(names, ALL)
            assert names.of_pod(POD) is not None
        assert names.of_pod(POD) is None, "the stream ended"
    with names.connection():
        assert names.of_pod(POD) is None, "nobody heard what happened in between"
        await listed(names, ALL)
        names.forget()
        assert names.of_pod(POD) is None, "an event was not understood"


async def test_a_list_across_two_connections_counts_for_neither() -> None:
    names = VolumeNames()
    with names.connection():
        late = names.listing()
        listing = late.__enter__()
    with names.connection():
        await listing.came(ALL)
        assert names.of_pod(POD) is None
        late.__exit__(None, None, None)


@dataclass
class World:
    """An Engine: what is there, and events that were not delivered yet."""

    there: set[int] = field(default_factory=set)
    events: list[tuple[int, bool]] = field(default_factory=list)

    def change(self, number: int) -> None:
        is_there = number not in self.there
        (self.there.add if is_there else self.there.remove)(number)
        self.events.append((number, is_there))


async def check_all(names: VolumeNames, there: set[int]) -> None:
    """Whatever is there is a base that is known, or a name that will be asked for."""
    for pod_id in ("a", "a-b"):
        known = names.of_pod(pod_id)
        if known is None:
            continue
        bases = {ALL[n]["Name"] for n in there if naming.LABEL_BASE in ALL[n]["Labels"]}
        asked = {name for name in known.names if name.startswith(naming.BASE_PREFIX)}
        assert known.bases.keys() | asked >= bases, "a base is missing"
        assert known.bases.keys() <= bases, "a base that is gone counts as there"
        own = {ALL[n]["Name"] for n in there if ALL[n]["Labels"].get(naming.LABEL_POD) == pod_id}
        assert known.names >= own, "a volume of the pod is missing"


STEPS = st.one_of(
    st.tuples(st.just("change"), st.integers(0, len(ALL) - 1)),
    st.tuples(st.sampled_from(("ask", "look", "come", "deliver")), st.integers(0, 2)),
)


OLD_LIST = [("ask", 0), ("look", 0), ("change", 0), ("deliver", 0), ("come", 0)]
OLDER_LIST_COMES_LAST = [("ask", 0), *OLD_LIST[1:4], ("ask", 0), ("look", 1), ("come", 1), ("come", 0)]


@given(st.lists(STEPS, max_size=40))
@example(OLD_LIST)
@example(OLDER_LIST_COMES_LAST)
async def test_whatever_comes_between_no_volume_is_missed(steps: list[tuple[str, int]]) -> None:
    """Lists overlap, come late, and are older than events; once all events are heard, nothing is missing."""
    names, world = VolumeNames(), World()
    asked: list[tuple[Any, Listing, list[dict[str, Any]] | None]] = []
    with names.connection():
        for step, number in steps:
            if step == "change":
                world.change(number)
            elif step == "ask":
                context = names.listing()
                asked.append((context, context.__enter__(), None))
            elif step == "look" and number < len(asked):
                context, listing, _ = asked[number]
                asked[number] = (context, listing, [ALL[n] for n in sorted(world.there)])
            elif step == "come" and number < len(asked) and (found := asked[number][2]) is not None:
                context, listing, _ = asked.pop(number)
                await listing.came(found)
                context.__exit__(None, None, None)
            elif step == "deliver" and world.events:
                changed, is_there = world.events.pop(0)
                names.hear(ALL[changed]["Name"], is_there=is_there)
        for changed, is_there in world.events:
            names.hear(ALL[changed]["Name"], is_there=is_there)
        await check_all(names, world.there)
        for context, _, _ in asked:
            context.__exit__(None, None, None)


def test_the_list_is_kept_by_pods_and_bases() -> None:
    kept = _listed(ALL)
    assert kept.pods == {"a": ("home",), "a-b": ("home",)}
    assert kept.bases.keys() == {"pinacle-base-1-usr", "pinacle-base-2-usr"}
