"""Real parts for all tests: one private Engine and one Redis, of which nothing is left afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings as settings_of_hypothesis

from tests.support.engines import private_engine, tables, use_suite
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import import_busybox, import_debian, import_helper
from worker.local.pool_file import SIMPLE_QUOTAS, PoolFile
from worker.local.private_engine import PrivateEngine
from worker.local.processes import commands
from worker.local.redis import RedisServer
from worker.pods.naming import LABEL_HELPER

# How many examples a property gets, and worlds a simulation. `--hypothesis-profile quick` is for mutants, of
# which each runs every test.
settings_of_hypothesis.register_profile("thorough", max_examples=500, deadline=None)
settings_of_hypothesis.register_profile(
    "quick", max_examples=20, deadline=None, derandomize=True, database=None
)
settings_of_hypothesis.load_profile("thorough")

_ROOMY: Final = 32 * 2**30
"""Bytes that the pool's file may grow to."""
CACHE = Path(__file__).parents[1] / ".pinacle" / "cache"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seconds", type=float, default=180.0, help="how long the chaos test goes on")
    parser.addoption(
        "--chaos-seed", type=int, default=None, help="what a chaos test printed, to have it again"
    )
    parser.addoption("--load-seconds", type=float, default=30.0, help="how long a hundred callers go on")
    parser.addoption("--load-seed", type=int, default=None, help="what a load test printed, to have it again")
    parser.addoption("--zoo", action="store_true", help="all images, and all rounds under PostgreSQL")
    parser.addoption("--engine-suite", default=None, help="Debian release of all Engines, such as trixie")
    parser.addoption("--backend", choices=("local", "pool"), default="local", help="where pods keep volumes")
    parser.addoption("--pod-runtime", default=None, help="runtime of all pods, such as runsc")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--backend") == "pool":
        others = [item for item in items if item.get_closest_marker("local") is not None]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_configure(config: pytest.Config) -> None:
    suite: str | None = config.getoption("--engine-suite")
    if suite is not None:
        use_suite(suite, CACHE)


@pytest.fixture(scope="session")
def runtime(request: pytest.FixtureRequest) -> str | None:
    """The runtime of all pods, None for the Engine's own."""
    name: str | None = request.config.getoption("--pod-runtime")
    return name


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder with a short path for all that a run makes; no Engine, mount or process is left at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pin-"))
    yield folder
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    left = [mount for mount in mounts if mount.startswith(f"{folder}/")]
    assert not left, f"mounts were left: {left}"
    assert not _processes_of(folder), f"processes were left: {_processes_of(folder)}"
    # Each has a network namespace, which goes when it is destroyed.
    engines = [path.parent for path in folder.rglob("daemon.json")]
    assert not engines, f"Engines were left: {engines}"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def engine(scratch: Path, runtime: str | None) -> Iterator[PrivateEngine]:
    """A private Engine for the whole run; a test that kills one makes its own."""
    engine = private_engine(scratch / "e", runtime)
    engine.start()
    try:
        yield engine
        assert not _others(engine.docker("ps", "-a", "--format", "{{.Names}}")), "containers were left"
        assert not _others(engine.docker("volume", "ls", "-q")), "volumes were left"
        assert not tables(engine), "rules of the packet filter were left"
    finally:
        engine.destroy()


@pytest.fixture(scope="session")
def helper_image(engine: PrivateEngine) -> str:
    if not SIMPLE_QUOTAS.exists():
        pytest.skip("this machine's kernel has no btrfs with simple quotas: Linux 6.7, and `modprobe btrfs`")
    return import_helper(engine, CACHE)


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest, engine: PrivateEngine) -> Iterator[dict[str, str]]:
    """What a worker's environment says of where the pods of the private Engine keep their volumes."""
    if request.config.getoption("--backend") == "local":
        yield {}
        return
    image: str = request.getfixturevalue("helper_image")
    pool = PoolFile(engine, image, "backend", size_bytes=_ROOMY)
    pool.mount()
    yield {"PINACLE_POOL": str(pool.place), "PINACLE_HELPER_IMAGE": image}
    helpers = engine.docker("ps", "-aq", "--filter", f"label={LABEL_HELPER}").split()
    if helpers:
        engine.docker("rm", "-f", *helpers)
    # Tests that have an Engine of their own never made it a pool.
    pods = pool.seen / "pods"
    left = [path.name for path in pods.iterdir()] if pods.exists() else []
    pool.unmount()
    assert not left, f"subvolumes were left: {left}"


@pytest.fixture(scope="session")
def system_names(backend: dict[str, str]) -> tuple[str, ...]:
    """The names of the volumes that a pod of our test images has besides the universal ones."""
    return ("usr", "bin", "lib") if backend else ("system", "usr", "bin", "lib")


@pytest.fixture(scope="session")
def busybox(engine: PrivateEngine) -> str:
    return import_busybox(engine)


@pytest.fixture(scope="session")
def database_image(engine: PrivateEngine) -> str:
    """An image like PostgreSQL's, with a VOLUME below /var/lib."""
    return import_busybox(engine, "pinacle-database", changes=("VOLUME /var/lib/db",))


@pytest.fixture(scope="session")
def debian(engine: PrivateEngine) -> str:
    return import_debian(engine, CACHE)


@pytest.fixture(scope="session")
def redis_server(scratch: Path) -> Iterator[RedisServer]:
    server = RedisServer(scratch / "r")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may kill or damage."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    """An empty Redis, for one test; what it notes about the Engine's host does not reach the next test."""
    redis_server.flush()
    yield redis_server.url
    redis_server.flush()


@pytest.fixture(scope="module")
def settings(
    engine: PrivateEngine, redis_server: RedisServer, runtime: str | None, backend: dict[str, str]
) -> dict[str, str]:
    """The environment of a worker on the private Engine."""
    given = {} if runtime is None else {"PINACLE_RUNTIME": runtime, "PINACLE_RUNTIMES": f"runc,{runtime}"}
    return (
        backend
        | given
        | {
            "DOCKER_HOST": engine.url,
            "PINACLE_REDIS_URL": redis_server.url,
            "PINACLE_RECONCILE_INTERVAL_S": "2",
            "PINACLE_TASK_WAIT_S": "20",
            # Short, as tests that kill a worker wait for its leases to end.
            "PINACLE_STEP_DEADLINE_S": "6",
            "PINACLE_LEASE_TTL_S": "9",
            "PINACLE_MIN_FREE_MB": "100",
            "PINACLE_LOG_FORMAT": "json",
            # Rules cost a worker's start half a second; tests/integration/test_egress.py has them.
            "PINACLE_EGRESS": "open",
        }
    )


@pytest.fixture(scope="module")
def pod_worker(scratch: Path, settings: dict[str, str]) -> Iterator[WorkerProcess]:
    """One worker for the tests of a module."""
    worker = WorkerProcess(scratch, settings)
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture(scope="module")
def client(pod_worker: WorkerProcess, settings: dict[str, str]) -> Iterator[Client]:
    """A caller; deletes every pod that a module's tests leave."""
    client = Client(settings["PINACLE_REDIS_URL"])
    yield client
    for pod in client.call("list")["pods"]:
        client.call("delete", pod["pod_id"])
    client.close()


def _others(names: str) -> list[str]:
    """Leave out the sentinel, which stays as long as the Engine, and bases, which stay for a while."""
    return [name for name in names.split() if not name.startswith(("pinacle-storage-", "pinacle-base-"))]


def _processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes that name the scratch folder."""
    lines = [" ".join(command) for command in commands().values()]
    return [line for line in lines if f"{folder}/" in line]
