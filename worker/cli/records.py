"""The store, for commands that wait for each answer."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from worker.cli.exits import EndingError, Exit
from worker.cli.screen import Bar
from worker.cli.tables import pull_text
from worker.errors import StoreUnavailableError

if TYPE_CHECKING:
    from worker.store.redis_store import RedisStore

NEXT: Final = "Is Redis running, and is PINACLE_REDIS_URL right? `pinacle doctor` looks into it"
_T = TypeVar("_T")


def known_ids(incomplete: str) -> list[str]:
    """Return the ids of pods that begin so, for completion in a shell; none if Redis does not answer."""
    with suppress(EndingError), opened() as records:
        every = records.ask(lambda store: store.load_all())
        return sorted(each for each, record in every.items() if record.exists and each.startswith(incomplete))
    return []


class Records:
    """One connection to Redis, and the event loop that it needs."""

    def __init__(self) -> None:
        import asyncio  # noqa: PLC0415 - as in worker.cli.__init__

        from config.logging import configure_logging  # noqa: PLC0415 - as in worker.cli.__init__
        from config.settings import settings  # noqa: PLC0415 - as in worker.cli.__init__
        from worker.store.factory import make_store  # noqa: PLC0415 - as in worker.cli.__init__

        configure_logging(level="off")
        self._runner = asyncio.Runner()
        self._store = make_store(settings())

    def ask(self, question: Callable[["RedisStore"], Coroutine[Any, Any, _T]]) -> _T:
        """Return the answer. Raises EndingError if Redis gives none."""
        try:
            return self._runner.run(question(self._store))
        except StoreUnavailableError as error:
            raise EndingError(Exit.NOBODY, f"{str(error).rstrip('.')}. {NEXT}") from error

    def progress(self, pod_id: str) -> Bar | None:
        """Return how far the pull of a pod's image has come, None if nothing is pulled."""
        found = self.ask(lambda store: store.progress(pod_id))
        return None if found is None else Bar(found.done_bytes, found.total_bytes, pull_text(asdict(found)))

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()


@contextmanager
def opened() -> Iterator[Records]:
    records = Records()
    try:
        yield records
    finally:
        records.close()
