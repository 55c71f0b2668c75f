"""The compose stack really comes up, is healthy, and does its main job through Flower's HTTP API."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from flower.urls import handlers
from tornado.routing import URLSpec

from tests.acceptance.compose.conftest import AUTH, REQUEST, Ask, call
from tests.acceptance.conftest import ROOT, run_inside
from tests.support.metric_files import alerts
from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.packages import require
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

SERVICES: Final = ("redis", "worker", "beat", "flower")
KNOCK: Final = """
import sys, urllib.request, urllib.error
for method, url in zip(sys.argv[1::2], sys.argv[2::2]):
    request = urllib.request.Request(url, method=method, data=b"{}" if method == "POST" else None)
    try:
        print(urllib.request.urlopen(request, timeout=30).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
"""Like `REQUEST`, for many requests without a password; prints their statuses."""
OPEN: Final = ("/healthcheck", "/metrics", "/static/(.*)", "/login/?", "/logout", ".*")
"""What of Flower's own table of pages shows no data."""
PHASES: Final = {
    "pods.create": "running",
    "pods.get": "running",
    "pods.stop": "stopped",
    "pods.start": "running",
    "pods.restart": "running",
    "result": "deleted",
}
"""What the README's lines come to, in their order."""

USER: Final = 10001
DAC_OVERRIDE: Final = 1 << 1
"""The right to use files whoever owns them, by its number in capabilities(7)."""


def test_make_bases_says_what_to_write_into_env(engine: PrivateEngine, python_base: str) -> None:
    """And prints nothing else to standard output; the image is the one that this stack is built on."""
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", "bases"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": engine.url},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"PYTHON_IMAGE={python_base}", f"REDIS_IMAGE={python_base}"]
    away = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"}
    refused = subprocess.run(
        ["make", "-s", "--no-print-directory", "bases"],
        check=False,
        cwd=ROOT,
        env=away,
        capture_output=True,
        text=True,
    )
    assert refused.returncode != 0
    assert "error: docker version: " in refused.stderr


def test_every_service_is_up_and_healthy(compose: Callable[..., str]) -> None:
    """By its own health check, soon after each start."""

    def healths() -> dict[str, str]:
        shown = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
        return {service["Service"]: service["Health"] for service in shown}

    wait_until(lambda: healths() == dict.fromkeys(SERVICES, "healthy"), 60, what="all services healthy")


def test_no_service_has_more_rights_than_it_needs(compose: Callable[..., str], engine: PrivateEngine) -> None:
    """None can write to its own root; only Redis is root, and only with the rights over files."""
    for service in SERVICES:
        assert (
            compose("exec", "-T", service, "sh", "-c", "touch /written 2>&1 || true")
            .strip()
            .endswith("Read-only file system")
        )
        (container,) = compose("ps", "-q", service).split()
        first = psutil.Process(int(engine.docker("inspect", "-f", "{{.State.Pid}}", container)))
        ours = [each for each in (first, *first.children(recursive=True)) if "init" not in each.name()]
        assert ours
        for process in ours:
            status = Path(f"/proc/{process.pid}/status").read_text()
            rights = re.search(r"CapEff:\t(\w+)", status)
            assert rights is not None
            allowed = DAC_OVERRIDE if service == "redis" else 0
            assert int(rights[1], 16) & ~allowed == 0, (service, status)
            assert service == "redis" or process.uids().effective == USER, (service, status)


def test_a_setting_that_is_set_reaches_the_worker_and_another_stays_unset(
    compose: Callable[..., str],
) -> None:
    """The worker would refuse an empty one."""
    given = dict(line.partition("=")[::2] for line in compose("exec", "-T", "worker", "env").splitlines())
    assert given["PINACLE_RECONCILE_INTERVAL_S"] == "3"
    assert "PINACLE_HOST_ID" not in given


@pytest.mark.parametrize("path", ["/", "/tasks", "/workers", "/broker", "/api/tasks", "/api/workers"])
def test_flower_shows_its_pages_to_whoever_has_the_password(
    compose: Callable[..., str], ask: Ask, path: str
) -> None:
    """And not to somebody with another password."""
    assert ask("GET", path, auth="operator:wrong")[0] == 401
    assert ask("GET", path)[0] == 200


def test_flower_asks_for_a_password_on_every_page_with_data(
    compose: Callable[..., str], engine: PrivateEngine
) -> None:
    """On each route of its table, even on those that only accept POST, which answer 405 to a GET."""
    patterns = [
        one.regex.pattern.removesuffix("$") if isinstance(one, URLSpec) else one[0] for one in handlers
    ]
    pages = [re.sub(r"\(\..\)", "x", pattern) for pattern in patterns if pattern not in OPEN]
    assert {"/", "/workers", "/tasks", "/task/x", "/api/tasks", "/api/workers", "/broker"} <= set(pages)
    asked = [(method, page) for page in pages for method in ("GET", "POST")]
    words = [word for method, page in asked for word in (method, f"http://127.0.0.1:5555{page}")]
    done = run_inside(engine, sys.executable, "-c", KNOCK, *words)
    answers = dict(zip(asked, map(int, done.stdout.split()), strict=True))
    for page in pages:
        assert 401 in (answers["GET", page], answers["POST", page]), page
        assert {answers["GET", page], answers["POST", page]} <= {401, 403, 405}, page


def test_every_line_of_the_readme_for_flower_does_what_it_says(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine, busybox: str
) -> None:
    """They are pasted one after the other; the open pages afterwards name no pod."""
    require("curl")
    lines = readme_lines()
    engine.docker("tag", busybox, "debian:12-slim")
    try:
        script = "\n".join(f"{line}; echo" if line.startswith("curl") else line for line in lines)
        done = run_inside(
            engine, "bash", "-euc", script, env={**os.environ, "FLOWER_BASIC_AUTH": AUTH}, timeout=120
        )
    finally:
        engine.docker("rmi", "debian:12-slim")
    assert done.returncode == 0, done.stderr
    names = [found[1] for line in lines if (found := re.match(r"curl .*\$api/(?:apply/)?([a-z.]+)", line))]
    answers = dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))
    applied = {name: answer["state"] for name, answer in answers.items() if name != "result"}
    assert applied == dict.fromkeys(names[:-1], "SUCCESS")
    assert {name: answers[name]["result"]["phase"] for name in PHASES} == PHASES
    assert [pod["pod_id"] for pod in answers["pods.list"]["result"]["pods"]] == ["abc"]
    assert answers["pods.reconcile"]["result"]["pods"] >= 1, answers["pods.reconcile"]
    assert "abc" not in ask("GET", "/metrics", auth="")[1]


def readme_lines() -> list[str]:
    block = re.search(r"<!-- flower:.*?```sh\n(.*?)```", (ROOT / "docs" / "tasks.md").read_text(), re.DOTALL)
    assert block is not None, "docs/tasks.md has no lines for Flower"
    return block[1].splitlines()


def test_a_pod_created_through_flower_survives_the_loss_of_its_container(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine
) -> None:
    """It is created, lost, brought back on its volumes by beat's pass, and deleted."""
    answer = call(ask, "create", "composed", {"image": "pinacle-busybox"})
    assert answer["phase"] == "running", answer
    pod = Pod(Client("redis://nobody"), engine, "composed")
    pod.sh("echo mine > /workspace/file")
    pod.lose_container()
    pod.wait_for_another_container()
    assert pod.sh("cat /workspace/file") == "mine"
    assert call(ask, "delete", "composed")["phase"] == "deleted"


def test_restarting_and_killing_each_service_loses_nothing(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine
) -> None:
    """The pod runs on meanwhile, and tasks work afterwards, even beside a second beat."""
    assert call(ask, "create", "steady", {"image": "pinacle-busybox"})["phase"] == "running"
    pod = Pod(Client("redis://nobody"), engine, "steady")
    first = pod.container_id()
    up = ("up", "-d", "--no-build", "--wait", "--wait-timeout", "120")
    compose("stop")
    compose("start")
    for service in SERVICES:
        compose("restart", service)
        compose("kill", service)
        compose(*up)
        assert pod.container_id() == first
    compose(*up, "--scale", "beat=2", "--no-recreate")
    wait_until(lambda: ask("GET", "/healthcheck")[0] == 200, 60, what="Flower")
    assert pod.container_id() == first
    listed = json.loads(compose("exec", "-T", "worker", "pinacle", "pods", "list", "--json"))
    assert [(each["pod_id"], each["phase"]) for each in listed["pods"]] == [("steady", "running")]
    assert call(ask, "stop", "steady")["phase"] == "stopped"
    assert call(ask, "delete", "steady")["phase"] == "deleted"


def test_the_worker_knows_how_much_is_free_on_the_disk_of_the_pods(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine, environment: dict[str, str]
) -> None:
    """As this machine sees it; below the floor no pod is made, and none that exists is touched."""
    doctor = ("exec", "-T", "worker", "sh", "-c", "pinacle doctor --json || test $? = 1")
    (check,) = [check for check in json.loads(compose(*doctor))["checks"] if check["name"] == "disk space"]
    free_mb = shutil.disk_usage(engine.data_root).free // 10**6
    assert abs(int(check["detail"].split()[0]) - free_mb) < 2000, (check, free_mb)
    assert "Read-only file system" in compose(
        "exec", "-T", "worker", "sh", "-c", "touch /data-root/x 2>&1 || true"
    )
    assert call(ask, "create", "before", {"image": "pinacle-busybox"})["phase"] == "running"
    up = ("up", "-d", "--no-build", "--wait", "--wait-timeout", "120", "worker")
    environment["PINACLE_MIN_FREE_MB"] = "999999999"
    try:
        compose(*up)
        status, text = ask(
            "POST", "/api/task/apply/pods.create", {"args": ["after", {"image": "pinacle-busybox"}]}
        )
        assert (status, json.loads(text)["state"]) == (200, "FAILURE")
        assert "HostFullError" in text
        assert "PINACLE_MIN_FREE_MB" in text
        assert call(ask, "get", "before")["phase"] == "running"
    finally:
        del environment["PINACLE_MIN_FREE_MB"]
        compose(*up)
    assert call(ask, "delete", "before")["phase"] == "deleted"


def test_the_profile_metrics_collects_the_workers_figures(
    compose: Callable[..., str], engine: PrivateEngine
) -> None:
    """With Prometheus on loopback; what the worker serves is not on the host."""
    compose("--profile", "metrics", "up", "-d", "--no-build", "--no-deps", "prometheus")

    def get(url: str) -> tuple[int, str]:
        done = run_inside(engine, sys.executable, "-c", REQUEST, "GET", url, "", "")
        status, _, body = done.stdout.partition(" ")
        return int(status), body

    up = "http://127.0.0.1:9090/api/v1/query?query=pinacle_storage_accepted"
    wait_until(lambda: bool(found(get(up)[1])), 60, what="a scrape of the worker")
    assert [one["value"][1] for one in found(get(up)[1])] == ["1"]
    rules = json.loads(get("http://127.0.0.1:9090/api/v1/rules")[1])["data"]["groups"]
    assert [[rule["name"] for rule in group["rules"]] for group in rules] == [[name for name, _ in alerts()]]
    assert get("http://127.0.0.1:9464/metrics")[0] == 0
    listening = run_inside(engine, "ss", "-Htln").stdout
    assert "127.0.0.1:9090" in listening
    assert "0.0.0.0:9090" not in listening


def found(body: str) -> list[dict[str, Any]]:
    """Return what a query to Prometheus found; nothing while it does not answer."""
    if not body.startswith("{"):
        return []
    results: list[dict[str, Any]] = json.loads(body)["data"]["result"]
    return results


def test_grafana_does_not_start_without_a_password_of_ones_own(compose: Callable[..., str]) -> None:
    """With Grafana's default password everybody would be `admin`."""
    with pytest.raises(AssertionError, match="set GRAFANA_PASSWORD"):
        compose("--profile", "metrics", "run", "--rm", "--no-deps", "grafana")


def test_flower_shows_what_was_refused(compose: Callable[..., str], ask: Ask) -> None:
    """In the worker's words, and without a value of `env`."""
    spec = {"image": "pinacle-busybox", "evn": {"TOKEN": "canary-5f1d"}}
    status, text = ask("POST", "/api/task/apply/pods.create", {"args": ["refused", spec]})
    assert (status, json.loads(text)["state"]) == (200, "FAILURE")
    assert "InvalidInputError" in text
    assert "evn" in text
    assert "canary" not in text + ask("GET", "/api/tasks")[1]
