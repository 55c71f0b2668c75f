"""The Engine is killed while it first fills a volume: what is half filled is never used."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from worker.local.images import import_busybox

FILES: Final = 3000
TIMES: Final = 20
SPEC: Final = {"image": "pinacle-full", "stop_timeout_s": 1}


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        files = {f"srv/{number}": b"content" for number in range(FILES)}
        import_busybox(stack.engine, "pinacle-full", files=files)
        yield stack


@pytest.mark.timeout(600)
def test_p4_an_engine_killed_while_it_fills_a_volume_leaves_no_half_filled_pod(stack: Stack) -> None:
    """In the end all files are there, however many there were when it died."""
    random, found = Random(20), []
    for number in range(TIMES):
        pod = Pod(stack.client, stack.engine, f"fill-{number}")
        sent = stack.client.send("create", pod.id, SPEC)
        found.append(_kill_after(stack, pod, random.randrange(FILES)))
        stack.engine.start()
        pod.wait_for_another_container(60)
        stack.client.forget(sent)
        assert pod.sh("ls /srv | wc -l") == str(FILES), f"{found[-1]} files were there when the Engine died"
        assert stack.client.call("delete", pod.id)["phase"] == "deleted"
    cut = [count for count in found if 0 < count < FILES]
    print(f"\nkilled {TIMES} times, {len(cut)} of them while it copied, at these files: {found}")
    assert len(cut) >= TIMES / 2


def _kill_after(stack: Stack, pod: Pod, files: int) -> int:
    """Kill the Engine once `files` files were copied; return how many there were when it was dead."""
    folder = stack.engine.data_root / "volumes" / f"pinacle-vol-{pod.id}-srv" / "_data"

    def count() -> int:
        return sum(1 for _ in folder.iterdir()) if folder.exists() else 0

    deadline = monotonic() + 30
    while count() <= files and monotonic() < deadline:
        pass  # Without a pause: the whole copying takes a fraction of a second.
    stack.engine.kill()
    return count()
