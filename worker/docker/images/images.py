"""Images: finding them on the host, asking their registries, pulling them."""

import asyncio
import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import aiodocker
import aiohttp
import structlog

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.docker.images.credentials import auth_header
from worker.docker.images.progress import PullProgress
from worker.docker.images.registries import Registries
from worker.docker.parse import inspected_image
from worker.errors import (
    EngineUnavailableError,
    ImageGoneError,
    ImageNotFoundError,
    ObjectMissingError,
    OutcomeUnknownError,
    PermanentError,
    RegistryUnavailableError,
)
from worker.interfaces import Progress, Tell, tell_nobody
from worker.pods.model import PinnedImage
from worker.pods.references import has_upper_case_host, names_one

_log: Final = structlog.get_logger(__name__)
_PROGRESS_EVERY_S: Final = 5.0
_MB: Final = 10**6
_ANSWER_S: Final = 5.0
"""Seconds that a registry has to say whether it has an image; a caller's task waits in a thread meanwhile."""
_REFUSED: Final = (
    "not found",
    "manifest unknown",
    "does not exist",
    "denied",
    "unauthorized",
    "no basic auth",
)
"""What registries say, and the Engine passes on, if an image does not exist or we may not read it."""


class Images:
    """The image part of the adapter."""

    def __init__(
        self,
        *,
        calls: EngineCalls,
        docker_config: Path,
        lends_credentials: Callable[[str], bool],
        pull_silence_s: float,
    ) -> None:
        self._calls = calls
        self._docker_config = docker_config
        self._lends_credentials = lends_credentials
        self._pull_silence_s = pull_silence_s
        self._registries = Registries()

    async def find(self, reference: str) -> PinnedImage | None:
        try:
            entry = await self._calls.json("image_inspect", "GET", f"images/{_quoted(reference)}/json")
        except (ImageGoneError, ObjectMissingError):
            return None
        except PermanentError:
            if has_upper_case_host(reference):
                # Older Engines do not accept it as a name, so they cannot have it either.
                return None
            raise
        return inspected_image(reference, entry)

    async def check_registry(self, reference: str, *, pinned: bool = False) -> None:
        headers = await self._credentials(reference, pinned=pinned)
        path = f"distribution/{_quoted(reference)}/json"
        try:
            with self._registries.turn(reference):
                await self._calls.json(
                    "distribution_inspect", "GET", path, headers=headers, deadline_s=_ANSWER_S
                )
        except (EngineUnavailableError, ObjectMissingError, PermanentError) as error:
            raise self._no_image(reference, str(error)) from error

    async def pull(self, reference: str, *, pinned: bool = False, tell: Tell = tell_nobody) -> PinnedImage:
        headers = await self._credentials(reference, pinned=pinned)
        async with self._registries.pulling(reference):
            await self._pull(reference, headers, tell)
        found = await self.find(reference)
        if found is None:
            # Somebody removed it at once, or gave its tag to another image.
            raise ObjectMissingError(f"image {reference!r} was pulled, but is not on this host any more")
        return found

    async def make(self, name: str, folders: Iterable[str]) -> None:
        """Import an image that has nothing but folders, owned by root. 1 call."""
        docker = await self._calls.client()
        self._calls.count("image_import")
        repository, _, tag = name.partition(":")
        timeout = aiohttp.ClientTimeout(total=60.0)
        try:
            async with docker._query(  # noqa: SLF001 - `images.import_image` is `docker load`
                "images/create",
                "POST",
                params={"fromSrc": "-", "repo": repository, "tag": tag},
                data=_archive(folders),
                headers={"Content-Type": "application/x-tar"},
                timeout=timeout,
            ) as response:
                await response.read()
        except aiodocker.DockerError as error:
            raise explain("image_import", "the Engine", error) from error
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise OutcomeUnknownError(f"image_import: broke off: {error}") from error

    async def _credentials(self, reference: str, *, pinned: bool) -> dict[str, str]:
        """Return the header with credentials, empty if there are none or they are not for this image."""
        if not pinned and not self._lends_credentials(reference):
            return {}
        return await auth_header(self._docker_config, reference)

    async def _pull(self, reference: str, headers: dict[str, str], tell: Tell) -> None:
        docker = await self._calls.client()
        self._calls.count("image_pull")
        # Without a tag the Engine would pull all tags.
        params = {"fromImage": reference} | ({} if names_one(reference) else {"tag": "latest"})
        # There is no limit for the whole pull, only for silence: a big image over a slow line is no failure.
        timeout = aiohttp.ClientTimeout(total=None, sock_read=self._pull_silence_s)
        try:
            async with docker._query(  # noqa: SLF001 - `images.pull` has no limit for silence
                "images/create", "POST", params=params, headers=headers, timeout=timeout
            ) as response:
                await self._follow(reference, response, tell)
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            silence = f"{self._pull_silence_s:g}"
            raise EngineUnavailableError(f"the pull of {reference!r} was silent for {silence} s") from error
        except aiodocker.DockerError as error:
            failure = explain("image_pull", "the Engine", error)
            raise self._no_image(reference, str(failure)) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise OutcomeUnknownError(f"the pull of {reference!r} broke off: {error}") from error

    async def _follow(self, reference: str, response: aiohttp.ClientResponse, tell: Tell) -> None:
        progress, logged = PullProgress(reference), monotonic()
        async with response:
            async for line in response.content:
                failure = progress.take(line)
                if failure is not None:
                    raise self._no_image(reference, failure)
                tell(progress.now())
                if monotonic() - logged > _PROGRESS_EVERY_S:
                    _log.info("image_pulling", **_fields(progress.now()))
                    logged = monotonic()
        progress.end()
        tell(progress.now())
        _log.info("image_pulled", **_fields(progress.now()))
        await asyncio.sleep(0)

    def _no_image(self, reference: str, text: str) -> ImageNotFoundError | RegistryUnavailableError:
        if any(part in text.lower() for part in _REFUSED) and "no such host" not in text.lower():
            return ImageNotFoundError(
                f"spec.image: {reference!r} is not on this host, and its registry does not have it or does "
                f"not let us read it ({text}); allowed: an image that exists; if it is private, one that a "
                "pattern in PINACLE_IMAGES names, with credentials in Docker's config.json"
            )
        return RegistryUnavailableError(
            f"spec.image: {reference!r} is not on this host, and its registry cannot be asked: {text}"
        )


def _fields(progress: Progress) -> dict[str, Any]:
    return {
        "image": progress.image,
        "done_mb": round(progress.done_bytes / _MB, 1),
        "total_mb": round(progress.total_bytes / _MB, 1),
        "done_layers": progress.done_layers,
        "total_layers": progress.total_layers,
    }


def _quoted(reference: str) -> Any:
    return quote(reference, safe="/:@")


def _archive(folders: Iterable[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    return buffer.getvalue()
