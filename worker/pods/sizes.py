"""How much a spec may hold: labels, lists, events and the kernel's arguments all carry it."""

from typing import Final

from worker.errors import InvalidInputError
from worker.pods.spec import PodSpec

LARGEST_BYTES: Final = 128_000
"""Of `env` and `command` together, as UTF-8. Linux takes no argument above 131,072 bytes."""


def check_size(spec: PodSpec, before: PodSpec | None) -> None:
    """Refuse an `env` and `command` that are too large, unless the pod has these very ones already.

    Raises InvalidInputError. Judged where a request comes in, never where a record is read.
    """
    if before is not None and (before.command, before.env) == (spec.command, spec.env):
        return
    texts = [*(spec.command or ()), *spec.env.keys(), *spec.env.values()]
    size = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    if size > LARGEST_BYTES:
        raise InvalidInputError(
            f"spec: command and env hold {size} bytes; allowed: {LARGEST_BYTES} together, as UTF-8. Put what "
            "is larger into a file in one of the pod's volumes"
        )
