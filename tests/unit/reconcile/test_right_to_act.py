"""Which process may send a step, what is noted before the next, and what an error leaves in the record."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest
from structlog.testing import capture_logs

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.observing import StepNotes
from tests.support.situations import IMAGE, OTHER_IMAGE, OVERLAYS, OWN
from worker.errors import (
    ConflictError,
    CopyFailedError,
    EngineFailedError,
    EngineUnavailableError,
    HostFullError,
    ImageGoneError,
    ImageNotFoundError,
    LeaseLostError,
    ObjectMissingError,
    OutcomeUnknownError,
    PermanentError,
    PodError,
    PodNotFoundError,
    PortTakenError,
    RegistryUnavailableError,
    RetryableError,
)
from worker.interfaces import Proposal
from worker.planner.backoff import FAILED_DELAY_S, LONGEST_ERROR_DELAY_S
from worker.planner.sameness import OFTEN
from worker.planner.volumes.unprotected import Change, ChangeKind
from worker.pods.layout import full_names
from worker.pods.model import Intent, IntentKind, Phase, PodState, Record
from worker.pods.observation import ContainerState
from worker.pods.own_root import Standing
from worker.pods.spec import PodSpec
from worker.reconcile.reconciler import Reconciler, Seen

DEADLINE_S: Final = 5.0
TTL_S: Final = 20.0
SPEC: Final = PodSpec(image="image")
STEPS_OF_A_CREATION: Final = ("volume_create", "container_create", "container_start")
"""What the Engine is asked to do, in its order."""


class Bench:
    """One pod, one fake Engine, one fake store, and a clock that a test moves."""

    def __init__(self) -> None:
        self.engine, self.store = FakeEngine(), FakeStore(lease_ttl_s=TTL_S)
        notes = StepNotes()
        self.engine.images = {"image": IMAGE}
        self.reconciler = Reconciler(
            engine=self.engine,
            store=self.store,
            installation=OWN,
            clock=lambda: self.store.now,
            step_deadline_s=DEADLINE_S,
            observer=notes,
        )
        self.told = notes.told
        self.sent: list[str] = []
        self.engine.before = self.sent.append

    async def ask(self, kind: IntentKind = IntentKind.RUNNING, **intent: object) -> None:
        """Accept an intent."""
        known = self.store.records.get("a")
        generation = known.intent.generation if known is not None else 0
        purge = {"purge_generation": generation + 1} if kind is IntentKind.DELETED else {}
        values = {"kind": kind, "generation": generation + 1, "spec": SPEC, **purge, **intent}
        await self.store.accept(
            Proposal(
                pod_id="a",
                task_id=f"task {generation}",
                expected_generation=generation,
                host="here",
                intent=Intent(**values),  # type: ignore[arg-type]
            )
        )

    def when(self, operation: str, do: Callable[[], None]) -> None:
        """Do something once, just before the Engine does `operation`."""

        def before(name: str) -> None:
            self.sent.append(name)
            if name == operation:
                self.engine.before = self.sent.append
                do()

        self.engine.before = before

    @property
    def state(self) -> PodState:
        return self.store.records["a"].state


def fail(error: PodError) -> Callable[[], None]:
    def raising() -> None:
        raise error

    return raising


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    await bench.ask()
    return bench


@pytest.mark.parametrize(("remaining", "may"), [(DEADLINE_S + 0.1, True), (DEADLINE_S, False), (0.0, False)])
async def test_a_step_is_sent_only_while_the_lease_outlasts_it(
    bench: Bench, remaining: float, may: bool
) -> None:
    """Otherwise the next holder of the lease could act while that step still runs."""
    spent = TTL_S - remaining
    bench.when("image_inspect", lambda: setattr(bench.store, "now", spent))
    if may:
        await bench.reconciler.reconcile("a")
        assert bench.engine.is_running("a")
    else:
        with pytest.raises(LeaseLostError, match="too soon for a step"):
            await bench.reconciler.reconcile("a")
        assert not {*STEPS_OF_A_CREATION} & {*bench.sent}


@pytest.mark.parametrize("operation", STEPS_OF_A_CREATION[:-1])
async def test_nothing_is_begun_in_a_process_that_ends(bench: Bench, operation: str) -> None:
    bench.when(operation, lambda: setattr(bench.reconciler, "draining", True))
    with pytest.raises(LeaseLostError, match="the worker is stopping"):
        await bench.reconciler.reconcile("a")
    later = STEPS_OF_A_CREATION[STEPS_OF_A_CREATION.index(operation) + 1 :]
    assert not {*later} & {*bench.sent}


async def test_nothing_is_begun_if_another_store_has_the_installation(bench: Bench) -> None:
    """Its containers look like ours. The error says what to do about it, and it is tried again."""
    bench.reconciler.stands_back = lambda: "it is another's"
    await bench.reconciler.reconcile("a")
    assert not {"image_inspect", "volume_create", "container_create"} & set(bench.sent)
    assert (bench.state.phase, bench.state.reason) == (Phase.PENDING, "it is another's")
    assert 1.0 <= (bench.state.retry_at - bench.store.now) / LONGEST_ERROR_DELAY_S <= 1.5
    bench.reconciler.stands_back = lambda: None
    await bench.reconciler.reconcile("a")
    assert bench.state.phase is Phase.RUNNING


async def test_a_step_of_a_holder_that_lost_the_lease_is_not_noted(bench: Bench) -> None:
    """And no further step is sent."""

    def lose() -> None:
        bench.store.leases["a"] = replace(bench.store.leases["a"], token=99)

    bench.when("volume_create", lose)
    with pytest.raises(LeaseLostError, match="not the newest"):
        await bench.reconciler.reconcile("a")
    assert "container_start" not in bench.sent
    assert not bench.state.initialised


async def test_an_intent_accepted_meanwhile_is_taken_up_at_once(bench: Bench) -> None:
    """The task that brought it need not wait for anybody else."""
    bench.when("container_create", lambda: bench.store.records.update(a=_stopped(bench.store.records["a"])))
    outcome = await bench.reconciler.reconcile("a")
    assert outcome.record.intent.kind is IntentKind.STOPPED
    assert outcome.record.state.phase is Phase.STOPPED
    assert outcome.record.state.settled_generation == 2
    assert not bench.engine.is_running("a")


async def test_what_was_found_of_the_old_image_is_not_held_against_the_new_one(bench: Bench) -> None:
    """The Engine says that the pinned image is gone, and an update brings another at that moment."""
    await bench.reconciler.reconcile("a")
    other = OTHER_IMAGE.evolve(reference="image")

    def update() -> None:
        record = bench.store.records["a"]
        intent = replace(record.intent, generation=2, image=other, replaced_image=IMAGE.id)
        bench.store.records["a"] = replace(record, intent=intent)
        bench.engine.images = {"image": other}

    bench.engine.lose_container("a")
    bench.when("container_create", update)
    outcome = await bench.reconciler.reconcile("a")
    assert (outcome.record.state.phase, outcome.record.state.image) == (Phase.RUNNING, other)


def _stopped(record: Record) -> Record:
    return replace(record, intent=replace(record.intent, kind=IntentKind.STOPPED, generation=2))


async def test_what_was_seen_beside_another_record_is_looked_at_again(bench: Bench) -> None:
    """And what was seen beside this record is used."""
    await bench.reconciler.reconcile("a")
    record = await bench.store.load("a")
    assert record is not None
    seen = await bench.engine.observe("a", full_names("a", record.state))
    bench.sent.clear()
    await bench.reconciler.reconcile("a", Seen(record=record, observation=seen))
    assert bench.sent == []
    older = Seen(record=replace(record, state=PodState()), observation=seen.evolve(container=None))
    await bench.reconciler.reconcile("a", older)
    assert bench.sent == ["container_inspect", "volume_list"]


async def test_a_pod_that_nobody_asked_for_is_no_pod(bench: Bench) -> None:
    with pytest.raises(PodNotFoundError, match="pod b: there is no such pod"):
        await bench.reconciler.reconcile("b")
    assert bench.store.leases == {}, "the lease was not given back"


@pytest.mark.parametrize(
    ("state", "told"),
    [(ContainerState.DEAD, True), (ContainerState.CREATED, False)],
)
async def test_the_loss_of_a_container_that_nobody_looked_into_is_logged(
    bench: Bench, state: ContainerState, *, told: bool
) -> None:
    """A dead one cannot run again; one that never ran has none of its owner's data."""
    await bench.reconciler.reconcile("a")
    found = bench.engine.containers["pinacle-pod-a"]
    found.observed = replace(found.observed, state=state)
    await bench.ask(spec=replace(SPEC, hostname="other") if not told else SPEC)
    with capture_logs() as logs:
        await bench.reconciler.reconcile("a")
    assert bench.engine.containers["pinacle-pod-a"] is not found
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["own_root_not_kept"] * told


async def test_what_an_update_examined_before_is_not_reported_as_lost(bench: Bench) -> None:
    await bench.reconciler.reconcile("a")
    await bench.ask(spec=replace(SPEC, hostname="other"))
    with capture_logs() as logs:
        await bench.reconciler.reconcile("a")
    assert "remove_container" in [step for step, _ in bench.told]
    assert not [line for line in logs if line["event"] == "own_root_not_kept"]
    await bench.ask(IntentKind.DELETED)
    with capture_logs() as logs:
        await bench.reconciler.reconcile("a")
    assert not [line for line in logs if line["event"] == "own_root_not_kept"]


async def test_it_is_noted_that_nothing_is_left_to_do(bench: Bench) -> None:
    outcome = await bench.reconciler.reconcile("a")
    assert outcome.before == PodState()
    assert outcome.error is None
    assert outcome.steps[-1] == "start_container"
    assert (bench.state.phase, bench.state.settled_generation, bench.state.errors) == (Phase.RUNNING, 1, 0)
    assert [error for _, error in bench.told] == [None] * len(bench.told)
    assert [step for step, _ in bench.told] == list(outcome.steps)


async def test_what_may_pass_is_tried_again_soon_and_later_each_time(bench: Bench) -> None:
    delays = []
    for errors in range(1, 4):
        bench.when("container_create", fail(EngineUnavailableError("a 500")))
        outcome = await bench.reconciler.reconcile("a")
        assert isinstance(outcome.error, EngineUnavailableError)
        assert (bench.state.phase, bench.state.reason, bench.state.errors) == (Phase.PENDING, "a 500", errors)
        assert bench.told[-1] == ("create_container", outcome.error)
        assert outcome.retry_at == bench.state.retry_at > bench.store.now
        delays.append(bench.state.retry_at - bench.store.now)
    assert delays[0] < delays[1] < delays[2]
    await bench.reconciler.reconcile("a")
    assert (bench.state.phase, bench.state.errors, bench.state.retry_at) == (Phase.RUNNING, 0, 0.0)


async def test_the_delay_that_an_error_brings_counts(bench: Bench) -> None:
    bench.when("container_create", fail(RetryableError("full", delay_s=77.0)))
    await bench.reconciler.reconcile("a")
    assert 77.0 <= bench.state.retry_at - bench.store.now <= 77.0 * 1.5


async def test_the_delay_that_an_error_brings_is_the_shortest(bench: Bench) -> None:
    """The hundred pods of a registry that does not answer would keep an Engine busy with nothing."""
    for _ in range(12):
        bench.when("container_create", fail(RetryableError("busy", delay_s=2.0)))
        await bench.reconciler.reconcile("a")
        assert bench.state.retry_at >= bench.store.now + 2.0
    assert bench.state.retry_at > bench.store.now + LONGEST_ERROR_DELAY_S / 2


async def test_what_cannot_work_is_not_tried_again_soon(bench: Bench) -> None:
    """But after some minutes, or with another intent."""
    bench.when("container_create", fail(PermanentError("no such user")))
    at_once = await bench.reconciler.reconcile("a")
    assert at_once.retry_at == bench.store.now  # what was stopped for it, had it been, would go on
    assert (bench.state.phase, bench.state.failed_generation) == (Phase.FAILED, 1)
    assert bench.state.failed_reason == "no such user"
    assert bench.state.retry_at == bench.store.now + FAILED_DELAY_S
    bench.sent.clear()
    outcome = await bench.reconciler.reconcile("a")
    assert (bench.state.phase, bench.state.reason) == (Phase.FAILED, "no such user")
    assert outcome.retry_at == bench.state.retry_at
    assert "container_create" not in bench.sent
    bench.store.now += FAILED_DELAY_S
    await bench.reconciler.reconcile("a")
    assert (bench.state.phase, bench.state.failed_generation) == (Phase.RUNNING, 0)


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (EngineUnavailableError("an outage"), 1.0),
        (EngineFailedError("a 500"), 1.0),
        (OutcomeUnknownError("a deadline passed"), 1.0),
        (ConflictError("it is being removed"), 1.0),
        (ObjectMissingError("gone since it was seen"), 1.0),
        (ImageGoneError("gone since it was seen"), 1.0),
        (RegistryUnavailableError("an outage"), 1.0),
        (HostFullError("full"), 1.0),
        (PortTakenError("another program has it"), LONGEST_ERROR_DELAY_S),
        (CopyFailedError("it takes too long"), FAILED_DELAY_S),
        (ImageNotFoundError("never heard of"), FAILED_DELAY_S),
        (PermanentError("no such user"), FAILED_DELAY_S),
    ],
    ids=lambda given: type(given).__name__,
)
async def test_only_what_a_person_has_to_fix_waits_for_minutes(
    bench: Bench, error: PodError, longest: float
) -> None:
    """Whatever comes with an outage of the Engine or an overloaded host is tried again soon."""
    bench.when("container_start", fail(error))
    await bench.reconciler.reconcile("a")
    assert 0 < bench.state.retry_at - bench.store.now <= longest


async def test_an_engine_that_does_not_answer_leaves_a_settled_pod_its_phase(bench: Bench) -> None:
    """It was not even looked at."""
    await bench.reconciler.reconcile("a")
    bench.when("container_inspect", fail(EngineUnavailableError("no answer")))
    await bench.reconciler.reconcile("a")
    assert (bench.state.phase, bench.state.reason) == (Phase.RUNNING, "no answer")


async def test_an_engine_that_stops_answering_in_a_recovery_leaves_it_pending(bench: Bench) -> None:
    await bench.reconciler.reconcile("a")
    bench.engine.lose_container("a")
    bench.when("container_start", fail(EngineUnavailableError("no answer")))
    await bench.reconciler.reconcile("a")
    assert bench.state.phase is Phase.PENDING


async def test_an_engine_that_does_not_answer_leaves_a_deletion_deleting(bench: Bench) -> None:
    await bench.reconciler.reconcile("a")
    await bench.ask(IntentKind.DELETED)
    bench.when("volume_remove", fail(EngineUnavailableError("no answer")))
    await bench.reconciler.reconcile("a")
    assert bench.state.phase is Phase.DELETING


async def test_an_image_that_vanished_before_its_container_was_made_is_reported_as_gone(bench: Bench) -> None:
    """The host is not asked again and again."""
    bench.when("container_create", fail(ImageGoneError("gone")))
    outcome = await bench.reconciler.reconcile("a")
    assert (outcome.error, bench.state.phase) == (None, Phase.FAILED)
    assert "is gone from this host" in (bench.state.reason or "")
    assert "container_start" not in bench.sent


async def test_volumes_that_were_made_are_noted_although_one_of_them_failed(bench: Bench) -> None:
    bench.when("volume_create", fail(EngineUnavailableError("a 500")))
    outcome = await bench.reconciler.reconcile("a")
    assert outcome.steps.count("create_volume") == len(bench.engine.volumes) > 0
    assert "container_create" not in bench.sent


async def test_a_pod_that_is_as_it_should_be_is_not_saved(bench: Bench) -> None:
    """Otherwise a pass over a thousand of them would wait for a disk a thousand times."""
    await bench.reconciler.reconcile("a")
    saved: list[str] = []
    bench.store.before = saved.append
    await bench.reconciler.reconcile("a")
    assert "save" not in saved


async def test_an_image_that_vanishes_before_its_base_is_made_is_an_error_of_that_step(bench: Bench) -> None:
    """Only the creation of a container shows that the pod's own image is gone."""
    bench.when("system_prepare", fail(ImageGoneError("the base's image is gone")))
    bench.reconciler.installation = OVERLAYS
    outcome = await bench.reconciler.reconcile("a")
    assert isinstance(outcome.error, ImageGoneError)
    assert bench.state.reason == "the base's image is gone"


async def test_what_cannot_be_done_is_noted_while_the_pod_goes_on_as_it_was(bench: Bench) -> None:
    """Until then nobody tries again, and the reason stays, whatever is reported later."""
    await bench.reconciler.reconcile("a")
    (container,) = bench.engine.of_pod("a")
    container.changes.append(Change(path="/link", kind=ChangeKind.ADDED))
    container.standing["/link"] = Standing.OTHER
    await bench.ask(spec=replace(SPEC, hostname="other"))
    outcome = await bench.reconciler.reconcile("a")
    assert bench.engine.is_running("a")
    assert (bench.state.phase, bench.state.failed_generation) == (Phase.FAILED, 2)
    assert "/link" in (bench.state.failed_reason or "")
    assert bench.state.retry_at == outcome.retry_at == bench.store.now + FAILED_DELAY_S


async def test_what_cannot_be_done_is_not_tried_with_each_crash(bench: Bench) -> None:
    """A pod that crashes meanwhile is started again in its own time; the update waits for its own."""
    await bench.reconciler.reconcile("a")
    (container,) = bench.engine.of_pod("a")
    container.changes.append(Change(path="/link", kind=ChangeKind.ADDED))
    container.standing["/link"] = Standing.OTHER
    await bench.ask(spec=replace(SPEC, hostname="other"))
    await bench.reconciler.reconcile("a")
    until = bench.state.retry_at
    for _ in range(3):
        bench.engine.crash("a")
        outcome = await bench.reconciler.reconcile("a")
    assert outcome.retry_at is not None
    assert bench.store.now < outcome.retry_at < until
    assert bench.state.retry_at == until


async def test_an_intent_that_comes_while_there_is_nothing_to_do_is_taken_up(bench: Bench) -> None:
    """Whoever accepted it found the lease held, and has nobody else to ask."""
    await bench.reconciler.reconcile("a")

    def stop() -> None:
        known = bench.store.records["a"]
        later = known.intent.evolve(kind=IntentKind.STOPPED, generation=2)
        bench.store.records["a"] = known.evolve(intent=later)

    bench.when("volume_list", stop)
    outcome = await bench.reconciler.reconcile("a")
    assert (outcome.record.intent.generation, bench.state.phase) == (2, Phase.STOPPED)
    assert not bench.engine.is_running("a")


async def test_a_look_that_fails_counts_for_no_step(bench: Bench) -> None:
    """However often: the pod is not at fault, and what fails is named by what the Engine says."""
    await bench.reconciler.reconcile("a")
    for _ in range(OFTEN + 1):
        bench.when("volume_list", fail(EngineFailedError("the Engine failed with 500")))
        await bench.reconciler.reconcile("a")
        bench.store.now += LONGEST_ERROR_DELAY_S
    assert bench.state.failure is None
    assert bench.state.phase is not Phase.FAILED


async def test_a_pod_that_waits_to_be_started_again_says_when(bench: Bench) -> None:
    await bench.reconciler.reconcile("a")
    for _ in range(2):
        bench.engine.crash("a")
        outcome = await bench.reconciler.reconcile("a")
    assert bench.state.phase is Phase.BACKOFF
    assert outcome.retry_at == bench.state.retry_at > bench.store.now


async def test_a_stop_is_forgotten_once_it_is_seen_to_have_ended(bench: Bench) -> None:
    await bench.reconciler.reconcile("a")
    await bench.ask(IntentKind.STOPPED)
    await bench.reconciler.reconcile("a")
    assert (bench.state.phase, bench.state.stop) == (Phase.STOPPED, None)


async def test_an_image_is_pulled_before_anybody_looks(bench: Bench) -> None:
    """What was seen before a long pull would be old after it, and a silent registry costs no look at all."""
    bench.engine.registry, bench.engine.images = bench.engine.images, {}
    bench.when("image_pull", fail(RegistryUnavailableError("silent")))
    await bench.reconciler.reconcile("a")
    assert (bench.state.phase, bench.sent) == (Phase.PENDING, ["image_inspect", "image_pull"])
    bench.sent.clear()
    await bench.reconciler.reconcile("a")
    assert bench.state.phase is Phase.RUNNING
    assert bench.sent[:4] == ["image_inspect", "image_pull", "container_inspect", "volume_list"]


async def test_nothing_is_pulled_before_the_time_of_the_next_try_or_for_a_pod_that_is_not_to_run(
    bench: Bench,
) -> None:
    bench.engine.images = {}
    bench.when("image_pull", fail(ImageNotFoundError("no such image")))
    await bench.reconciler.reconcile("a")
    phases = [bench.state.phase]
    bench.sent.clear()
    for kind in (None, IntentKind.STOPPED, IntentKind.DELETED):
        if kind is not None:
            await bench.ask(kind)
        phases.append((await bench.reconciler.reconcile("a")).record.state.phase)
    assert "image_pull" not in bench.sent
    assert phases == [Phase.FAILED, Phase.FAILED, Phase.STOPPED, Phase.DELETED]
