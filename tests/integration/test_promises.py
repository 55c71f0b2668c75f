"""Each promise of the README, by its number, on a real Engine and a real Redis."""

import json
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.processes import commands
from worker.local.waiting import wait_until

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 3}
"""The system volumes of a busybox pod."""
CANARY: Final = "canary-7f3a91"


@pytest.fixture(autouse=True)
def image(busybox: str) -> str:
    return busybox


def volumes(engine: PrivateEngine) -> set[str]:
    """Return the names of all volumes but the sentinel and bases, which stay."""
    names = engine.docker("volume", "ls", "-q").split()
    return {name for name in names if not name.startswith(("pinacle-storage-", "pinacle-base-"))}


def delete(client: Client, pod_id: str) -> None:
    """Delete a pod, even if the lease of a worker that was killed has to expire first."""
    client.call("delete", pod_id)
    wait_until(lambda: client.call("get", pod_id)["phase"] == "deleted", 60, what=f"deletion of {pod_id}")


def wait_for_volume(engine: PrivateEngine, name: str) -> None:
    wait_until(lambda: name in volumes(engine), 30, what=name)


def test_promise_1_volumes_are_removed_by_deletion_and_by_nothing_else(
    client: Client, engine: PrivateEngine
) -> None:
    """Not by a stop, a restart, an update, a lost container or a pass."""
    with Pod.running(client, engine, "p1", SPEC) as pod:
        before = volumes(engine)
        pod.call("stop")
        pod.call("start")
        pod.call("restart", force=True)
        pod.call("update", {**SPEC, "hostname": "other"})
        pod.lose_container()
        client.call("reconcile")
        assert volumes(engine) >= before
    assert not volumes(engine) & before


def test_promise_2_the_next_container_gets_the_same_volumes(client: Client, engine: PrivateEngine) -> None:
    """What was emptied is still empty, what was written is still there."""
    with Pod.running(client, engine, "p2", SPEC) as pod:
        pod.sh("echo mine > /home/file; rm /opt/readme; chown 7:8 /srv; chmod 711 /srv")
        pod.lose_container()
        pod.wait_for_another_container()
        assert pod.sh("cat /home/file; ls -A /opt; stat -c '%u:%g %a' /srv") == "mine\n7:8 711"


@pytest.mark.local
@pytest.mark.parametrize("replaced", [False, True], ids=["missing", "replaced"])
def test_promise_3_a_pod_never_starts_on_a_missing_or_replaced_volume(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess, replaced: bool
) -> None:
    """The pod says which one, nothing is made in its place, and the pod comes back with the volume."""
    with Pod.running(client, engine, "p3", SPEC) as pod:
        name = "pinacle-vol-p3-home"
        labels = json.loads(engine.docker("volume", "inspect", "-f", "{{json .Labels}}", name))
        pod.sh("echo mine > /home/file")
        pod.call("stop")
        with pod_worker.held():  # A pod that rests gets another container too, which would hold the volume.
            engine.docker("rm", pod.container)
            engine.docker("volume", "rm", name)
            if replaced:
                engine.docker("volume", "create", name)
        wait_until(lambda: pod.call("get")["phase"] == "storage_missing", 30, what="storage_missing")
        answer = pod.call("start")
        assert answer["phase"] == "storage_missing"
        assert name in answer["last_error"]
        assert pod.container_id() is None
        assert (name in volumes(engine)) == replaced
        if replaced:
            engine.docker("volume", "rm", name)
        flags = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        engine.docker("volume", "create", *flags, name)
        pod.wait_for_another_container()
        assert pod.sh("ls /home") == "", "the image must not fill a volume that its owner has restored"


def test_promise_4_a_volume_whose_first_fill_was_cut_off_is_never_used(
    client: Client, pod_worker: WorkerProcess, settings: dict[str, str], engine: PrivateEngine
) -> None:
    """A worker killed around the first creation: whatever it left, the pod has all that the image has."""
    random = Random(4)
    for number in range(5):
        pod_id = f"p4-{number}"
        sent = client.send("create", pod_id, SPEC)
        wait_for_volume(engine, f"pinacle-vol-{pod_id}-workspace")
        if random.random() < 0.5:
            wait_for_volume(engine, f"pinacle-vol-{pod_id}-srv")
        pod_worker.kill()
        pod_worker.start()
        pod = Pod(client, engine, pod_id)
        pod.wait_for_another_container(90)
        assert pod.sh("cat /opt/readme; ls /etc/passwd /var/log/boot") == (
            "This came with the image.\n/etc/passwd\n/var/log/boot"
        )
        client.forget(sent)
        delete(client, pod_id)


def test_promise_6_at_most_one_container_runs_for_a_pod(client: Client, engine: PrivateEngine) -> None:
    """Ten creations and ten restarts at once make one container."""
    sent = [client.send("create", "p6", SPEC) for _ in range(10)]
    answers = [client.receive(one) for one in sent]
    assert {answer["phase"] for answer in answers} == {"running"}
    assert len({answer["container_id"] for answer in answers}) == 1
    sent = [client.send("restart", "p6") for _ in range(10)]
    assert len({client.receive(one)["container_id"] for one in sent}) == 1
    assert engine.docker("ps", "-aq", "--filter", "name=pinacle-pod-p6").count("\n") == 1
    client.call("delete", "p6")


def test_promise_7_a_creation_that_comes_twice_does_not_bring_a_deleted_pod_back(
    client: Client, engine: PrivateEngine
) -> None:
    """The second copy of the message, under the same id, is answered and changes nothing."""
    sent = client.send("create", "p7", SPEC, task_id="p7-create")
    assert client.receive(sent)["phase"] == "running"
    assert client.call("delete", "p7")["phase"] == "deleted"
    again = client.send("create", "p7", SPEC, task_id="p7-create")
    client.receive(again)
    wait_until(lambda: client.call("get", "p7")["phase"] == "deleted", 10, what="still deleted")
    assert Pod(client, engine, "p7").container_id() is None
    assert not [name for name in volumes(engine) if name.startswith("pinacle-vol-p7-")]


def test_promise_8_pods_with_names_alike_do_not_touch_each_other(
    client: Client, engine: PrivateEngine, system_names: tuple[str, ...]
) -> None:
    """`a`, `a-b`, `a-usr`, `ab`; and what has such a name without being ours is left alone."""
    engine.docker("volume", "create", "pinacle-vol-a-local")
    engine.docker("volume", "create", "pinacle-vol-a-opt-backup")
    ids = ("a", "a-b", "a-usr", "ab")
    for pod_id in ids:
        client.call("create", pod_id, SPEC)
        Pod(client, engine, pod_id).sh(f"echo {pod_id} > /root/whose; echo {pod_id} > /usr/local/whose")
    before = volumes(engine)
    client.call("delete", "a")
    gone = before - volumes(engine)
    assert len(gone) == 8 + len(system_names)
    assert all(name.removeprefix("pinacle-vol-a-") in {*_universal(), *system_names} for name in gone)
    Pod(client, engine, "ab").lose_container()
    client.call("reconcile")
    for pod_id in ids[1:]:
        pod = Pod(client, engine, pod_id)
        pod.wait_for_another_container()
        assert pod.sh("cat /root/whose /usr/local/whose") == f"{pod_id}\n{pod_id}"
        client.call("delete", pod_id)
    assert volumes(engine) == {"pinacle-vol-a-local", "pinacle-vol-a-opt-backup"}
    engine.docker("volume", "rm", "pinacle-vol-a-local", "pinacle-vol-a-opt-backup")


def test_promise_9_deleted_stays_deleted_and_goes_on_until_nothing_is_left(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """A volume that something else uses delays the deletion; once it is free, it is removed without help."""
    client.call("create", "p9", SPEC)
    engine.docker("run", "-d", "--name", "squatter", "-v", "pinacle-vol-p9-var:/v", busybox)
    answer = client.call("delete", "p9")
    assert answer["phase"] == "deleting"
    assert "pinacle-vol-p9-var" in answer["last_error"]
    assert Pod(client, engine, "p9").container_id() is None
    engine.docker("rm", "-f", "squatter")
    wait_until(lambda: client.call("get", "p9")["phase"] == "deleted", 60, what="the deletion")
    assert not [name for name in volumes(engine) if name.startswith("pinacle-vol-p9-")]


def test_promise_9_what_we_made_of_a_deleted_pod_is_removed_when_it_shows_up_late(
    client: Client, engine: PrivateEngine
) -> None:
    """An Engine may finish a creation after the deletion; what a person made under the name stays."""
    with Pod.running(client, engine, "late", SPEC) as pod:
        labels = json.loads(engine.docker("inspect", pod.container))[0]["Config"]["Labels"]
    words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    volume = ("--label", "dev.pinacle.volume=opt", "pinacle-vol-late-opt")
    engine.docker("volume", "create", *words, *volume)
    engine.docker("volume", "create", "pinacle-vol-late-home")
    wait_until(lambda: "pinacle-vol-late-opt" not in volumes(engine), 20, what="the end of the leftover")
    assert "pinacle-vol-late-home" in volumes(engine)
    engine.docker("volume", "rm", "pinacle-vol-late-home")


def test_promise_10_a_worker_killed_in_the_middle_loses_no_accepted_intent(
    client: Client, pod_worker: WorkerProcess, engine: PrivateEngine
) -> None:
    """Within 60 s of its return every pod is as its intent says; the other messages are sent again.

    Messages that the dead worker had taken but not yet accepted are sent again with the same task ids, as
    docs/promises.md says: kombu removes a message from its queue before it notes it as not acknowledged, so a
    kill between the two loses it.
    """
    before = len(pod_worker.text())
    sent = {f"p10-{number}": client.send("create", f"p10-{number}", SPEC) for number in range(6)}
    wait_until(lambda: "intent_accepted" in pod_worker.text()[before:], 20, what="an accepted intent")
    pod_worker.kill()
    accepted = {pod_id for pod_id in sent if _was_accepted(pod_worker.text()[before:], pod_id)}
    pod_worker.start()
    try:
        for pod_id in accepted:
            Pod(client, engine, pod_id).wait_for_another_container(60)
        for pod_id, one in sent.items():
            assert client.receive(client.send("create", pod_id, SPEC, task_id=one.id))["phase"] == "running"
    finally:
        for pod_id in sent:
            delete(client, pod_id)


def _was_accepted(log: str, pod_id: str) -> bool:
    return any("intent_accepted" in line and f'"{pod_id}"' in line for line in log.splitlines())


def test_promise_12_no_secret_is_shown_anywhere(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess, settings: dict[str, str]
) -> None:
    """Neither in logs, labels, results, events and inspect, nor in any process's arguments."""
    shown: list[str] = []
    with (
        client.watching_events(shown),
        Pod.running(client, engine, "p12", {**SPEC, "env": {"TOKEN": CANARY}}) as pod,
    ):
        assert pod.sh("echo $TOKEN") == CANARY
        hold = client.send("update", "p12", {**SPEC, "env": {"TOKEN": CANARY}, "hostname": "h"})
        shown += client.inspect_everything()
        shown.append(json.dumps(client.receive(hold)))
        shown.append(client.error("create", "p12", {**SPEC, "env": {"OTHER": CANARY}}))
        shown.append(client.error("create", "p12b", {**SPEC, "env": [CANARY]}))
        shown.append(json.dumps([client.call("get", "p12"), client.call("list")]))
        shown.append(engine.docker("inspect", "-f", "{{json .Config.Labels}}", pod.container))
        shown.append(engine.docker("volume", "inspect", *sorted(volumes(engine))))
        shown += [" ".join(command) for command in commands().values()]
    shown.append(pod_worker.text())
    assert len(shown) > 10
    assert any("pods.create" in text and "***" in text for text in shown), "no event showed a redacted task"
    assert not [text[:200] for text in shown if CANARY in text]


@pytest.mark.parametrize(
    "task", ["create", "start", "stop", "restart", "update", "delete", "reconcile", "list"]
)
def test_every_task_twice_in_a_row_and_ten_times_at_once_has_the_effect_of_one(
    client: Client, engine: PrivateEngine, system_names: tuple[str, ...], task: str
) -> None:
    """The same answer each time, at most one container, and no extra volume."""
    arguments: dict[str, tuple[Any, ...]] = {
        "create": ("same", SPEC),
        "update": ("same", {**SPEC, "hostname": "new"}),
        "reconcile": (),
        "list": (),
    }
    client.call("create", "same", SPEC)
    for one in [client.send(task, *arguments.get(task, ("same",))) for _ in range(10)]:
        client.receive(one)
    first = client.call(task, *arguments.get(task, ("same",)))
    second = client.call(task, *arguments.get(task, ("same",)))
    assert first.get("phase") == second.get("phase")
    assert engine.docker("ps", "-aq", "--filter", "label=dev.pinacle.pod").count("\n") <= 1
    assert len(volumes(engine)) == (0 if task == "delete" else 8 + len(system_names))
    assert client.call("delete", "same")["phase"] == "deleted"


RACES: Final = 50


def test_creations_stops_and_deletions_that_race_end_as_some_order_of_them_would(
    client: Client, engine: PrivateEngine, system_names: tuple[str, ...]
) -> None:
    """Fifty times: the pod is as the last accepted intent says, and nothing is left over."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: _race(client, seed), range(RACES)))
    running = set(engine.docker("ps", "--format", "{{.Names}}").split())
    there = volumes(engine)
    for seed in range(RACES):
        answer = client.call("get", f"race-{seed}")
        assert answer["phase"] == answer["intent"], answer
        assert (f"pinacle-pod-race-{seed}" in running) == (answer["intent"] == "running")
        mine = [name for name in there if name.startswith(f"pinacle-vol-race-{seed}-")]
        assert len(mine) in ({0} if answer["intent"] == "deleted" else {0, 8 + len(system_names)})
        client.call("delete", f"race-{seed}")
    assert volumes(engine) == set()
    assert engine.docker("ps", "-aq", "--filter", "label=dev.pinacle.pod") == ""


def _race(client: Client, seed: int) -> None:
    random, pod_id = Random(seed), f"race-{seed}"
    client.call("create", pod_id, SPEC)
    tasks = random.sample(["create", "stop", "delete", "start"], 4)
    sent = [client.send(task, pod_id, *((SPEC,) if task == "create" else ())) for task in tasks]
    for one in sent:
        client.outcome(one)
    wait_until(
        lambda: client.call("get", pod_id)["phase"] in {"running", "stopped", "deleted"}, 60, what=pod_id
    )


def _universal() -> set[str]:
    return {"workspace", "home", "root", "etc", "usr-local", "opt", "var", "srv"}
