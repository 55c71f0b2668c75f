"""How two specs differ, as anybody may see it. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from worker.pods.spec import PodSpec, public_spec

MASKED: Final = "***"
"""Stands for a value of `env`."""

Changed = dict[str, Any]


def changes(before: PodSpec | None, after: PodSpec) -> list[Changed]:
    """Return what differs, by key: of `env` each name as `env.NAME`, without its values."""
    old, new = ({} if before is None else public_spec(before)), public_spec(after)
    plain = [
        {"key": key, "before": old.get(key), "after": new.get(key)}
        for key in (*new, *(old.keys() - new.keys()))
        if old.get(key) != new.get(key)
    ]
    return [*plain, *_environment({} if before is None else before.env, after.env)]


def _environment(old: dict[str, str], new: dict[str, str]) -> Iterator[Changed]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            shown = (MASKED if name in each else None for each in (old, new))
            yield dict(zip(("key", "before", "after"), (f"env.{name}", *shown), strict=True))
