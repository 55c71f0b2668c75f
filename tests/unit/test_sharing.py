"""Shared calls: there are fewer of them, and no answer is older than its question."""

import asyncio
import gc
import weakref

import pytest

from worker.sharing import Answers, Shared


class Calls:
    """Numbered calls, each of which ends when the test lets it."""

    def __init__(self) -> None:
        self.ends: list[asyncio.Future[None]] = []

    async def __call__(self) -> int:
        end = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        await end
        return len(self.ends)

    async def asked(self, *askers: asyncio.Task[int]) -> None:
        """Let all callers run as far as they can."""
        for _ in range(5):
            await asyncio.sleep(0)


async def test_one_after_the_other_has_a_call_of_its_own() -> None:
    calls = Calls()
    shared = Shared(calls)
    for number in (1, 2, 3):
        asker = asyncio.create_task(shared.get())
        await calls.asked(asker)
        calls.ends[-1].set_result(None)
        assert await asker == number


async def test_who_asks_while_a_call_is_under_way_gets_the_next_one_with_all_the_others() -> None:
    calls = Calls()
    shared = Shared(calls)
    first = asyncio.create_task(shared.get())
    await calls.asked(first)
    late = [asyncio.create_task(shared.get()) for _ in range(20)]
    await calls.asked(*late)
    assert len(calls.ends) == 1
    calls.ends[0].set_result(None)
    await calls.asked(first)
    assert first.result() == 1
    calls.ends[1].set_result(None)
    assert set(await asyncio.gather(*late)) == {2}
    assert len(calls.ends) == 2


async def test_a_failure_is_everybodys_and_the_next_call_is_tried_all_the_same() -> None:
    calls = Calls()
    shared = Shared(calls)
    askers = [asyncio.create_task(shared.get()) for _ in range(2)]
    await calls.asked(*askers)
    after = asyncio.create_task(shared.get())
    await calls.asked(after)
    calls.ends[0].set_exception(OSError("away"))
    assert [str(error) for error in await asyncio.gather(*askers, return_exceptions=True)] == ["away"] * 2
    await calls.asked(after)
    calls.ends[1].set_result(None)
    assert await after == 2


async def test_the_end_ends_what_is_under_way() -> None:
    calls = Calls()
    shared = Shared(calls)
    askers = [asyncio.create_task(shared.get())]
    await calls.asked(*askers)
    askers.append(asyncio.create_task(shared.get()))
    await calls.asked(*askers)
    await shared.close()
    answers = await asyncio.gather(*askers, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2
    assert len(calls.ends) == 1, "nothing more was sent"


async def test_who_gives_up_leaves_the_others_their_answer() -> None:
    calls = Calls()
    shared = Shared(calls)
    hasty, patient = asyncio.create_task(shared.get()), asyncio.create_task(shared.get())
    await calls.asked(hasty, patient)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    calls.ends[0].set_result(None)
    assert await patient == 1


class Answer:
    """Something large."""


async def test_an_answer_goes_with_its_last_caller() -> None:
    """The list of a host's pods takes megabytes."""

    async def call() -> Answer:
        return Answer()

    shared = Shared(call)
    answer = weakref.ref(await shared.get())
    await asyncio.sleep(0)
    gc.collect()
    assert answer() is None


async def test_who_asked_before_an_answer_was_looked_for_gets_that_one() -> None:
    """They waited for a thread meanwhile; whoever asks later has one of its own."""
    calls, answers = Calls(), Answers()
    clock = asyncio.get_running_loop().time
    before = clock()
    first = asyncio.create_task(answers.get("pod a", calls, asked_at=before))
    await calls.asked(first)
    waiting = [asyncio.create_task(answers.get("pod a", calls, asked_at=before)) for _ in range(20)]
    await calls.asked(*waiting)
    calls.ends[0].set_result(None)
    assert set(await asyncio.gather(first, *waiting)) == {1}
    assert await answers.get("pod a", calls, asked_at=before) == 1
    assert len(calls.ends) == 1
    for asked_at in (clock(), None):
        later = asyncio.create_task(answers.get("pod a", calls, asked_at=asked_at))
        await calls.asked(later)
        calls.ends[-1].set_result(None)
        assert await later == len(calls.ends)
    assert len(calls.ends) == 3


async def test_no_question_gets_the_answer_to_another_or_a_failure_that_was_before() -> None:
    calls, answers = Calls(), Answers()
    before = asyncio.get_running_loop().time()
    askers = [asyncio.create_task(answers.get(name, calls, asked_at=before)) for name in ("a", "b")]
    await calls.asked(*askers)
    assert len(calls.ends) == 2
    for end in calls.ends:
        end.set_exception(ValueError("no"))
    for asker in askers:
        with pytest.raises(ValueError, match="no"):
            await asker
    again = asyncio.create_task(answers.get("a", calls, asked_at=asyncio.get_running_loop().time()))
    await calls.asked(again)
    calls.ends[-1].set_result(None)
    assert await again == 3


async def test_a_caller_that_gives_up_takes_nobodys_answer_along() -> None:
    calls, answers = Calls(), Answers()
    before = asyncio.get_running_loop().time()
    one, other = (asyncio.create_task(answers.get("a", calls, asked_at=before)) for _ in range(2))
    await calls.asked(one, other)
    one.cancel()
    await calls.asked(one)
    calls.ends[0].set_result(None)
    assert await other == 1


async def test_answers_are_kept_for_a_second_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one for each pod that anybody asks about."""
    answers = Answers()
    monkeypatch.setattr("worker.sharing._KEPT_S", 0.0)

    async def look() -> int:
        return 1

    for number in range(100):
        await answers.get(number, look, asked_at=None)
        await asyncio.sleep(0)
    assert len(answers._answers) < 3
