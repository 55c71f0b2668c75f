"""Checks a new spec before it is accepted: bad input is refused before anything is written."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from worker.errors import (
    ForeignObjectError,
    HostFullError,
    InvalidInputError,
    NetworkOpenError,
    OutcomeUnknownError,
    RegistryBusyError,
    StorageMissingError,
    UpdateRefusedError,
)
from worker.hanging import HangingThreads
from worker.interfaces import Engine, EngineInfo, Store
from worker.planner.fold.fold import fold
from worker.planner.identity import own_view
from worker.planner.plan import plan
from worker.planner.steps import READ_ONLY
from worker.planner.volumes.fit import shape_problem
from worker.planner.volumes.pooled.subvolume import is_pooled, looks_on_pool
from worker.pods.layout import full_names, looked_paths
from worker.pods.model import Installation, Intent, IntentKind, Phase, PinnedImage, Record
from worker.pods.observation import Observation
from worker.pods.policy import Policy, check_policy, check_registry, check_runtime
from worker.pods.requests import Create, Request, Resolved, Update
from worker.pods.spec import PodSpec
from worker.reconcile.apply import Surroundings, apply
from worker.reconcile.host_ports import chosen_ports
from worker.sharing import Shared

_log: Final = structlog.get_logger(__name__)
_MB = 10**6
_MEASURE_S = 5.0
_INFO_KEPT_S = 10.0
_LONGEST_WALK = 10


class Preflight:
    """Examines a spec on the host that will run it."""

    def __init__(
        self,
        *,
        host: str,
        engine: Engine,
        store: Store,
        installation: Installation,
        clock: Callable[[], float],
        free_ports: range,
        min_free_mb: int,
        max_pods: int,
        policy: Policy | None = None,
    ) -> None:
        """`clock` gives seconds since the epoch; `policy` None means the default policy."""
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation
        self._clock = clock
        self._free_ports = free_ports
        self._min_free_mb = min_free_mb
        self._max_pods = max_pods
        self._policy = policy or Policy()
        self._threads = HangingThreads()
        self._infos = Shared(engine.info)
        self._info: EngineInfo | None = None
        self._info_at = 0.0

    def judge(self, record: Record | None, request: Request, *, alone: bool = False) -> None:
        """Raise InvalidInputError for what the operator of this host does not allow.

        This is called on the host where the pod will run, or with `alone` elsewhere if that host is silent.
        """
        if not isinstance(request, Create | Update):
            return
        policy = self._policy
        before = record.intent.spec if record is not None and record.exists else None
        check_policy(policy, request.spec, before)
        if alone:
            check_runtime(policy, request.spec, before, own=self._installation.default_runtime)

    async def resolved(self, pod_id: str, record: Record | None, spec: PodSpec) -> Resolved:
        """Return image and host ports for a spec.

        Raises InvalidInputError, ImageNotFoundError, PortTakenError, HostFullError if there is no room for a
        new pod, NetworkOpenError if other pods would reach it, and what the Engine raises.
        """
        is_new = record is None or not record.exists
        if is_new:
            await self._check_number()
            await self._check_network()
        before_spec = None if record is None or is_new else record.intent.spec
        await self._check_host(spec, before_spec, is_new=is_new)
        old = None if record is None or is_new else record
        pinned = await self.pinned(old, spec)
        if pinned.image is not None:
            await self._check_shape(pod_id, old, spec, pinned)
        if old is not None:
            await self._check_limit(old, spec)
        before = () if record is None or is_new else record.intent.ports
        ports = await chosen_ports(
            self._store, self._host, pod_id, spec, before=before, free=self._free_ports
        )
        return replace(pinned, ports=ports)

    async def pinned(self, record: Record | None, spec: PodSpec) -> Resolved:
        """Return the image to pin for a spec; for an existing pod, the one that was pinned.

        It stays the same even if its reference now means another image. Another one replaces it only if it is
        gone from the host and has no digest to pull. Raises ImageNotFoundError, InvalidInputError for a
        registry that is not allowed, and what the Engine raises.
        """
        pinned = record.image if record is not None else None
        if record is None or pinned is None or pinned.reference != spec.image:
            before = record.intent.spec if record is not None else None
            accepted = before is not None and before.image == spec.image
            can_wait = record is None or accepted
            return Resolved(image=await self._image(spec, accepted=accepted, can_wait=can_wait))
        if await self._engine.find_image(pinned.id) is not None:
            return Resolved(image=pinned, replaced_image=record.intent.replaced_image)
        if pinned.repo_digest is not None:
            await self._engine.check_registry(pinned.repo_digest, pinned=True)
            return Resolved(image=pinned, replaced_image=record.intent.replaced_image)
        return Resolved(image=await self._image(spec), replaced_image=pinned.id)

    async def first_look(self, candidate: Record) -> Observation:
        """Observe the place of a new pod.

        Raises ForeignObjectError if somebody else's container or volume has one of its names,
        StorageMissingError if the host's storage is missing, and HostFullError if it would be on a pool that
        has no room. What a deletion still has to remove does not matter.
        """
        names = full_names(candidate.pod_id, candidate.state)
        sure_of = candidate.state.container_id
        on_pool = looks_on_pool(candidate, self._installation)
        found = await self._engine.observe(candidate.pod_id, names, sure_of, on_pool=on_pool)
        seen = await self._walked(candidate, found)
        decided = plan(candidate, seen, self._clock(), self._installation)
        if decided.phase is Phase.FAILED and decided.reason is not None:
            raise ForeignObjectError(decided.reason)
        if decided.phase is Phase.STORAGE_MISSING and decided.reason is not None:
            raise StorageMissingError(decided.reason)
        self._check_pool_space(seen)
        return seen

    async def rehearse(self, candidate: Record) -> Observation:
        """Find out, without any change, whether a pod's container can be replaced as `candidate` asks.

        Returns what was seen. Raises UpdateRefusedError if data would be lost, or if it cannot succeed.
        """
        wanted = candidate.evolve(intent=candidate.intent.evolve(kind=IntentKind.RUNNING))
        sure_of = None if wanted.state.seconds else wanted.state.container_id
        names = full_names(wanted.pod_id, wanted.state)
        on_pool = looks_on_pool(wanted, self._installation)
        found = await self._engine.observe(wanted.pod_id, names, sure_of, on_pool=on_pool)
        seen = own_view(wanted, found, self._installation)
        return await self._walked(wanted, seen)

    async def _walked(self, record: Record, seen: Observation) -> Observation:
        """Plan, and do the steps that only look, until a step would change something."""
        for _ in range(_LONGEST_WALK):
            decided = plan(record, seen, self._clock(), self._installation)
            if decided.given_up is not None:
                raise UpdateRefusedError(decided.given_up.reason)
            step = decided.steps[0] if decided.steps else None
            if not isinstance(step, READ_ONLY):
                break
            surroundings = Surroundings(
                engine=self._engine, record=record, seen=seen, installation=self._installation, incarnation=""
            )
            record, seen = fold(record, seen, step, await apply(step, surroundings), self._clock())
        return seen

    async def _check_number(self) -> None:
        """Raise HostFullError if the host has as many pods as it may.

        The quick count includes the records of deleted pods, so the slow one is made only if it may matter.
        """
        if await self._store.count_host(self._host) < self._max_pods:
            return
        there = sum(record.exists for record in (await self._store.load_host(self._host)).values())
        if there >= self._max_pods:
            raise HostFullError(
                f"host {self._host} has {there} pods, stopped ones included; allowed: {self._max_pods} "
                "(PINACLE_MAX_PODS; a Linux bridge takes no more than 1023 that run). Delete one that is not "
                "needed, or create it on another host"
            )

    async def _check_network(self) -> None:
        problem = await self._engine.network_refusal()
        if problem is not None:
            raise NetworkOpenError(
                f"host {self._host} takes no new pods: {problem}. Remove that network, and the worker makes "
                "one on which they do not; or set PINACLE_NETWORK to another name"
            )

    async def _check_host(self, spec: PodSpec, before: PodSpec | None, *, is_new: bool) -> None:
        runtime = spec.runtime or self._installation.default_runtime
        measured = is_new and self._min_free_mb > 0
        if runtime is None and not measured:
            return
        info = await self._recent_info()
        if runtime is not None and runtime not in info.runtimes:
            info = await self._fresh_info()
        own = self._installation.default_runtime or info.default_runtime
        check_runtime(self._policy, spec, before, own=own)
        if runtime is not None and runtime not in info.runtimes:
            known = ", ".join(sorted(info.runtimes))
            raise InvalidInputError(
                f"spec.runtime: {runtime!r} is not a runtime of this Engine; allowed: {known}"
            )
        if measured:
            await self._check_space(info.data_root)

    async def _recent_info(self) -> EngineInfo:
        """Return what the Engine said of itself within the last seconds: for many creations, it says it once.

        The Engine counts and looks up much for this answer, of which only what rarely changes is used here.
        """
        if self._info is not None and 0 <= self._clock() - self._info_at < _INFO_KEPT_S:
            return self._info
        return await self._fresh_info()

    async def _fresh_info(self) -> EngineInfo:
        self._info = await self._infos.get()
        self._info_at = self._clock()
        return self._info

    async def _image(
        self, spec: PodSpec, *, accepted: bool = False, can_wait: bool = False
    ) -> PinnedImage | None:
        """Return this host's image; None if it is to be pulled once the intent is accepted.

        `accepted` says that its pull was allowed before. `can_wait` says that nothing is lost if its registry
        does not answer now and is asked later.
        """
        found = await self._engine.find_image(spec.image)
        if found is None:
            if not accepted:
                check_registry(self._policy, spec.image)
            try:
                await self._engine.check_registry(spec.image)
            except RegistryBusyError as error:
                if not can_wait:
                    raise
                _log.info("registry_asked_later", image=spec.image, reason=str(error))
        return found

    async def _check_shape(self, pod_id: str, record: Record | None, spec: PodSpec, found: Resolved) -> None:
        """Raise InvalidInputError if a pod does not fit its new image; `record` is None for a new pod."""
        intent = Intent(
            kind=IntentKind.RUNNING,
            generation=1,
            spec=spec,
            image=found.image,
            replaced_image=found.replaced_image,
        )
        asked = Record(pod_id=pod_id, host=self._host, intent=intent)
        if record is not None:
            asked = record.evolve(intent=intent)
        image = asked.image
        if image is None:
            return
        if record is not None and record.image is not None and record.image.id == image.id:
            return
        shape = await self._engine.look_at_image(image, looked_paths(asked, image))
        problem = shape_problem(asked, image, shape)
        if problem is not None:
            raise InvalidInputError(f"spec.image: {problem}")

    async def _check_limit(self, record: Record, spec: PodSpec) -> None:
        """Raise UpdateRefusedError if a pod on a pool keeps more already than its new tier lets it."""
        before = record.intent.spec
        if before is None or before.tier == spec.tier or not is_pooled(record.state.system):
            return
        limit = self._installation.storage_limit(spec.tier)
        size = await self._engine.subvolume_size(record.pod_id)
        if size is not None and size.used > limit:
            raise UpdateRefusedError(
                f"spec.tier: pod {record.pod_id} keeps {size.used / 10**9:.1f} GB, and a pod of tier "
                f"{spec.tier} may keep {limit / 10**9:g} GB; allowed: a larger tier, or this one once its "
                "owner has removed something"
            )

    async def _check_space(self, root: Path) -> None:
        # An Engine behind a forwarded socket keeps its data on another machine, so it cannot be measured.
        try:
            free_mb = await self._threads.run(lambda: _free_mb(root), _MEASURE_S)
        except TimeoutError as error:
            raise OutcomeUnknownError(
                f"host {self._host}: the disk of {root} did not say within {_MEASURE_S:g} s how much is free"
            ) from error
        if free_mb is None:
            return
        self._check_free(free_mb, str(root))

    def _check_pool_space(self, seen: Observation) -> None:
        if seen.pool is not None and seen.pool.free_bytes is not None:
            self._check_free(seen.pool.free_bytes // _MB, "its pool")

    def _check_free(self, free_mb: int, place: str) -> None:
        if free_mb < self._min_free_mb:
            raise HostFullError(
                f"host {self._host} has {free_mb} MB free on {place}, and creates no pod below "
                f"{self._min_free_mb} MB (PINACLE_MIN_FREE_MB): free some space, or create it on another host"
            )


def _free_mb(root: Path) -> int | None:
    """Return how many megabytes are free, None if `root` cannot be seen."""
    return shutil.disk_usage(root).free // _MB if root.is_dir() else None
