"""One HTTP call to the Engine: it has a deadline, is counted, and every failure becomes one of our errors."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

import aiodocker
import aiohttp

from worker.docker.failures import explain
from worker.errors import EngineTooOldError, EngineUnavailableError, OutcomeUnknownError
from worker.interfaces import UNOBSERVED, Observer

OLDEST_API: Final = (1, 41)
"""Engine 20.10, the oldest one that this was tested with."""
_OF_ONE_CONTAINER: Final = ("container_inspect", "container_remove", "container_start")
"""Calls that need one container's lock in the Engine and are quick themselves."""
_HANGS: Final = (
    ". If this is reported again and again while other pods work, the Engine hangs with this one container, "
    "as happens with live-restore after a restart of the Engine: restart the Engine. Nothing is lost by "
    "that, and this goes on by itself"
)
_UNIX: Final = "unix://"
_CONNECTIONS: Final = 500
"""To the Engine at a time. With aiohttp's hundred, calls that only wait would hold up those that do not."""


class EngineCalls:
    """Sends calls to one Engine, from one event loop. It connects when it is first used."""

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """`observer` hears of every request that is sent, and of the answers to those that `json` sent."""
        self._url = url
        self._deadline_s = deadline_s
        self._observer = observer
        self._docker: aiodocker.Docker | None = None

    async def json(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        deadline_s: float | None = None,
    ) -> Any:
        """Send one request and return the answer's JSON, None if it has none.

        Raises an error of worker.errors for everything that can go wrong.
        """
        docker = await self.client()
        self.count(operation)
        seconds = self._deadline_s if deadline_s is None else deadline_s
        with self._timed(operation):
            return await self._send(
                docker, operation, seconds, path, method=method, params=params, data=body, headers=headers
            )

    async def _send(
        self, docker: aiodocker.Docker, operation: str, seconds: float, path: str, **request: Any
    ) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await docker._query_json(  # noqa: SLF001 - the library's own methods do not quote names
                    path, **request
                )
        except TimeoutError as error:
            hint = _HANGS if operation in _OF_ONE_CONTAINER else ""
            raise OutcomeUnknownError(
                f"{operation}: the Engine gave no answer within {seconds:g} s; it may or may not have been "
                f"done{hint}"
            ) from error
        except aiodocker.DockerError as error:
            raise explain(operation, self._url, error) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise OutcomeUnknownError(f"{operation}: the connection to the Engine broke: {error}") from error

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        began, failure = monotonic(), None
        try:
            yield
        except Exception as error:
            failure = error
            raise
        finally:
            self._observer.engine_answered(operation, monotonic() - began, failure)

    def count(self, operation: str) -> None:
        """Report a request that is sent without `json`."""
        self._observer.engine_asked(operation)

    async def client(self) -> aiodocker.Docker:
        """Return the client, once the Engine has said which API it speaks.

        Raises EngineUnavailableError, and EngineTooOldError if the Engine is too old.
        """
        if self._docker is None:
            self._docker = self._connect()
        if self._docker.api_version == "auto":
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._docker._check_version()  # noqa: SLF001 - else it is asked without a deadline
            except (TimeoutError, aiodocker.DockerError, aiohttp.ClientError, OSError) as error:
                raise EngineUnavailableError(
                    f"the Engine at {self._url} does not answer: {str(error) or 'time is up'}. Is it "
                    "running, and is DOCKER_HOST right?"
                ) from error
            self._check_age(self._docker)
        return self._docker

    async def close(self) -> None:
        if self._docker is not None:
            await self._docker.close()
            self._docker = None

    def _connect(self) -> aiodocker.Docker:
        if not self._url.startswith(_UNIX):
            return aiodocker.Docker(url=self._url, api_version="auto")
        # A new connection for each call. A connection that is kept breaks at the first call after a restart
        # of the Engine, and then nobody knows whether that call was done.
        path = self._url.removeprefix(_UNIX)
        connector = aiohttp.UnixConnector(path, force_close=True, limit=_CONNECTIONS)
        docker = aiodocker.Docker(url="unix://localhost", connector=connector, api_version="auto")
        docker._owns_connector = True  # noqa: SLF001 - so that closing the client closes it too
        return docker

    def _check_age(self, docker: aiodocker.Docker) -> None:
        version = docker.api_version
        spoken = tuple(int(part) for part in version.lstrip("v").split("."))
        if spoken < OLDEST_API:
            docker.api_version = "auto"  # The next call asks again.
            raise EngineTooOldError(
                f"the Engine at {self._url} speaks API {version}; needed: 1.41 or newer (Engine 20.10)"
            )
