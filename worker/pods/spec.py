"""The spec: what to run, frozen. `worker.pods.parsing` makes one from plain JSON."""

import ipaddress
import json
import posixpath
from collections import Counter
from dataclasses import field, fields, replace
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from config.tiers import DEFAULT_TIER

_STRICT: Final = ConfigDict(extra="forbid")
SECRET: Final = {"secret": True}
"""Declares, with `repr=False`, a field whose values are in no log, label, answer or error."""


DEFAULT_STOP_TIMEOUT_S: Final = 10
"""As Docker's own."""


class Restart(StrEnum):
    """What happens when a pod's container ends by itself."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


def _ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("is not an IP address; allowed: an address of the host, such as 127.0.0.1") from None


def _absolute(value: str) -> str:
    if not posixpath.isabs(value):
        raise ValueError("is not an absolute path; allowed: a path that begins with /")
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character; allowed: text without one")
    return value


def _environment(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not name or "=" in name:
            raise ValueError("has a name that is empty or holds '='; allowed: names without '='")
    return value


def _is_empty(value: object) -> bool:
    return not value


Text = Annotated[str, AfterValidator(_no_nul)]
PortNumber = Annotated[int, Field(ge=1, le=65535, strict=True)]
Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PortSpec:
    """One published port, as asked for; `host` None asks for a free one, chosen once."""

    container: PortNumber
    host: PortNumber | None = None
    protocol: Protocol = "tcp"
    address: Annotated[str, AfterValidator(_ip_address)] = "127.0.0.1"


def _ports_differ(value: tuple[PortSpec, ...]) -> tuple[PortSpec, ...]:
    inside = [(port.container, port.protocol, port.address) for port in value]
    outside = [(port.host, port.protocol, port.address) for port in value if port.host is not None]
    for asked, side in ((inside, "container"), (outside, "host")):
        counted = Counter(asked)
        twice = next((port for port in asked if counted[port] > 1), None)
        if twice is not None:
            raise ValueError(
                f"ask for {side} port {twice[0]}/{twice[1]} on {twice[2]} twice; allowed: each port once"
            )
    return value


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PodSpec:
    """What to run, and how. None stands for the image's own value."""

    image: Annotated[Text, Field(min_length=1)]
    """As recorded, of any form; `worker.pods.parsing` refuses what Docker does not take for a reference."""
    command: tuple[Text, ...] | None = None
    env: Annotated[dict[Text, Text], AfterValidator(_environment)] = field(
        default_factory=dict, repr=False, metadata=SECRET
    )
    working_dir: Annotated[Text, AfterValidator(_absolute)] | None = None
    user: Annotated[Text, Field(min_length=1)] | None = None
    hostname: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$")] | None = None
    ports: Annotated[tuple[PortSpec, ...], AfterValidator(_ports_differ)] = ()
    tier: str = DEFAULT_TIER
    """Also one that is no longer in the table; `parsing.check_tier` refuses what newly asks for one."""
    runtime: Annotated[Text, Field(min_length=1)] | None = None
    restart: Restart = Restart.ALWAYS
    init: Annotated[bool, Field(strict=True)] = True
    stop_timeout_s: Annotated[int, Field(ge=0, le=600, strict=True)] = DEFAULT_STOP_TIMEOUT_S
    # Older workers read no spec that has a key they do not know: these are written only if they are set.
    labels: Annotated[dict[Text, Text], Field(exclude_if=_is_empty)] = field(default_factory=dict)
    """What the caller finds the pod by; `worker.pods.sizes` judges their number and form."""
    description: Annotated[Annotated[Text, Field(min_length=1)] | None, Field(exclude_if=_is_empty)] = None
    """For people."""


@dataclass(frozen=True, kw_only=True)
class SpecPatch:
    """What is to be different in a spec; everything else stays as it is."""

    values: PodSpec
    """Has the new values, of the keys in `given`; `env` has only what is added to it or changed in it."""
    given: frozenset[str] = frozenset()
    defaults: frozenset[str] = frozenset()
    """Keys that go back to their default."""
    removed: frozenset[str] = frozenset()
    """Names that are removed from `env`."""

    @property
    def certain(self) -> frozenset[str]:
        """The keys whose values follow from it alone; `env` may have variables that it does not name."""
        return self.given - {"env"} | self.defaults

    def of(self, before: PodSpec) -> PodSpec:
        """Return the spec as it is to be. What the patch says nothing about is not judged."""
        changes: dict[str, Any] = {key: getattr(self.values, key) for key in self.given - {"env"}}
        least = PodSpec(image=before.image)
        changes |= {key: getattr(least, key) for key in self.defaults}
        if "env" not in self.defaults:
            kept = {name: value for name, value in before.env.items() if name not in self.removed}
            changes["env"] = kept | self.values.env
        return replace(before, **changes)


def secret_fields(kind: type) -> frozenset[str]:
    """Return the names of the fields of a dataclass that are declared as secret."""
    return frozenset(each.name for each in fields(kind) if each.metadata.get("secret"))


SECRET_FIELDS: Final = secret_fields(PodSpec)
LIVE_FIELDS: Final = frozenset({"tier", "restart", "stop_timeout_s", "labels", "description"})
"""Fields whose change leaves the container in place; every other one replaces it."""

_HASHED: Final = frozenset(
    {"image", "command", "env", "working_dir", "user", "hostname", "ports", "runtime", "init"}
)
"""What `recreating_part` holds of every spec, whatever its value."""
_HASHED_OF_PORTS: Final = frozenset({"container", "host", "protocol", "address"})

SPEC: Final = TypeAdapter(PodSpec)
_ADAPTERS: Final[dict[type[PodSpec | PortSpec], TypeAdapter[Any]]] = {PodSpec: SPEC}


def public_spec(spec: PodSpec) -> dict[str, Any]:
    """Return the spec as plain JSON without what is secret, fit for labels and results."""
    plain: dict[str, Any] = SPEC.dump_python(spec, mode="json", exclude=set(SECRET_FIELDS))
    return plain


def canonical_hash(value: object) -> str:
    """Return the SHA-256 of `value` as JSON with sorted keys."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def recreating_part(spec: PodSpec) -> dict[str, Any]:
    """Return those fields, as plain JSON, whose change replaces the container.

    Containers have the digest of this as a label: another form would replace every one of a fleet. So what
    was in it from the beginning stays in it, and a later key is in it only if it is not at its default.
    """
    plain = _plain(spec, LIVE_FIELDS)
    least = _plain(type(spec)(image=spec.image), LIVE_FIELDS)
    ports = [(_plain(port), _plain(type(port)(container=port.container))) for port in spec.ports]
    return _grown(plain, least, _HASHED) | {"ports": [_grown(*port, _HASHED_OF_PORTS) for port in ports]}


def _grown(plain: dict[str, Any], least: dict[str, Any], always: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key in always or value != least[key]}


def _plain(value: PodSpec | PortSpec, exclude: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return it as plain JSON; its type may have grown further keys."""
    plain: dict[str, Any] = _adapter(type(value)).dump_python(value, mode="json", exclude=set(exclude))
    return plain


def _adapter(kind: type[PodSpec | PortSpec]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
