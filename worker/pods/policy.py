"""What the operator lets a spec ask for. Judged where a request comes in, never where a record is read."""

from dataclasses import dataclass

from worker.errors import InvalidInputError
from worker.pods.references import DOCKER_HUB, has_upper_case_host, registry_host


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The operator's settings, as far as they limit what a spec may ask for."""

    registries: frozenset[str] = frozenset({DOCKER_HUB})
    """Hosts, with their ports, that images may be pulled from."""


def check_registry(policy: Policy, reference: str) -> None:
    """Refuse to ask a registry that the operator did not name; for images that are not on the host.

    An Engine takes more for a registry than is meant, a port of 127.0.0.1 among it, where a pod may listen.
    Raises InvalidInputError.
    """
    host = registry_host(reference) or DOCKER_HUB
    if host in policy.registries:
        return
    hint = "; hosts are written in lower case" if has_upper_case_host(reference) else ""
    raise InvalidInputError(
        f"spec.image: {reference!r:.300} is not on this host, and nothing is pulled from {host!r:.100}; "
        f"allowed: an image that is on this host, or one of {_listed(policy.registries)} "
        f"(PINACLE_REGISTRIES){hint}"
    )


def _listed(values: frozenset[str]) -> str:
    return ", ".join(sorted(values)) or "none"
