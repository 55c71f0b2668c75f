"""Survivors that are known and allowed, each with the reason: `accepted.toml`."""

import ast
import io
import re
import tokenize
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_END_OF_TABLE: Final = re.compile(r"(case _: )?assert_never\([a-z_.]+\)")
_FILE: Final = Path(__file__).parent / "accepted.toml"


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed: where it is, and how the line was changed."""

    where: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.where}\n    - {self.before}\n    + {self.after}"


def reasons() -> dict[Survivor, str]:
    """Return what is allowed, and why."""
    found = tomllib.loads(_FILE.read_text()).get("survivor", [])
    return {
        Survivor(each["where"], each.get("before", ""), each.get("after", "")): each["why"] for each in found
    }


def is_out_of_reach(survivor: Survivor) -> bool:
    """Whether only the end of a table is broken, which no value reaches, as the type checker proves."""
    return _END_OF_TABLE.fullmatch(survivor.before) is not None


def is_about_words(survivor: Survivor) -> bool:
    """Whether only words of a message for people differ: tests check the names in it, not each word."""
    before, after = _tokens(survivor.before), _tokens(survivor.after)
    if before is None or after is None or len(before) != len(after):
        return False
    pairs = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    return bool(pairs) and all(
        one[0] == other[0] == tokenize.STRING and " " in one[1] and _code_in(one[1]) == _code_in(other[1])
        for one, other in pairs
    )


def _code_in(literal: str) -> list[str]:
    """Return the expressions in an f-string, without the words in them; none of any other string."""
    try:
        node = ast.parse(literal, mode="eval").body
    except SyntaxError:
        return [literal]
    values = node.values if isinstance(node, ast.JoinedStr) else []
    return [ast.dump(_Wordless().visit(value)) for value in values if isinstance(value, ast.FormattedValue)]


class _Wordless(ast.NodeTransformer):
    """Takes what separates words out of an expression, such as the string of a `join`."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Replace a string with a blank in it."""
        return ast.Constant("words") if isinstance(node.value, str) and " " in node.value else node


def _tokens(line: str) -> list[tuple[int, str]] | None:
    """Return the tokens of one line of code, None if it is only a part of a statement."""
    try:
        found = list(tokenize.generate_tokens(io.StringIO(line.strip()).readline))
    except (tokenize.TokenError, IndentationError):
        return None
    return [(token.type, token.string) for token in found]
