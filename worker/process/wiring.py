"""Makes the parts of a worker process from the settings."""

import os
from dataclasses import dataclass
from time import time
from typing import TypedDict
from uuid import uuid4

from config.settings import Settings, listed
from config.tiers import storage_by_tier
from worker.docker.engine import DockerEngine
from worker.host.base_cleanup import BaseCleanup
from worker.host.claiming import Claiming
from worker.host.leftovers import Leftovers
from worker.host.passes import Passes
from worker.host.pool_guard import PoolGuard
from worker.host.rebuild import Rebuild
from worker.host.storage_guard import StorageGuard
from worker.host.template_cleanup import TemplateCleanup
from worker.host.unused import Unused
from worker.host.watcher import Watcher
from worker.interfaces import UNOBSERVED, Observer
from worker.planner.host.egress import CLOSED
from worker.pods.model import Installation, SystemMode
from worker.pods.policy import Policy
from worker.pods.requests import Stop
from worker.process.disk_watch import DiskWatch
from worker.process.pooling import make_pool_storage
from worker.process.repeating import patiently
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.reconciler import Reconciler
from worker.service.examination import Examination
from worker.service.hosts import Hosts
from worker.service.inside.inside import Inside
from worker.service.inside.usage import PodsUsage
from worker.service.intents import Intents
from worker.service.patience import Patience
from worker.service.preflight import Preflight
from worker.service.preview.preview import Previews
from worker.service.queries import Queries
from worker.store.redis_store import RedisStore


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that one process works with; they are made in its event loop."""

    host: str
    engine: DockerEngine
    store: RedisStore
    dispatcher: Dispatcher
    rebuild: Rebuild
    guard: StorageGuard
    pool_guard: PoolGuard
    passes: Passes
    watcher: Watcher
    intents: Intents
    previews: Previews
    queries: Queries
    inside: Inside
    usage: PodsUsage
    disk_watch: DiskWatch
    hosts: Hosts


def installation_of(settings: Settings) -> Installation:
    return Installation(
        name=settings.installation,
        network=settings.network,
        default_runtime=settings.runtime,
        pids_limit=settings.pids_limit,
        log_max_size=settings.log_max_size,
        log_max_files=settings.log_max_files,
        system_volumes=SystemMode.POOL if settings.pool else SystemMode(settings.system_volumes),
        min_free_mb=settings.min_free_mb,
        tier_storage=storage_by_tier(settings.tier_storage_gb),
    )


def policy_of(settings: Settings) -> Policy:
    return Policy(
        registries=settings.registry_hosts,
        runtimes=frozenset(listed(settings.runtimes)),
        addresses=listed(settings.publish_addresses),
        ports=settings.publishable,
        images=listed(settings.images),
    )


def make_engine(settings: Settings, observer: Observer = UNOBSERVED) -> DockerEngine:
    return DockerEngine(
        settings.docker_host,
        step_deadline_s=settings.step_deadline_s,
        list_deadline_s=settings.list_deadline_s,
        fill_deadline_s=settings.fill_deadline_s,
        pull_silence_s=settings.pull_silence_s,
        docker_config=settings.docker_config,
        lends_credentials=policy_of(settings).lends_credentials,
        network=settings.network,
        installation=settings.installation,
        data_root=settings.data_root,
        init_path=settings.init_path,
        observer=observer,
    )


async def closes_egress(settings: Settings, engine: DockerEngine) -> bool:
    """Whether pods are kept from the host's own networks: as it is set, or as the installation began."""
    return await engine.began_closed() if settings.egress is None else settings.egress == CLOSED


async def find_host(settings: Settings, engine: DockerEngine) -> str:
    """Return the name of this host: as it is set, or the Engine's own. This may wait for the Engine."""
    info = await patiently(engine.info)
    return settings.host_id or info.name


def make_parts(
    settings: Settings,
    *,
    host: str,
    engine: DockerEngine,
    store: RedisStore,
    observer: Observer = UNOBSERVED,
) -> Parts:
    """Make the parts of one process."""
    given = _Given(
        settings=settings,
        host=host,
        engine=engine,
        store=store,
        observer=observer,
        installation=installation_of(settings),
    )
    engine.pool = make_pool_storage(settings, engine)
    pool_guard = PoolGuard(host=host, store=store, pool=engine.pool)
    claiming = Claiming(**given.owned, interval_s=settings.reconcile_interval_s)
    dispatcher = _make_dispatcher(given, claiming)
    guard = StorageGuard(**given.owned, claiming=claiming)
    rebuild = Rebuild(**given.owned, claiming=claiming)
    examination = _make_examination(given, guard=guard, rebuild=rebuild)
    passes = _make_passes(given, dispatcher=dispatcher, guard=guard, pool_guard=pool_guard, rebuild=rebuild)
    patience = Patience(dispatcher=dispatcher, task_wait_s=settings.task_wait_s)
    inside = _make_inside(given, patience)
    intents = _make_intents(
        given, dispatcher=dispatcher, guard=guard, examination=examination, patience=patience
    )
    disk_watch = _make_disk_watch(given, intents)
    return Parts(
        host=host,
        engine=engine,
        store=store,
        dispatcher=dispatcher,
        rebuild=rebuild,
        guard=guard,
        pool_guard=pool_guard,
        passes=passes,
        watcher=_make_watcher(given, claiming, dispatcher=dispatcher, passes=passes),
        intents=intents,
        previews=Previews(**given.owned, examination=examination, patience=patience, clock=time),
        queries=Queries(
            **given.owned,
            passes=passes,
            inside=inside,
            patience=patience,
        ),
        inside=inside,
        usage=_make_usage(given, patience, disk_watch),
        disk_watch=disk_watch,
        hosts=_make_hosts(given, guard=guard, pool_guard=pool_guard, passes=passes),
    )


class _Owned(TypedDict):
    """The arguments of every part that is about a whole host."""

    host: str
    engine: DockerEngine
    store: RedisStore
    installation: Installation


@dataclass(frozen=True, kw_only=True)
class _Given:
    """What the parts of one process are made of."""

    settings: Settings
    host: str
    engine: DockerEngine
    store: RedisStore
    observer: Observer
    installation: Installation

    @property
    def owned(self) -> _Owned:
        return _Owned(host=self.host, engine=self.engine, store=self.store, installation=self.installation)


def _make_watcher(given: _Given, claiming: Claiming, *, dispatcher: Dispatcher, passes: Passes) -> Watcher:
    return Watcher(
        events=given.engine.events,
        store=given.store,
        dispatcher=dispatcher,
        passes=passes,
        pass_wait_s=given.settings.reconcile_interval_s,
        observer=given.observer,
        on_contender=claiming.hear,
    )


def _make_inside(given: _Given, patience: Patience) -> Inside:
    return Inside(
        host=given.host,
        store=given.store,
        streams=given.engine.streams,
        patience=patience,
        is_open=given.settings.exec == "on",
    )


def _make_disk_watch(given: _Given, intents: Intents) -> DiskWatch:
    async def stop(pod_id: str, reason: str) -> None:
        await intents.submit(pod_id, Stop(reason=reason), task_id=f"over-quota-{uuid4().hex}", wait=False)

    return DiskWatch(
        host=given.host,
        store=given.store,
        measure=given.engine.measure_volumes,
        every_s=given.settings.disk_interval_s,
        installation=given.installation,
        on_pool=None if given.engine.pool is None else given.engine.pool.sizes,
        stop=stop if given.settings.soft_quota == "stop" else None,
        grace_s=given.settings.soft_quota_grace_s,
    )


def _make_usage(given: _Given, patience: Patience, disk_watch: DiskWatch) -> PodsUsage:
    return PodsUsage(
        host=given.host,
        store=given.store,
        meter=given.engine.meter,
        patience=patience,
        on_disk=disk_watch.of,
        installation=given.installation,
    )


def _make_dispatcher(given: _Given, claiming: Claiming) -> Dispatcher:
    reconciler = Reconciler(
        engine=given.engine,
        store=given.store,
        installation=given.installation,
        clock=time,
        step_deadline_s=given.settings.step_deadline_s,
        free_ports=given.settings.ports,
        observer=given.observer,
        stands_back=lambda: claiming.problem,
        # The Engine is most often on this machine.
        makes_at_once=max(2, os.cpu_count() or 1),
    )
    return Dispatcher(
        reconciler=reconciler,
        store=given.store,
        clock=time,
        repairs_at_once=given.settings.reconcile_concurrency,
        observer=given.observer,
    )


def _make_passes(
    given: _Given, *, dispatcher: Dispatcher, guard: StorageGuard, pool_guard: PoolGuard, rebuild: Rebuild
) -> Passes:
    return Passes(
        **given.owned,
        dispatcher=dispatcher,
        guard=guard,
        pool_guard=pool_guard,
        rebuild=rebuild,
        leftovers=Leftovers(**given.owned),
        base_cleanup=BaseCleanup(
            engine=given.engine,
            installation=given.installation,
            unused=Unused(grace_s=given.settings.base_grace_s),
        ),
        template_cleanup=TemplateCleanup(
            pool=given.engine.pool, unused=Unused(grace_s=given.settings.base_grace_s)
        ),
        clock=time,
        observer=given.observer,
    )


def _make_hosts(given: _Given, *, guard: StorageGuard, pool_guard: PoolGuard, passes: Passes) -> Hosts:
    return Hosts(
        host=given.host,
        store=given.store,
        guard=guard,
        pool_guard=pool_guard,
        passes=passes,
        task_wait_s=given.settings.task_wait_s,
    )


def _make_intents(
    given: _Given,
    *,
    dispatcher: Dispatcher,
    guard: StorageGuard,
    examination: Examination,
    patience: Patience,
) -> Intents:
    settings = given.settings
    return Intents(
        host=given.host,
        store=given.store,
        guard=guard,
        examination=examination,
        dispatcher=dispatcher,
        patience=patience,
        clock=time,
        task_wait_s=settings.task_wait_s,
        task_attempts=settings.task_attempts,
    )


def _make_examination(given: _Given, *, guard: StorageGuard, rebuild: Rebuild) -> Examination:
    settings = given.settings
    preflight = Preflight(
        **given.owned,
        clock=time,
        free_ports=settings.ports,
        min_free_mb=settings.min_free_mb,
        max_pods=settings.max_pods,
        policy=policy_of(settings),
    )
    return Examination(
        host=given.host,
        hosts=frozenset({given.host, *settings.host_names}),
        store=given.store,
        rebuild=rebuild,
        guard=guard,
        preflight=preflight,
    )
