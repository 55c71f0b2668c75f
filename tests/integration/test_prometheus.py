"""A real Prometheus reads a real worker, and gets every query of the rules and the dashboard."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.metric_files import PROMETHEUS, RULES, alerts, queries
from tests.support.pods import Pod
from tests.support.scrape import free_port
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.packages import find, require
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
SILENT: Final = ("celery_",)
"""What comes from another exporter, which is not available without a registry."""
QUIET: Final = ("Steps that did not succeed",)
"""Panels that show something only when something is wrong."""


class Prometheus:
    """Debian's, with our own configuration."""

    def __init__(self, folder: Path, target: int) -> None:
        self._folder = folder
        self._target = target
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        text = PROMETHEUS.read_text()
        assert text.count("worker:9464") == text.count("scrape_interval: 15s") == 1
        text = text.replace("worker:9464", f"127.0.0.1:{self._target}")
        text = text.replace("_interval: 15s", "_interval: 1s")
        (self._folder / "prometheus.yml").write_text(text)
        (self._folder / "rules.yml").write_text(RULES.read_text())
        require("prometheus")
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    find("prometheus") or "prometheus",
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_ready, 30, what="Prometheus", failed=self._failure)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an instant query finds; fails for one that is wrong."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None
        return data

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _failure(self) -> str | None:
        assert self._process is not None
        if self._process.poll() is None:
            return None
        return (self._folder / "prometheus.log").read_text()[-2000:]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], port: int) -> dict[str, str]:
    return {**settings, "PINACLE_METRICS_PORT": str(port), "PINACLE_RECONCILE_INTERVAL_S": "1"}


@pytest.fixture(scope="module")
def prometheus(
    pod_worker: WorkerProcess,
    client: Client,
    engine: PrivateEngine,
    port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """A Prometheus that has seen a pod made, lost and brought back."""
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), port)
    server.start()
    try:
        wait_until(lambda: bool(value(server, "pinacle_event_stream_up")), 30, what="a first scrape")
        with Pod.running(client, engine, "seen", SPEC) as pod:
            pod.lose_container()
            pod.wait_for_another_container()
            wait_until(
                lambda: bool(value(server, "increase(pinacle_recovery_duration_seconds_count[5m])")),
                30,
                what="a recovery that Prometheus has seen",
            )
            wait_until(
                lambda: value(server, 'pinacle_pods{phase="running"}') == 1, 30, what="a running pod, seen"
            )
            wait_until(
                lambda: bool(server.query("pinacle_busiest_pods_cpus")),
                60,
                what="a pod that was measured twice",
            )
            yield server
    finally:
        server.stop()


def value(server: Prometheus, expression: str) -> float:
    """Return the only value that a query finds, 0 for none."""
    found = server.query(expression)
    return float(found[0]["value"][1]) if found else 0.0


@pytest.mark.parametrize(("panel", "expression"), queries())
def test_every_query_of_the_dashboard_answers(prometheus: Prometheus, panel: str, expression: str) -> None:
    """With data where there is any, and with numbers."""
    found = prometheus.query(expression)
    if panel in QUIET or any(name in expression for name in SILENT):
        return
    assert found, f"{panel}: {expression}"
    assert any(result["value"][1] != "NaN" for result in found), found


@pytest.mark.parametrize(("alert", "expression"), alerts())
def test_every_expression_of_the_rules_is_understood_and_finds_nothing_wrong(
    prometheus: Prometheus, alert: str, expression: str
) -> None:
    assert prometheus.query(expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        'up{job="pinacle-worker"}',
        "time() - pinacle_last_pass_timestamp_seconds",
        "pinacle_storage_accepted",
        'pinacle_pods{phase="backoff"}',
        'pinacle_pods{phase="storage_missing"}',
        "deriv(pinacle_queue_length[5m])",
        "pinacle_unread_messages",
        'pinacle_pods{phase="failed"}',
        "pinacle_disk_free_bytes > 2 * pinacle_disk_floor_bytes",
        'pinacle_heartbeat_age_seconds{part="event_loop"}',
        'pinacle_heartbeat_age_seconds{part="consumer"}',
        'process_start_time_seconds{job="pinacle-worker"}',
        "pinacle_event_stream_up",
        "rate(pinacle_engine_failures_total[5m])",
        'rate(pinacle_engine_call_duration_seconds_bucket{call="container_list"}[5m])',
    ],
)
def test_what_the_alerts_watch_is_there(prometheus: Prometheus, expression: str) -> None:
    """An alert on a series that does not exist would be silent for ever."""
    assert prometheus.query(expression)


def test_the_rules_are_loaded_and_healthy(prometheus: Prometheus) -> None:
    wait_until(
        lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), 20, what="all rules evaluated"
    )
    rules = prometheus.rules()
    assert [rule["name"] for rule in rules] == [name for name, _ in alerts()]
    assert {rule["state"] for rule in rules} == {"inactive"}
