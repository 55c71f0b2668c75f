"""Mutants that need no test: the type checker refuses them, and so `make check` fails."""

import ast
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_COMMAND: Final = (sys.executable, "-m", "mypy", "--output", "json", "worker")
_OF_THE_TOOL: Final = frozenset({"ignore-without-code", "unused-ignore", "no-redef", "has-type"})
"""What mypy has against the code around mutants, and against so many functions that are alike."""
_MARK: Final = "__mutmut_"


def refused_by_types() -> frozenset[str]:
    """Return the names of the mutants in `mutants/` in which mypy finds errors that the original lacks."""
    found = subprocess.run(_COMMAND, cwd="mutants", check=False, capture_output=True, text=True).stdout
    errors = [json.loads(line) for line in found.splitlines() if line.startswith("{")]
    by_path = defaultdict[str, list[tuple[int, str]]](list)
    for error in errors:
        if error["severity"] == "error" and error["code"] not in _OF_THE_TOOL:
            by_path[error["file"]].append((error["line"], error["message"]))
    return frozenset(name for path, lines in by_path.items() for name in refused(Path(path), lines))


def refused(path: Path, errors: list[tuple[int, str]]) -> Iterator[str]:
    """Yield those of one module, given its path in `mutants/` and mypy's errors there: lines and messages."""
    functions = list(_functions(ast.parse((Path("mutants") / path).read_text())))
    said = defaultdict[str, set[str]](set)
    for line, message in errors:
        for function in functions:
            if function.lineno <= line <= (function.end_lineno or 0):
                said[function.name].add(message)
    module = ".".join(path.with_suffix("").parts)
    for name, messages in said.items():
        original = f"{name.rpartition(_MARK)[0]}{_MARK}orig"
        if name != original and messages - said.get(original, set()):
            yield f"{module}.{name}"


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in tree.body:
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and _MARK in each.name:
                yield each
