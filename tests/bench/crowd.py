"""Many pods, made quickly: real containers, volumes and records, without the tasks that would make them."""

import asyncio
from time import time
from typing import Final

from worker.pods.container import container_request, volume_labels
from worker.pods.layout import universal_layout
from worker.pods.model import Installation, Intent, IntentKind, PinnedImage, PodState, Record, Volume
from worker.pods.naming import volume_name
from worker.pods.parsing import parse_spec
from worker.ports import Proposal
from worker.runtime import Parts

_AT_ONCE: Final = 8


async def grow(parts: Parts, own: Installation, image: str, first: int, last: int, *, running: int) -> None:
    """Have the pods `first` to `last`, of which those below `running` run and the others are stopped."""
    found = await parts.engine.find_image(image)
    if found is None:
        raise ValueError(f"image {image} is not on the Engine")
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with turn:
            await _make(parts, own, _record(parts.host, f"crowd-{number}", found, runs=number < running))

    await asyncio.gather(*(one(number) for number in range(first, last)))


def _record(host: str, pod_id: str, image: PinnedImage, *, runs: bool) -> Record:
    spec = parse_spec({"image": image.reference, "stop_timeout_s": 0, "command": ["sleep", "1000000"]})
    layout = tuple(
        Volume(name=name, path=path, volume_class=volume_class, incarnation="crowd", filled=True)
        for path, (name, volume_class) in universal_layout().items()
    )
    kind = IntentKind.RUNNING if runs else IntentKind.STOPPED
    intent = Intent(kind=kind, generation=1, spec=spec, image=image, accepted_at=time())
    state = PodState(image=image, layout=layout, tier=spec.tier, settled_generation=1)
    return Record(pod_id=pod_id, host=host, intent=intent, state=state)


async def _make(parts: Parts, own: Installation, record: Record) -> None:
    for volume in record.state.layout:
        name = volume_name(record.pod_id, volume.name)
        await parts.engine.create_volume(name, volume_labels(record, volume, own))
    container = await parts.engine.create_container(container_request(record, own))
    if record.intent.kind is IntentKind.RUNNING:
        await parts.engine.start_container(container.id)
    proposal = Proposal(
        pod_id=record.pod_id,
        task_id=f"crowd {record.pod_id}",
        expected_generation=0,
        host=record.host,
        intent=record.intent,
    )
    await parts.store.accept(proposal)
    lease = await parts.store.lease(record.pod_id)
    await parts.store.save(record.evolve(state=record.state.evolve(container_id=container.id)), lease)
    await parts.store.release(record.pod_id, lease)
    parts.dispatcher.poke(record.pod_id)
    await parts.dispatcher.until_resting(record.pod_id)
