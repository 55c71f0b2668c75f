"""Volumes are listed once for all callers, and asked for by name if that list is slow."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import pytest

from worker.docker.volumes import Volumes
from worker.errors import EngineUnavailableError, ObjectMissingError, OutcomeUnknownError, PodError
from worker.pods import naming

HOME: Final = "pinacle-vol-a-home"
BASE: Final = "pinacle-base-1-usr"
STORAGE: Final = "pinacle-storage-test"


def entry(name: str, **labels: str) -> dict[str, Any]:
    return {"Name": name, "Labels": labels, "Mountpoint": f"/v/{name}", "Options": None}


THERE: Final = {
    HOME: entry(HOME),
    BASE: entry(BASE, **{naming.LABEL_BASE: "sha256:1"}),
    STORAGE: entry(STORAGE),
    "pinacle-vol-b-home": entry("pinacle-vol-b-home"),
}
KEEPER: Final = {
    "Id": "k",
    "Names": ["/pinacle-base-1"],
    "State": "created",
    "ImageID": "sha256:1",
    "Mounts": [{"Type": "volume", "Destination": "/usr", "Name": BASE}],
}


class Calls:
    """An Engine whose list of volumes does what a test says; it notes its calls."""

    def __init__(self, listing: Callable[[], Any]) -> None:
        self.listing = listing
        self.asked: list[str] = []

    async def json(self, operation: str, method: str, path: str, **more: Any) -> Any:
        self.asked.append(path)
        if path == "volumes":
            return await self.listing()
        if path == "containers/json":
            return [KEEPER]
        name = path.removeprefix("volumes/")
        if name not in THERE:
            raise ObjectMissingError(name)
        return THERE[name]


async def quick() -> Any:
    return {"Volumes": list(THERE.values())}


async def never() -> Any:
    await asyncio.Event().wait()


async def refused() -> Any:
    raise EngineUnavailableError("a driver fails")


async def names_of(calls: Calls) -> set[str]:
    volumes = made(calls)
    try:
        return {volume.name for volume in await volumes.of_pod("a", frozenset({HOME}))}
    finally:
        await volumes.close()


def made(calls: Calls) -> Volumes:
    return Volumes(calls=cast("Any", calls), installation="test", deadline_s=60, patience_s=0.05)


async def test_a_list_that_comes_soon_is_the_only_call() -> None:
    calls = Calls(quick)
    assert await names_of(calls) == {HOME, BASE, STORAGE}
    assert calls.asked == ["volumes"]


@pytest.mark.parametrize("listing", [never, refused])
async def test_without_the_list_all_that_a_pod_can_have_is_asked_for_by_name(
    listing: Callable[[], Any],
) -> None:
    """The pod's own, those of all bases, and the sentinel: the answer is the same."""
    calls = Calls(listing)
    assert await names_of(calls) == {HOME, BASE, STORAGE}
    assert f"volumes/{HOME}" in calls.asked
    assert "volumes/pinacle-vol-a-usr" in calls.asked
    assert not [path for path in calls.asked if "pinacle-vol-b" in path]


async def test_who_asks_while_a_slow_list_is_under_way_does_not_wait_for_it() -> None:
    calls = Calls(never)
    volumes = made(calls)
    await volumes.of_pod("a", frozenset({HOME}))
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(0.05)
    began = clock()
    assert (await volumes.bases()).keys() == {BASE}
    assert clock() - began < 0.05
    assert calls.asked.count("volumes") == 1
    await volumes.close()


@pytest.mark.parametrize("listing", [never, refused])
async def test_beside_very_many_volumes_slow_lists_are_not_waited_for_either(
    listing: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists by label go through the same drivers."""
    monkeypatch.setattr("worker.docker.volumes._MANY", 1)
    calls = Calls(quick)
    volumes = made(calls)
    await volumes.all()
    calls.listing = listing
    found = {volume.name for volume in await volumes.of_pod("a", frozenset({HOME}))}
    assert found == {HOME, BASE, STORAGE}
    assert "volumes/pinacle-vol-a-usr" in calls.asked
    assert (await volumes.bases()).keys() == {BASE}
    await volumes.close()


async def test_what_cannot_be_asked_by_name_either_is_an_error() -> None:
    """Unknown is not gone."""

    class Broken(Calls):
        async def json(self, operation: str, method: str, path: str, **more: Any) -> Any:
            if path == f"volumes/{HOME}":
                raise OutcomeUnknownError("no answer")
            return await super().json(operation, method, path, **more)

    with pytest.raises(PodError):
        await names_of(Broken(never))


async def test_a_list_that_takes_too_long_is_named() -> None:
    async def too_long() -> Any:
        raise OutcomeUnknownError("volume_list: no answer") from TimeoutError()

    with pytest.raises(OutcomeUnknownError, match="list of all volumes took longer than 60 s"):
        await made(Calls(too_long)).all()
