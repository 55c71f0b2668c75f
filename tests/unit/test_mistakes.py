"""Each ordinary mistake has a test that exists; pytest itself says which there are."""

import subprocess
import sys
from typing import Final

from tests.support.mistakes import MISTAKES
from tests.support.worker import ROOT

COUNT: Final = 36


def test_each_mistake_has_a_test() -> None:
    """By the name under which pytest collects it."""
    assert len(MISTAKES) == COUNT
    named = {node for nodes in MISTAKES.values() for node in nodes}
    files = sorted({node.partition("::")[0] for node in named})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert named <= set(done.stdout.splitlines())
    assert all(MISTAKES.values())
