"""Whether an installation is closed if nothing is set; and a host on which rules cannot be made."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from config.settings import Settings
from tests.support.engines import remove_tables, tables
from worker.docker.engine import DockerEngine
from worker.errors import PermanentError
from worker.local.private_engine import PrivateEngine
from worker.pods import naming
from worker.process.wiring import closes_egress, make_engine

NAME: Final = "chosen"
OWN: Final = f"{naming.LABEL_INSTALLATION}={NAME}"
SENTINEL: Final = ("--label", OWN, "--label", f"{naming.LABEL_STORAGE}=one", naming.storage_name(NAME))
POD: Final = ("--label", OWN, "--label", f"{naming.LABEL_POD}=a", "pinacle-vol-a-home")


@pytest.fixture
def settings_here(engine: PrivateEngine, tmp_path: Path) -> Settings:
    return Settings(
        DOCKER_HOST=engine.url,
        installation=NAME,
        network=NAME,
        docker_config=tmp_path,
        redis_url=SecretStr("redis://h"),
    )


@pytest.fixture
async def docker(engine: PrivateEngine, settings_here: Settings) -> AsyncIterator[DockerEngine]:
    docker = make_engine(settings_here)
    yield docker
    await docker.close()
    containers = engine.docker("ps", "-aq", "--filter", f"name={naming.storage_name(NAME)}").split()
    if containers:
        engine.docker("rm", "-f", *containers)
    for kind in ("network", "volume"):
        found = engine.docker(kind, "ls", "-q", "--filter", f"label={OWN}").split()
        if found:
            engine.docker(kind, "rm", *found)
    remove_tables(engine)


async def test_what_begins_now_is_closed_and_what_is_set_counts(
    docker: DockerEngine, settings_here: Settings
) -> None:
    assert await closes_egress(settings_here, docker)
    assert not await closes_egress(settings_here.model_copy(update={"egress": "open"}), docker)


@pytest.mark.parametrize("volume", [SENTINEL, POD], ids=["sentinel", "pod"])
async def test_what_was_there_before_stays_open(
    docker: DockerEngine, engine: PrivateEngine, volume: tuple[str, ...]
) -> None:
    """Its pods may need what a rule would forbid."""
    engine.docker("volume", "create", *volume)
    assert not await docker.began_closed()


@pytest.mark.parametrize("lost", ["network", "volume"])
@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "open"])
async def test_how_it_began_is_known_when_network_or_sentinel_is_lost(
    docker: DockerEngine, engine: PrivateEngine, lost: str, is_closed: bool
) -> None:
    docker.set_egress(is_closed=is_closed, allowed=())
    await docker.ensure_network()
    await docker.keep_storage(NAME, "one", {})
    engine.docker("volume", "create", *POD)
    if lost == "network":
        engine.docker("network", "rm", NAME)
    else:
        engine.docker("rm", "-f", naming.storage_name(NAME))
        engine.docker("volume", "rm", naming.storage_name(NAME))
    assert await docker.began_closed() is is_closed


async def test_a_host_that_cannot_have_rules_says_why_and_keeps_its_pods(
    docker: DockerEngine,
    engine: PrivateEngine,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The network exists anyway, and nothing of the attempt is left."""
    rules = docker._host_rules
    with pytest.raises(PermanentError, match="nft on the Engine's host ended with 1"):
        await rules.apply("nonsense")
    monkeypatch.setattr("worker.docker.host_rules._NFT", "no-such-program")
    with pytest.raises(PermanentError, match="the Engine's host has no program no-such-program"):
        await rules.apply("list ruleset")
    docker.set_egress(is_closed=True, allowed=())
    await docker.ensure_network()
    assert "egress_not_closed" in capfd.readouterr().out
    assert engine.docker("network", "ls", "-q", "--filter", f"name={NAME}").split()
    assert not engine.docker("ps", "-aq", "--filter", f"name=pinacle-host-{NAME}").split()
    with pytest.raises(PermanentError):
        await docker.close_egress_again()


async def test_what_somebody_else_removed_is_made_again(docker: DockerEngine, engine: PrivateEngine) -> None:
    """As a reload of the host's whole filter does. If egress is open, nothing is made."""
    docker.set_egress(is_closed=False, allowed=())
    await docker.ensure_network()
    await docker.close_egress_again()
    assert tables(engine) == []
    docker.set_egress(is_closed=True, allowed=())
    await docker.ensure_network()
    assert tables(engine) == [f"pinacle-{NAME}"]
    remove_tables(engine)
    # `ensure_network`, which runs for each pod that finds no network, need not ask for the rules.
    await docker.ensure_network()
    assert tables(engine) == []
    await docker.close_egress_again()
    assert tables(engine) == [f"pinacle-{NAME}"]
