"""What the operator lets a spec ask for. Checked when a request comes in, never when a record is read."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from worker.errors import InvalidInputError
from worker.pods.references import DOCKER_HUB, has_upper_case_host, names_of, registry_host
from worker.pods.spec import PodSpec, PortSpec
from worker.quoting import shown

_WILDCARDS: Final = ("*", "?", "[")
ANY: Final = "*"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The operator's settings, as far as they limit what a spec may ask for."""

    registries: frozenset[str] = frozenset({DOCKER_HUB})
    """Hosts, with their ports, that images may be pulled from."""
    runtimes: frozenset[str] = frozenset()
    """The runtimes that may be named; empty means the installation's own only."""
    addresses: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses and networks of the host on which ports may be published."""
    ports: range = range(1024, 65536)
    """Host ports that may be asked for; chosen ones come from a range of their own."""
    images: tuple[str, ...] = (ANY,)
    """Patterns of names of images that may be run."""

    @property
    def named_images(self) -> tuple[str, ...]:
        """The patterns that name images by more than a wildcard at their beginning."""
        return tuple(pattern for pattern in self.images if not pattern.startswith(_WILDCARDS))

    def lends_credentials(self, reference: str) -> bool:
        """Whether an image that anybody asked for may be pulled with the operator's credentials.

        One of `named_images` has to match: not every caller may read what the operator may.
        """
        return any(_fits(reference, pattern) for pattern in self.named_images)


def check_policy(policy: Policy, spec: PodSpec, before: PodSpec | None) -> None:
    """Refuse an image or a port that the operator does not allow, unless the pod has it already.

    Raises InvalidInputError.
    """
    if before is None or before.image != spec.image:
        _check_image(policy, spec.image)
    known = () if before is None else before.ports
    for number, port in enumerate(spec.ports):
        if port not in known:
            _check_port(policy, number, port)


def check_runtime(policy: Policy, spec: PodSpec, before: PodSpec | None, *, own: str | None) -> None:
    """Refuse a runtime that the operator does not allow, unless the pod has it already.

    `own` is the installation's, None if it is not known. Raises InvalidInputError.
    """
    asked = spec.runtime
    if asked is None or (before is not None and before.runtime == asked):
        return
    allowed = policy.runtimes or frozenset({own} if own is not None else ())
    if asked not in allowed:
        raise InvalidInputError(
            f"spec.runtime: {shown(asked)} is not allowed; allowed: none, for the installation's own, or "
            f"{_listed(allowed)} (PINACLE_RUNTIMES)"
        )


def check_registry(policy: Policy, reference: str) -> None:
    """Refuse to ask a registry that the operator did not name; for images that are not on the host.

    An Engine takes more for a registry than is meant: for example a port of 127.0.0.1, on which a pod may
    listen. Raises InvalidInputError.
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


def _check_image(policy: Policy, reference: str) -> None:
    if not any(_fits(reference, pattern) for pattern in policy.images):
        raise InvalidInputError(
            f"spec.image: {reference!r:.300} is not allowed; allowed: {', '.join(policy.images)} "
            "(PINACLE_IMAGES)"
        )


def _fits(reference: str, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names_of(reference))


def _check_port(policy: Policy, number: int, port: PortSpec) -> None:
    address = ipaddress.ip_address(port.address)
    networks = map(ipaddress.ip_network, policy.addresses)
    if not any(address in network for network in networks):
        raise InvalidInputError(
            f"spec.ports[{number}].address: {port.address} is not allowed; allowed: "
            f"{', '.join(policy.addresses)} (PINACLE_PUBLISH_ADDRESSES)"
        )
    if port.host is not None and port.host not in policy.ports:
        raise InvalidInputError(
            f"spec.ports[{number}].host: {port.host} is not allowed; allowed: none for a free one, or "
            f"{policy.ports.start} to {policy.ports.stop - 1} (PINACLE_PUBLISH_PORTS)"
        )


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(values)) or "none"
