"""What the worker answers. Later versions may add keys. docs/schema is generated from this."""

from typing import Any, Literal, NotRequired, TypedDict

Phase = Literal[
    "pending", "running", "stopped", "backoff", "storage_missing", "deleting", "deleted", "failed"
]


# By this form, as `class` is a word of Python's.
Volume = TypedDict("Volume", {"name": str, "path": str, "class": Literal["universal", "declared", "system"]})


class Port(TypedDict):
    """A published port; `host` is null until one is chosen."""

    container: int
    host: int | None
    protocol: Literal["tcp", "udp"]
    address: str


class Told(TypedDict):
    """An error, for programs: `kind` is a stable word, `field` what of the arguments it is about."""

    kind: str
    field: str | None
    message: str
    retryable: bool
    docs: str


class Pull(TypedDict):
    """How far the pull of a pod's image has come; `total_bytes` may grow while layers tell their sizes."""

    image: str
    done_bytes: int
    total_bytes: int
    done_layers: int
    total_layers: int


class Pod(TypedDict):
    """The answer of a task about one pod. With the phase `failed` it is no success."""

    pod_id: str
    intent: Literal["running", "stopped", "deleted"]
    generation: int
    phase: Phase
    existed: bool
    host: str
    container_id: str | None
    image: str | None
    system_volumes: str | None
    system_image: str | None
    volumes: list[Volume]
    ports: list[Port]
    restarts: int
    last_error: str | None
    retry_at: float | None
    exit_code: int | None
    oom_killed: bool | None
    unsure: list[str]
    spec: dict[str, Any] | None
    labels: dict[str, str]
    description: str | None
    kept: list[str]
    changed: list[str]
    steps: list[str]
    created_at: NotRequired[str | None]
    started_at: NotRequired[str | None]
    finished_at: NotRequired[str | None]
    last_lines: NotRequired[str | None]
    progress: NotRequired[Pull | None]
    unprotected_paths: NotRequired[list[str] | None]
    error: NotRequired[Told | None]
    disk_bytes: NotRequired[int | None]
    disk_limit_bytes: NotRequired[int | None]
    disk_measured_at: NotRequired[str | None]
    over_quota: NotRequired[bool | None]


class Difference(TypedDict):
    """A key of a spec that an update changes; of `env` a name, as `env.NAME`, with masked values."""

    key: str
    before: Any
    after: Any


class Preview(TypedDict):
    """The answer of `pods.update` and `pods.delete` with `dry_run`: what they would do."""

    pod_id: str
    dry_run: Literal[True]
    existed: bool
    host: str
    generation: int
    changes: list[Difference]
    steps: list[str]
    explained: list[str]
    complete: bool
    ends_as: Phase | None
    reason: str | None
    interrupts: bool
    replaces_container: bool
    removes: list[str]
    steps_at_start: list[str]


class Recovering(TypedDict):
    """How far the repairs of a host's pods are."""

    host: str
    repairs: int
    left: int


class Orphan(TypedDict):
    """What is on a host of a pod without a record; `container` is its state, null if there is none."""

    pod_id: str
    host: str
    container: str | None
    volumes: list[str]


class Pods(TypedDict):
    """The answer of `pods.list`; with `fields` each pod has only these keys and `pod_id`."""

    pods: list[Pod]
    next: NotRequired[str | None]
    recovering: NotRequired[Recovering]
    orphans: NotRequired[list[Orphan]]


class Logs(TypedDict):
    """The answer of `pods.logs`."""

    pod_id: str
    container_id: str
    truncated: bool
    output: str


class Execution(TypedDict):
    """The answer of `pods.exec`."""

    pod_id: str
    container_id: str
    exit_code: int | None
    timed_out: bool
    truncated: bool
    stdout: str
    stderr: str


class Usage(TypedDict):
    """What a pod uses; null is what the kernel does not say."""

    pod_id: str
    restarts: int
    measured_at: str
    started_at: str
    cpu_seconds: float
    memory_bytes: int | None
    memory_limit_bytes: int | None
    pids: int | None
    pids_limit: int | None
    network_received_bytes: int
    network_sent_bytes: int
    block_read_bytes: int | None
    block_written_bytes: int | None
    disk_bytes: NotRequired[int | None]
    """All volumes of the pod, when that was measured last; null if the worker cannot see them."""
    disk_limit_bytes: NotRequired[int | None]
    """What its tier has; without a pool nothing ends the pod there."""
    disk_measured_at: NotRequired[str | None]
    over_quota: NotRequired[bool | None]
    """Whether it has more than that."""


class Unmeasured(TypedDict):
    """A pod that was not measured, and why."""

    pod_id: str
    reason: str


class Stats(TypedDict):
    """The answer of `pods.stats`."""

    host: str
    pods: list[Usage]
    unmeasured: list[Unmeasured]


class Pass(TypedDict):
    """The answer of `pods.reconcile`: of the host that answers; `sent_to` has other hosts and their tasks."""

    host: str
    pods: int
    repairs: int
    repaired: int
    pending: int
    failed: int
    duration_ms: float
    sent_to: dict[str, str]


class AcceptedStorage(TypedDict):
    """The answer of `hosts.accept_storage`."""

    host: str
    storage: str
    pool: NotRequired[str | None]
    """UUID of the file system that is the host's pool now, null on a host without one."""


class Renamed(TypedDict):
    """The answer of `hosts.rename`; `pods` is how many it got."""

    former: str
    host: str
    pods: int


class Change(TypedDict):
    """An entry of the stream of changes."""

    pod_id: str
    phase: Phase
    previous: str
    host: str
    generation: str
    reason: str


class Progress(TypedDict):
    """An entry of the stream of pulls."""

    pod_id: str
    host: str
    generation: str
    image: str
    done_bytes: str
    total_bytes: str
    done_layers: str
    total_layers: str
