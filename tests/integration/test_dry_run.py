"""`dry_run`: what an update or a deletion would do is what it then does, and telling it changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.commands import Pinacle
from tests.support.pods import Pod
from tests.support.registry import REGISTRY, running_registry
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.planner.steps import READ_ONLY, name_of_kind

SECRET: Final = "canary-dry-run-31"  # noqa: S105 - looked for, and not to be found
PULLED: Final = f"{REGISTRY}/dry/later:1"
SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-busybox",
    "stop_timeout_s": 1,
    "ports": [{"container": 80}],
    "env": {"TOKEN": SECRET},
}
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "another tier": {"tier": "dev.medium"},
    "labels": {"labels": {"team": "x"}},
    "another variable": {"env": {"TOKEN": SECRET + "2", "MORE": SECRET}},
    "another image": {"image": "pinacle-dry-2"},
    "one more port": {"ports": [{"container": 80}, {"container": 81}]},
    "nothing": {},
}


@pytest.fixture(scope="module", autouse=True)
def images(engine: PrivateEngine, busybox: str) -> None:
    import_busybox(engine, "pinacle-dry-2", changes=("VOLUME /data",))


@pytest.fixture(scope="module")
def settings(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "PINACLE_REGISTRIES": f"docker.io,{REGISTRY}"}


@pytest.fixture(scope="module")
def registry(engine: PrivateEngine, scratch: Path, busybox: str) -> Iterator[None]:
    """Have an image in a registry, and not on the host."""
    with running_registry(engine, scratch / "dry-registry"):
        import_busybox(engine, PULLED, changes=("VOLUME /later",))
        engine.docker("push", "-q", PULLED)
        engine.docker("rmi", PULLED)
        yield


@pytest.fixture
def pod(client: Client, engine: PrivateEngine) -> Iterator[Pod]:
    with Pod.running(client, engine, "dry", SPEC) as pod:
        pod.sh("mkdir -p /data; echo mine > /data/file")
        yield pod


class World:
    """Everything that a dry run could have changed."""

    def __init__(self, engine: PrivateEngine, redis_url: str) -> None:
        self._engine, self._redis_url = engine, redis_url

    def __call__(self) -> tuple[Any, ...]:
        with Redis.from_url(self._redis_url) as redis:
            keys = [
                key
                for key in sorted(redis.scan_iter("pinacle:*"))
                if not any(part in key for part in (b"heartbeat", b"attempts", b"lease"))
            ]
            stored = {key: redis.dump(key) for key in keys}
        shown = ("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}")
        lists = (shown, ("volume", "ls", "-q"), ("images", "-a", "-q", "--digests"))
        # Those that were made in the same second come in any order.
        return stored, *(sorted(self._engine.docker(*words).splitlines()) for words in lists)


@pytest.fixture
def world(engine: PrivateEngine, settings: dict[str, str]) -> World:
    return World(engine, settings["PINACLE_REDIS_URL"])


def changing(steps: list[str]) -> list[str]:
    """Return the steps that change something: those that only look are done while it is told."""
    looks = {name_of_kind(kind) for kind in READ_ONLY}
    return [step for step in steps if step not in looks]


@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_an_update_does_what_was_told(pod: Pod, world: World, name: str, is_stopped: bool) -> None:
    """Step by step, for a pod that runs and for one that is stopped, then also at its next start."""
    if is_stopped:
        pod.call("stop")
    before = world()
    told = pod.call("update", CHANGES[name], dry_run=True)
    assert world() == before
    assert SECRET not in str(told)
    assert (told["dry_run"], told["complete"], told["removes"]) == (True, True, [])
    assert len(told["explained"]) == len(told["steps"])
    done = pod.call("update", CHANGES[name])
    assert (changing(done["steps"]), done["phase"]) == (told["steps"], told["ends_as"])
    assert sorted({each["key"].partition(".")[0] for each in told["changes"]}) == sorted(done["changed"])
    assert told["replaces_container"] == (
        not is_stopped and name in {"another variable", "another image", "one more port"}
    )
    if is_stopped:
        assert not told["interrupts"]
        assert changing(pod.call("start")["steps"]) == told["steps_at_start"]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_deletion_removes_what_was_told(pod: Pod, world: World, is_stopped: bool) -> None:
    if is_stopped:
        pod.call("stop")
    before = world()
    told = pod.call("delete", dry_run=True)
    assert world() == before
    assert told["removes"] == sorted(told["removes"], key=told["removes"].index)
    volumes = {each["name"] for each in pod.call("get")["volumes"]}
    assert set(told["removes"]) == volumes
    assert (told["interrupts"], told["ends_as"], told["existed"]) == (not is_stopped, "deleted", True)
    assert pod.call("delete")["steps"] == told["steps"]


def test_of_an_unknown_pod_nothing_would_be_removed(client: Client, world: World) -> None:
    before = world()
    told = client.call("delete", "nobody", dry_run=True)
    assert world() == before
    assert (told["existed"], told["removes"]) == (False, [])
    assert client.call("delete", "nobody")["steps"] == told["steps"]


@pytest.mark.usefixtures("registry")
def test_a_pull_is_told_and_not_done(pod: Pod, world: World) -> None:
    """What follows depends on the image, so it is said that this is not all, also of a later start."""
    incomplete = (False, "what follows depends on what the last step finds")
    pod.call("stop")
    before = world()
    later = pod.call("update", {"image": PULLED}, dry_run=True)
    assert world() == before
    assert (later["complete"], later["reason"], later["ends_as"]) == (*incomplete, "stopped")
    assert later["steps_at_start"][-1:] == ["pin_image"]
    pod.call("start")
    before = world()
    told = pod.call("update", {"image": PULLED}, dry_run=True)
    assert world() == before
    assert (told["complete"], told["reason"], told["ends_as"]) == (*incomplete, None)
    assert told["steps"][-1:] == ["pin_image"]
    done = pod.call("update", {"image": PULLED})
    assert changing(done["steps"])[: len(told["steps"])] == told["steps"]
    assert done["phase"] == "running"


BAD: Final[dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]]] = {
    "a tier that there is not": ("dry", ({"tier": "dev.giant"},), {}),
    "a key that there is not": ("dry", ({"colour": "blue"},), {}),
    "a port that may not be published": ("dry", ({"ports": [{"container": 80, "host": 80}]},), {}),
    "an image that there is not": ("dry", ({"image": "pinacle-no-such-image"},), {}),
    "a pod that there is not": ("nobody", ({"tier": "dev.large"},), {}),
    "another generation": ("dry", ({"tier": "dev.large"},), {"expected_generation": 77}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_is_refused_with_the_same_words(
    client: Client, pod: Pod, world: World, name: str
) -> None:
    pod_id, args, kwargs = BAD[name]
    before = world()
    said = [client.error("update", pod_id, *args, **kwargs, **more) for more in ({"dry_run": True}, {})]
    assert said[0] == said[1]
    assert world() == before


def test_the_command_shows_it(pod: Pod, settings: dict[str, str], world: World) -> None:
    """Without a question, and with what matters first."""
    pinacle, before = Pinacle(settings), world()
    update = pinacle("pods", "update", pod.id, "--env", "TOKEN=else", "--tier", "dev.large", "--dry-run")
    assert "its container would be replaced, and what runs in it ended" in update.out
    assert "env.TOKEN" in update.out
    assert "dev.large" in update.out
    assert "start_container" in update.out
    assert update.err == "nothing was changed: this was a dry run\n"
    delete = pinacle("pods", "delete", pod.id, "nobody", "--dry-run")
    assert f"pod {pod.id}: its container and " in delete.out
    assert "pod nobody: there is no such pod" in delete.out
    assert f"remove volume pinacle-vol-{pod.id}-home" in delete.out
    assert pinacle("pods", "delete", pod.id, "--dry-run", "--json").json()["dry_run"] is True
    assert (
        "does not exist"
        in pinacle("pods", "update", "nobody", "--tier", "dev.large", "--dry-run", code=1).err
    )
    assert world() == before
