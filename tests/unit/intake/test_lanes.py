"""Which tasks share threads, and which of them ask registries."""

import json
from collections.abc import Callable
from threading import Event
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from config.celery import celery_config
from config.queues import (
    BY_QUESTIONS,
    HELD_QUESTIONS,
    LOOKS,
    host_queues,
    most_held,
    queue_of,
    shared_queues,
    waiting_queue,
)
from config.settings import Settings
from worker.docker.images.registries import ASKED_AT_ONCE, PULLS_AT_ONCE, Registries
from worker.errors import OutcomeUnknownError, RegistryBusyError
from worker.intake.lanes import AT_EASE, FIRST, TAKEN_AT, Lane, lane_of, threads, waiting
from worker.intake.pool import LanePool
from worker.store.broker import Channel, _Held, _move_of

DEAD, OTHER = "registry.invalid/a:1", "other.invalid/a:1"


@pytest.mark.parametrize(
    ("task", "lane"),
    [
        ("pods.get", Lane.MISPLACED),
        ("pods.list", Lane.MISPLACED),
        ("pods.stop", Lane.ENDINGS),
        ("pods.delete", Lane.ENDINGS),
        ("pods.reconcile", Lane.PASSES),
        ("pods.create", Lane.CREATIONS),
        ("pods.update", Lane.CHANGES),
        ("pods.start", Lane.CHANGES),
        ("pods.logs", Lane.LOOKS),
        ("pods.exec", Lane.LOOKS),
        ("pods.stats", Lane.LOOKS),
        ("hosts.rename", Lane.CHANGES),
        ("", Lane.CHANGES),
    ],
)
def test_a_stop_and_a_question_share_no_thread_with_a_creation(task: str, lane: Lane) -> None:
    assert lane_of(task) is lane


def test_a_question_that_came_by_its_own_queue_waits_for_no_other() -> None:
    """Questions come by `pods` too, from callers that know no other queue, and in floods."""
    assert lane_of("pods.get", "questions") is lane_of("pods.list", "questions") is Lane.QUESTIONS
    assert lane_of("pods.get", "pods") is lane_of("pods.list", "pods.host.a") is Lane.MISPLACED
    assert lane_of("pods.stop", "questions") is Lane.ENDINGS


@pytest.mark.parametrize(
    ("task", "queue", "moved"),
    [
        ("pods.get", "pods", "waiting.questions"),
        ("pods.list", "pods.a", "waiting.questions.a"),
        ("pods.get", "questions", None),
        ("pods.get", "waiting.questions", None),
        ("pods.get", "waiting.questions.a", None),
        ("pods.exec", "pods", "waiting.looks"),
        ("pods.logs", "questions", "waiting.looks"),
        ("pods.stats", "pods.looks", "waiting.looks.looks"),
        ("pods.reconcile", "pods", "waiting.passes"),
        ("pods.reconcile", "pods.a.b", "waiting.passes.a.b"),
        ("pods.stop", "pods", None),
        ("pods.delete", "questions", None),
        ("pods.create", "pods.a", None),
        ("hosts.rename", "pods", None),
    ],
)
def test_what_waits_for_few_threads_waits_in_a_queue_of_its_kind(
    task: str, queue: str, moved: str | None
) -> None:
    """And never is it one that no worker reads, or that the worker of another host reads."""
    assert waiting_queue(task, queue) == moved
    if moved is not None:
        host = queue.removeprefix("pods.") if queue.startswith("pods.") else None
        assert moved in (shared_queues() if host is None else host_queues(host))
        assert waiting_queue(task, moved) is None


def test_what_cannot_be_moved_is_handed_on() -> None:
    """To the one who refuses it; the worker would end where it is taken."""
    nested: Any = "x"
    for _ in range(5000):
        nested = [nested]
    message: dict[str, Any] = {
        "headers": {"task": "pods.get", "stamps": nested},
        "properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "pods"}},
    }
    assert _move_of(message, "pods") is None
    assert _move_of(message | {"properties": {}}, "pods") is None
    moved = _move_of(message | {"headers": {"task": "pods.get"}}, "pods")
    assert moved is not None
    assert (moved[0], json.loads(moved[1])["properties"]["delivery_info"]["routing_key"]) == (
        "waiting.questions",
        "waiting.questions",
    )


def test_each_lane_that_may_have_a_backlog_has_a_bound_on_what_is_held() -> None:
    """More than it has threads; those of changes and endings accept at once, and have no backlog."""
    bounds = {queue: most_held(queue) for queue in (*shared_queues(), *host_queues("questions"))}
    assert bounds == {
        "pods": None,
        "questions": HELD_QUESTIONS,
        "waiting.questions": 20,
        "waiting.looks": 32,
        "waiting.passes": 8,
        "pods.questions": None,
        "waiting.questions.questions": 20,
        "waiting.looks.questions": 32,
        "waiting.passes.questions": 8,
    }
    assert most_held("waiting.looks") > threads(Lane.LOOKS, 8)  # type: ignore[operator]


def test_a_look_into_a_pod_keeps_no_question_waiting() -> None:
    """It takes as long as the pod wants, and comes by any queue."""
    assert {lane_of(task, queue) for task in LOOKS for queue in ("questions", "pods", "pods.a")} == {
        Lane.LOOKS
    }


@pytest.mark.parametrize("task", ["pods.start", "pods.restart", "pods.update", "pods.stop", "hosts.rename"])
def test_no_change_waits_for_a_thread_behind_creations(task: str) -> None:
    pool: Any = LanePool(4)
    release, asked = Event(), Event()
    for _ in range(20):
        pool.on_apply(_target(lambda *_: release.wait(10)), ("pods.create",))
    pool.on_apply(_target(lambda *_: asked.set()), (task,))
    try:
        assert asked.wait(10)
    finally:
        release.set()
        pool.on_stop()


def test_a_thread_for_misplaced_questions_rests_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But not for long: its next caller waits."""
    now, rested = [0.0], list[float]()
    monkeypatch.setattr("worker.intake.pool.monotonic", lambda: now[0])
    monkeypatch.setattr("worker.intake.pool.sleep", rested.append)
    pool: Any = LanePool(4)

    def work(task: str) -> None:
        now[0] += float(task.rpartition(" ")[2])

    for took in ("0.001", "0.03", "60"):
        pool._run_at_ease(work, f"pods.get {took}")
    pool.on_stop()
    assert rested == [0.05, 0.06, 0.1]
    assert not FIRST & AT_EASE
    assert lane_of("pods.list", "pods") in AT_EASE
    assert AT_EASE.isdisjoint(
        {lane_of("pods.list", "questions"), lane_of("pods.stop"), lane_of("pods.update")}
    )


@pytest.mark.parametrize("queue", ["pods", "questions"])
def test_it_is_noted_when_a_question_was_taken(queue: str) -> None:
    """Before it waits for a thread: an answer that was looked for since then is new enough."""
    pool: Any = LanePool(4)
    request: dict[str, Any] = {"pinacle_message": SimpleNamespace(queue=queue)}
    change: dict[str, Any] = {}
    before = monotonic()
    pool.on_apply(_target(lambda *_: None), ("pods.get", "id", request))
    pool.on_apply(_target(lambda *_: None), ("pods.stop", "id", change))
    pool.on_stop()
    assert before <= request[TAKEN_AT] <= monotonic()
    assert change == {}


@pytest.mark.parametrize("task", ["pods.update", "pods.start", "pods.stop", "pods.delete"])
def test_a_misplaced_question_lets_changes_pass(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of them would make the Engine slow while somebody waits for a pod."""
    monkeypatch.setattr("worker.intake.pool._PATIENCE_S", 10.0)
    pool: Any = LanePool(4)
    begun, release, asked = Event(), Event(), Event()

    def change(*_: Any) -> None:
        begun.set()
        release.wait(10)

    pool.on_apply(_target(change), (task,))
    assert begun.wait(10)
    pool.on_apply(_target(lambda *_: asked.set()), ("pods.get", "id", {}))
    try:
        assert not asked.wait(0.1)
        release.set()
        assert asked.wait(10)
    finally:
        release.set()
        pool.on_stop()


def test_a_misplaced_question_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be changes all the time, and creations take as long as a registry wants."""
    monkeypatch.setattr("worker.intake.pool._PATIENCE_S", 0.01)
    pool: Any = LanePool(4)
    release, asked = Event(), Event()
    for task in ("pods.create", "pods.stop"):
        pool.on_apply(_target(lambda *_: release.wait(10)), (task,))
    pool.on_apply(_target(lambda *_: asked.set()), ("pods.get", "id", {}))
    try:
        assert asked.wait(10)
    finally:
        release.set()
        pool.on_stop()


def test_the_queue_is_the_one_that_it_was_taken_from() -> None:
    """Whatever its message says about where it was sent."""
    pool: Any = LanePool(4)
    release, asked = Event(), Event()
    lying = {"delivery_info": {"routing_key": "questions"}, "pinacle_message": SimpleNamespace(queue="pods")}
    for _ in range(20):
        pool.on_apply(_target(lambda *_: release.wait(10)), ("pods.get", "id", lying))
    pool.on_apply(
        _target(lambda *_: asked.set()),
        ("pods.get", "id", {"pinacle_message": SimpleNamespace(queue="questions")}),
    )
    try:
        assert asked.wait(10)
    finally:
        release.set()
        pool.on_stop()


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("concurrency", [4, 48])
def test_some_task_of_each_kind_may_wait_for_its_pod(lane: Lane, concurrency: int) -> None:
    assert 1 <= waiting(lane, concurrency) <= threads(lane, concurrency)


def test_questions_are_routed_to_a_queue_of_their_own() -> None:
    """For callers that use our app; questions sent to `pods` are answered too."""
    config = celery_config(Settings())
    assert {name: route["queue"] for name, route in config["task_routes"].items()} == dict.fromkeys(
        BY_QUESTIONS, "questions"
    )
    assert {queue.name for queue in config["task_queues"]} == set(shared_queues())
    assert (queue_of("pods.get"), queue_of("pods.stop")) == ("questions", "pods")


def test_a_worker_takes_a_thousand_messages_whatever_its_threads() -> None:
    for threads_set in (4, 48, 1000):
        settings = Settings(task_concurrency=threads_set)
        assert celery_config(settings)["worker_prefetch_multiplier"] * threads_set >= 1000


def test_of_many_questions_to_registries_few_are_asked() -> None:
    """The others do not wait for their answers."""
    registries = Registries()
    under_way = [registries.turn(OTHER) for _ in range(ASKED_AT_ONCE)]
    for each in under_way:
        each.__enter__()
    with pytest.raises(RegistryBusyError), registries.turn(DEAD):
        pass
    under_way[0].__exit__(None, None, None)
    with registries.turn(DEAD):
        pass


def test_a_registry_that_did_not_answer_is_left_alone_for_a_while() -> None:
    """Another registry is asked meanwhile."""
    now = 100.0
    registries = Registries(clock=lambda: now)
    with pytest.raises(RegistryBusyError), registries.turn(DEAD):
        raise OutcomeUnknownError("no answer")
    with pytest.raises(RegistryBusyError), registries.turn(DEAD):
        pass
    with registries.turn(OTHER):
        pass
    now += 31
    with registries.turn(DEAD):
        pass


async def test_pulls_from_one_registry_take_turns_and_another_one_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.docker.images.registries._TURN_S", 0.01)
    registries = Registries()
    under_way = [registries.pulling(DEAD) for _ in range(PULLS_AT_ONCE)]
    for each in under_way:
        await each.__aenter__()
    with pytest.raises(RegistryBusyError):
        async with registries.pulling(DEAD):
            pass
    async with registries.pulling(OTHER):
        pass
    await under_way[0].__aexit__(None, None, None)
    async with registries.pulling(DEAD):
        pass


def test_what_waits_for_a_thread_is_let_go_when_the_worker_ends() -> None:
    """It is not begun, and its message goes back; what has begun goes on, and other lanes are not delayed."""
    pool: Any = LanePool(4)
    begun, release, asked = Event(), Event(), Event()
    ran: list[str] = []

    def work(task: str) -> str:
        begun.set()
        release.wait(10)
        ran.append(task)
        return task

    for number in range(20):
        pool.on_apply(_target(work), (f"pods.create{number}",))
    pool.on_apply(_target(lambda _: asked.set()), ("pods.get",))
    assert begun.wait(10)
    assert asked.wait(10)
    pool.let_go()
    pool.on_apply(_target(work), ("pods.stop",))
    release.set()
    pool.on_stop()
    assert 1 <= len(ran) <= 4


def _target(work: Callable[[str], object]) -> Callable[..., object]:
    def run(task: str, *_: Any, **__: Any) -> object:
        return work(task)

    return run


def test_a_worker_takes_few_large_messages_at_a_time() -> None:
    """A thousand specs of the largest size would not fit into its memory."""
    qos: Any = Channel.QoS(SimpleNamespace(do_restore=False))
    assert qos.can_consume()
    qos._held = {str(number): _Held(1_000_000, "pods") for number in range(16)}
    assert not qos.can_consume()
    qos._held.popitem()
    assert qos.can_consume()


def test_held_questions_leave_room_for_everything_else() -> None:
    """By the queue that they came by, whatever the messages say."""
    qos: Any = Channel.QoS(SimpleNamespace(do_restore=False), 1000)
    for number in range(HELD_QUESTIONS):
        assert qos.room_in("questions") == HELD_QUESTIONS - number
        qos._held[str(number)] = _Held(100, "questions")
        qos._delivered[str(number)] = None
    assert qos.room_in("questions") == 0
    assert qos.room_in("pods") == 1000 - HELD_QUESTIONS
    qos._held.popitem()
    assert qos.room_in("questions") == 1
