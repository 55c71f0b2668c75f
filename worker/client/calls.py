"""A method for each task, with the names and meanings of its arguments."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from . import answers

Answer = dict[str, Any]


class How(TypedDict, total=False):
    """What each call takes beside the task's own arguments."""

    task_id: str
    """Under which id it is sent: the same id again is the same request, and is accepted once."""
    wait_s: float
    """Longest wait for the answer, in seconds."""
    accept_failed: bool
    """Return an answer with the phase `failed`, rather than raise it."""


class Pods:
    """The tasks `pods.*`. Each raises PinacleError."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._pod: Callable[..., answers.Pod] = call
        self._preview: Callable[..., answers.Preview] = call
        self._list: Callable[..., answers.Pods] = call
        self._logs: Callable[..., answers.Logs] = call
        self._exec: Callable[..., answers.Execution] = call
        self._stats: Callable[..., answers.Stats] = call
        self._pass: Callable[..., answers.Pass] = call

    def create(
        self, pod_id: str, spec: Mapping[str, Any], *, adopt: bool = False, **how: Unpack[How]
    ) -> answers.Pod:
        """Make the pod exist and run."""
        return self._pod("pods.create", pod_id, dict(spec), adopt, **how)

    def start(self, pod_id: str, **how: Unpack[How]) -> answers.Pod:
        """Have a stopped pod run again."""
        return self._pod("pods.start", pod_id, **how)

    def stop(self, pod_id: str, **how: Unpack[How]) -> answers.Pod:
        """Stop the pod; its container and its volumes stay."""
        return self._pod("pods.stop", pod_id, **how)

    def restart(
        self, pod_id: str, *, force: bool = False, recreate: bool = False, **how: Unpack[How]
    ) -> answers.Pod:
        """Bring a pod back after a crash; a healthy one is left alone without `force` or `recreate`."""
        return self._pod("pods.restart", pod_id, force, recreate, **how)

    def update(
        self,
        pod_id: str,
        spec: Mapping[str, Any],
        *,
        replace: bool = False,
        expected_generation: int | None = None,
        discard: Sequence[str] = (),
        **how: Unpack[How],
    ) -> answers.Pod:
        """Change the keys of the spec that are given, or with `replace` all of it."""
        return self._pod(
            "pods.update", pod_id, dict(spec), replace, expected_generation, list(discard), **how
        )

    def delete(self, pod_id: str, **how: Unpack[How]) -> answers.Pod:
        """Remove the pod and its volumes, for good."""
        return self._pod("pods.delete", pod_id, **how)

    def preview_update(
        self,
        pod_id: str,
        spec: Mapping[str, Any],
        *,
        replace: bool = False,
        expected_generation: int | None = None,
        discard: Sequence[str] = (),
        **how: Unpack[How],
    ) -> answers.Preview:
        """Return what `update` would do. Nothing is changed; it is refused where `update` would be."""
        args = (pod_id, dict(spec), replace, expected_generation, list(discard))
        return self._preview("pods.update", *args, kwargs={"dry_run": True}, **how)

    def preview_delete(self, pod_id: str, **how: Unpack[How]) -> answers.Preview:
        """Return what `delete` would remove. Nothing is changed."""
        return self._preview("pods.delete", pod_id, kwargs={"dry_run": True}, **how)

    def get(self, pod_id: str, **how: Unpack[How]) -> answers.Pod:
        """Return one pod as it is recorded; a `failed` one is no error of the question."""
        return self._pod("pods.get", pod_id, **{"accept_failed": True, **how})

    def list(
        self,
        *,
        orphans: bool = False,
        labels: Mapping[str, str | None] | None = None,
        phase: str | Sequence[str] | None = None,
        host: str | None = None,
        fields: Sequence[str] | None = None,
        after: str | None = None,
        limit: int | None = None,
        **how: Unpack[How],
    ) -> answers.Pods:
        """Return the pods that match, under `pods`; with a `limit` also `next`."""
        phases = phase if phase is None or isinstance(phase, str) else [*phase]
        wanted = (None if labels is None else dict(labels), phases, host)
        return self._list(
            "pods.list", orphans, *wanted, None if fields is None else [*fields], after, limit, **how
        )

    def logs(
        self, pod_id: str, *, tail: int = 100, since: float | str | None = None, **how: Unpack[How]
    ) -> answers.Logs:
        """Return the last lines that the pod printed."""
        return self._logs("pods.logs", pod_id, tail, since, **how)

    def exec(
        self,
        pod_id: str,
        command: Sequence[str],
        *,
        user: str | None = None,
        timeout_s: float = 20,
        **how: Unpack[How],
    ) -> answers.Execution:
        """Run a command in the pod, once; `timeout_s` is how long it may take."""
        words = command if isinstance(command, str) else [*command]
        return self._exec("pods.exec", pod_id, words, user, timeout_s, **how)

    def stats(
        self, pod_id: str | None = None, *, host: str | None = None, **how: Unpack[How]
    ) -> answers.Stats:
        """Return what one pod uses, or each running pod of a host; None stands for the host that answers."""
        return self._stats("pods.stats", pod_id, host, **how)

    def reconcile(self, *, host: str | None = None, **how: Unpack[How]) -> answers.Pass:
        """Have every live host make a pass now, or one host."""
        return self._pass("pods.reconcile", host, **how)


class Hosts:
    """The tasks `hosts.*`. Each raises PinacleError."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._storage: Callable[..., answers.AcceptedStorage] = call
        self._rename: Callable[..., answers.Renamed] = call

    def accept_storage(self, host: str, **how: Unpack[How]) -> answers.AcceptedStorage:
        """Accept the storage that a host has now as its own, after a deliberate change."""
        return self._storage("hosts.accept_storage", host, **how)

    def rename(self, old: str, new: str, **how: Unpack[How]) -> answers.Renamed:
        """Give the pods that are recorded under a host's former name to its current name."""
        return self._rename("hosts.rename", old, new, **how)
