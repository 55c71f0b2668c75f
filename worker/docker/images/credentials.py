"""Credentials of private registries, from Docker's own config.json. They are never logged and never kept."""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any, Final

from worker.errors import PermanentError, RegistryUnavailableError
from worker.pods.references import has_upper_case_host, registry_host

_DEFAULT_REGISTRY: Final = "https://index.docker.io/v1/"
"""The key under which Docker keeps the credentials for images whose name has no host."""
_HELPER: Final = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_SECONDS: Final = 20.0


async def auth_header(config_folder: Path, reference: str) -> dict[str, str]:
    """Return the header that gives the Engine the credentials for an image, empty if there are none.

    Raises PermanentError if config.json is not JSON or its credential helper fails, and
    RegistryUnavailableError if the helper does not answer.
    """
    path = config_folder / "config.json"
    if not await asyncio.to_thread(path.is_file):
        return {}
    try:
        config = json.loads(await asyncio.to_thread(path.read_text))
    except ValueError as error:
        raise PermanentError(f"{path} is not JSON ({error}); allowed: Docker's own config.json") from None
    server = registry_of(reference)
    if has_upper_case_host(reference):
        # No registry has such a name, and some helpers ignore case: what they found would be another's.
        return {}
    auth = await _from_helper(config, server) or _from_file(config, server)
    if auth is None:
        return {}
    encoded = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
    return {"X-Registry-Auth": encoded}


def registry_of(reference: str) -> str:
    """Return the key under which config.json keeps the registry of an image."""
    return registry_host(reference) or _DEFAULT_REGISTRY


def _from_file(config: dict[str, Any], server: str) -> dict[str, str] | None:
    entry = (config.get("auths") or {}).get(server)
    if not entry or not (entry.get("auth") or entry.get("identitytoken")):
        return None
    if entry.get("identitytoken"):
        return {"identitytoken": entry["identitytoken"], "serveraddress": server}
    user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return {"username": user, "password": password.rstrip("\0"), "serveraddress": server}


async def _from_helper(config: dict[str, Any], server: str) -> dict[str, str] | None:
    helper = (config.get("credHelpers") or {}).get(server) or config.get("credsStore")
    if not helper:
        return None
    if _HELPER.fullmatch(helper) is None:
        raise PermanentError(f"config.json: {helper!r} is not the name of a credential helper")
    answer = await _ask_helper(f"docker-credential-{helper}", server)
    if answer is None or not _belongs(answer.get("ServerURL") or server, server):
        return None
    if answer["Username"] == "<token>":
        return {"identitytoken": answer["Secret"], "serveraddress": server}
    return {"username": answer["Username"], "password": answer["Secret"], "serveraddress": server}


def _belongs(found: str, server: str) -> bool:
    """Whether what a helper found is for this registry: some answer with the nearest entry that they have."""
    return _host_of(found) == _host_of(server)


def _host_of(server: str) -> str:
    return server.rpartition("://")[2].partition("/")[0].lower()


async def _ask_helper(program: str, server: str) -> dict[str, str] | None:
    """Ask a helper by Docker's protocol: the server on standard input, JSON on standard output."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise PermanentError(
            f"{program} is named by Docker's config.json but not installed: install it, or remove it there"
        ) from None
    try:
        async with asyncio.timeout(_HELPER_SECONDS):
            output, _ = await process.communicate(server.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RegistryUnavailableError(
            f"{program} gave no credentials within {_HELPER_SECONDS:g} s"
        ) from None
    if process.returncode != 0:
        # A helper ends like this if it has none and if it fails. Without credentials, the registry decides.
        return None
    answer: dict[str, str] = json.loads(output)
    return answer
