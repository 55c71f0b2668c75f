"""References of images, in the grammar that Docker itself has for them; each part has Docker's name."""

import re
from typing import Final

ALLOWED: Final = (
    "[registry[:port]/]name[:tag][@digest] as Docker takes it: a name of lower-case letters and digits with "
    "single '.', '_' or '__', or any '-' between them, a tag of 1 to 128 letters, digits, '_', '.' and '-'"
)
LONGEST_NAME: Final = 255
DOCKER_HUB: Final = "docker.io"
_HUBS: Final = (DOCKER_HUB, f"index.{DOCKER_HUB}")
"""The Engine takes the second, which is older, for the first."""

_ALPHANUMERIC: Final = r"[a-z0-9]+"
_SEPARATOR: Final = r"(?:[._]|__|-+)"
_PATH_COMPONENT: Final = rf"{_ALPHANUMERIC}(?:{_SEPARATOR}{_ALPHANUMERIC})*"
_REMOTE_NAME: Final = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_DOMAIN_COMPONENT: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN_NAME: Final = rf"{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*"
_IPV6_ADDRESS: Final = r"\[[A-Fa-f0-9:]+\]"
_DOMAIN: Final = rf"(?:{_DOMAIN_NAME}|{_IPV6_ADDRESS})(?::[0-9]+)?"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST: Final = r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}"

_NAME: Final = rf"(?P<name>(?:(?P<domain>{_DOMAIN})/)?{_REMOTE_NAME})"
_REFERENCE: Final = re.compile(rf"{_NAME}(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?")
_IDENTIFIER: Final = re.compile(r"(?:sha256:)?[a-f0-9]{64}")
"""An image's own id, which stands for itself and is never a name."""


def is_reference(text: str) -> bool:
    """Whether Docker takes `text` for an image: a name with or without tag and digest, or a whole id."""
    if _IDENTIFIER.fullmatch(text) is not None:
        return True
    found = _REFERENCE.fullmatch(text)
    return found is not None and len(found["name"]) <= LONGEST_NAME


def repository_of(reference: str) -> str:
    """Return the name of an image without tag and digest, as the Engine shows it."""
    head, slash, last = reference.partition("@")[0].rpartition("/")
    name = f"{head}{slash}{last.partition(':')[0]}"
    host, _, rest = name.partition("/")
    return rest.removeprefix("library/") if host in _HUBS and rest else name


def names_of(reference: str) -> tuple[str, ...]:
    """Return what a pattern may name an image by: its repository, and that with its tag or digest.

    As Docker shows them: `docker.io/library/debian` is `debian` and `debian:latest`.
    """
    if _IDENTIFIER.fullmatch(reference) is not None:
        return (reference,)
    repository = repository_of(reference)
    name, at, digest = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if at:
        return repository, f"{repository}@{digest}"
    return repository, f"{repository}:{tag or 'latest'}"


def registry_host(reference: str) -> str | None:
    """Return the host of an image's registry, with its port; None for Docker Hub's.

    By the rule of the newest Engine, because that decides where credentials would go.
    """
    first, slash, _ = reference.partition("/")
    # A first part in upper case is no name on Docker Hub; newer Engines take it for a host.
    is_host = first == "localhost" or any(mark in first for mark in ".:[") or first != first.lower()
    return first if slash and is_host and first not in _HUBS else None


def has_upper_case_host(reference: str) -> bool:
    """Whether only newer Engines take its first part for a host; it is no registry's name."""
    host = registry_host(reference) or ""
    return host != host.lower()


def names_one(reference: str) -> bool:
    """Whether a reference has a tag or a digest; without one Docker means `latest`."""
    return any(mark in reference.rpartition("/")[2] for mark in ":@")
