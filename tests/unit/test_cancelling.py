"""Tasks are ended for good, even those that lose a cancellation."""

import asyncio

from worker.cancelling import end


async def forgetful(log: list[str]) -> None:
    """Lose the first cancellation, as Python 3.11's `wait_for` does if it is done at that moment."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        log.append("lost")
    await asyncio.sleep(60)
    log.append("went on")


async def failing() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        raise ValueError("while it ended")


async def test_a_task_that_loses_its_cancellation_is_ended_all_the_same() -> None:
    log: list[str] = []
    tasks = [asyncio.create_task(forgetful(log)), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(tasks)
    assert all(task.cancelled() for task in tasks)
    assert log == ["lost"]


async def test_what_has_ended_or_fails_meanwhile_is_no_hindrance() -> None:
    done, fails = asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(failing())
    await done
    await end([done, fails])
    await end([])
    assert fails.done()
