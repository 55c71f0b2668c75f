"""A pod's container on the Engine that this command line reaches, if that Engine has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from config.logging import configure_logging
from config.settings import settings
from worker.cli.exits import EndingError, Exit
from worker.cli.records import NEXT
from worker.docker.engine import DockerEngine
from worker.errors import ConflictError, ObjectMissingError, PodError, StoreUnavailableError
from worker.pods.model import Record
from worker.process.wiring import make_engine
from worker.store.factory import make_store


class Reached(NamedTuple):
    """A container, and the Engine that has it."""

    engine: DockerEngine
    container_id: str


@asynccontextmanager
async def reached(pod_id: str) -> AsyncIterator[Reached]:
    """Yield a pod's container and its Engine.

    Raises EndingError if the pod does not exist or has no container, and, naming the right host, if its
    container is on another Engine. Turns errors inside into EndingError too.
    """
    configure_logging(level="off")
    record = await _record(pod_id)
    if record.state.container_id is None:
        raise EndingError(Exit.FAILED, f"pod {pod_id} has no container now; look: pinacle pods get {pod_id}")
    engine = make_engine(settings())
    try:
        await _find(engine, record, record.state.container_id)
        yield Reached(engine, record.state.container_id)
    except ConflictError as error:
        raise EndingError(
            Exit.FAILED, f"pod {pod_id} does not run; start it: pinacle pods start {pod_id} ({error})"
        ) from error
    except PodError as error:
        raise EndingError(Exit.FAILED, str(error)) from error
    finally:
        await engine.close()


async def _record(pod_id: str) -> Record:
    store = make_store(settings())
    try:
        record = await store.load(pod_id)
    except StoreUnavailableError as error:
        raise EndingError(Exit.NOBODY, f"{str(error).rstrip('.')}. {NEXT}") from error
    finally:
        await store.close()
    if record is None or not record.exists:
        raise EndingError(
            Exit.FAILED, f"pod {pod_id!r:.80} does not exist. `pinacle pods list` shows those that do"
        )
    return record


async def _find(engine: DockerEngine, record: Record, container_id: str) -> None:
    docker_host = settings().docker_host
    there = f"run this on host {record.host}, with that host's DOCKER_HOST"
    try:
        await engine.inspect_exit(container_id)
    except ObjectMissingError as error:
        raise EndingError(
            Exit.FAILED,
            f"the container of pod {record.pod_id} is not on the Engine at {docker_host}: {there}; "
            "or it was just lost, and comes back: try again",
        ) from error
    except PodError as error:
        raise EndingError(
            Exit.NOBODY, f"this needs the Engine that has the pod, and {error} If it is another one: {there}"
        ) from error
