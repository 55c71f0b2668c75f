"""A pod with PostgreSQL, and clients that note outside the pod what it acknowledged."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from tests.support.pods import Pod
from worker.local.images import import_debian
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine

_DATA: Final = "/var/lib/postgresql/data"
_BIN: Final = "/usr/lib/postgresql/15/bin"
_AS_POSTGRES: Final = "setpriv --reuid=postgres --regid=postgres --clear-groups"
_RUN: Final = f"""
if ! [ -e {_DATA}/PG_VERSION ]; then
    chown postgres:postgres {_DATA}
    {_AS_POSTGRES} {_BIN}/initdb --pgdata={_DATA} --auth=trust
fi
exec {_AS_POSTGRES} {_BIN}/postgres -D {_DATA} -k /tmp -c listen_addresses= -c shared_buffers=32MB
"""
SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-postgresql",
    "command": ["sh", "-ec", _RUN],
    "stop_timeout_s": 20,
}
_PSQL: Final = ("psql", "-h", "/tmp", "-U", "postgres", "-qAt", "-v", "ON_ERROR_STOP=1")


def import_postgresql(engine: PrivateEngine, cache: Path) -> str:
    """Make an image like PostgreSQL's published one, from Debian's packages; return its name."""
    changes = (f"VOLUME {_DATA}",)
    return import_debian(engine, cache, "pinacle-postgresql", packages=("postgresql",), changes=changes)


class Database:
    """What runs in the pod."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod

    def ask(self, query: str) -> str:
        """Return the answer to a query."""
        return self.pod.engine.docker("exec", self.pod.container, *_PSQL, "-c", query).rstrip("\n")

    def answers(self) -> bool:
        try:
            return self.ask("select 1") == "1"
        except Exception:  # noqa: BLE001 - whatever is in the way, it does not answer
            return False

    def prepare(self) -> None:
        """Make the tables."""
        self.pod.sh(f"{_BIN}/pgbench -h /tmp -U postgres -q -i -s 1 postgres 2>&1")
        self.ask("create table journal (number bigint primary key)")

    def begin_load(self) -> None:
        """Let pgbench work as long as the container lives."""
        load = f"exec {_BIN}/pgbench -h /tmp -U postgres -n -c 2 -T 600 postgres"
        self.pod.engine.docker("exec", "-d", self.pod.container, "sh", "-c", load)

    def numbers(self) -> set[int]:
        """Return what is in the journal's table."""
        return {int(line) for line in self.ask("select number from journal").split()}

    def sums(self) -> list[str]:
        """Return four sums that pgbench keeps equal with each transaction."""
        return self.ask(
            "select (select sum(abalance) from pgbench_accounts),"
            " (select sum(tbalance) from pgbench_tellers),"
            " (select sum(bbalance) from pgbench_branches),"
            " (select sum(delta) from pgbench_history)"
        ).split("|")

    def transactions(self) -> int:
        """Return how many transactions of pgbench there are."""
        return int(self.ask("select count(*) from pgbench_history"))


class Journal(Thread):
    """A client that inserts numbers, and notes on this machine's disk those that were acknowledged."""

    def __init__(self, pod: Pod, file: Path, number: int) -> None:
        super().__init__(name=f"journal {number}")
        self._pod, self._file = pod, file
        self._next = number * 10**9
        self._done = Event()
        self.acknowledged: list[int] = []

    def run(self) -> None:
        """Insert until the test ends it, whatever happens to the pod."""
        with self._file.open("a") as file:
            while not self._done.is_set():
                with self._session() as session:
                    while not self._done.is_set() and self._insert(session):
                        file.write(f"{self._next}\n")
                        file.flush()
                        os.fsync(file.fileno())
                        self.acknowledged.append(self._next)
                self._done.wait(0.1)

    def end(self) -> None:
        self._done.set()
        self.join(30)

    def _insert(self, session: "subprocess.Popen[str]") -> bool:
        """Insert the next number; return whether that was acknowledged."""
        self._next += 1
        assert session.stdin is not None
        assert session.stdout is not None
        try:
            words = ("insert into journal values", f"({self._next});\n\\echo {self._next}\n")
            session.stdin.write(" ".join(words))
            session.stdin.flush()
        except BrokenPipeError:
            return False
        return session.stdout.readline() == f"{self._next}\n"

    @contextmanager
    def _session(self) -> Iterator["subprocess.Popen[str]"]:
        command = (find("docker") or "docker", "-H", self._pod.engine.url)
        session = subprocess.Popen(
            [*command, "exec", "-i", self._pod.container, *_PSQL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield session
        finally:
            session.kill()
            # Even if what was written last can no longer be sent.
            session.communicate()
