"""Looking into pods, by tasks and by the command line: what they print, commands, a shell, files."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT
from typing import Any, Final
from uuid import uuid4

import pexpect
import pytest
from redis import Redis

from tests.support.commands import Pinacle
from tests.support.pods import Pod
from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

CANARY: Final = "canary-inside-77aa"
SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-busybox",
    "stop_timeout_s": 1,
    "env": {"TOKEN": CANARY, "DEBUG": "1"},
    "command": ["sh", "-c", "echo one; echo token=$TOKEN; echo three >&2; trap exit TERM; sleep 1000 & wait"],
}
_S: Final = 30


@pytest.fixture(scope="module")
def pod(client: Client, engine: PrivateEngine, busybox: str) -> Iterator[Pod]:
    with Pod.running(client, engine, "inside", SPEC) as pod:
        wait_until(lambda: "three" in pod.call("logs")["output"], _S, what="three lines")
        yield pod


@pytest.fixture(scope="module")
def pinacle(client: Client, settings: dict[str, str]) -> Pinacle:
    return Pinacle(settings)


def test_what_a_pod_printed_is_returned_with_its_env_masked(pod: Pod) -> None:
    answer = pod.call("logs")
    assert sorted(answer["output"].splitlines()) == ["one", "three", "token=***"]
    assert (answer["pod_id"], answer["truncated"]) == ("inside", False)
    assert len(pod.call("logs", tail=1)["output"].splitlines()) == 1
    assert pod.call("logs", since="2999-01-01T00:00:00Z")["output"] == ""


def test_a_command_runs_and_its_end_is_reported(pod: Pod) -> None:
    answer = pod.call("exec", ["sh", "-c", "echo out; echo $TOKEN >&2; exit 7"])
    assert {key: answer[key] for key in ("exit_code", "timed_out", "truncated", "stdout", "stderr")} == {
        "exit_code": 7,
        "timed_out": False,
        "truncated": False,
        "stdout": "out\n",
        "stderr": "***\n",
    }
    assert pod.call("exec", ["id", "-u"], user="1234")["stdout"] == "1234\n"


def test_a_command_that_takes_longer_goes_on(pod: Pod) -> None:
    """Nobody can say what half of it would have done."""
    answer = pod.call("exec", ["sh", "-c", "echo begun; sleep 3; touch /root/done"], None, 0.5)
    assert (answer["exit_code"], answer["timed_out"], answer["stdout"]) == (None, True, "begun\n")
    wait_until(lambda: "done" in pod.sh("ls /root"), _S, what="the rest of it")


def lines(pod: Pod) -> tuple[bool, int]:
    printed = pod.call("logs", tail=10_000)
    return printed["truncated"], printed["output"].count("0123456789\n")


def length(pod: Pod) -> tuple[bool, int]:
    printed = pod.call("logs", tail=10_000)
    return printed["truncated"], len(printed["output"])


def test_much_output_is_cut_and_no_end_of_it_ends_the_task(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    with Pod.running(client, engine, "loud", SPEC) as pod:
        answer = pod.call("exec", ["sh", "-c", "yes | head -c 1000000"])
        assert (answer["exit_code"], answer["truncated"], len(answer["stdout"])) == (0, True, 128_000)
        assert "prints more than" in client.error("exec", pod.id, ["yes"])
        pod.sh("killall yes; yes 0123456789 | head -c 1000000 >/proc/1/fd/1")
        # The Engine writes its log a little later, and begins a new file now and then.
        wait_until(lambda: lines(pod) == (False, 10_000), 20, what="all lines that were asked for")
        pod.sh("yes 0123456789012345678901234567890123456789 | head -c 1000000 >/proc/1/fd/1")
        wait_until(lambda: length(pod) == (True, 128_000), 20, what="more output than is returned")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/nosuchprogram"], "nosuchprogram"),
        (["/etc"], "/etc"),
    ],
)
def test_a_program_that_cannot_run_is_reported_as_by_a_shell(
    pod: Pod, command: list[str], words: str
) -> None:
    answer = pod.call("exec", command)
    assert answer["exit_code"] in (126, 127)
    assert words in answer["stdout"] + answer["stderr"]


def test_a_user_who_does_not_exist_is_reported_likewise(pod: Pod) -> None:
    answer = pod.call("exec", ["id"], user="nobody-of-this-name")
    assert answer["exit_code"] == 126
    assert "nobody-of-this-name" in answer["stdout"] + answer["stderr"]


def test_a_message_that_comes_again_runs_nothing(pod: Pod, pod_worker: WorkerProcess) -> None:
    """Not even by another sender under the same id: what it did once may do harm twice."""
    task_id, command = uuid4().hex, ["sh", "-c", "echo ran >>/root/runs"]
    assert pod.client.receive(pod.client.send("exec", pod.id, command, task_id=task_id))["exit_code"] == 0
    pod.client.forget(pod.client.send("exec", pod.id, command, task_id=task_id))
    wait_until(
        lambda: f"outcome_unknown: the command of task {task_id}" in pod_worker.text(), _S, what="a refusal"
    )
    assert pod.sh("cat /root/runs") == "ran"


def test_nothing_that_a_pod_printed_is_shown_to_others(
    pod: Pod, redis_server: RedisServer, pod_worker: WorkerProcess
) -> None:
    """Neither in worker events nor in the log; the answer itself is kept for minutes."""
    secret = uuid4().hex
    sent = pod.client.send("exec", pod.id, ["echo", secret])
    assert pod.client.receive(sent)["stdout"] == f"{secret}\n"
    assert secret not in pod_worker.text()
    with Redis.from_url(redis_server.url) as redis:
        assert 0 < redis.ttl(f"celery-task-meta-{sent.id}") <= 600


def test_a_question_about_nothing_that_exists_is_refused(pod: Pod) -> None:
    client = pod.client
    assert "does not exist" in client.error("logs", "nobody")
    assert "does not exist" in client.error("exec", "nobody", ["ls"])
    assert "tail" in client.error("logs", pod.id, tail=0)
    assert CANARY not in client.error("exec", pod.id, f"echo {CANARY}")


def test_a_stopped_pod_shows_its_last_words_and_runs_nothing(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    with Pod.running(client, engine, "silent", SPEC) as pod:
        wait_until(lambda: "one" in pod.call("logs")["output"], _S, what="a line")
        pod.call("stop")
        assert "one" in pod.call("logs")["output"]
        assert "pods.start" in client.error("exec", "silent", ["ls"])


def test_many_commands_in_one_pod_leave_threads_for_others(pod: Pod) -> None:
    sent = [pod.client.send("exec", pod.id, ["sleep", "2"]) for _ in range(6)]
    outcomes = []
    for one in sent:
        try:
            outcomes.append(str(pod.client.receive(one)["exit_code"]))
        except Exception as error:  # noqa: BLE001 - its class is made by Celery, from its name
            outcomes.append(type(error).__name__)
    assert outcomes.count("0") == 4
    assert outcomes.count("PodBusyError") == 2


def test_the_command_line_shows_logs_and_runs_commands(pinacle: Pinacle, pod: Pod) -> None:
    assert "token=***" in pinacle("pods", "logs", pod.id, "--tail", "10000").out
    done = pinacle("pods", "exec", pod.id, "sh", "-c", "echo out; echo err >&2; exit 3", code=3)
    assert (done.out, done.err) == ("out\n", "err\n")
    assert pinacle("pods", "exec", "--json", pod.id, "ls", "-d", "/etc").json()["stdout"] == "/etc\n"
    late = pinacle("pods", "exec", "--within", "0.5", pod.id, "sleep", "2", code=3)
    assert "goes on in the pod" in late.err


def test_a_command_reads_what_is_piped_into_it(pinacle: Pinacle, pod: Pod) -> None:
    done = pinacle("pods", "shell", pod.id, "sh", "-c", "cat; echo err >&2; exit 5", stdin="typed\n", code=5)
    assert (done.out, done.err) == ("typed\n", "err\n")


def test_a_shell_is_a_terminal(pinacle: Pinacle, pod: Pod) -> None:
    """Its size follows the person's, Ctrl-C ends what runs in it and not the shell, its exit code is ours."""
    with pexpect.spawn(
        sys.executable,
        ["-m", "worker.cli", "pods", "shell", pod.id],
        cwd=str(ROOT),
        env={**os.environ, **pinacle.settings, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        dimensions=(31, 97),
        encoding="utf-8",
        timeout=_S,
    ) as terminal:
        terminal.expect("[#$] ")
        terminal.sendline("stty size")
        terminal.expect("31 97")
        terminal.setwinsize(40, 120)
        terminal.sendline('until stty size | grep -q "40 120"; do sleep 0.1; done; echo size$((1+2))')
        terminal.expect("size3")
        terminal.sendline("sleep 777")
        wait_until(lambda: "sleep 777" in pod.sh("ps"), _S, what="a program that runs")
        terminal.sendcontrol("c")
        terminal.sendline("echo still-$((1+1))")
        terminal.expect("still-2")
        terminal.sendline("exit 9")
        terminal.expect(pexpect.EOF)
        assert terminal.wait() == 9


def test_logs_are_followed(pinacle: Pinacle, pod: Pod) -> None:
    with pinacle.begun("pods", "logs", "-f", "--tail", "1", pod.id) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pod.sh("echo later >/proc/1/fd/1")
        assert any("later" in process.stdout.readline() for _ in range(3))
        process.send_signal(SIGINT)
        assert process.wait(_S) == 130


def test_files_are_copied_both_ways(pinacle: Pinacle, pod: Pod, tmp_path: Path) -> None:
    """Into a directory that is there under their own names, else under the one that is given."""
    folder = tmp_path / "site"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "page").write_text("hello")
    pinacle("pods", "cp", str(folder), f"{pod.id}:/srv")
    pinacle("pods", "cp", str(folder / "inner" / "page"), f"{pod.id}:/srv/other")
    assert pod.sh("cat /srv/site/inner/page /srv/other; stat -c %u:%g /srv/other") == "hellohello0:0"
    back = tmp_path / "back"
    back.mkdir()
    pinacle("pods", "cp", f"{pod.id}:/srv/site", str(back))
    pinacle("pods", "cp", f"{pod.id}:/srv/site/inner/page", str(back / "mine"))
    assert (back / "site" / "inner" / "page").read_text() == (back / "mine").read_text() == "hello"
    assert "already" in pinacle("pods", "cp", f"{pod.id}:/srv/site", str(back), code=1).err
    assert "no /nowhere" in pinacle("pods", "cp", f"{pod.id}:/nowhere", str(back), code=1).err
    assert "one of the two" in pinacle("pods", "cp", "a", "b", code=2).err


@pytest.mark.parametrize(
    "words", [("shell", "inside", "ls"), ("logs", "-f", "inside"), ("cp", "inside:/etc", ".")]
)
def test_without_the_engine_the_host_to_go_to_is_named(
    pinacle: Pinacle, pod: Pod, engine: PrivateEngine, words: tuple[str, ...]
) -> None:
    away = Pinacle({**pinacle.settings, "DOCKER_HOST": "unix:///nowhere/docker.sock"})
    done = away("pods", *words, code=4)
    assert re.search(r"run this on host \S+, with that host's DOCKER_HOST", done.err), done
    assert json.dumps(done.err).count("Traceback") == 0
