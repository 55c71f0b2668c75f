"""Break the code in every small way and see whether the fast tests notice: `make mutants`.

`python -m tests.mutants [python|again|lua|report] [PATTERN…]`: patterns are names of mutants with `*`, as
mutmut has them, or parts of a Lua mutant's name. A run that was cut off goes on where it was, and functions
that have changed are done anew; `again` tries those that survived, as there may be tests by now; `report`
only counts.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mutmut.mutation.diff_apply import get_diff_for_mutant

from tests.mutants.accepted import Survivor, is_about_words, reasons
from tests.mutants.lua import all_mutants
from tests.mutants.plugin import CHOICE

_BIN: Final = Path(sys.executable).parent
_LUA_TESTS: Final = (
    "-q",
    "-x",
    # A mutant may make somebody wait for ever.
    "--timeout",
    "20",
    "-p",
    "tests.mutants.plugin",
    "-k",
    "not fake",
    "tests/contract/test_store_contract.py",
    "tests/contract/test_scripts.py",
)
_TESTS_FAILED: Final = 1
SURVIVED: Final = ("survived", "no tests")


def main(arguments: list[str]) -> int:
    """Run what is asked for; returns 1 where a survivor is not allowed."""
    what, patterns = (arguments[0], arguments[1:]) if arguments else ("all", [])
    survivors: list[Survivor] = []
    if what in ("all", "python"):
        command = [str(_BIN / "mutmut"), "run", "--max-children", "1", *patterns]
        subprocess.run(command, check=False)
    if what == "again":
        names = [name for name, end in python_ends().items() if end in SURVIVED]
        subprocess.run([str(_BIN / "mutmut"), "run", "--max-children", "1", *names], check=False)
    if what in ("all", "python", "again", "report"):
        survivors += python_survivors()
    if what in ("all", "lua"):
        survivors += lua_survivors(patterns)
    return judge(survivors)


def python_ends() -> dict[str, str]:
    """Return what became of each mutant of Python code."""
    command = [str(_BIN / "mutmut"), "results", "--all", "true"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.strip().split(": ", 1) for line in lines if ": " in line)


def python_survivors() -> list[Survivor]:
    """Count the mutants of Python code by what became of them, and return those that no test noticed."""
    ends = python_ends()
    print("Python:", _counted(ends.values()))
    return [_survivor(name) for name, end in ends.items() if end in SURVIVED]


def _survivor(name: str) -> Survivor:
    changed = [line for line in get_diff_for_mutant(name).splitlines()[2:] if line[:1] in "+-"]
    before = " ".join(line[1:].strip() for line in changed if line[0] == "-")
    after = " ".join(line[1:].strip() for line in changed if line[0] == "+")
    where = re.sub(r"__mutmut_\d+$", "", name).replace("xǁ", "").replace("ǁ", ".")
    return Survivor(re.sub(r"\bx_(?=\w)", "", where), before, after)


def lua_survivors(patterns: list[str]) -> list[Survivor]:
    """Run the store's contract tests against each mutant of a script; return those that no test noticed."""
    ends, survivors = Counter[str](), []
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
    """Run them with one mutant, or with none; returns what became of it."""
    command = [sys.executable, "-m", "pytest", *_LUA_TESTS]
    environment = {**os.environ, CHOICE: mutant}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ran.returncode == _TESTS_FAILED and " failed" in ran.stdout:
        return "killed"
    if ran.returncode == 0:
        return "survived"
    raise RuntimeError(f"{mutant}: the tests did not run: {ran.stdout[-2000:]} {ran.stderr[-2000:]}")


def judge(survivors: list[Survivor]) -> int:
    """Print the survivors that are not allowed; returns 1 if there are any."""
    known = reasons()
    words = [each for each in survivors if is_about_words(each)]
    allowed = [each for each in survivors if each in known]
    left = [each for each in survivors if each not in known and not is_about_words(each)]
    for survivor in left:
        print(f"survived: {survivor}")
    print(
        f"{len(survivors)} survivors: {len(words)} of them only words of messages, "
        f"{len(allowed)} allowed in tests/mutants/accepted.toml, {len(left)} new"
    )
    return 1 if left else 0


def _counted(ends: Iterable[str]) -> str:
    return ", ".join(f"{number} {end}" for end, number in sorted(Counter(ends).items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
