"""A worker whose event loop stalls ends with an error; one that was merely suspended does not."""

import subprocess
import sys
from threading import Event
from time import sleep

from worker.process.loop_thread import LoopThread
from worker.process.watchdog import EXIT_CODE, Watchdog

STALLS = """
import asyncio, threading, time
from worker.process.watchdog import Watchdog
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
Watchdog(loop, 0.2).start()
loop.call_soon_threadsafe(time.sleep, 60)
time.sleep(60)
"""


def test_a_process_whose_loop_stalls_ends_with_an_error() -> None:
    ended = subprocess.run([sys.executable, "-c", STALLS], check=False, capture_output=True, timeout=30)
    assert ended.returncode == EXIT_CODE
    assert b"event_loop_stalled" in ended.stdout + ended.stderr


def test_a_loop_that_answers_is_left_alone() -> None:
    ended, loop = Event(), LoopThread()
    dog = Watchdog(loop.loop, 1.0, end=ended.set)
    dog.start()
    try:
        assert not ended.wait(1.5)
    finally:
        dog.stop()
        loop.close()


def test_a_process_that_was_suspended_is_not_taken_for_a_stalled_loop() -> None:
    """As after a machine's sleep or SIGSTOP: the first look comes late, and then the loop answers."""
    now, loop = 0.0, LoopThread()
    dog = Watchdog(loop.loop, 20.0, clock=lambda: now)
    try:
        now += 3600
        assert not dog.look()
    finally:
        loop.close()


def test_a_loop_without_an_answer_stalls_only_after_the_limit() -> None:
    now, loop = 0.0, LoopThread()
    dog = Watchdog(loop.loop, 20.0, clock=lambda: now)
    loop.loop.call_soon_threadsafe(sleep, 0.5)
    found = []
    for _ in range(25):
        now += 1.0
        found.append(dog.look())
    loop.close()
    assert found.index(True) == 20
