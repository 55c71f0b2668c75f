"""A plugin for pytest that puts one Lua mutant in the place of its script, before any store is made."""

import os

from tests.mutants.lua import all_mutants
from worker.store import scripts

CHOICE = "PINACLE_LUA_MUTANT"


def pytest_configure() -> None:
    """Break the script that the environment names, if it names one."""
    name = os.environ[CHOICE]
    if name:
        mutant = all_mutants()[name]
        setattr(scripts, mutant.script, mutant.text)
