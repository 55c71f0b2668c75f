"""What can be requested, and the intent that follows. One request, one intent, nothing else."""

from dataclasses import dataclass, fields, replace
from typing import assert_never

from worker.errors import LostUpdateError, PodExistsError, PodNotFoundError, RecordUnreadableError
from worker.pods.model import Intent, IntentKind, PinnedImage, PublishedPort, Record
from worker.pods.parsing import check_tier
from worker.pods.sizes import check_size
from worker.pods.spec import PodSpec, SpecPatch


@dataclass(frozen=True, kw_only=True)
class Create:
    spec: PodSpec
    adopt: bool = False


@dataclass(frozen=True, kw_only=True)
class Start:
    pass


@dataclass(frozen=True, kw_only=True)
class Stop:
    reason: str | None = None
    """Why the worker itself asks for it; None if somebody else does."""


@dataclass(frozen=True, kw_only=True)
class Restart:
    force: bool = False
    recreate: bool = False
    """Make its container again; whatever an update would keep is kept."""


@dataclass(frozen=True, kw_only=True)
class Update:
    spec: PodSpec
    discard: tuple[str, ...] = ()
    """Paths whose content in the container is given up, instead of being kept or blocking the update."""

    uncertain: frozenset[str] = frozenset()
    """Keys of the spec that the request leaves open: if they were not certain before, they still are not."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """An update as it is asked for; which spec that makes depends on the one that the pod has."""

    to: PodSpec | SpecPatch
    discard: tuple[str, ...] = ()
    expected_generation: int | None = None
    """The generation that the caller has seen; None accepts any."""


@dataclass(frozen=True, kw_only=True)
class Delete:
    pass


Request = Create | Start | Stop | Restart | Update | Delete


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What was found out for a new spec before it is accepted."""

    image: PinnedImage | None = None
    replaced_image: str | None = None
    """Id of the image that was pinned and is gone, if `image` is another one under its reference."""
    ports: tuple[PublishedPort, ...] = ()


def settled(pod_id: str, record: Record | None, asked: Request | Change) -> Request:
    """Return the request that a change is, for the pod as it is recorded.

    Raises PodNotFoundError, LostUpdateError, and RecordUnreadableError if there is no spec to change.
    """
    if not isinstance(asked, Change):
        return asked
    if record is not None and record.exists:
        _check_generation(pod_id, record, asked)
    if isinstance(asked.to, PodSpec):
        return Update(spec=asked.to, discard=asked.discard)
    if record is None or not record.exists:
        raise _not_found(pod_id, record)
    if record.unreadable is not None:
        raise RecordUnreadableError(f"pod_id: pod {pod_id!r}: {record.unreadable.reason}")
    if record.intent.spec is None:
        raise RecordUnreadableError(f"pod_id: pod {pod_id!r} has no spec that could be changed")
    uncertain = frozenset(record.intent.unsure) - asked.to.certain
    return Update(spec=asked.to.of(record.intent.spec), discard=asked.discard, uncertain=uncertain)


def _check_generation(pod_id: str, record: Record, asked: Change) -> None:
    there = record.intent.generation
    if asked.expected_generation not in {None, there}:
        raise LostUpdateError(
            f"expected_generation: pod {pod_id!r} is at {there}, not at {asked.expected_generation}: it was "
            "changed since. Nothing was changed; look at it again with pods.get, then decide"
        )


def _not_found(pod_id: str, record: Record | None) -> PodNotFoundError:
    gone = "was deleted" if record is not None and record.existed else "does not exist"
    return PodNotFoundError(f"pod_id: pod {pod_id!r} {gone}; allowed: an existing pod, or pods.create first")


def check(pod_id: str, record: Record | None, request: Request) -> None:
    """Refuse what cannot be requested of this pod.

    Raises PodNotFoundError, PodExistsError, InvalidInputError for a new spec that is too large, and
    RecordUnreadableError.
    """
    _check_readable(pod_id, record, request)
    exists = record is not None and record.exists
    if isinstance(request, Create | Update):
        before = record.intent.spec if record is not None and exists else None
        check_size(request.spec, before)
        check_tier(request.spec, before)
    if isinstance(request, Delete) or (isinstance(request, Create) and not exists):
        return
    if record is None or not exists:
        raise _not_found(pod_id, record)
    if isinstance(request, Create) and is_made(record) and not _may_be(record.intent, request.spec):
        raise PodExistsError(
            f"spec: pod {pod_id!r} exists with another spec; to change it call pods.update({pod_id!r}, "
            "spec), to start over, call pods.delete first"
        )


def _check_readable(pod_id: str, record: Record | None, request: Request) -> None:
    """Refuse what would be made of an intent that is not known; a deletion and a whole new spec are not."""
    if record is None or record.unreadable is None or isinstance(request, Delete):
        return
    if not isinstance(request, Update) or not record.unreadable.only_spec:
        raise RecordUnreadableError(f"pod_id: pod {pod_id!r}: {record.unreadable.reason}")


def brings_spec(record: Record | None, request: Request) -> PodSpec | None:
    """Return the new spec that has to be looked into before the request is accepted, None without one."""
    if not isinstance(request, Create | Update):
        return None
    unchanged = record is not None and record.exists and request.spec == record.intent.spec
    return None if unchanged else request.spec


def replaces(record: Record | None, request: Request) -> bool:
    """Whether a container that is there may have to be replaced: what it holds is looked into beforehand."""
    match request:
        case Update(discard=discard):
            return bool(discard) or brings_spec(record, request) is not None
        case Restart(recreate=recreate):
            return recreate
        case _:
            return False


def intent_for(  # noqa: PLR0911 - a table, one case for each request
    record: Record | None, request: Request, resolved: Resolved
) -> Intent:
    """Return the intent that follows from an allowed request."""
    before = record.intent if record is not None else Intent(kind=IntentKind.DELETED, generation=0, spec=None)
    after = before.evolve(generation=before.generation + 1, force=False, unknown=False)
    match request:
        case Create(spec=spec, adopt=adopt) if not _same(before, spec):
            return _with_spec(after, spec, resolved).evolve(kind=IntentKind.RUNNING, adopt=adopt, reason=None)
        case Create(adopt=adopt):
            return after.evolve(kind=IntentKind.RUNNING, adopt=adopt, unsure=(), reason=None)
        case Start():
            return after.evolve(kind=IntentKind.RUNNING, reason=None)
        case Stop(reason=reason):
            return after.evolve(kind=IntentKind.STOPPED, reason=reason)
        case Restart(force=force, recreate=recreate):
            asked = after.generation if recreate else after.recreate_generation
            return after.evolve(kind=IntentKind.RUNNING, force=force, recreate_generation=asked, reason=None)
        case Update(spec=spec, discard=discard, uncertain=uncertain):
            if _same(before, spec):
                wanted = _pinned_again(after, resolved)
            else:
                wanted = _with_spec(after, spec, resolved)
            unsure = tuple(key for key in before.unsure if key in uncertain)
            wanted = wanted.evolve(
                unsure=unsure,
                changed=_changed(before.spec, spec),
                changed_generation=after.generation,
            )
            return wanted.evolve(discard=discard, discard_generation=after.generation if discard else 0)
        case Delete():
            return after.evolve(
                kind=IntentKind.DELETED,
                reason=None,
                purge_generation=after.generation,
                unknown=record is None or not record.existed,
            )
        case _:
            assert_never(request)


def created(intent: Intent, record: Record | None, moment: str | None) -> Intent:
    """Return the intent; if it makes a pod, with `moment` (RFC 3339) as the time of that."""
    makes = intent.kind is not IntentKind.DELETED and (record is None or not record.exists)
    return intent.evolve(created_at=moment) if makes else intent


def _changed(before: PodSpec | None, after: PodSpec) -> tuple[str, ...]:
    """Return the keys whose values differ."""
    return tuple(
        each.name
        for each in fields(PodSpec)
        if before is None or getattr(before, each.name) != getattr(after, each.name)
    )


def is_made(record: Record) -> bool:
    """Whether anything was made for the pod; a first creation that failed before may come with a new spec."""
    return bool(record.state.layout) or record.state.container_id is not None


def _may_be(known: Intent, spec: PodSpec) -> bool:
    """Whether a spec is the pod's, as far as a record says that may have been rebuilt."""
    if known.spec is None:
        return False
    return replace(known.spec, **{key: getattr(spec, key) for key in known.unsure}) == spec


def _same(before: Intent, spec: PodSpec) -> bool:
    return before.kind is not IntentKind.DELETED and before.spec == spec


def _with_spec(after: Intent, spec: PodSpec, resolved: Resolved) -> Intent:
    pinned = after.evolve(image=resolved.image, replaced_image=resolved.replaced_image)
    return pinned.evolve(spec=spec, ports=resolved.ports, unsure=())


def _pinned_again(after: Intent, resolved: Resolved) -> Intent:
    """Return the intent with the image that takes the place of one that is gone, if there is one."""
    if resolved.replaced_image is None:
        return after
    return after.evolve(image=resolved.image, replaced_image=resolved.replaced_image)
