"""The Lua scripts, each broken in every small way: a line left out, a condition inverted or weakened."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from worker.store import scripts

NAMES: Final = tuple(name for name in vars(scripts) if name.isupper())
_PARTS: Final = tuple(name for name in NAMES if name.startswith("_"))
_COMMENT: Final = re.compile(r"^\s*--.*\n", re.MULTILINE)
_CONDITION: Final = re.compile(r"\b(?:else)?if (?P<condition>.+?) then\b", re.DOTALL)
_STRUCTURE: Final = re.compile(r"^(?:if\b.*\bthen|for\b.*\bdo|else|end|.*\band|.*\bor)$|^--|^$", re.DOTALL)


@dataclass(frozen=True)
class LuaMutant:
    """One script, or one part that several scripts have in common, with one fault."""

    script: str
    what: str
    text: str
    source: str
    """The text without the fault, as it stands in the scripts."""

    @property
    def name(self) -> str:
        """Return its name; two mutants at similar places may have the same."""
        return f"{self.script}: {self.what}"


def mutants(script: str, source: str) -> Iterator[LuaMutant]:
    """Yield every mutant of one script, each with another fault."""
    text = _COMMENT.sub("", source)
    place = 0
    for statement in _statements(text):
        if not _STRUCTURE.match(statement.strip()):
            rest = text[place + len(statement) :]
            yield LuaMutant(script, f"without `{_short(statement)}`", text[:place] + rest, source)
        place += len(statement)
    for found in _CONDITION.finditer(text):
        start, end = found.span("condition")
        for what, other in _weaker(found["condition"]):
            name = f"`if {_short(found['condition'])}`: {what}"
            yield LuaMutant(script, name, text[:start] + other + text[end:], source)


def all_mutants() -> dict[str, LuaMutant]:
    """Return the mutants of all scripts, by name."""
    found: dict[str, LuaMutant] = {}
    for name in NAMES:
        for mutant in mutants(name, _own_text(name)):
            again = f" (again, {len(found)})" if mutant.name in found else ""
            found[f"{mutant.name}{again}"] = mutant
    return found


def broken_scripts(mutant: LuaMutant) -> dict[str, str]:
    """Return the scripts that have the fault, by name."""
    whole = {name: getattr(scripts, name) for name in NAMES}
    return {
        name: text.replace(mutant.source, mutant.text)
        for name, text in whole.items()
        if mutant.source in text
    }


def _own_text(name: str) -> str:
    """Return a script's text without the parts that it has in common with others."""
    text: str = getattr(scripts, name)
    # One part may contain another: the longest first.
    for part in sorted((getattr(scripts, part) for part in _PARTS if part != name), key=len, reverse=True):
        text = text.replace(part, "")
    return text


def _weaker(condition: str) -> Iterator[tuple[str, str]]:
    yield "turned round", f"not ({condition})"
    parts = re.split(r"(\s+(?:and|or)\s+)", condition)
    for number in range(0, len(parts) if len(parts) > 1 else 0, 2):
        # One operand is replaced by something that decides nothing.
        part = parts[number]
        around = {word.strip() for word in (*parts[:number][-1:], *parts[number + 1 : number + 2])}
        neutral = "true" if around == {"and"} else "false"
        kept = "(" * max(0, part.count("(") - part.count(")")) + neutral
        kept += ")" * max(0, part.count(")") - part.count("("))
        yield f"without `{_short(part)}`", "".join([*parts[:number], kept, *parts[number + 1 :]])
    if " > " in condition:
        yield "`>` once `>=`", condition.replace(" > ", " >= ", 1)


def _statements(text: str) -> Iterator[str]:
    """Yield the statements, each with all of its lines."""
    open_lines: list[str] = []
    for line in text.splitlines(keepends=True):
        open_lines.append(line)
        whole = "".join(open_lines)
        if whole.count("(") <= whole.count(")") and not whole.rstrip().endswith((" and", " or")):
            yield whole
            open_lines.clear()


def _short(text: str) -> str:
    return " ".join(text.split())
