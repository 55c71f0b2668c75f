"""The alert rules and the dashboard, as files of this repository."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

CONFIG: Final = Path(__file__).parents[2] / "config"
RULES: Final = CONFIG / "prometheus" / "rules.yml"
RULES_TEST: Final = CONFIG / "prometheus" / "rules.test.yml"
PROMETHEUS: Final = CONFIG / "prometheus" / "prometheus.yml"
DASHBOARD: Final = CONFIG / "grafana" / "dashboards" / "pods.json"
_SUFFIXES: Final = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}


@dataclass(frozen=True)
class Family:
    """One metric of the registry."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def families(registry: CollectorRegistry) -> list[Family]:
    """Return our own metrics, in the registry's order."""
    described = [
        (collector, next(iter(collector.describe())))
        for collector in registry._collector_to_names
        if hasattr(collector, "describe")
    ]
    return [
        Family(
            name=f"{family.name}_total" if family.type == "counter" else family.name,
            kind=family.type,
            labels=_labels(collector) or _labels(family),
            meaning=family.documentation,
        )
        for collector, family in described
    ]


def _labels(of: object) -> tuple[str, ...]:
    return tuple(getattr(of, "_labelnames", ()))


def series(registry: CollectorRegistry) -> set[str]:
    """Return the names of all series of our metrics."""
    return {
        f"{family.name.removesuffix('_total')}{suffix}"
        for family in families(registry)
        for suffix in _SUFFIXES.get(family.kind, ("",))
    }


def alerts() -> list[tuple[str, str]]:
    """Return name and expression of each alert."""
    found = re.findall(r"- alert: (\w+)\n +expr: (?:>-\n)?((?:.*\n)+?) +for:", RULES.read_text())
    return [(name, " ".join(expression.split())) for name, expression in found]


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return read


def queries() -> list[tuple[str, str]]:
    """Return the title of the panel and the expression of each query of the dashboard."""
    return [
        (panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel["targets"]
    ]
