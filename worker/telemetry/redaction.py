"""A task's arguments as others may see them: in worker events, `inspect`, Flower and logs."""

from dataclasses import fields
from typing import Any, Final

from worker.pods.spec import SECRET_FIELDS, PodSpec, PortSpec
from worker.quoting import is_word

_MASK: Final = "***"
_OPEN_KEYS: Final = frozenset(each.name for each in (*fields(PodSpec), *fields(PortSpec))) - SECRET_FIELDS
_WORDS: Final = "command"
"""The one open key whose value is not made of plain words: a list of strings, as a shell takes them."""


def redacted(value: Any) -> Any:
    """Return plain JSON in which everything is masked that is neither a short word nor an open key of a spec.

    The names in what is secret stay, such as those in `env`. A misspelt key is masked with its value, as a
    secret one may be meant. A text that is no word is masked too, as it may be a whole spec.
    """
    match value:
        case dict():
            return {_key(key): _redacted_item(str(key), item) for key, item in value.items()}
        case list() | tuple():
            return [redacted(item) for item in value]
        case str():
            return value if is_word(value) else _MASK
        case _:
            return value


def _key(key: Any) -> str:
    return str(key) if is_word(str(key)) else _MASK


def _redacted_item(key: str, item: Any) -> Any:
    if key == _WORDS and isinstance(item, list) and all(isinstance(word, str) for word in item):
        return item
    if key in _OPEN_KEYS:
        return redacted(item)
    if key in SECRET_FIELDS and isinstance(item, dict):
        return dict.fromkeys(map(_key, item), _MASK)
    return _MASK


def redacted_arguments(args: Any, kwargs: Any) -> tuple[str, str]:
    """Return the `repr` of a task's positional and keyword arguments, redacted."""
    named = kwargs if isinstance(kwargs, dict) else {}
    return repr(redacted(list(args or ()))), repr(
        {_key(name): redacted(item) for name, item in named.items()}
    )
