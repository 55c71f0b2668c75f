"""How much a spec may hold: labels, lists, events and the kernel's arguments all carry it."""

from typing import Final

from worker.errors import InvalidInputError
from worker.pods.spec import PodSpec

LARGEST_BYTES: Final = 128_000
"""Of `env` and `command` together, as UTF-8. Linux takes no argument above 131,072 bytes."""

MOST_PORTS: Final = 64
"""Of one pod. Each is a process of the Engine's on the host, and is compared with all that are reserved."""


def check_size(spec: PodSpec, before: PodSpec | None) -> None:
    """Refuse a spec that holds too much, unless the pod has exactly that already.

    Raises InvalidInputError. Checked when a request comes in, never when a record is read.
    """
    if before is None or (before.command, before.env) != (spec.command, spec.env):
        _check_bytes(spec)
    if before is None or before.ports != spec.ports:
        _check_ports(spec)


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
