"""Runs the tests of each mutant of Python code: in a fork of a process that has collected them all already.

Most mutants are noticed within milliseconds, while pytest takes more than a second to begin. mutmut makes the
mutants, keeps their results, and shows them. Run this in its folder `mutants`.
"""

import fnmatch
import json
import os
import resource
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

CONFIG: Final[dict[str, Any]] = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutmut"]
_SURVIVED, _KILLED, _NO_TESTS = 0, 1, 33
_CPU_S: Final = 5
"""What a mutant may take at least; one that goes round for ever is ended by it."""


class Loop:
    """A plugin for pytest: instead of the tests once, it runs for each mutant the tests that lead there."""

    def __init__(self, patterns: list[str], *, again: bool) -> None:
        self._patterns, self._again = patterns, again
        self._failed: set[str] = set()
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run them; True tells pytest that it was done."""
        if session.testsfailed:
            raise session.Interrupted("not all tests could be collected")
        tests, seconds = self._who_leads_where(session.items)
        by_id = {item.nodeid: item for item in session.items}
        for path in sorted(Path("worker").rglob("*.py.meta")):
            meta = json.loads(path.read_text())
            for name in self._wanted(meta["exit_code_by_key"]):
                ids = sorted(tests[name.partition("__mutmut_")[0]], key=lambda each: seconds[each])
                limit = _CPU_S + 10 * sum(seconds[each] for each in ids)
                meta["exit_code_by_key"][name] = self._end(name, [by_id[each] for each in ids], round(limit))
                # Complete at any time, as somebody may look at it meanwhile.
                whole = path.with_suffix(".new")
                whole.write_text(json.dumps(meta, indent=4))
                whole.replace(path)
        return True

    def _wanted(self, ends: dict[str, int | None]) -> Iterator[str]:
        for name, end in list(ends.items()):
            asked = not self._patterns or any(fnmatch.fnmatch(name, each) for each in self._patterns)
            if asked and (end is None or (self._again and end in (_SURVIVED, _NO_TESTS))):
                yield name

    def _who_leads_where(self, items: list[pytest.Item]) -> tuple[dict[str, list[str]], dict[str, float]]:
        """Return the tests of each function, and how long each test takes."""
        noted = Path("tests-of-functions.json")
        if _fork(lambda: noted.write_text(json.dumps(self._note_functions(items))), None):
            raise RuntimeError("tests fail without any mutant: see to them first")
        tests, seconds = json.loads(noted.read_text())
        return defaultdict(list, tests), seconds

    def _note_functions(self, items: list[pytest.Item]) -> tuple[dict[str, list[str]], dict[str, float]]:
        tests = defaultdict(list)
        set_mutant_under_test("stats")
        for item in items:
            state()._stats.clear()
            # Again: a test that depends on a clock may fail on a machine that is busy with mutants.
            if self._fails([item]) and self._fails([item]):
                raise RuntimeError(f"{item.nodeid} fails without any mutant")
            for function in state()._stats:
                tests[function].append(item.nodeid)
        return tests, self._seconds

    def _end(self, mutant: str, items: list[pytest.Item], cpu_s: int) -> int:
        if not items:
            return _NO_TESTS
        began = time.monotonic()

        def run() -> None:
            set_mutant_under_test(mutant)
            sys.exit(_KILLED if self._fails(items) else _SURVIVED)

        end = _fork(run, cpu_s)
        print(f"{end} {time.monotonic() - began:.1f} {mutant}", file=sys.__stderr__, flush=True)
        return end

    def _fails(self, items: list[pytest.Item]) -> bool:
        for number, item in enumerate(items):
            # Fixtures of a module end with its last test.
            following = items[number + 1] if number + 1 < len(items) else None
            self._failed.discard(item.nodeid)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.nodeid in self._failed:
                return True
        return False


def _fork(do: Any, cpu_s: int | None) -> int:
    """Do something in a fork; return its exit code, less than zero for a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        if cpu_s is not None:
            os.dup2(silence, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        do()
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException as error:  # noqa: BLE001 - whatever it is, a fork must not go on as its parent
        print(repr(error), file=sys.__stderr__)
    finally:
        os._exit(code)


def main(arguments: Iterable[str]) -> int:
    """Run those whose names match one of the patterns, or all; `again` first: also those that survived."""
    patterns = [each for each in arguments if each != "again"]
    options = [
        "-q",
        "--capture=no",
        *CONFIG["pytest_add_cli_args"],
        *CONFIG["pytest_add_cli_args_test_selection"],
    ]
    return int(pytest.main(options, plugins=[Loop(patterns, again="again" in arguments)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
