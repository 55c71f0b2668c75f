"""Break the code in every small way and see whether the fast tests notice: `make mutants`.

`python -m tests.mutants [python|again|lua|report] [PATTERN…]`: patterns are names of mutants with `*`, as
mutmut has them, or parts of a Lua mutant's name. A run that was cut off goes on where it was, and functions
that have changed are done again. `again` tries those that survived, as there may be new tests. `report` only
counts.
"""

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil
import pytest
from mutmut.__main__ import create_mutants
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir

from tests.mutants import plugin
from tests.mutants.accepted import Survivor, is_about_words, is_out_of_reach, reasons
from tests.mutants.lua import all_mutants
from tests.mutants.typed import refused_by_types

_BIN: Final = Path(sys.executable).parent
_LUA_TESTS: Final = (
    "-q",
    "-x",
    # A mutant may cause an endless wait.
    "--timeout",
    "20",
    "-k",
    "not fake",
    "tests/contract/test_scripts.py",
    "tests/contract/test_store_contract.py",
)
_LUA_TESTS_S: Final = 120
"""If a test waits for ever, what cleans up after it may do so too."""
SURVIVED: Final = ("survived", "no tests")


def main(arguments: list[str]) -> int:
    """Run what is asked for; return 1 if a survivor is not allowed."""
    what, patterns = (arguments[0], arguments[1:]) if arguments else ("all", [])
    survivors: list[Survivor] = []
    if what in ("all", "python", "again"):
        run_python(patterns, again=what == "again")
    if what in ("all", "python", "again", "report"):
        survivors += python_survivors()
    if what in ("all", "lua"):
        survivors += lua_survivors(patterns)
    return judge(survivors)


def run_python(patterns: list[str], *, again: bool) -> None:
    """Make the mutants that do not exist yet, and run their tests."""
    make_mutants()
    command = [sys.executable, "-m", "tests.mutants.forks", *(["again"] if again else []), *patterns]
    subprocess.run(command, check=True, cwd="mutants")


def make_mutants() -> None:
    """Write `mutants/`: the project with all mutants in it, and the results of unchanged ones."""
    set_mutant_under_test("mutant_generation")
    shutil.rmtree("mutants/tests", ignore_errors=True)
    Path("mutants").mkdir(exist_ok=True)
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(max_children=1)


def python_ends() -> dict[str, str]:
    """Return the result for each mutant of Python code."""
    command = [str(_BIN / "mutmut"), "results", "--all", "true"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.strip().split(": ", 1) for line in lines if ": " in line)


def python_survivors() -> list[Survivor]:
    """Count the mutants of Python code by result, and return those that no test noticed."""
    ends = python_ends()
    by_module = defaultdict[str, list[str]](list)
    for name, end in ends.items():
        by_module[name.rpartition(".")[0]].append(end)
    for module, its_ends in sorted(by_module.items()):
        print(f"{module}: {_counted(its_ends)}")
    print("Python:", _counted(ends.values()))
    survived = {name for name, end in ends.items() if end in SURVIVED}
    typed = survived & refused_by_types()
    print(f"The type checker refuses {len(typed)} of the {len(survived)} that no test noticed")
    return [_survivor(name) for name in sorted(survived - typed)]


def _survivor(name: str) -> Survivor:
    changed = [line for line in get_diff_for_mutant(name).splitlines()[2:] if line[:1] in "+-"]
    before = " ".join(line[1:].strip() for line in changed if line[0] == "-")
    after = " ".join(line[1:].strip() for line in changed if line[0] == "+")
    where = re.sub(r"__mutmut_\d+$", "", name).replace("xǁ", "").replace("ǁ", ".")
    return Survivor(re.sub(r"\bx_(?=\w)", "", where), before, after)


def lua_survivors(patterns: list[str]) -> list[Survivor]:
    """Run the store's contract tests against each mutant of a script; return those that no test noticed."""
    ends, survivors = Counter[str](), []
    # Importing takes longer than most of the tests, so the forks that run them begin after the imports.
    os.environ[plugin.CHOICE] = ""
    pytest.main(["--collect-only", "-qq", *_LUA_TESTS], plugins=[plugin])
    if _contract_tests("") != "survived":
        raise RuntimeError("the store's contract tests fail without any mutant: see to them first")
    for name, mutant in all_mutants().items():
        if patterns and not any(pattern in name for pattern in patterns):
            continue
        end = _contract_tests(name)
        if end == "survived":
            survivors.append(Survivor(mutant.script, "", mutant.what))
        print(f"{end}: {name}", flush=True)
        ends[end] += 1
    print("Lua:", _counted(ends.elements()))
    return survivors


def _contract_tests(mutant: str) -> str:
    """Run them with one mutant, or with none; return the result."""
    with tempfile.TemporaryFile("w+") as said:
        child = multiprocessing.get_context("fork").Process(target=_run_tests, args=(mutant, said.fileno()))
        child.start()
        child.join(_LUA_TESTS_S)
        if child.is_alive():
            for each in (*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)):
                each.kill()
            child.join()
            return "killed"
        said.seek(0)
        text = said.read()
    if child.exitcode == pytest.ExitCode.TESTS_FAILED and " failed" in text:
        return "killed"
    if child.exitcode == pytest.ExitCode.OK:
        return "survived"
    raise RuntimeError(f"{mutant}: the tests did not run: {text[-4000:]}")


def _run_tests(mutant: str, said: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        os.dup2(said, stream.fileno())
    os.environ[plugin.CHOICE] = mutant
    sys.exit(pytest.main([*_LUA_TESTS], plugins=[plugin]))


def judge(survivors: list[Survivor]) -> int:
    """Print the survivors that are not allowed; return 1 if there are any."""
    known = reasons()
    words = [each for each in survivors if is_about_words(each)]
    allowed = [each for each in survivors if each in known]
    ends = [each for each in survivors if is_out_of_reach(each)]
    left = [each for each in survivors if each not in {*known, *words, *ends}]
    for survivor in left:
        print(f"survived: {survivor}")
    print(
        f"{len(survivors)} survivors: {len(words)} of them only words of messages, "
        f"{len(ends)} of ends of tables that nothing reaches, "
        f"{len(allowed)} allowed in tests/mutants/accepted.toml, {len(left)} new"
    )
    return 1 if left else 0


def _counted(ends: Iterable[str]) -> str:
    return ", ".join(f"{number} {end}" for end, number in sorted(Counter(ends).items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
