"""The power is cut after each write: what the record says and what the pool has agree when both are back.

What the pool's device has at that moment is copied, and mounted in its place later. What Redis says was
written to its disk before it was answered.
"""

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any, Final

from tests.support.pool_life import OWN, PLACES, Life
from tests.support.pools import Parts
from worker.local.pool_file import PoolFile
from worker.planner.plan import plan
from worker.planner.volumes.pooled.subvolume import is_first
from worker.pods.layout import full_names
from worker.pods.model import IntentKind, Phase, Record
from worker.pool.storage import PoolStorage
from worker.pool.templates import Templates

_BROKEN: Final = (Phase.FAILED, Phase.STORAGE_MISSING)


@dataclass(frozen=True)
class Cut:
    """What a power cut would leave."""

    after: str
    record: Record
    device: Path
    has_lines: bool
    """Whether the pod had written its lines, and they had reached the disk."""


class Power:
    """Copies the device after each command on the pool, and after each note."""

    def __init__(self, life: Life, folder: Path) -> None:
        self.life, self.folder = life, folder
        self.cuts: list[Cut] = []
        self.has_lines = False
        self._follow(life.parts.pool, "run")
        self._follow(life.parts.pool, "run_within")
        self._follow(life.store, "save")
        self._follow(life.store, "accept")

    def _follow(self, part: Any, name: str) -> None:
        call = getattr(part, name)

        async def followed(*args: Any, **kwargs: Any) -> Any:
            done = await call(*args, **kwargs)
            said = args[0] if name.startswith("run") else name
            await self.cut(str(said))
            return done

        setattr(part, name, followed)

    async def cut(self, after: str) -> None:
        record = await self.life.store.load("a")
        if record is None:
            return
        device = self.folder / f"cut-{len(self.cuts)}"
        command = ("cp", "--sparse=always", str(self.life.file.image), str(device))
        await asyncio.to_thread(subprocess.run, command, check=True)
        self.cuts.append(Cut(after, record, device, self.has_lines))


async def found_after(cut: Cut, parts: Parts, file: PoolFile) -> list[str]:
    """Return how the pool of a cut differs from its record, in words."""
    record = cut.record
    parts.docker.pool = PoolStorage(
        pool=parts.pool, templates=Templates(parts.pool, parts.filling), fill_deadline_s=60
    )
    await parts.pool.open(None)
    names = full_names("a", record.state)
    seen = await parts.docker.observe("a", names, on_pool=True)
    listed = await parts.pool.run("test", "ls -A /pool/pods")
    if record.intent.kind is IntentKind.DELETED and not record.purging:
        return [f"{each} is left" for each in listed.split()]
    wrong = []
    decided = plan(record, seen, time(), OWN)
    if decided.phase in _BROKEN:
        wrong.append(f"{decided.phase}: {decided.reason}")
    if record.intent.kind is IntentKind.DELETED or is_first(record):
        return wrong
    size = await parts.docker.subvolume_size("a")
    # While it gets another tier it may have the limit of either.
    tiers = {record.state.tier, record.intent.spec.tier if record.intent.spec is not None else None} - {None}
    if size is None or size.limit not in {OWN.storage_limit(str(tier)) for tier in tiers}:
        wrong.append(f"its limit is {size}, and its tier {tiers}")
    lines = [path.read_text() for path in (file.seen / "pods/a").rglob("mine")]
    if cut.has_lines and lines != ["mine\n"] * len(PLACES):
        wrong.append(f"its owner's lines are {lines}")
    return wrong


async def test_record_and_pool_agree_wherever_the_power_is_cut(
    life: Life, make: Callable[..., Parts], tmp_path: Path
) -> None:
    """In a creation, another tier, another container, a loss, and a deletion."""
    power = Power(life, tmp_path)
    made = await life.want()
    assert made.record.state.phase is Phase.RUNNING, made
    life.write()
    life.sh("sync")
    power.has_lines = True
    await life.want(tier="dev.large")
    await life.want(tier="dev.large", hostname="other")
    life.engine.docker("rm", "-f", "pinacle-pod-a")
    await life.reconcile()
    gone = await life.want(IntentKind.DELETED)
    assert gone.record.state.phase is Phase.DELETED, gone
    await life.parts.helper.remove()
    life.file.unmount()
    wrong = {}
    for number, cut in enumerate(power.cuts):
        cut.device.replace(life.file.image)
        life.file.mount()
        parts = make()
        found = await found_after(cut, parts, life.file)
        await parts.close()
        life.file.unmount()
        if found:
            wrong[f"{number}, after {cut.after}"] = found
    assert not wrong
    seen = {cut.after for cut in power.cuts}
    assert {"pod: begin", "pod: finish", "pod: limit", "pod: remove", "save"} <= seen
