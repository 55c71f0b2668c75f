"""A task's arguments as others may see them: in worker events, `inspect`, Flower and logs."""

from dataclasses import fields
from typing import Any, Final

from worker.pods.spec import PodSpec

_MASK: Final = "***"
_OPEN_KEYS: Final = frozenset(field.name for field in fields(PodSpec)) - {"env"}


def redacted(value: Any) -> Any:
    """Return plain JSON with everything masked in its objects that is not a known, open key of a spec.

    Names of `env` stay; a misspelt key is masked whole, as it may hold what `env` was to hold.
    """
    match value:
        case dict():
            return {str(key): _redacted_item(str(key), item) for key, item in value.items()}
        case list() | tuple():
            return [redacted(item) for item in value]
        case _:
            return value


def _redacted_item(key: str, item: Any) -> Any:
    if key in _OPEN_KEYS:
        return item
    if key == "env" and isinstance(item, dict):
        return dict.fromkeys(map(str, item), _MASK)
    return _MASK


def redacted_arguments(args: Any, kwargs: Any) -> tuple[str, str]:
    """Return the `repr` of positional and keyword arguments of a task, redacted."""
    named = kwargs if isinstance(kwargs, dict) else {}
    return repr(redacted(list(args or ()))), repr({name: redacted(item) for name, item in named.items()})
