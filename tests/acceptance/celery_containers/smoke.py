"""The worker and Redis as real containers, by pytest-celery. `test_celery_containers` runs this file.

It runs in the Engine's network namespace, where the containers' published ports are, with DOCKER_HOST set.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_celery import (
    REDIS_CONTAINER_TIMEOUT,
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerCluster,
    CeleryWorkerContainer,
    RedisContainer,
    RedisTestBackend,
    RedisTestBroker,
)
from pytest_docker_tools import container, fxtr

from worker.local.waiting import wait_until

SPEC = {"image": "pinacle-busybox"}


class PodWorkerContainer(CeleryWorkerContainer):
    """The worker's own image, with its default command."""

    @classmethod
    def command(cls, *_args: str, **_kwargs: Any) -> list[str]:
        return ["celery", "-A", "worker.app:app", "worker"]


class DurableRedisContainer(RedisContainer):
    """Reached by its own address: published ports are elsewhere if this machine is a container itself."""

    @property
    def host_url(self) -> str:
        networks = self.attrs["NetworkSettings"]["Networks"]
        return f"redis://{next(iter(networks.values()))['IPAddress']}:6379/0"


default_redis_broker = container(
    image="pinacle-python",
    ports={"6379/tcp": None},
    network="{default_pytest_celery_network.name}",
    wrapper_class=DurableRedisContainer,
    timeout=REDIS_CONTAINER_TIMEOUT,
    command=["redis-server", "--appendonly", "yes", "--appendfsync", "always", "--protected-mode", "no"],
)

default_worker_container = container(
    image="pinacle-worker",
    environment=fxtr("worker_environment"),
    network="{default_pytest_celery_network.name}",
    volumes=fxtr("worker_volumes"),
    wrapper_class=PodWorkerContainer,
    timeout=60,
    command=PodWorkerContainer.command(),
)


@pytest.fixture
def worker_environment(default_redis_broker: RedisContainer) -> dict[str, str]:
    """Short waits, so that a killed worker's message comes back soon."""
    return {
        "PINACLE_REDIS_URL": default_redis_broker.url,
        "PINACLE_TASK_WAIT_S": "5",
        "PINACLE_STEP_DEADLINE_S": "5",
        "PINACLE_LEASE_TTL_S": "9",
        "PINACLE_LOG_FORMAT": "json",
        # Said here, as other tests may have begun an open installation on this Engine.
        "PINACLE_EGRESS": "closed",
    }


@pytest.fixture
def worker_volumes() -> dict[str, dict[str, str]]:
    socket = os.environ["DOCKER_HOST"].removeprefix("unix://")
    return {socket: {"bind": "/var/run/docker.sock", "mode": "rw"}}


@pytest.fixture
def celery_broker_cluster(default_redis_broker: RedisContainer) -> Iterator[CeleryBrokerCluster]:
    cluster = CeleryBrokerCluster(RedisTestBroker(default_redis_broker))
    yield cluster
    cluster.teardown()


@pytest.fixture
def celery_backend_cluster(default_redis_broker: RedisContainer) -> Iterator[CeleryBackendCluster]:
    """The same server: it holds results and records as well."""
    cluster = CeleryBackendCluster(RedisTestBackend(default_redis_broker))
    yield cluster
    cluster.teardown()


@pytest.fixture
def celery_worker_cluster(
    default_worker_container: PodWorkerContainer, default_worker_app: Any
) -> Iterator[CeleryWorkerCluster]:
    cluster = CeleryWorkerCluster(CeleryTestWorker(default_worker_container, app=default_worker_app))
    yield cluster
    cluster.teardown()


def call(setup: CeleryTestSetup, task: str, *args: Any, timeout: float = 60) -> dict[str, Any]:
    sent = setup.app.send_task(f"pods.{task}", args=args, queue="pods")
    result: dict[str, Any] = sent.get(timeout=timeout)
    return result


def test_the_worker_answers_a_ping(celery_setup: CeleryTestSetup) -> None:
    answers = celery_setup.app.control.ping(timeout=10)
    assert [next(iter(answer.values())) for answer in answers] == [{"ok": "pong"}]


def test_a_pod_is_created_and_deleted(celery_setup: CeleryTestSetup) -> None:
    assert call(celery_setup, "create", "contained", SPEC)["phase"] == "running"
    assert call(celery_setup, "delete", "contained")["phase"] == "deleted"


def test_a_killed_workers_task_is_taken_up(celery_setup: CeleryTestSetup) -> None:
    """The worker is killed once the task is sent, and started again: the caller still gets the result."""
    sent = celery_setup.app.send_task("pods.create", args=("killed", SPEC), queue="pods")
    celery_setup.worker.kill()
    celery_setup.worker.container._container.start()
    result = sent.get(timeout=150)
    assert (result["pod_id"], result["intent"]) == ("killed", "running")
    wait_until(lambda: call(celery_setup, "get", "killed")["phase"] == "running", 60, what="the pod")
    assert call(celery_setup, "delete", "killed")["phase"] == "deleted"
