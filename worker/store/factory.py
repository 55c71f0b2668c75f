"""The store as the settings have it."""

from config.settings import Settings
from worker.store.redis_store import RedisStore


def make_store(settings: Settings) -> RedisStore:
    return RedisStore(
        settings.redis_address,
        lease_ttl_s=settings.lease_ttl_s,
        takeover_delay_s=settings.step_deadline_s,
        heartbeat_ttl_s=settings.heartbeat_ttl_s,
        socket_timeout_s=settings.redis_timeout_s,
    )
