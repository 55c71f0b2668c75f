"""What an error or a log may show of a value: the value if it is a short word, otherwise its JSON type."""

import re
from typing import Any, Final

_WORD: Final = re.compile(r"[A-Za-z0-9_.:@/+-]{0,80}")


def is_word(text: str) -> bool:
    """Whether a text is short and has only characters of ids, names, references and paths."""
    return _WORD.fullmatch(text) is not None


def shown(value: Any) -> str:
    """Return a value if it is a short, plain word, otherwise its JSON type, as it may contain a secret."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value) if is_word(value) else f"a string of {len(value)} characters"
    return str(value) if isinstance(value, int | float) and is_word(str(value)) else json_type(value)


def json_type(value: Any) -> str:
    """Return the name of a JSON value's type, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str() | bytes():
            return "a string"
        case list() | tuple():
            return "a list"
        case _:
            return "an object"
