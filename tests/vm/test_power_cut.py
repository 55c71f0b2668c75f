"""Promise 10 at its hardest: the power is cut while callers send, and again while all containers get lost."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.clients import Callers
from tests.conftest import CACHE
from tests.vm.machine import Machine
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.packages import MACHINE, require
from worker.local.waiting import wait_until

STEADY: Final = ("steady-1", "steady-2")
OTHERS: Final = tuple(f"pod-{number}" for number in range(5))
FILES: Final = 200
WRITER: Final = """
trap 'exit 0' TERM
while :; do
  touch /var/lines
  number=$(($(wc -l < /var/lines) + 1))
  echo $number >> /var/lines
  sync /var/lines
  echo $number
  sleep 0.5 & wait
done
"""
"""Says each line after it is on the disk: what was said is acknowledged."""
SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-busybox",
    "command": ["sh", "-c", WRITER],
    "stop_timeout_s": 2,
    "init": False,
}
INSTALL: Final = """
printf '#!/bin/sh\n. /lib/greeting\n' > /bin/greet && chmod 755 /bin/greet && echo 'echo hi' > /lib/greeting
mkdir -p /usr/share/tool && cp /bin/busybox /usr/share/tool && rm /bin/yes && sync
"""
INSTALLED: Final = """
greet; cmp /bin/busybox /usr/share/tool/busybox && echo same; test -e /bin/yes || echo gone
"""
COUNT: Final = "ls /opt/many | wc -l; cat /opt/many/* | sort | uniq -c | grep -c '^ *50 '"
"""How many files there are, and how many have all of their fifty lines."""
LINES: Final = 10
"""How many lines of each steady pod are acknowledged, while callers send, before the power goes."""
PODS_TOLD_OF: Final = 3
"""For how many pods a caller has an answer by then."""
LATE_S: Final = 900.0
"""For all waiting: how fast the machine is emulated says nothing of the product."""


@pytest.fixture
def machine(scratch: Path) -> Iterator[Machine]:
    require(*MACHINE)
    folder = scratch / "vm"
    folder.mkdir()
    machine = Machine(folder, CACHE)
    yield machine
    print(machine.why_off() or "")
    machine.cut_power()


class Listener:
    """Reads what a pod says was written, until the power is cut."""

    def __init__(self, machine: Machine, pod_id: str) -> None:
        self.pod_id = pod_id
        self.last, self.heard = 0, 0
        self._process = subprocess.Popen(
            machine.docker_command("logs", "-f", "--tail", "1", f"pinacle-pod-{pod_id}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def stop(self) -> None:
        self._process.terminate()
        self._thread.join()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n") and line.strip().isdecimal():
                self.last = max(self.last, int(line))
                self.heard += 1


@pytest.mark.timeout(4 * 3600)
def test_p10_a_power_cut_loses_nothing_that_was_acknowledged(machine: Machine) -> None:
    """Twice; the second time no container is left when it boots."""
    began = monotonic()
    machine.power_on()
    print(f"first boot: {monotonic() - began:.0f} s")
    content = {f"opt/many/{number}": f"file {number}\n".encode() * 50 for number in range(FILES)}
    import_busybox(machine, files=content)
    client = Client(machine.redis_url)
    for pod_id in STEADY:
        _call(client, "create", pod_id, SPEC)
        answer = _wait_for_phase(machine, client, pod_id, "running")
        assert answer["system_volumes"] == "overlay"
        machine.docker("exec", f"pinacle-pod-{pod_id}", "sh", "-ec", INSTALL)
    client.close()
    _cut_and_check(machine, seed=1)
    _cut_and_check(machine, "pinacle.lost=containers", seed=2)
    print(f"all of it: {monotonic() - began:.0f} s")


def _cut_and_check(machine: Machine, *parameters: str, seed: int) -> None:
    listeners = [Listener(machine, pod_id) for pod_id in STEADY]
    callers = Callers(machine.redis_url, OTHERS, seed, answer_s=LATE_S)
    callers.start()
    try:
        wait_until(
            lambda: (
                len(callers.accepted) >= PODS_TOLD_OF
                and all(listener.heard >= LINES for listener in listeners)
            ),
            LATE_S,
            what=f"{LINES} lines of each pod, and answers for {PODS_TOLD_OF} pods",
            failed=machine.why_off,
        )
    finally:
        machine.cut_power()
        callers.stop()
        for listener in listeners:
            listener.stop()
    began = monotonic()
    machine.power_on(*parameters)
    booted = monotonic()
    client = Client(machine.redis_url)
    try:
        wait_until(
            lambda: _is_settled(machine, client),
            LATE_S,
            what="every pod as its intent says",
            failed=machine.why_off,
        )
        print(
            f"power cut {seed}: {dict(callers.answered)} answered; boot {booted - began:.0f} s, "
            f"settled {monotonic() - booted:.0f} s later"
        )
        _check_intents(machine, callers)
        for listener in listeners:
            _check_lines(machine, listener)
            _check_system(machine, listener.pod_id)
        _check_volumes(machine, client)
    finally:
        client.close()


def _call(client: Client, task: str, *args: Any) -> dict[str, Any]:
    """Call a task as often as it takes: a slow machine drops connections that it cannot serve in time."""
    answers: list[dict[str, Any]] = []

    def answered() -> bool:
        with suppress(OperationalError, RedisError, OSError):
            answers.append(client.call(task, *args, timeout_s=LATE_S))
        return bool(answers)

    wait_until(answered, LATE_S, what=f"an answer of pods.{task}")
    return answers[0]


def _wait_for_phase(machine: Machine, client: Client, pod_id: str, phase: str) -> dict[str, Any]:
    """Return what is recorded of a pod once it is in a phase, even if the task answered before that."""
    found: dict[str, Any] = {}

    def is_there() -> bool:
        found.update(_call(client, "get", pod_id))
        return bool(found["phase"] == phase)

    def why_never() -> str | None:
        return f"{pod_id}: {found}" if found["phase"] == "failed" else machine.why_off()

    wait_until(is_there, LATE_S, what=f"pod {pod_id} {phase}", failed=why_never)
    return found


def _is_settled(machine: Machine, client: Client) -> bool:
    """Whether each pod is as its intent says, as recorded and on the Engine.

    The record alone is from before the cut, until the first pass has looked.
    """
    pods = _call(client, "list")["pods"]
    up = machine.docker("ps", "--format", "{{.Names}}").split()
    return all(
        pod["phase"] == pod["intent"]
        and (pod["phase"] == "running") == (f"pinacle-pod-{pod['pod_id']}" in up)
        for pod in pods
    )


def _check_intents(machine: Machine, callers: Callers) -> None:
    """Check that each intent, or a newer one, is in the records: `pods.get` says nothing of a deleted pod."""
    with Redis.from_url(machine.redis_url, decode_responses=True) as redis:
        for pod_id, (generation, kind) in callers.accepted.items():
            recorded = redis.hmget(f"pinacle:pod:{pod_id}", ["intent", "state"])
            intent, state = (json.loads(str(one)) for one in recorded)
            assert intent["generation"] >= generation, f"an accepted intent of {pod_id} is lost: {intent}"
            if intent["generation"] == generation:
                assert intent["kind"] == state["phase"] == kind


def _check_lines(machine: Machine, listener: Listener) -> None:
    lines = machine.docker("exec", f"pinacle-pod-{listener.pod_id}", "cat", "/var/lines").split()
    assert lines == [str(number + 1) for number in range(len(lines))], listener.pod_id
    assert listener.last > 0
    assert len(lines) >= listener.last, f"{listener.pod_id}: {listener.last} lines were acknowledged"
    print(f"{listener.pod_id}: {listener.last} lines acknowledged before the cut, none missing")


def _check_system(machine: Machine, pod_id: str) -> None:
    """Check that what was installed into system directories is there, and what was removed is not."""
    found = machine.docker("exec", f"pinacle-pod-{pod_id}", "sh", "-c", INSTALLED).split()
    assert found == ["hi", "same", "gone"], f"{pod_id}: {found}"


def _check_volumes(machine: Machine, client: Client) -> None:
    """Check that the image's files are complete, even if the power was cut soon after they were copied."""
    listed = _call(client, "list")["pods"]
    running = [pod["pod_id"] for pod in listed if pod["phase"] == "running"]
    for pod_id in running:
        found = machine.docker("exec", f"pinacle-pod-{pod_id}", "sh", "-c", COUNT).split()
        assert found == [str(FILES)] * 2, f"{pod_id}: {found} files, and files that are whole"
    print(f"{len(running)} running pods have all {FILES} files of their image")
