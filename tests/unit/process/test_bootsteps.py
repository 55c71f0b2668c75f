"""What the worker does when it starts, before it takes any message."""

import gc
from types import SimpleNamespace

from worker.process.bootsteps import PodWork


def test_what_is_loaded_is_not_looked_through_again() -> None:
    """A collection of all objects stops all threads, and with them the answers to everybody."""
    before, frozen = gc.get_freeze_count(), list[int]()
    parent = SimpleNamespace(
        pod_runtime=SimpleNamespace(start=lambda: frozen.append(gc.get_freeze_count())), steps=[]
    )
    try:
        PodWork(parent).start(parent)
        assert frozen[0] > before + 10_000
    finally:
        gc.unfreeze()
