"""A plugin for pytest that puts one Lua mutant in its place in the scripts, before any store is made."""

import os

from tests.mutants.lua import all_mutants, broken_scripts
from worker.store import scripts

CHOICE = "PINACLE_LUA_MUTANT"


def pytest_configure() -> None:
    """Break what the environment names, if it names anything."""
    name = os.environ[CHOICE]
    if name:
        for script, text in broken_scripts(all_mutants()[name]).items():
            setattr(scripts, script, text)
