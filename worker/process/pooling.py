"""Makes the host's pool from the settings."""

from config.settings import Settings
from worker.docker.engine import DockerEngine
from worker.pool.findings import PLACE
from worker.pool.pool import Pool
from worker.pool.storage import PoolStorage
from worker.pool.templates import Templates


def make_pool(settings: Settings, engine: DockerEngine) -> Pool | None:
    """Return the pool of the Engine's host, before anybody looked at it; None if the settings name none."""
    if settings.pool is None:
        return None
    helper = engine.helper(
        image=settings.helper_image,
        source=settings.pool,
        place=PLACE,
        deadline_s=settings.step_deadline_s,
    )
    return Pool(helper, path=settings.pool)


def make_pool_storage(settings: Settings, engine: DockerEngine) -> PoolStorage | None:
    """Return it as the Engine shows it; None if the settings name none."""
    pool = make_pool(settings, engine)
    if pool is None:
        return None
    templates = Templates(pool, engine.filling())
    return PoolStorage(pool=pool, templates=templates, fill_deadline_s=settings.fill_deadline_s)
