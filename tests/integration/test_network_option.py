"""A network that existed before: the worker checks whether pods could reach each other on it."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings
from tests.support.observing import CallNames
from worker.cli.doctor import checks
from worker.local.private_engine import PrivateEngine
from worker.process.wiring import make_engine

CLOSED = "com.docker.network.bridge.enable_icc=false"


@pytest.mark.parametrize(
    ("options", "closed"), [((), False), (("-o", CLOSED), True), (None, True)], ids=["open", "closed", "ours"]
)
async def test_a_network_on_which_pods_reach_each_other_is_reported(
    engine: PrivateEngine, tmp_path: Path, options: tuple[str, ...] | None, closed: bool
) -> None:
    """A network that we make is closed; one that somebody made is only checked, and stays as it is.

    New pods are refused on it until it is gone. If nothing is wrong, that is known without a call.
    """
    name = "looked-at"
    settings = Settings(
        DOCKER_HOST=engine.url, network=name, docker_config=tmp_path, redis_url=SecretStr("redis://h")
    )
    if options is not None:
        engine.docker("network", "create", *options, name)
    calls: list[str] = []
    docker = make_engine(settings, CallNames(calls))
    try:
        await docker.ensure_network()
        problem = await docker.network_problem()
        check = checks.network(name, problem)
        assert (problem is None, check.status.value) == ((True, "ok") if closed else (False, "fail"))
        assert engine.docker("network", "ls", "-q", "--filter", f"name={name}").split()
        calls.clear()
        assert await docker.network_refusal() == problem
        assert len(calls) == (0 if closed else 1)
        engine.docker("network", "rm", name)
        engine.docker("network", "create", "-o", CLOSED, name)
        assert await docker.network_refusal() is None
    finally:
        await docker.close()
        engine.docker("network", "rm", name)
