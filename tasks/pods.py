"""The tasks of the contract: each writes an intent, then has that pod reconciled. Arguments are JSON."""

from typing import Any

from tasks.calling import answer, asked_at, host_pass, look, peek, pod_task, preview, question, submit, usage
from tasks.moving import AnyTask
from worker.app import runtime
from worker.pods.naming import parse_pod_id
from worker.pods.parsing import parse_discard, parse_flag, parse_generation, parse_patch, parse_spec
from worker.pods.requests import Change, Create, Delete, Restart, Start, Stop
from worker.service.inside.asked import DEFAULT_TIMEOUT_S, parse_execution, parse_logs
from worker.service.listing import parse_listing

Answer = dict[str, Any]


@pod_task(name="pods.create")
def create(self: AnyTask, pod_id: Any = None, spec: Any = None, adopt: Any = False) -> Answer:
    """Make the pod exist and run."""
    return submit(self, parse_pod_id(pod_id), Create(spec=parse_spec(spec), adopt=parse_flag("adopt", adopt)))


@pod_task(name="pods.start")
def start(self: AnyTask, pod_id: Any = None) -> Answer:
    """Have a stopped pod run again."""
    return submit(self, parse_pod_id(pod_id), Start())


@pod_task(name="pods.stop")
def stop(self: AnyTask, pod_id: Any = None) -> Answer:
    """Stop the pod; its container and its volumes stay."""
    return submit(self, parse_pod_id(pod_id), Stop())


@pod_task(name="pods.restart")
def restart(self: AnyTask, pod_id: Any = None, force: Any = False, recreate: Any = False) -> Answer:
    """Bring a pod back after a crash; a healthy one is left alone without `force` or `recreate`."""
    wanted = Restart(force=parse_flag("force", force), recreate=parse_flag("recreate", recreate))
    return submit(self, parse_pod_id(pod_id), wanted)


@pod_task(name="pods.update")
def update(  # noqa: PLR0917 - the contract: by position or by name
    self: AnyTask,
    pod_id: Any = None,
    spec: Any = None,
    replace: Any = False,
    expected_generation: Any = None,
    discard: Any = (),
    *,
    dry_run: Any = False,
) -> Answer:
    """Change the pod's spec, on the same volumes: the keys that are given, or with `replace` all of it.

    What the container has at the paths in `discard` is given up. With `dry_run` nothing is done, only told.
    """
    if isinstance(replace, list) and not discard:
        # The third argument of callers from before there was a `replace`.
        replace, discard = False, replace
    wanted = Change(
        to=parse_spec(spec) if parse_flag("replace", replace) else parse_patch(spec),
        discard=parse_discard(discard),
        expected_generation=parse_generation(expected_generation),
    )
    do = preview if parse_flag("dry_run", dry_run) else submit
    return do(self, parse_pod_id(pod_id), wanted)


@pod_task(name="pods.delete")
def delete(self: AnyTask, pod_id: Any = None, *, dry_run: Any = False) -> Answer:
    """Remove the pod and its volumes, for good; with `dry_run` only tell what that would do."""
    do = preview if parse_flag("dry_run", dry_run) else submit
    return do(self, parse_pod_id(pod_id), Delete())


@question(name="pods.get")
def get(self: AnyTask, pod_id: Any = None) -> Answer:
    """Return one pod as it is recorded."""
    return answer(runtime().parts.queries.get(parse_pod_id(pod_id), asked_at=asked_at(self)))


@question(name="pods.list")
def list_(  # noqa: PLR0917 - the contract: by position or by name
    self: AnyTask,
    orphans: Any = False,
    labels: Any = None,
    phase: Any = None,
    host: Any = None,
    fields: Any = None,
    after: Any = None,
    limit: Any = None,
) -> Answer:
    """Return pods as they are recorded, and with `orphans` what there is of pods without a record."""
    wanted = parse_listing(orphans, labels, phase, host, fields, after, limit)
    return answer(runtime().parts.queries.list(wanted, asked_at=asked_at(self)))


@peek(name="pods.logs")
def logs(self: AnyTask, pod_id: Any = None, tail: Any = 100, since: Any = None) -> Answer:
    """Return the last lines that the pod printed."""
    return look(self, parse_pod_id(pod_id), parse_logs(tail, since))


@peek(name="pods.exec")
def exec_(
    self: AnyTask,
    pod_id: Any = None,
    command: Any = None,
    user: Any = None,
    timeout_s: Any = DEFAULT_TIMEOUT_S,
) -> Answer:
    """Run a command in the pod, once, and return what it printed and how it ended."""
    longest_s = runtime().settings.task_wait_s
    return look(self, parse_pod_id(pod_id), parse_execution(command, user, timeout_s, longest_s=longest_s))


@peek(name="pods.stats")
def stats(self: AnyTask, pod_id: Any = None, host: Any = None) -> Answer:
    """Return what one pod uses, or all running pods of a host: of `host`, or of the one that answers."""
    return usage(self, None if pod_id is None else parse_pod_id(pod_id), host)


@pod_task(name="pods.reconcile")
def reconcile(self: AnyTask, host: Any = None) -> Answer:
    """Run a pass on this host, and on every other live one unless `host` names this one."""
    return host_pass(self, host)
