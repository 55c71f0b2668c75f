"""The command line against a real worker, Engine and Redis: what it shows, and how it ends."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGSTOP
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.commands import Pinacle, statuses
from tests.support.pods import Pod
from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer, free_port
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}
DOCTOR: Final = "pinacle doctor || test $? = 1"
"""How that one ends depends on whose kernel it is."""
CANARY: Final = "canary-cli-41d7"
PASSWORD: Final = "canary-password-9b02"  # noqa: S105 - of the Redis below
STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])m")
UNKNOWN: Final = {
    "start": ("pods", "start", "nobody"),
    "stop": ("pods", "stop", "nobody"),
    "restart": ("pods", "restart", "nobody", "--force"),
    "update": ("pods", "update", "nobody", "--image", "pinacle-busybox"),
    "get": ("pods", "get", "nobody"),
    "watch": ("pods", "watch", "nobody"),
}


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], redis_server: RedisServer) -> dict[str, str]:
    """The settings of a worker whose Redis knows nothing from earlier modules."""
    redis_server.flush()
    return settings


@pytest.fixture(scope="module")
def pinacle(client: Client, settings: dict[str, str]) -> Pinacle:
    """The command on the module's worker; `client` deletes what is left."""
    return Pinacle(settings)


@pytest.fixture
def spec_file(tmp_path: Path) -> str:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({**SPEC, "env": {"TOKEN": CANARY}}))
    return str(path)


def test_a_pods_whole_life(pinacle: Pinacle, engine: PrivateEngine, client: Client, spec_file: str) -> None:
    """Created from a file and options, stopped, started, restarted, updated, deleted; env is never shown."""
    options = ("--spec", spec_file, "--env", f"OTHER={CANARY}", "--port", "8080", "--port", "53:28053/udp")
    shown = [pinacle("pods", "create", "life", *options)]
    pod = Pod(client, engine, "life")
    assert pod.sh("echo $TOKEN $OTHER") == f"{CANARY} {CANARY}"
    assert shown[0].out.startswith("pod life is running on ")
    assert "127.0.0.1:28053 -> 53/udp" in shown[0].out
    first = pod.container_id()

    stopped = pinacle("pods", "stop", "life", "--json")
    assert stopped.json()["phase"] == "stopped"
    assert stopped.err == ""
    assert not pod.is_up()
    shown += [stopped, pinacle("pods", "start", "life"), pinacle("pods", "restart", "life")]
    assert pod.container_id() == first
    began = "inspect", "-f", "{{.State.StartedAt}}", pod.container
    before = engine.docker(*began)
    shown.append(pinacle("pods", "restart", "life", "--force"))
    assert engine.docker(*began) != before

    pod.sh("mkdir /data; echo mine > /data/file; touch /loose")
    given = json.dumps({**SPEC, "hostname": "other", "env": {"TOKEN": CANARY}})
    change = ("pods", "update", "life", "--spec", "-", "--tier", "dev.medium")
    assert "/loose" in pinacle(*change, stdin=given, code=1).error()
    shown.append(pinacle(*change, "--discard", "/loose", stdin=given))
    assert "/data is kept" in shown[-1].out
    assert pod.sh("hostname; echo $TOKEN; cat /data/file") == f"other\n{CANARY}\nmine"
    assert "loose" not in pod.sh("ls /")
    details = pinacle("pods", "get", "life")
    assert re.search(r"^tier +dev\.medium$", details.out, re.MULTILINE)
    assert re.search(r"^volume +/workspace +pinacle-vol-life-workspace$", details.out, re.MULTILINE)
    listed = pinacle("pods", "list", "--json")
    assert [each["pod_id"] for each in listed.json()["pods"]] == ["life"]
    labelled = pinacle(
        "pods", "update", "life", "--label", "team=a b", "--label", "stage=live", "--description", "mine"
    )
    assert "changed: labels, description" in labelled.out
    found = pinacle(
        "pods", "ls", "--label", "stage", "--label", "team=a b", "--phase", "running", "--limit", "1"
    )
    assert re.search(r"^life .* stage=live team=a b$", found.out, re.MULTILINE)
    assert "no pods" in pinacle("pods", "list", "--label", "team=b").out
    assert pinacle("pods", "list", "--limit", "1", "--after", "life", "--json").json() == {
        "pods": [],
        "next": None,
    }
    assert "is not the name of a label" in pinacle("pods", "ls", "--label", "=b", code=1).error()
    shown += [labelled, found]
    shown += [details, listed, pinacle("pods", "get", "life", "--json"), pinacle("pods", "list", "--orphans")]

    refused = pinacle("pods", "delete", "life", code=2)
    assert "add --yes" in refused.error()
    assert pod.is_up()
    gone = pinacle("pods", "delete", "life", "--yes", "--json")
    assert gone.json()["phase"] == "deleted"
    assert pod.container_id() is None
    assert CANARY not in "".join(done.out + done.err for done in (*shown, gone))


def test_every_line_of_the_readme_does_what_it_says(
    pinacle: Pinacle, client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """They are pasted one after the other into a shell that has the command; none fails."""
    block = re.search(r"<!-- cli:.*?```sh\n(.*?)```", (ROOT / "docs" / "cli.md").read_text(), re.DOTALL)
    assert block is not None, "docs/cli.md has no lines"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    images = ("debian:12-slim", "debian:13")
    for image in images:
        engine.docker("tag", busybox, image)
    try:
        done = subprocess.run(
            ["bash", "-euxc", block[1].replace("pinacle doctor", DOCTOR)],
            cwd=engine.root,
            env={**os.environ, **pinacle.settings, "PATH": path},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        client.call("delete", "abc")
        engine.docker("rmi", *images)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pod abc is running on ")
    assert "pod abc is stopped" in done.stdout
    assert "pod abc is deleted" in done.stdout


def test_an_answer_as_json_is_the_workers_own(pinacle: Pinacle, client: Client) -> None:
    assert pinacle("pods", "list", "--json", "--orphans").json() == client.call("list", orphans=True)
    answer = pinacle("reconcile", "--json").json()
    assert answer.keys() == client.call("reconcile").keys()
    assert pinacle("reconcile").out.startswith(f"{answer['host']}: 0 pods")


def test_a_pod_that_does_not_exist_is_one_clear_line(pinacle: Pinacle) -> None:
    """For every command; only a deletion has nothing left to do."""

    def run(words: tuple[str, ...]) -> str:
        return pinacle(*words, code=1).error()

    with ThreadPoolExecutor(3) as together:
        for line in together.map(run, UNKNOWN.values()):
            assert "pod 'nobody'" in line
            assert "`pinacle pods list` shows those that" in line
    deleted = pinacle("pods", "delete", "nobody", "--yes")
    assert (deleted.out, deleted.err) == ("pod nobody is deleted\n", "there was no such pod: nobody\n")
    assert "pod 'nobody' does not exist" in pinacle("pods", "get", "nobody", code=1).error()


def test_what_the_worker_refuses_is_shown_in_its_words(pinacle: Pinacle, spec_file: str) -> None:
    """Including brackets, and without a value of env."""
    wrong = ("pods", "create", "bad", "--spec", spec_file)
    line = pinacle(*wrong, "--port", "0", "--tier", "dev.huge", code=1).error()
    assert "spec.ports[0].container: 0 is not allowed" in line
    assert "spec.tier: 'dev.huge' is not a tier; allowed: dev.small" in line
    assert CANARY not in line
    assert CANARY not in pinacle(*wrong, "--env", CANARY, code=2).error()
    assert CANARY not in pinacle(*wrong, CANARY, code=2).error()


def test_hosts(pinacle: Pinacle, client: Client) -> None:
    """With the age of the heartbeat; and a storage is accepted for a host that exists."""
    (host,) = pinacle("hosts", "list", "--json").json()["hosts"]
    assert host["live"]
    assert 0 <= host["heartbeat_age_s"] < 20
    assert re.search(
        rf"^{re.escape(host['host'])} +live +\d+ s ago +0 ", pinacle("hosts", "list").out, re.MULTILINE
    )
    accepted = pinacle("hosts", "accept-storage", host["host"], "--yes", "--json").json()
    assert accepted == {"host": host["host"], "storage": host["storage"], "pool": None}
    assert "add --yes" in pinacle("hosts", "accept-storage", host["host"], code=2).error()
    assert host["host"] in pinacle("hosts", "accept-storage", "nowhere", "--yes", code=1).error()


def test_watch_shows_each_change_of_phase(pinacle: Pinacle, client: Client, engine: PrivateEngine) -> None:
    """From the pod's current phase until the one that is waited for."""
    with (
        Pod.running(client, engine, "seen", SPEC) as pod,
        pinacle.begun("pods", "watch", "seen", "--until", "stopped", "--json") as watching,
    ):
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["phase"] == "running"
        pod.call("stop")
        out, _ = watching.communicate(timeout=30)
        changes = [json.loads(line) for line in out.splitlines()]
        assert (changes[-1]["pod_id"], changes[-1]["phase"]) == ("seen", "stopped")
        assert watching.returncode == 0
        assert "seen  stopped" in pinacle("pods", "watch", "seen", "--until", "stopped").out
        late = pinacle("pods", "watch", "--timeout", "0.2", code=3)
        assert "seen  stopped" in late.out
        assert late.err == "all pods: 0.2 s are over\n"


def test_ctrl_c_in_the_middle_of_a_creation(
    pinacle: Pinacle, client: Client, engine: PrivateEngine, redis_server: RedisServer
) -> None:
    """The command says that the pod goes on, and how to follow it; and the pod does go on."""
    words = ("pods", "create", "cut", "--image", "pinacle-busybox", "--task-id", "cut-task")
    dockerd = int((engine.root / "dockerd.pid").read_text())
    with Redis.from_url(redis_server.url) as redis, pinacle.begun(*words) as process:
        # The worker has the message, and cannot end before it was interrupted.
        os.kill(dockerd, SIGSTOP)
        try:
            wait_until(lambda: bool(redis.exists("pinacle:attempts:cut-task")), 20, what="a worker at work")
            process.send_signal(SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            os.kill(dockerd, SIGCONT)
        assert process.returncode == 130
    assert out == ""
    assert err == "interrupted: pod cut goes on converging; follow it: pinacle pods watch cut\n"
    wait_until(lambda: Pod(client, engine, "cut").is_up(), 40, what="a pod that goes on by itself")
    pinacle("pods", "watch", "cut", "--until", "running", "--timeout", "20")
    # The same id again is the same intent, and its answer.
    assert pinacle(*words).out.startswith("pod cut is running")
    assert client.call("delete", "cut")["phase"] == "deleted"


def test_what_gets_no_answer_is_to_be_sent_again_under_the_same_id(
    pinacle: Pinacle, engine: PrivateEngine, client: Client
) -> None:
    with _held(engine):
        words = ("pods", "delete", "slow", "--yes", "--timeout", "0.2")
        line = pinacle(*words, code=4).error()
    found = re.search(r"--task-id ([0-9a-f-]{36})", line)
    assert found is not None
    assert pinacle(*words[:-2], "--task-id", found[1]).out == "pod slow is deleted\n"


def test_an_answer_that_is_not_the_end_says_how_to_follow(
    pinacle: Pinacle, engine: PrivateEngine, client: Client, pod_worker: WorkerProcess
) -> None:
    """For a pod that cannot start, because one of its volumes is gone."""
    assert client.call("create", "ends", SPEC)["pod_id"] == "ends"
    assert client.call("stop", "ends")["phase"] == "stopped"
    with pod_worker.held():  # A pod that rests gets another container too, which would hold the volume.
        engine.docker("rm", "pinacle-pod-ends")
        engine.docker("volume", "rm", "pinacle-vol-ends-srv")
    done = pinacle("pods", "start", "ends", code=1)
    assert "pod ends is storage_missing" in done.out
    assert "pinacle-vol-ends-srv" in done.out
    assert done.err == "accepted, and in trouble; look into it: pinacle pods get ends\n"
    assert pinacle("pods", "delete", "ends", "--yes").out == "pod ends is deleted\n"


def test_sixty_columns_and_no_terminal(pinacle: Pinacle, client: Client, engine: PrivateEngine) -> None:
    """No line is longer, no name is cut, and there is no colour."""
    narrow = Pinacle(pinacle.settings, {"COLUMNS": "60"})
    pod_id = "a" * 30
    ports = {"ports": [{"container": 8080, "host": 28080}]}
    with Pod.running(client, engine, pod_id, {**SPEC, **ports}):
        commands = (("pods", "list"), ("pods", "get", pod_id), ("hosts", "list"), ("doctor",))
        with ThreadPoolExecutor(2) as together:
            shown = [done.out for done in together.map(lambda words: narrow(*words, code=None), commands)]
        assert "\x1b" not in "".join(shown)
        assert max(len(line) for out in shown for line in out.splitlines()) <= 60
        assert pod_id in shown[0]
        assert "127.0.0.1:28080" in shown[0]


def test_colours_on_a_terminal_unless_nobody_wants_them(pinacle: Pinacle) -> None:
    assert COLOUR.search(pinacle.on_terminal("hosts", "list")[1])
    plain = Pinacle(pinacle.settings, {"NO_COLOR": "1"})
    code, shown = plain.on_terminal("hosts", "list")
    assert code == 0
    assert "live" in shown
    assert not COLOUR.search(shown)


def test_a_deletion_asks_on_a_terminal(pinacle: Pinacle, client: Client, engine: PrivateEngine) -> None:
    """And does what was answered; it shows something while it waits."""
    with Pod.running(client, engine, "asked", SPEC) as pod:
        asked: Final = "[y/N]: "
        code, shown = pinacle.on_terminal("pods", "delete", "asked", prompt=asked, typed="n\n")
        assert code == 1
        assert "Remove pod asked and all data on its volumes, for good? [y/N]" in shown
        assert "error: you said no, so nothing was sent" in shown
        assert pod.is_up()
        code, shown = pinacle.on_terminal("pods", "delete", "asked", prompt=asked, typed="\x03")
        assert code == 130
        assert "interrupted: nothing was sent" in shown
        code, shown = pinacle.on_terminal("pods", "delete", "asked", prompt=asked, typed="y\n")
        assert code == 0
        assert "pods.delete asked  0 s" in shown
        assert "pod asked is deleted" in STYLE.sub("", shown)


def test_no_redis_and_a_wrong_password(pinacle: Pinacle, own_redis: RedisServer) -> None:
    """One line with what to do, never with the password; the doctor says the same, and goes on."""
    away = Pinacle({**pinacle.settings, "PINACLE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})
    with Redis.from_url(own_redis.url) as admin:
        admin.config_set("requirepass", "right")
        url = own_redis.url.replace("redis://", f"redis://:{PASSWORD}@")
        wrong = Pinacle({**pinacle.settings, "PINACLE_REDIS_URL": url})
        for command in (("pods", "list"), ("pods", "create", "x", "--image", "i"), ("hosts", "list")):
            assert "Is Redis running, and is PINACLE_REDIS_URL right?" in away(*command, code=4).error()
            line = wrong(*command, code=4).error()
            assert "Redis refuses the password in PINACLE_REDIS_URL" in line
            assert PASSWORD not in line
        report = wrong("doctor", "--json", code=1)
        assert PASSWORD not in report.out + report.err
        assert statuses(report.json())["Redis"] == "fail"


def test_no_worker_and_wrong_settings(pinacle: Pinacle, own_redis: RedisServer) -> None:
    """Nothing is sent that would be done when nobody expects it."""
    alone = Pinacle({**pinacle.settings, "PINACLE_REDIS_URL": own_redis.url})
    assert "no worker has a heartbeat" in alone("pods", "stop", "x", code=4).error()
    with Redis.from_url(own_redis.url) as redis:
        assert redis.keys() == []
    wrong = Pinacle({**pinacle.settings, "PINACLE_REDIS_URL": PASSWORD})
    line = wrong("pods", "list", code=2).error()
    assert line.startswith("error: PINACLE_REDIS_URL: ")
    assert PASSWORD not in line


def test_the_doctor_finds_nothing_and_changes_nothing(
    pinacle: Pinacle, engine: PrivateEngine, redis_server: RedisServer
) -> None:
    def world() -> list[Any]:
        listed = engine.docker("ps", "-a", "-q") + engine.docker("volume", "ls", "-q")
        with Redis.from_url(redis_server.url) as redis:
            return [listed.split(), sorted(redis.keys("pinacle:*"))]

    before = world()
    report = pinacle("doctor", "--json", code=None).json()
    found = statuses(report)
    # The settings that these tests make are named.
    assert found.pop("egress") == "warn"
    assert set(found.values()) <= {"ok"}, report
    assert world() == before
    assert re.search(r"^ok +Engine +", pinacle("doctor", code=None).out, re.MULTILINE)


def test_the_doctor_names_queues_that_nobody_reads(pinacle: Pinacle, redis_server: RedisServer) -> None:
    """Celery's default, a misspelt name and a host without a worker, but no answers to remote control."""
    strange = ("celery", "celery\x06\x163", "podz", "pods.given-up")
    with Redis.from_url(redis_server.url) as redis:
        for queue in (*strange, "x.reply.celery.pidbox"):
            redis.lpush(queue, "{}")
        try:
            report = pinacle("doctor", "--json", code=None).json()
        finally:
            redis.delete(*strange, "x.reply.celery.pidbox")
    (found,) = [check for check in report["checks"] if check["name"] == "queues"]
    assert found["status"] == "warn"
    assert found["detail"].endswith("reads: 2 in 'celery', 1 in 'pods.given-up', 1 in 'podz'")
    assert "queue='pods'" in found["remedy"]


def test_the_doctor_says_what_a_spoiled_redis_and_a_full_disk_lack(
    pinacle: Pinacle, own_redis: RedisServer
) -> None:
    spoiled = {
        **pinacle.settings,
        "PINACLE_REDIS_URL": own_redis.url,
        "PINACLE_MIN_FREE_MB": "999999999",
        "PINACLE_RUNTIME": "nonsense",
    }
    with Redis.from_url(own_redis.url) as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        admin.config_set("appendfsync", "everysec")
        done = Pinacle(spoiled)("doctor", code=1)
    for line in (
        r"^fail +Redis keeps all +Redis has appendfsync 'everysec', needed: 'always'",
        r"^fail +workers +none has a heartbeat",
        r"^fail +disk space ",
        r"^fail +runtimes +PINACLE_RUNTIME is 'nonsense'",
        r"^ +-> set appendonly yes, appendfsync always and maxmemory-policy noeviction",
    ):
        assert re.search(line, done.out, re.MULTILINE), (line, done.out)


def test_the_doctor_names_the_group_that_may_use_the_engine(pinacle: Pinacle) -> None:
    """If the user may not use it."""
    with _socket_of_group(Path(f"/tmp/pin-{os.getpid()}.sock"), 65534) as path:
        done = subprocess.run(
            [sys.executable, "-c", DOCTOR_OF_ANOTHER],
            env={**os.environ, **pinacle.settings, "DOCKER_HOST": f"unix://{path}"},
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1, done
    (engine,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "Engine"]
    assert engine["status"] == "fail"
    assert (
        f"{path} belongs to group nogroup: add this user to it (usermod -aG nogroup bin)" in engine["remedy"]
    )


DOCTOR_OF_ANOTHER: Final = """
import os, sys
from worker.cli.doctor import examination
from worker.cli.command import main
os.setgroups([])
os.setgid(2)
os.setuid(2)
sys.exit(main(["doctor", "--json"]))
"""
"""Loaded first, as another user may not be able to read the source."""


@contextmanager
def _socket_of_group(path: Path, group: int) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        try:
            os.chown(path, 0, group)
            path.chmod(0o660)
            yield path
        finally:
            path.unlink()


@contextmanager
def _held(engine: PrivateEngine) -> Iterator[None]:
    """The Engine does not answer meanwhile."""
    dockerd = int((engine.root / "dockerd.pid").read_text())
    os.kill(dockerd, SIGSTOP)
    try:
        yield
    finally:
        os.kill(dockerd, SIGCONT)
