"""How much a spec may hold: labels, lists, events and the kernel's arguments all carry it."""

import re
from collections.abc import Mapping
from typing import Final

from worker.errors import InvalidInputError
from worker.pods.spec import PodSpec
from worker.quoting import shown

LARGEST_BYTES: Final = 128_000
"""Of `env` and `command` together, as UTF-8. Linux takes no argument above 131,072 bytes."""

MOST_PORTS: Final = 64
"""Of one pod. Each is a process of the Engine's on the host, and is compared with all that are reserved."""

MOST_LABELS: Final = 32
LONGEST_LABEL: Final = 200
"""Characters of a label's value."""
LONGEST_DESCRIPTION: Final = 500
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
_LABEL_NAMES: Final = "1 to 63 letters, digits, '.', '_', '-' and '/', with a letter or digit at each end"


def check_size(spec: PodSpec, before: PodSpec | None) -> None:
    """Refuse a spec that holds too much, unless the pod has exactly that already.

    Raises InvalidInputError. Checked when a request comes in, never when a record is read.
    """
    if before is None or (before.command, before.env) != (spec.command, spec.env):
        _check_bytes(spec)
    if before is None or before.ports != spec.ports:
        _check_ports(spec)
    if before is None or before.labels != spec.labels:
        _check_labels(spec.labels)
    if before is None or before.description != spec.description:
        _check_description(spec.description or "")


def check_label_name(where: str, name: object) -> None:
    """Refuse what no label can be called. Raises InvalidInputError."""
    if not isinstance(name, str) or _LABEL.fullmatch(name) is None:
        raise InvalidInputError(f"{where}: {shown(name)} is not the name of a label; allowed: {_LABEL_NAMES}")


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MOST_LABELS:
        raise InvalidInputError(f"spec.labels: {len(labels)} labels; allowed: {MOST_LABELS} a pod")
    for name, value in labels.items():
        check_label_name("spec.labels", name)
        if len(value) > LONGEST_LABEL or not value.isprintable():
            raise InvalidInputError(
                f"spec.labels.{name}: {shown(value)} is not allowed; allowed: at most {LONGEST_LABEL} "
                "printable characters"
            )


def _check_description(text: str) -> None:
    if len(text) > LONGEST_DESCRIPTION or not text.isprintable():
        raise InvalidInputError(
            f"spec.description: {shown(text)} is not allowed; allowed: one line of at most "
            f"{LONGEST_DESCRIPTION} printable characters"
        )


def _check_bytes(spec: PodSpec) -> None:
    texts = [*(spec.command or ()), *spec.env.keys(), *spec.env.values()]
    size = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    if size > LARGEST_BYTES:
        raise InvalidInputError(
            f"spec: command and env hold {size} bytes; allowed: {LARGEST_BYTES} together, as UTF-8. Put what "
            "is larger into a file in one of the pod's volumes"
        )


def _check_ports(spec: PodSpec) -> None:
    if len(spec.ports) > MOST_PORTS:
        raise InvalidInputError(
            f"spec.ports: {len(spec.ports)} ports; allowed: {MOST_PORTS} a pod. One port with a "
            "proxy behind it in the pod serves as many programs as are wanted"
        )
