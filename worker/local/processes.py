"""Processes: what a child inherits, and finding processes by the words of their command."""

import os
from collections.abc import Collection
from typing import Final

import psutil

from worker.local.waiting import wait_until

_ENDED_S: Final = 30.0


def inherited(*, paths: str = "", **more: str) -> dict[str, str]:
    """Return this process's environment for a child, with more variables, and `paths` after its search path.

    It is only handed on: `config.settings` reads what is set.
    """
    environment = {**os.environ, **more}
    if paths:
        environment["PATH"] = f"{environment.get('PATH', '')}:{paths}"
    return environment


def commands() -> dict[psutil.Process, list[str]]:
    """Return every process with the words of its command."""
    return {process: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return the descendants of a process; none once it has ended."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def end(processes: Collection[psutil.Process]) -> None:
    """Kill them, and wait until they have ended. Raises TimeoutError after 30 s."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    wait_until(lambda: not any(map(_is_alive, processes)), _ENDED_S, what=f"end of {processes}")


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
