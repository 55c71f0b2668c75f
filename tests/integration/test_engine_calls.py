"""How many Engine calls an operation takes: the exact number, so that it cannot grow unnoticed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from config.settings import Settings
from tests.support.answers import counted_bytes
from tests.support.observing import CallCounter
from tests.support.round_trips import counted_round_trips
from worker.docker import volume_index, volumes
from worker.docker.engine import DockerEngine
from worker.local.private_engine import PrivateEngine
from worker.pods import naming
from worker.pods.model import System, SystemMode
from worker.pods.naming import LABEL_INSTALLATION, LABEL_POD, LABEL_VOLUME
from worker.pods.parsing import parse_spec
from worker.pods.requests import Create, Delete, Request, Restart, Start, Stop, Update
from worker.process.wiring import Parts, make_engine, make_parts
from worker.store.factory import make_store

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 3}


class Counted:
    """The parts of a worker, in this process, with its Engine calls counted."""

    def __init__(self, parts: Parts, calls: Counter[str]) -> None:
        self.parts, self.calls = parts, calls
        self._serial = 0

    async def of(self, pod_id: str, request: Request) -> Counter[str]:
        """Return the calls that a request takes, from acceptance to its outcome."""
        self._serial += 1
        self.calls.clear()
        await self.parts.intents.submit(pod_id, request, task_id=f"{pod_id}-{self._serial}")
        return Counter(self.calls)

    async def of_pass(self) -> Counter[str]:
        self.calls.clear()
        await self.parts.passes.run(wait_s=30)
        return Counter(self.calls)


@pytest.fixture
async def counted(
    request: pytest.FixtureRequest,
    engine: PrivateEngine,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Counted]:
    """If it is parametrized: with system volumes that differ from those of new pods."""
    monkeypatch.setenv("PINACLE_SYSTEM_VOLUMES", getattr(request, "param", "overlay"))
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    monkeypatch.setenv("PINACLE_REDIS_URL", redis_url)
    settings = Settings(min_free_mb=100, docker_config=tmp_path)
    calls: Counter[str] = Counter()
    docker = make_engine(settings, CallCounter(calls))
    await docker.ensure_network()
    parts = make_parts(settings, host="counted", engine=docker, store=make_store(settings))
    # As a worker does before it takes any work.
    await parts.rebuild.run()
    await parts.guard.establish()
    counted = Counted(parts, calls)
    yield counted
    for pod in (await parts.queries.list())["pods"]:
        await counted.of(pod["pod_id"], Delete())
    await parts.dispatcher.drain(5)
    await docker.close()
    await parts.store.close()


def spec(**more: Any) -> Any:
    return parse_spec({**SPEC, **more})


async def test_a_creation_takes_a_call_for_each_volume_and_nine_more(counted: Counted) -> None:
    """For an image that was looked at and that has a base: busybox has /usr, /bin and /lib.

    A layer is over these.
    """
    await counted.of("first", Create(spec=spec()))
    calls = await counted.of("calls", Create(spec=spec()))
    assert calls.pop("info", 0) <= 1  # It is asked for once in ten seconds.
    assert calls == {
        "image_inspect": 1,
        "container_inspect": 2,
        "volume_list": 2,
        "volume_create": 8 + 1 + 3,
        "container_create": 2,
        "container_remove": 1,
        "container_start": 1,
    }
    assert calls.total() == 8 + 1 + 3 + 9


@pytest.mark.parametrize("counted", ["off"], indirect=True)
async def test_without_system_volumes_it_takes_eight_volumes_and_six_calls(counted: Counted) -> None:
    await counted.of("first", Create(spec=spec()))
    calls = await counted.of("calls", Create(spec=spec()))
    assert calls.pop("info", 0) <= 1
    assert calls.total() == 8 + 6


@pytest.mark.parametrize("counted", ["off"], indirect=True)
async def test_an_image_is_looked_at_once(counted: Counted) -> None:
    """For its first pod: three calls, and one for each place where a volume may go."""
    calls = await counted.of("first", Create(spec=spec()))
    looks = {"container_create": 1, "container_remove": 1, "archive_read": 8 + 7 + 1 + 1}
    assert calls.total() == 8 + 7 + sum(looks.values())
    assert calls["archive_read"] == looks["archive_read"]
    assert (await counted.of("second", Create(spec=spec())))["archive_read"] == 0


async def test_what_is_made_for_an_image_is_known_meanwhile(counted: Counted) -> None:
    """No record names it yet, and it must not be removed as unused."""
    engine = counted.parts.engine
    image = await engine.find_image("pinacle-busybox")
    assert image is not None
    keeper = (await engine.observe_all()).containers.get(naming.base_name("pinacle", image.id))
    if keeper is not None:
        await engine.remove_container(keeper.id)
        # Nothing keeps them any more, and other tests look at all bases of this Engine.
        for name in keeper.volumes.values():
            await engine.remove_volume(name)
    wanted = System(mode=SystemMode.OVERLAY, image=image)
    making = asyncio.create_task(engine.prepare_system(wanted, {}, attempt="a1"))
    known: set[str] = set()
    while not making.done():
        known |= engine.bases_under_way()
        await asyncio.sleep(0)
    prepared = await making
    assert any(name.startswith(f"{naming.BASE_PREFIX}look-") for name in known)
    assert prepared.system.base in known
    assert not engine.bases_under_way()


async def test_what_is_as_it_should_be_takes_two_calls(counted: Counted) -> None:
    """Whatever is asked for again."""
    await counted.of("calls", Create(spec=spec()))
    for request in (Start(), Restart(), Create(spec=spec()), Update(spec=spec())):
        assert (await counted.of("calls", request)).total() == 2


async def test_stop_and_start_take_three_calls_each(counted: Counted) -> None:
    await counted.of("calls", Create(spec=spec()))
    assert (await counted.of("calls", Stop())).total() == 3
    assert (await counted.of("calls", Start())).total() == 3


async def test_bringing_back_a_lost_container_takes_five_calls(
    counted: Counted, engine: PrivateEngine
) -> None:
    """By a pass, whose two lists serve all pods; a task also asks whether it now has another name."""
    await counted.of("calls", Create(spec=spec()))
    engine.docker("rm", "-f", "pinacle-pod-calls")
    assert (await counted.of("calls", Restart())).total() == 6
    engine.docker("rm", "-f", "pinacle-pod-calls")
    assert (await counted.of_pass()).total() == 5


@pytest.mark.parametrize("pods", [0, 1, 12])
async def test_a_pass_that_finds_nothing_to_do_takes_two_calls(counted: Counted, pods: int) -> None:
    """And four round trips to Redis, whatever the number of pods."""
    for number in range(pods):
        await counted.of(f"many-{number}", Create(spec=spec()))
        if number % 3 == 0:
            await counted.of(f"many-{number}", Stop())
    with counted_round_trips() as trips:
        assert await counted.of_pass() == {"container_list": 1, "volume_list": 1}
    assert trips.total() == 4


async def test_an_ended_container_is_inspected_once(counted: Counted, engine: PrivateEngine) -> None:
    """Its exit code is recorded; a pass that finds it in back-off takes two calls again."""
    await counted.of("calls", Create(spec=spec(restart="never")))
    engine.docker("kill", "pinacle-pod-calls")
    assert await counted.of_pass() == {"container_list": 1, "volume_list": 1, "container_inspect": 1}
    assert await counted.of_pass() == {"container_list": 1, "volume_list": 1}
    answer = await counted.parts.queries.get("calls")
    assert (answer["phase"], answer["exit_code"]) == ("failed", 137)


async def test_an_update_that_makes_the_container_again_is_counted(
    counted: Counted, engine: PrivateEngine
) -> None:
    """What is to be kept is looked for before it is stopped and again after that, then copied."""
    await counted.of("calls", Create(spec=spec()))
    plain = {
        "image_inspect": 1,
        "container_inspect": 1,
        "volume_list": 2,
        "container_changes": 2,
        "container_stop": 1,
        "container_remove": 1,
        "container_create": 1,
        "container_start": 1,
    }
    assert await counted.of("calls", Update(spec=spec(hostname="one"))) == plain
    engine.docker("exec", "pinacle-pod-calls", "mkdir", "-p", "/data")
    engine.docker("exec", "pinacle-pod-calls", "touch", "/data/file")
    measured = {"info": 1, "container_inspect": 1}
    looked_at = {"container_create": 1, "archive_read": 1, "container_remove": 1}
    copied = {"volume_create": 1, "container_inspect": 1, "info": 1, "volume_inspect": 1, "folder_copy": 1}
    kept = Counter(plain) + Counter(measured) + Counter(looked_at) + Counter(copied)
    assert await counted.of("calls", Update(spec=spec(hostname="two"))) == kept


async def test_beside_very_many_volumes_a_task_asks_for_its_own(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: the same calls, and the same bytes to read, and no list at all."""
    monkeypatch.setattr(volumes, "_MANY", 20)
    await counted.of("first", Create(spec=spec()))
    found, made = [], list[str]()
    try:
        for others in (30, 120):
            made += await make_others(counted.parts.engine, others - len(made))
            await until_indexed(counted)
            with counted_bytes() as count:
                calls = [
                    await counted.of("calls", request)
                    for request in (Create(spec=spec()), Stop(), Start(), Delete())
                ]
            found.append((calls, count["volumes"]))
    finally:
        for name in made:
            await counted.parts.engine.remove_volume(name)
    assert found[0] == found[1]
    calls, size = found[0]
    # At first the eight names and the sentinel's, later also the four that a system volume has.
    asked = [(each["volume_list"], each["volume_inspect"]) for each in calls]
    assert asked == [(0, 22), (0, 13), (0, 13), (0, 13)]
    # The number of bytes depends on the length of the path of the Engine's directory.
    assert size > 0


async def test_beside_very_many_volumes_without_events_a_task_lists_its_own(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list of its own and one of all bases each time; unlabelled ones and the sentinel by name."""
    monkeypatch.setattr(volumes, "_MANY", 1)
    monkeypatch.setattr(volume_index.VolumeIndex, "listen", lambda _self: None)
    await counted.of("first", Create(spec=spec()))
    await counted.of_pass()
    requests = (Create(spec=spec()), Stop(), Start(), Delete())
    calls = [await counted.of("calls", request) for request in requests]
    asked = [(each["volume_list"], each["volume_inspect"]) for each in calls]
    assert asked == [(4, 10), (2, 1), (2, 1), (2, 1)]


async def until_indexed(counted: Counted) -> None:
    """Make passes until the index of volumes is current: a list was asked for after its stream began."""
    async with asyncio.timeout(10):
        while True:
            await counted.of_pass()
            counted.calls.clear()
            await counted.parts.engine.observe("none", frozenset())
            if not counted.calls["volume_list"]:
                return


async def test_beside_very_many_volumes_a_pod_is_seen_as_it_is(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the list of all: including volumes that an older system made without labels, and extra ones."""
    engine = counted.parts.engine
    await counted.of("calls", Create(spec=spec()))
    await counted.of("calls-2", Create(spec=spec()))
    names = frozenset({"pinacle-vol-calls-older", "pinacle-vol-calls-home", "pinacle-vol-calls-none"})
    labels = {LABEL_POD: "calls", LABEL_VOLUME: "stray", LABEL_INSTALLATION: "pinacle"}
    made = {"pinacle-vol-calls-older": {}, "pinacle-vol-calls-stray": labels, "other": labels}
    for name, given in made.items():
        await engine.create_volume(name, given)
    seen = []
    for many in (1000, 0):
        monkeypatch.setattr(volumes, "_MANY", many)
        await engine.observe_all()
        if not many:
            await until_indexed(counted)
        seen.append((await engine.observe("calls", names), await engine.observe("none", frozenset())))
    await engine.remove_volume("pinacle-vol-calls-older")
    await engine.remove_volume("other")
    assert seen[0] == seen[1]
    assert {"pinacle-vol-calls-older", "pinacle-vol-calls-stray"} <= seen[0][0].volumes.keys()
    assert seen[0][0].bases
    assert seen[0][0].storages


async def make_others(engine: DockerEngine, number: int) -> list[str]:
    names = [f"others-{uuid4().hex}" for _ in range(number)]
    for name in names:
        await engine.create_volume(name, {})
    return names
