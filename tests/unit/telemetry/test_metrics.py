"""Metrics, docs, alert rules and dashboard agree; promtool accepts the rules."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.metric_files import (
    CONFIG,
    RULES,
    RULES_TEST,
    Family,
    alerts,
    dashboard,
    families,
    queries,
    series,
)
from worker.local.packages import require
from worker.telemetry.metrics import Metrics

ROOT: Final = Path(__file__).parents[3]
FAMILIES: Final = families(Metrics().registry)


def promtool(*arguments: str | Path) -> None:
    require("promtool")
    done = subprocess.run(["promtool", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_docs_describe_every_metric_as_it_is() -> None:
    """With name, type, labels and meaning; and no metric that does not exist."""
    rows = re.findall(
        r"^\| `(pinacle_\w+)` \| (\w+) \| (?:`(.*?)`)? ?\| (.*) \|$",
        (ROOT / "docs" / "metrics.md").read_text(),
        re.MULTILINE,
    )
    told = [
        (name, kind, tuple(filter(None, labels.split("`, `"))), text) for name, kind, labels, text in rows
    ]
    assert told == [(one.name, one.kind, one.labels, one.meaning) for one in FAMILIES]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_metric_follows_the_conventions(family: Family) -> None:
    """Base units, counters end in `_total`, and no label could contain a pod."""
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.name.endswith("_duration_seconds") == (family.kind == "histogram")
    words = {"phase", "result", "step", "call", "reason", "queue", "part", "direction", "rank", "percent"}
    assert set(family.labels) <= words


@pytest.mark.parametrize(("where", "expression"), [*alerts(), *queries()])
def test_what_an_expression_asks_for_is_there(where: str, expression: str) -> None:
    names = set(re.findall(r"\bpinacle_\w+", expression))
    assert names <= series(Metrics().registry), where
    assert names or re.search(r"\b(up|process_\w+|celery_\w+)\b", expression), where


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    asked = " ".join(expression for _, expression in [*alerts(), *queries()])
    assert [one.name for one in FAMILIES if one.name not in asked] == []


def test_every_alert_says_what_to_do_and_is_tested_firing_and_not_firing() -> None:
    rules, tests = RULES.read_text(), RULES_TEST.read_text()
    names = [name for name, _ in alerts()]
    assert len(names) == len(set(names)) == rules.count("- alert:") == 14
    assert rules.count("summary:") == rules.count("action:") == rules.count("severity:") == len(names)
    for name in names:
        assert f"alertname: {name}}}" in tests, f"{name} is not tested not to fire"
        assert re.search(rf"alertname: {name}\n +exp_alerts:", tests), f"{name} is not tested to fire"


def test_the_rules_are_right_and_fire_when_they_should() -> None:
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULES_TEST)


def test_the_configuration_of_prometheus_is_right() -> None:
    promtool("check", "config", CONFIG / "prometheus" / "prometheus.yml")


def test_the_dashboard_asks_the_datasource_that_is_provisioned() -> None:
    folder = CONFIG / "grafana" / "provisioning"
    (uid,) = re.findall(r"uid: (\S+)", (folder / "datasources" / "prometheus.yml").read_text())
    panels = dashboard()["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {uid}
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {uid}
    assert len({panel["id"] for panel in panels}) == len(panels)
    (path,) = re.findall(r"path: (\S+)", (folder / "dashboards" / "files.yml").read_text())
    assert f"./config/grafana/dashboards:{path}:ro" in (ROOT / "docker-compose.yml").read_text()
