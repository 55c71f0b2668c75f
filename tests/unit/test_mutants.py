"""What `make mutants` breaks, and which survivors it allows. Both are given by names, which may change."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

from tests.mutants.accepted import Survivor, is_about_words, is_out_of_reach, reasons
from tests.mutants.lua import NAMES, all_mutants, broken_scripts
from tests.mutants.typed import refused
from worker.store import scripts

ROOT: Final = Path(__file__).parents[2]
PATTERNS: Final[list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"][
    "only_mutate"
]
SOURCES: Final = [str(path.relative_to(ROOT)) for path in (ROOT / "worker").rglob("*.py")]


def test_all_of_the_planner_is_broken() -> None:
    """The modules of a package, and those in its folders."""
    planner = [path for path in SOURCES if path.startswith(("worker/planner/", "worker/pods/"))]
    assert planner
    assert [path for path in planner if not any(fnmatch(path, pattern) for pattern in PATTERNS)] == []


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_finds_something(pattern: str) -> None:
    """Otherwise a module that moved would no longer be tested, and nobody would notice."""
    assert any(fnmatch(path, pattern) for path in SOURCES)


@pytest.mark.parametrize("survivor", reasons(), ids=lambda each: each.where)
def test_an_allowed_survivor_is_of_code_that_exists(survivor: Survivor) -> None:
    """Otherwise it could one day allow what nobody looked at."""
    if survivor.where in NAMES:
        assert any(
            (each.script, each.what) == (survivor.where, survivor.after) for each in all_mutants().values()
        )
        return
    parts = survivor.where.split(".")
    module = max(
        (
            path
            for path in SOURCES
            if survivor.where.startswith(path.removesuffix(".py").replace("/", ".") + ".")
        ),
        key=len,
    )
    text = (ROOT / module).read_text()
    assert f"def {parts[-1]}(" in text
    assert survivor.before in " ".join(text.split())


def test_a_part_of_scripts_is_broken_in_each_that_has_it() -> None:
    """Nobody runs the text of a part alone."""
    for mutant in all_mutants().values():
        broken = broken_scripts(mutant)
        assert any(not name.startswith("_") for name in broken)
        assert all(text != getattr(scripts, name) for name, text in broken.items())


def test_what_the_type_checker_refuses_is_distinguished_from_errors_in_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "mutants" / "worker" / "some.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        "def x_f__mutmut_orig(a):\n    return a\n"
        "def x_f__mutmut_1(a):\n    return a\n"
        "def x_f__mutmut_2(a):\n    return None\n"
        "class C:\n    def x\u01c1C\u01c1g__mutmut_3(self):\n        pass\n"
    )
    monkeypatch.chdir(tmp_path)
    errors = [(2, "no annotation"), (4, "no annotation"), (6, "no annotation"), (6, "got None"), (9, "more")]
    found = set(refused(Path("worker/some.py"), errors))
    assert found == {"worker.some.x_f__mutmut_2", "worker.some.x\u01c1C\u01c1g__mutmut_3"}


def test_only_the_end_of_a_table_is_out_of_reach() -> None:
    for before in ("assert_never(step)", "case _: assert_never(intent.kind)"):
        assert is_out_of_reach(Survivor("worker.a", before, ""))
    for before in ("case _: return None", "case NoteLost(): assert_never(step)", "do(assert_never(step))"):
        assert not is_out_of_reach(Survivor("worker.a", before, ""))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('say("one word")', 'say("XXone wordXX")', True),
        ('say("word")', 'say("XXwordXX")', False),
        ('say(f"a {name} of it")', 'say(f"XXa {name} of itXX")', True),
        ('say(f"a {name} of it")', 'say(f"a {None} of it")', False),
        ('say(f"a {id[:12]} of it")', 'say(f"a {id[:13]} of it")', False),
        ("""say(f"all {', '.join(names)}")""", """say(f"all {'XX, XX'.join(names)}")""", True),
        ("""say(f"all {','.join(names)}")""", """say(f"all {'XX,XX'.join(names)}")""", False),
        ('say("one word", 1)', 'say("one word", 2)', False),
    ],
)
def test_words_are_what_stands_around_the_code_of_a_message(before: str, after: str, expected: bool) -> None:
    assert is_about_words(Survivor("worker.a", before, after)) is expected
