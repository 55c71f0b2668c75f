"""Turns for talking to registries: only a few at once, so that a silent one does not make everybody wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Final

from worker.errors import OutcomeUnknownError, RegistryBusyError
from worker.pods.references import DOCKER_HUB, registry_host

ASKED_AT_ONCE: Final = 4
"""Questions under way, to all registries together. A caller's task waits in a thread for each."""
PULLS_AT_ONCE: Final = 8
"""Pulls from one registry."""
_SILENT_S: Final = 30.0
"""For how long a registry that gave no answer is not asked again."""
_AGAIN_S: Final = 10.0
_TURN_S: Final = 3.0
"""How long a pull waits for its turn. It holds its pod's lease meanwhile, so a stop waits as long at most."""


class Registries:
    """Gives turns."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._asked = 0
        self._silent_until: dict[str, float] = {}
        self._pulls: dict[str, asyncio.Semaphore] = {}
        self._pulling = Counter[str]()

    @contextmanager
    def turn(self, reference: str) -> Iterator[None]:
        """Enter this to ask the registry of an image. An OutcomeUnknownError inside means: no answer.

        Raises RegistryBusyError at once if there is no place, and instead of that OutcomeUnknownError.
        """
        registry, now = _registry(reference), self._clock()
        # Keep this small: callers name the registries, so there can be any number of them.
        self._silent_until = {name: until for name, until in self._silent_until.items() if until > now}
        if self._asked >= ASKED_AT_ONCE or registry in self._silent_until:
            raise _busy(reference, registry)
        self._asked += 1
        try:
            yield
        except OutcomeUnknownError as error:
            self._silent_until[registry] = self._clock() + _SILENT_S
            raise _busy(reference, registry) from error
        finally:
            self._asked -= 1

    @asynccontextmanager
    async def pulling(self, reference: str) -> AsyncIterator[None]:
        """Enter this to pull an image. Raises RegistryBusyError if its turn does not come soon."""
        registry = _registry(reference)
        places = self._pulls.setdefault(registry, asyncio.Semaphore(PULLS_AT_ONCE))
        self._pulling[registry] += 1
        try:
            try:
                async with asyncio.timeout(_TURN_S):
                    await places.acquire()
            except TimeoutError as error:
                raise _busy(reference, registry) from error
            try:
                yield
            finally:
                places.release()
        finally:
            self._pulling[registry] -= 1
            if not self._pulling[registry]:
                del self._pulling[registry], self._pulls[registry]


def _registry(reference: str) -> str:
    return registry_host(reference) or DOCKER_HUB


def _busy(reference: str, registry: str) -> RegistryBusyError:
    return RegistryBusyError(
        f"spec.image: {reference!r} is not on this host, and registry {registry} has not answered, or is "
        "being asked for many others: it is tried again",
        delay_s=_AGAIN_S,
    )
