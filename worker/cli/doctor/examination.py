"""`pinacle doctor`: looks at Engine, Redis and workers, and leaves nothing changed."""

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any, Final

from config.settings import Settings, listed, misspelt_variables, settings, unknown_variables
from worker.cli import tables
from worker.cli.doctor import (
    checks,
    host_checks,
    kernel_checks,
    pod_checks,
    pool_checks,
    port_checks,
    queue_checks,
    storage_checks,
)
from worker.cli.doctor.checks import Check, Status, fail, ok, warn
from worker.cli.doctor.groups import counted, in_groups, summary
from worker.cli.doctor.socket_access import remedy_for
from worker.cli.screen import live, show
from worker.docker.directories.disk import free_bytes
from worker.docker.engine import DockerEngine
from worker.errors import EngineTooOldError, PodError
from worker.interfaces import EngineInfo
from worker.pods.model import Record
from worker.pods.observation import Snapshot
from worker.process.pooling import make_pool
from worker.process.wiring import closes_egress, make_engine, policy_of
from worker.store.factory import make_store
from worker.store.overview import Overview
from worker.store.redis_store import RedisStore

_API: Final = "Engine's API"
_PROJECT: Final = "pinacle"
_BUILT: Final = "pinacle-worker"
"""The Compose project and the image that it builds, as docker-compose.yml names them."""
_ENV_FILE: Final = Path(__file__).parents[3] / ".env"
_PROC_FILESYSTEMS: Final = Path("/proc/filesystems")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def examine(*, as_json: bool) -> bool:
    """Show what was found; return whether all checks passed."""
    with live("looking at Engine, Redis and workers"):
        found = in_groups(asyncio.run(_examine(settings())))
    well = all(check.status is not Status.FAIL for check in found)
    answer: dict[str, Any] = {
        "ok": well,
        "summary": summary(found),
        "counts": counted(found),
        "checks": [check.as_json() for check in found],
    }
    show(answer, as_json=as_json, table=lambda _console: tables.check_list(answer))
    return well


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What the Engine showed, as far as it answered."""

    info: EngineInfo | None = None
    snapshot: Snapshot | None = None
    bridge: str | None = None


async def _examine(given: Settings) -> list[Check]:
    engine, store = make_engine(given), make_store(given)
    try:
        about_engine, seen = await _engine(given, engine)
        here = given.host_id or (None if seen.info is None else seen.info.name)
        return [
            *about_engine,
            *await _redis(given, store, here, seen),
            *(() if seen.info is None else (await _pool(given, engine, store, here),)),
            host_checks.ntp(host_checks.is_clock_kept()),
            host_checks.variables(unknown_variables()),
            checks.policy(policy_of(given), given.runtime),
            *_env_file(_ENV_FILE),
        ]
    finally:
        await engine.close()
        await store.close()


async def _engine(given: Settings, engine: DockerEngine) -> tuple[list[Check], _Seen]:
    before = time()
    try:
        info = await engine.info()
    except EngineTooOldError as error:
        upgrade = "upgrade Docker to Engine 20.10 or newer"
        return [ok("Engine", given.docker_host), fail(_API, str(error), upgrade)], _Seen()
    except PodError as error:
        return [fail("Engine", str(error), remedy_for(given.docker_host))], _Seen()
    found = [
        ok("Engine", f"{info.name} at {given.docker_host}"),
        ok(_API, f"{info.api_version}, needed: 1.41 or newer"),
        host_checks.engines_clock(info.system_time, before, time()),
        checks.runtimes(info, given.runtime),
        host_checks.limits(info.unlimited),
        checks.storage_driver(info),
        checks.live_restore(info),
        kernel_checks.user_namespaces(are_remapped=info.user_namespaces),
        kernel_checks.kernel_limits(kernel_checks.read_limits()),
        checks.disk_space(info.data_root, free_bytes(info.data_root), given.min_free_mb),
    ]
    try:
        found.append(checks.network(given.network, await engine.network_problem()))
        found.append(await _egress(given, engine))
        found.append(checks.image_pins(await engine.images_of_project(_PROJECT), _BUILT))
        bridge, snapshot = await engine.bridge_interface(), await engine.observe_all()
    except PodError as error:
        return [*found, fail("volumes", str(error), "look into the Engine's own log")], _Seen(info=info)
    found += [
        _overlay(given, snapshot, info),
        storage_checks.held(snapshot, given.installation),
        storage_checks.confined(snapshot, given.installation),
        storage_checks.others(snapshot, given.installation),
    ]
    return found, _Seen(info=info, snapshot=snapshot, bridge=bridge)


async def _egress(given: Settings, engine: DockerEngine) -> Check:
    """Try it from a container on the pods' network, which is then removed."""
    is_closed = await closes_egress(given, engine)
    rules = await engine.egress_rules(listed(given.egress_allow))
    reached = await _reached(engine) if is_closed else ()
    return checks.egress(is_closed=is_closed, reached=reached, rules=rules)


async def _reached(engine: DockerEngine) -> Collection[str] | PodError:
    try:
        return await engine.reaches()
    except PodError as error:
        return error


async def _pool(given: Settings, engine: DockerEngine, store: RedisStore, here: str | None) -> Check:
    """Look from a container of its own, which is then removed."""
    pool = make_pool(given, engine)
    if pool is None:
        return pool_checks.pool(None, None)
    try:
        return pool_checks.pool(given.pool, await pool.examine(await _noted_pool(store, here)))
    except PodError as error:
        return pool_checks.pool(given.pool, error)


async def _noted_pool(store: RedisStore, here: str | None) -> str | None:
    """Return which filesystem it should be; whether Redis answers is told elsewhere."""
    try:
        return None if here is None else await store.pool(here)
    except PodError:
        return None


def _overlay(given: Settings, seen: Snapshot, info: EngineInfo) -> Check:
    return checks.overlay(
        given.system_volumes,
        bases=len(seen.bases),
        filesystem=_filesystem(info.data_root),
        kernel_has_it="overlay" in _PROC_FILESYSTEMS.read_text(encoding="utf-8").split(),
    )


async def _redis(given: Settings, store: RedisStore, here: str | None, seen: _Seen) -> list[Check]:
    overview, before = store.overview, time()
    try:
        now = await overview.now()
        after = time()
        ages = await overview.heartbeat_ages()
        storages = await overview.storages()
        identity = await overview.store_id()
        contender = None if here is None else await overview.contender(here)
        unread = await overview.unread_queues(given.heartbeat_ttl_s)
        records = await store.load_all()
    except PodError as error:
        remedy = "start Redis, or set PINACLE_REDIS_URL to where it is, with its password"
        return [fail("Redis", str(error), remedy)]
    found = [
        ok("Redis", "answers"),
        await _durability(overview),
        checks.clock(now - (before + after) / 2, given.reconcile_interval_s),
        checks.workers(ages, ttl_s=given.heartbeat_ttl_s, here=here, expected=given.host_names),
        queue_checks.queues(unread),
        pod_checks.pods(records, now),
        pod_checks.records(records),
    ]
    if seen.snapshot is None or here is None:
        return found
    return [
        *found,
        storage_checks.storage(here, storages, seen.snapshot, given.installation),
        storage_checks.owner(here, identity, contender, seen.snapshot, given.installation),
        await _ports(records, here, seen.bridge),
    ]


async def _ports(records: Mapping[str, Record], here: str, bridge: str | None) -> Check:
    tried = await port_checks.tried(port_checks.published(records.values(), here))
    return port_checks.ports(tried, here=bridge is not None and port_checks.is_here(bridge))


async def _durability(overview: Overview) -> Check:
    try:
        return checks.durability(await overview.durability_lacks())
    except PodError as error:
        remedy = "ask whoever runs it whether it has appendfsync always and noeviction"
        return warn("Redis keeps all", f"could not be checked: {error}", remedy)


def _env_file(path: Path) -> list[Check]:
    """Check the file that `docker compose` reads, if there is one beside the code."""
    try:
        private = checks.private_file(path, path.stat().st_mode)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [private, host_checks.names_in_file(path, misspelt_variables(_names(lines)))]


def _names(lines: Iterable[str]) -> set[str]:
    """Return the variables that the lines of such a file set."""
    return {line.removeprefix("export ").partition("=")[0].strip() for line in lines if "=" in line}


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))


def _filesystem(path: Path) -> str | None:
    """Return the kind of the file system that a folder is on, None if there is no such folder."""
    try:
        folder = path.resolve(strict=True)
    except OSError:
        return None
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    # A space in a path is written as \040 there.
    mounts = [(_ESCAPED.sub(_letter, line.split()[1]), line.split()[2]) for line in lines]
    # Of several file systems mounted at the same place, the last one covers the others.
    fitting = [(len(place), kind) for place, kind in mounts if folder.is_relative_to(place)]
    return max(reversed(fitting), key=lambda found: found[0])[1] if fitting else None
