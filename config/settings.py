"""The only reader of the environment."""

import ipaddress
import os
import posixpath
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.redis_address import redis_address
from config.spelling import nearest
from config.tiers import storage_by_tier

_PREFIX: Final = "PINACLE_"
_LOOKS_LIKE_OURS: Final = "PIN"
_LETTERS: Final = 2
"""Letters. A variable that is this close to a setting's name is taken for a typing error."""
_SHORT: Final = 6
"""Letters. Of a name as short as POOL one may be wrong: Kubernetes makes PINACLE_PORT of a service's name."""
_PORTS = 65536
_UNIX = "unix://"
_LONGEST_SOCKET = 107
"""Bytes of the path of a socket: what unix(7) says, without the last one."""
_SCHEMES = (_UNIX, "tcp://", "http://", "https://", "npipe://")
_MAY_HOLD_A_PASSWORD = frozenset({"redis_url", "redis_password", "OTEL_EXPORTER_OTLP_ENDPOINT"})
_COLLECTOR_SCHEMES = ("http://", "https://")
_DOCKER_CONFIG = Path("~/.docker").expanduser()
_REGISTRY = r"([a-z0-9][a-z0-9.-]*|\[[0-9a-f:]+\])(:[0-9]{1,5})?"


class Settings(BaseSettings):
    """Everything that can be set, by environment variables that begin with PINACLE_.

    Variables that Docker and OpenTelemetry define keep their own names.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis for broker, results and records; with AOF, `appendfsync always` and `noeviction`.",
    )
    redis_password: SecretStr | None = Field(
        default=None,
        description="Password of that Redis, of any letters; instead of one in the URL, where / ? # and % "
        "would have to be encoded.",
    )
    redis_ca: Path | None = Field(
        default=None,
        description="File of the certificates that a `rediss://` Redis is checked against; the system's own "
        "when not set.",
    )
    docker_host: str = Field(
        default="unix:///var/run/docker.sock",
        validation_alias="DOCKER_HOST",
        description="The Engine, as Docker defines it.",
    )
    docker_config: Path = Field(
        default=_DOCKER_CONFIG,
        validation_alias="DOCKER_CONFIG",
        description="Folder of Docker's config.json, for the credentials of private registries.",
    )
    host_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")] | None = Field(
        default=None, description="Name of this host; the Engine's own name when not set."
    )
    hosts: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,62}(,|$))*$")] = Field(
        default="",
        description="Names of all hosts that share the Redis, with commas: after a loss of Redis no unknown "
        "pod is created before each of them has reported its pods.",
    )
    installation: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")] = Field(
        default="pinacle",
        description="Label that distinguishes the pods of this installation from another's.",
    )
    runtime: str | None = Field(
        default=None, description="Runtime for pods whose spec names none; the Engine's own when not set."
    )
    registries: Annotated[str, Field(pattern=rf"^{_REGISTRY}(,{_REGISTRY})*$")] = Field(
        default="docker.io",
        description="Hosts that images may be pulled from, as `docker.io,registry.example:5000`, in lower "
        "case; an image that is on the Engine's host needs none.",
    )
    runtimes: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]*(,|$))*$")] = Field(
        default="",
        description="Runtimes that a spec may name, with commas; only the installation's own when not set.",
    )
    publish_addresses: str = Field(
        default="127.0.0.1,::1",
        description="Addresses and networks of the host on which ports may be published, with commas; "
        "`0.0.0.0` is every address.",
    )
    publish_ports: Annotated[str, Field(pattern=r"^\d{1,5}-\d{1,5}$")] = Field(
        default="1024-65535",
        description="Host ports that may be asked for.",
    )
    images: Annotated[str, Field(pattern=r"^[^\s,]+(,[^\s,]+)*$")] = Field(
        default="*",
        description="Patterns of names of images that may be run, as `debian:*,registry.example/team/*`; the "
        "credentials in Docker's config.json serve only images that a pattern names by more than "
        "a wildcard at its beginning.",
    )
    egress: Literal["closed", "open"] | None = Field(
        default=None,
        description="Whether pods are kept from private networks, link-local addresses and the host itself; "
        "`closed` for new installations, `open` for those that had pods before there were such rules.",
    )
    egress_allow: str = Field(
        default="",
        description="Networks that pods may reach anyway, with commas, as `10.1.0.0/16,fd00:1::/64`.",
    )
    network: str = Field(default="pinacle", description="Name of the bridge network of all pods.")
    pids_limit: int = Field(default=4096, ge=16, description="Processes and threads a pod may have.")
    log_max_size: str = Field(default="10m", description="Size at which a container's log is rotated.")
    log_max_files: int = Field(default=3, ge=1, description="Rotated logs kept for a container.")
    min_free_mb: int = Field(
        default=2048,
        ge=0,
        description="Free megabytes on the data root, and for its pods on the pool, below which no pod is "
        "created.",
    )
    max_pods: int = Field(
        default=1000,
        ge=1,
        description="Pods that a host may have, stopped ones included; a Linux bridge takes 1023 that run.",
    )
    data_root: Path | None = Field(
        default=None,
        description="Where the worker sees the Engine's data root; the Engine's own path when not set.",
    )
    system_volumes: Literal["overlay", "copy", "off"] = Field(
        default="overlay",
        description="How new pods keep `/usr`, `/bin` and the like: as a layer over a base that all pods of "
        "an image share, as a copy of their own, or not at all.",
    )
    pool: str | None = Field(
        default=None,
        description="Where the Engine's host has a btrfs filesystem mounted on which new pods are made; they "
        "have Docker's own volumes when not set.",
    )
    tier_storage_gb: str = Field(
        default="20,40,80,160",
        description="GB that a pod of each tier may keep, from the smallest tier to the largest; fractions "
        "such as 0.5 too.",
    )
    soft_quota: Literal["tell", "stop"] = Field(
        default="tell",
        description="What happens to a pod without a pool that keeps more than its tier has: `tell` says so "
        "in answers and in the log, `stop` stops it too.",
    )
    soft_quota_grace_s: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds after a pod was last asked to run for which it is not stopped for that, so that "
        "its owner can make room.",
    )
    helper_image: str = Field(
        default="pinacle-worker",
        min_length=1,
        description="Image with btrfs-progs, on the Engine's host, of the container that works on the pool.",
    )
    init_path: str | None = Field(
        default=None,
        description="Where the Engine's host has its `docker-init`; looked for where Docker puts it when not "
        "set.",
    )
    base_grace_s: float = Field(
        default=3600.0, ge=0, description="Seconds for which a base that no pod uses is kept."
    )
    port_range: Annotated[str, Field(pattern=r"^\d{1,5}-\d{1,5}$")] = Field(
        default="20000-29999", description="Host ports from which free ones are chosen."
    )
    reconcile_interval_s: float = Field(default=30.0, gt=0, description="Seconds between two passes.")
    disk_interval_s: float = Field(
        default=60.0,
        ge=0,
        description="Seconds, at least, between two measurements of what pods have on the disk; 0 for none.",
    )
    reconcile_concurrency: int = Field(
        default=16, ge=1, description="Pods that passes and the Engine's events repair at once."
    )
    task_concurrency: int = Field(
        default=48,
        ge=4,
        description="Threads for creations, as many for other changes, and as many for stops and deletions.",
    )
    task_wait_s: float = Field(
        default=25.0, gt=0, le=600, description="Longest that a task waits before it answers `pending`."
    )
    exec: Literal["on", "off"] = Field(
        default="on", description="Whether `pods.exec` and `pods.logs` are answered."
    )
    task_attempts: int = Field(
        default=5, ge=1, description="How often a message is taken before it is given up as poison."
    )
    result_keep_s: int = Field(
        default=3600, ge=60, description="For how long the answer to a change is kept in Redis."
    )
    loop_stall_s: float = Field(
        default=60.0,
        ge=5,
        description="A worker whose event loop hangs for so long ends with an error.",
    )
    step_deadline_s: float = Field(default=10.0, gt=0, description="Deadline of one Engine call.")
    list_deadline_s: float = Field(
        default=60.0, gt=0, description="Deadline of one list of all containers or volumes, for a pass."
    )
    fill_deadline_s: float = Field(
        default=900.0, gt=0, description="Deadline of the call that fills volumes from an image."
    )
    pull_silence_s: float = Field(
        default=120.0, gt=0, description="Longest silence of a pull before it counts as failed."
    )
    lease_ttl_s: float = Field(default=20.0, gt=0, description="Validity of a lease that is not renewed.")
    heartbeat_ttl_s: float = Field(
        default=20.0, gt=0, description="Age at which a host's heartbeat no longer counts."
    )
    redis_timeout_s: float = Field(default=5.0, gt=0, description="Deadline of one call to Redis.")
    metrics_port: Annotated[int, Field(ge=1, lt=_PORTS)] | None = Field(
        default=None, description="Port on which the worker serves its metrics; not served when not set."
    )
    metrics_address: str = Field(
        default="127.0.0.1", description="Address of this machine on which it serves them."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe event that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` is colours on a terminal and JSON elsewhere."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Where an OpenTelemetry collector takes OTLP over HTTP, such as `http://collector:4318`; "
        "the worker sends it traces when set.",
    )

    @field_validator("redis_url")
    @classmethod
    def _a_redis_url(cls, value: SecretStr) -> SecretStr:
        redis_address(value.get_secret_value())
        return value

    @field_validator("publish_addresses", "egress_allow")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for one in listed(value):
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise ValueError(
                    f"{one!r:.80} is neither an address nor a network; allowed: such as 127.0.0.1,10.0.0.0/8"
                ) from None
        return value

    @field_validator("pool")
    @classmethod
    def _a_mount_point(cls, value: str | None) -> str | None:
        normal = value is None or posixpath.normpath(value) == value
        if value is not None and (not normal or value[0] != "/" or value.startswith("//") or value == "/"):
            raise ValueError(
                "no absolute path without `.`, `..` and a slash at its end; allowed: the directory of the "
                "Engine's host where a btrfs filesystem is mounted, such as /srv/pool, or nothing"
            )
        return value

    @field_validator("tier_storage_gb")
    @classmethod
    def _sizes(cls, value: str) -> str:
        storage_by_tier(value)
        return value

    @field_validator("docker_host")
    @classmethod
    def _an_engines_address(cls, value: str) -> str:
        if not value.startswith(_SCHEMES) or value in _SCHEMES:
            meant = f"; did you mean unix://{value}?" if value.startswith("/") else ""
            raise ValueError(f"not an Engine's address; allowed: unix:///path, tcp://host:port{meant}")
        length = len(os.fsencode(value.removeprefix(_UNIX)))
        if value.startswith(_UNIX) and length > _LONGEST_SOCKET:
            raise ValueError(
                f"the path has {length} bytes, and the kernel takes {_LONGEST_SOCKET} for a socket; a "
                "symbolic link to it with a shorter path will do"
            )
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _a_collectors_address(cls, value: str | None) -> str | None:
        if value and (not value.startswith(_COLLECTOR_SCHEMES) or value in _COLLECTOR_SCHEMES):
            raise ValueError("not a collector's address; allowed: http://host:4318, https://host")
        # OpenTelemetry takes a variable that is empty for one that is not set.
        return value or None

    @property
    def redis_address(self) -> str:
        """The URL for all clients of Redis, with its password. It must never be shown."""
        password = self.redis_password.get_secret_value() if self.redis_password is not None else ""
        return redis_address(
            self.redis_url.get_secret_value(),
            password=password or None,
            ca_file=None if self.redis_ca is None else str(self.redis_ca),
        )

    @property
    def visibility_timeout_s(self) -> int:
        """Seconds after which Redis gives a message that was not acknowledged to another worker.

        This is longer than any task, as a task that takes longer runs twice (protocol 6).
        """
        return int(2 * self.task_wait_s + 3 * self.step_deadline_s)

    @property
    def host_names(self) -> frozenset[str]:
        """The names in `hosts`."""
        return frozenset(listed(self.hosts))

    @property
    def registry_hosts(self) -> frozenset[str]:
        """The hosts in `registries`."""
        return frozenset(listed(self.registries))

    @property
    def ports(self) -> range:
        """The host ports from which free ones are chosen."""
        return _port_range(self.port_range)

    @property
    def publishable(self) -> range:
        """The host ports that may be asked for."""
        return _port_range(self.publish_ports)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            _ = self.redis_address
        except ValueError as error:
            raise ValueError(f"PINACLE_REDIS_URL: {error}") from None
        if self.lease_ttl_s <= self.step_deadline_s:
            raise ValueError(
                f"PINACLE_LEASE_TTL_S ({self.lease_ttl_s}) must be greater than PINACLE_STEP_DEADLINE_S "
                f"({self.step_deadline_s}): no step is sent that may outlive its lease"
            )
        for name, text in (("PORT_RANGE", self.port_range), ("PUBLISH_PORTS", self.publish_ports)):
            ports = _port_range(text)
            if not 1 <= ports.start < ports.stop <= _PORTS:
                raise ValueError(f"PINACLE_{name} ({text}) must be two ports, the lower one first")
        return self


class StackSettings(BaseSettings):
    """What can be set for the stack that `make up` runs, besides the settings that its programs read."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    folder: Path | None = Field(
        default=None, validation_alias="PINACLE_FOLDER", description="Where the stack keeps all that it has."
    )
    flower_port: Annotated[int, Field(ge=1, lt=_PORTS)] | None = Field(
        default=None, validation_alias="FLOWER_PORT", description="Port of Flower's page."
    )
    flower_basic_auth: SecretStr | None = Field(
        default=None,
        validation_alias="FLOWER_BASIC_AUTH",
        description="Flower's user:password.",
    )


class TerminalSettings(BaseSettings):
    """What is known of the terminal that a person sits at."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    kind: str = Field(default="xterm", validation_alias="TERM", description="Its kind, as terminfo names it.")


def terminal_kind() -> str:
    """Return the kind of terminal that a person sits at, as terminfo names it."""
    return TerminalSettings().kind


def listed(value: str) -> tuple[str, ...]:
    """Return the parts of a setting that are separated by commas."""
    return tuple(filter(None, value.split(",")))


def _port_range(value: str) -> range:
    first, last = value.split("-")
    return range(int(first), int(last) + 1)


class SettingsError(Exception):
    """The environment has invalid values; the message names each variable and what is wrong."""


@cache
def settings() -> Settings:
    """Return the settings of this process, read once. Raises SettingsError."""
    if misspelt := misspelt_variables(os.environ):
        raise SettingsError("; ".join(misspelt))
    try:
        return Settings()
    except ValidationError as error:
        # Without `from`: the library's text quotes the input, which may contain a password.
        raise SettingsError("; ".join(map(_in_words, error.errors()))) from None


@cache
def stack_settings() -> StackSettings:
    """Return the settings of the local stack, read once. Raises SettingsError."""
    try:
        return StackSettings()
    except ValidationError as error:
        raise SettingsError("; ".join(map(_in_words, error.errors()))) from None


def misspelt_variables(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that is one or two letters from a setting's."""
    return [_did_you_mean(name, near) for name, near in _strangers(names) if near is not None]


def unknown_variables() -> tuple[str, ...]:
    """Return the variables that begin like settings but are none: another version's, or somebody's own."""
    return tuple(name for name, near in _strangers(os.environ) if near is None)


def _strangers(names: Iterable[str]) -> list[tuple[str, str | None]]:
    """Return each variable that looks like ours but is not, with the setting that may be meant."""
    ours = {
        _variable(name, str(field.validation_alias or ""))
        for model in (Settings, StackSettings)
        for name, field in model.model_fields.items()
    }
    prefixed = [name for name in ours if name.startswith(_PREFIX)]
    found = [
        (name, _meant(name.upper(), prefixed))
        for name in sorted(names)
        if name.upper().startswith(_LOOKS_LIKE_OURS) and name.upper() not in ours
    ]
    return [(name, near) for name, near in found if near is not None or name.upper().startswith(_PREFIX)]


def _meant(name: str, ours: Iterable[str]) -> str | None:
    """Return the setting of ours that a name is nearest to, None if it is too far from all."""
    near = nearest(name, ours, most=_LETTERS)
    is_short = near is not None and len(near.removeprefix(_PREFIX)) < _SHORT
    return nearest(name, ours, most=1) if is_short else near


def _did_you_mean(name: str, near: str) -> str:
    return f"{name} is no setting, and would be ignored; did you mean {near}? docs/settings.md has them all"


def _variable(name: str, alias: str) -> str:
    return alias or f"{_PREFIX}{name.upper()}"


def _in_words(problem: ErrorDetails) -> str:
    what = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return what
    name = str(problem["loc"][0])
    variable = _variable(name, name if name.isupper() else "")
    # Even an invalid URL may contain a password.
    given = "" if name in _MAY_HOLD_A_PASSWORD else f" {problem['input']!r}:"
    return f"{variable}:{given} {what}"
