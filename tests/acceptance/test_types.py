"""The types that are generated for Node hold for TypeScript's own compiler."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.conftest import CACHE, ROOT
from worker.local.packages import find, require

USES: Final = "tests/support/typescript"
TYPES: Final = "docs/examples/pinacle.d.ts"
ALL_ERRORS: Final = (
    "--strict",
    "--noEmit",
    "--skipLibCheck",
    "false",
    "--module",
    "nodenext",
    "--target",
    "es2022",
)


@pytest.fixture(scope="module")
def project(scratch: Path) -> Path:
    """Install the compiler, as its lock names it, outside the repository, beside what it compiles."""
    require("node", "npm")
    root = scratch / "types"
    shutil.copytree(ROOT / USES, root / USES)
    (root / TYPES).parent.mkdir(parents=True)
    shutil.copy(ROOT / TYPES, root / TYPES)
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error")
    cache = ("--prefer-offline", f"--cache={CACHE / 'npm'}")
    subprocess.run([find("npm") or "npm", "ci", *quiet, *cache], cwd=root / USES, check=True)
    return root


def compiled(project: Path) -> str:
    """Return what the compiler finds wrong."""
    compiler = project / USES / "node_modules" / "typescript" / "bin" / "tsc"
    command = [find("node") or "node", str(compiler), *ALL_ERRORS, f"{USES}/uses.ts", TYPES]
    return subprocess.run(command, cwd=project, check=False, capture_output=True, text=True).stdout


def test_the_types_compile_and_refuse_what_is_wrong(project: Path) -> None:
    assert compiled(project) == ""


def test_a_type_that_is_missing_or_too_wide_is_an_error(project: Path) -> None:
    """So the test above can fail."""
    types = project / TYPES
    text = types.read_text()
    try:
        types.write_text(text.replace("  phase: ", "  phase: string | "))
        assert "Unused '@ts-expect-error' directive" in compiled(project)
        types.write_text(text.replace("export interface Usage ", "interface Used "))
        assert "Cannot find name 'Usage'" in compiled(project)
    finally:
        types.write_text(text)


def test_the_compiler_is_pinned_and_its_lock_names_no_address() -> None:
    lock = (ROOT / USES / "package-lock.json").read_text()
    assert "://" not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/') == 1
