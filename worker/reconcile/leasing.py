"""A pod's lease, held while somebody works on the pod."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.errors import PodError
from worker.interfaces import Lease, Store


@asynccontextmanager
async def leased(store: Store, pod_id: str) -> AsyncIterator[Lease]:
    """Hold the lease of one pod.

    It is given back at the end, and after one of our errors. After anything else, such as a cancellation in
    the middle of a step or a bug, it is left to expire, because the Engine may still be at work (protocol 5).
    Raises LeaseHeldError if somebody else has it, and StoreUnavailableError.
    """
    lease = await store.lease(pod_id)
    try:
        yield lease
    except PodError:
        await store.release(pod_id, lease)
        raise
    except BaseException:
        store.abandon(lease)
        raise
    await store.release(pod_id, lease)
