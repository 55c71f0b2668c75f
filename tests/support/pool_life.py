"""One host with a real pool and one pod, reconciled without a worker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import time
from typing import Any, Final

from tests.support.pools import INSTALLATION, Parts
from worker.interfaces import Proposal
from worker.local.images import STAY, import_busybox
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine
from worker.pods.layout import full_names
from worker.pods.model import Installation, Intent, IntentKind, SystemMode
from worker.pods.observation import ObservedSize
from worker.pods.spec import PodSpec
from worker.pool.storage import PoolStorage
from worker.pool.templates import Templates
from worker.reconcile.reconciler import Outcome, Reconciler, Seen
from worker.store.redis_store import RedisStore

Make = Callable[..., Parts]
OWN: Final = Installation(name=INSTALLATION, network="pools", system_volumes=SystemMode.POOL)
IMAGE: Final = "pinacle-rooms"
PLACES: Final = ("/home", "/etc", "/var/lib", "/bin", "/usr/bin", "/app", "/usr/local", "/var/lib/db")
"""Where an owner writes: universal, system, directories of the image directly below `/`, a VOLUME."""


class Life:
    """One host with a pool, and one pod."""

    def __init__(self, parts: Parts, engine: PrivateEngine, file: PoolFile, store: RedisStore) -> None:
        self.parts, self.engine, self.file, self.store = parts, engine, file, store
        parts.docker.pool = PoolStorage(
            pool=parts.pool, templates=Templates(parts.pool, parts.filling), fill_deadline_s=60
        )
        self.reconciler = Reconciler(
            engine=parts.docker, store=store, installation=OWN, clock=time, step_deadline_s=5
        )
        self.generation = 0

    async def want(
        self,
        kind: IntentKind = IntentKind.RUNNING,
        *,
        image_name: str = IMAGE,
        tier: str = "dev.small",
        hostname: str | None = None,
        **intent: Any,
    ) -> Outcome:
        """Accept an intent for the pod, and bring it there."""
        self.generation += 1
        command = ("sh", "-c", STAY)
        spec = PodSpec(image=image_name, tier=tier, hostname=hostname, command=command, stop_timeout_s=1)
        purge = self.generation if kind is IntentKind.DELETED else 0
        accepted = Intent(
            kind=kind, generation=self.generation, spec=spec, **{"purge_generation": purge, **intent}
        )
        await self.store.accept(
            Proposal(
                pod_id="a",
                task_id=f"task {self.generation}",
                expected_generation=self.generation - 1,
                host="here",
                intent=accepted,
            )
        )
        return await self.reconcile()

    async def size(self) -> ObservedSize | None:
        return await self.parts.docker.subvolume_size("a")

    @staticmethod
    def uuid(outcome: Outcome) -> str:
        assert outcome.record.state.subvolume is not None
        return outcome.record.state.subvolume.uuid

    async def pass_over(self) -> Outcome:
        """Reconcile by what a pass sees."""
        record = await self.store.load("a")
        assert record is not None
        seen = (await self.parts.docker.observe_all()).pod("a", full_names("a", record.state))
        return await self.reconciler.reconcile("a", Seen(record=record, observation=seen))

    async def reconcile(self) -> Outcome:
        return await self.reconciler.reconcile("a")

    def sh(self, script: str) -> str:
        return self.engine.docker("exec", "pinacle-pod-a", "sh", "-ec", script)

    def write(self) -> None:
        self.sh("; ".join(f"mkdir -p {place}; echo mine > {place}/mine" for place in PLACES))

    def has_all(self) -> bool:
        """Whether the pod has what its owner wrote, and what its image had beside it."""
        read = self.sh("; ".join(f"cat {place}/mine" for place in PLACES))
        return read == "mine\n" * len(PLACES) and self.sh("cat /app/code /opt/readme").startswith("code\n")

    def volumes(self) -> list[str]:
        return self.engine.docker("volume", "ls", "-q", "--filter", "name=pinacle-vol-a-").split()

    def remove_all(self) -> None:
        """Remove what a failed test left, and the network."""
        for listed, remove in ((("ps", "-aq"), ("rm", "-f")), (("volume", "ls", "-q"), ("volume", "rm"))):
            left = self.engine.docker(*listed, "--filter", f"label=dev.pinacle.installation={INSTALLATION}")
            if left:
                self.engine.docker(*remove, *left.split())
        self.engine.docker("network", "rm", "pools")

    def on_pool(self) -> set[str]:
        return {path.name for path in (self.file.seen / "pods").iterdir()}


@asynccontextmanager
async def living(parts: Parts, engine: PrivateEngine, file: PoolFile, redis_url: str) -> AsyncIterator[Life]:
    """Open a pool, import an image with directories of its own, and remove afterwards what is left."""
    import_busybox(
        engine, IMAGE, changes=("VOLUME /var/lib/db",), files={"app/code": b"code\n", "nix/store": b"store\n"}
    )
    store = RedisStore(
        redis_url, lease_ttl_s=30, takeover_delay_s=0.0, heartbeat_ttl_s=1.0, socket_timeout_s=2.0
    )
    await parts.pool.open(None)
    life = Life(parts, engine, file, store)
    yield life
    await store.close()
    life.remove_all()
