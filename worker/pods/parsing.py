"""From plain JSON to a spec, or to an error that says what is wrong and what would be right."""

import difflib
from dataclasses import fields
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.tiers import TIERS
from worker.errors import InvalidInputError
from worker.pods import references
from worker.pods.layout import normal_path
from worker.pods.spec import SECRET_FIELDS, SPEC, PodSpec, PortSpec, Restart, SpecPatch
from worker.quoting import json_type, shown

_ANY_IMAGE: Final = "any"
"""Stands in for the image of a patch that has none; it is not taken from there."""
_MOST_PATHS: Final = 100
_QUOTES: Final = "'"
_KEYS: Final = tuple(f.name for f in fields(PodSpec))
_PORT_KEYS: Final = tuple(f.name for f in fields(PortSpec))
_ALLOWED: Final = {
    "image": "an image reference, such as 'debian:12-slim'",
    "command": "a list of strings",
    "env": "an object whose values are strings",
    "working_dir": "an absolute path",
    "user": "a user name or id, such as 'www-data' or '1000:1000'",
    "hostname": "1 to 63 letters, digits, '-' and '.'",
    "ports": "a list of {container, host?, protocol?, address?}",
    "container": "a port number from 1 to 65535",
    "host": "a port number from 1 to 65535",
    "protocol": "'tcp' or 'udp'",
    "address": "an IP address of the host",
    "tier": ", ".join(TIERS),
    "runtime": "the name of a runtime that the Engine lists",
    "restart": ", ".join(Restart),
    "init": "true or false",
    "stop_timeout_s": "a whole number of seconds from 0 to 600",
    "labels": "an object whose values are strings",
    "description": "a line of text, or null",
}


def parse_flag(name: str, value: object) -> bool:
    """Return `value` if it is a boolean; raises InvalidInputError otherwise."""
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name}: {shown(value)} is not allowed; allowed: true or false")
    return value


def parse_discard(value: object) -> tuple[str, ...]:
    """Return the paths in a list, as the Engine writes paths; raises InvalidInputError for anything else."""
    allowed = "allowed: a list of at most 100 absolute paths, such as ['/data', '/link']"
    if not isinstance(value, list | tuple) or len(value) > _MOST_PATHS:
        raise InvalidInputError(f"discard: {shown(value)} is not allowed; {allowed}")
    for path in value:
        if not isinstance(path, str) or not path.startswith("/") or normal_path(path) == "/" or "\0" in path:
            raise InvalidInputError(f"discard: {shown(path)} is no path of what could be given up; {allowed}")
    return tuple(sorted({normal_path(path) for path in value}))


def parse_spec(value: object) -> PodSpec:
    """Return the spec that `value`, plain JSON, describes.

    Raises InvalidInputError that names each wrong field, what was wrong and what is allowed; never with
    a secret value in it.
    """
    if value is None:
        raise InvalidInputError("spec: is missing; allowed: an object with at least 'image'")
    if not isinstance(value, dict):
        raise InvalidInputError(
            f"spec: is {json_type(value)}; allowed: an object with at least 'image', "
            'such as {"image": "debian:12-slim"}'
        )
    problems = _image_problems(value.get("image"))
    try:
        spec = SPEC.validate_python(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        problems = [_explain(detail) for detail in details] + problems
    if problems:
        # Alone it is compared with what the pod has, by `check_tier`; mistakes are reported together.
        problems += _tier_problems(value.get("tier"))
        # Without `from`: the library's text quotes the input, which may be secret.
        raise InvalidInputError("; ".join(problems)) from None
    return spec


def parse_patch(value: object) -> SpecPatch:
    """Return what `value`, plain JSON, changes in a spec: null stands for the default of a key.

    Raises InvalidInputError as `parse_spec` does, about what is given.
    """
    if not isinstance(value, dict):
        raise InvalidInputError(
            f"spec: is {json_type(value)}; allowed: an object with the keys to change, such as "
            '{"tier": "dev.large"}, or the whole spec with replace=true'
        )
    if "image" in value and value["image"] is None:
        raise InvalidInputError("spec.image: null is not allowed, as it has no default; allowed: an image")
    env = value.get("env")
    names = env if isinstance(env, dict) else {}
    defaults = frozenset(key for key, new in value.items() if new is None and key in _KEYS)
    given = {key: new for key, new in value.items() if key not in defaults}
    if isinstance(env, dict):
        given["env"] = {name: new for name, new in env.items() if new is not None}
    return SpecPatch(
        values=parse_spec({"image": _ANY_IMAGE, **given}),
        given=frozenset(given),
        defaults=defaults,
        removed=frozenset(name for name, new in names.items() if new is None),
    )


def parse_generation(value: object) -> int | None:
    """Return the generation that a pod is expected to have; raises InvalidInputError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise InvalidInputError(
        f"expected_generation: {shown(value)} is not allowed; allowed: the `generation` of an answer, or null"
    )


def read_spec(value: object) -> PodSpec:
    """Return the spec that a label holds, which was judged when it was asked for.

    Raises InvalidInputError, never with a secret value, for what is no spec at all.
    """
    try:
        return SPEC.validate_python(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        raise InvalidInputError("; ".join(_explain(detail) for detail in details)) from None


def _image_problems(image: object) -> list[str]:
    """Judge a reference here and not in the type of specs, so that every record can be read."""
    if not isinstance(image, str) or not image or references.is_reference(image):
        return []
    return [f"spec.image: {shown(image)} is not an image reference; allowed: {references.ALLOWED}"]


def check_tier(spec: PodSpec, before: PodSpec | None) -> None:
    """Refuse a tier that is not in the table, unless the pod has it already: a table changes, and pods stay.

    Raises InvalidInputError.
    """
    problems = _tier_problems(spec.tier)
    if problems and (before is None or before.tier != spec.tier):
        raise InvalidInputError(problems[0])


def _tier_problems(tier: object) -> list[str]:
    if not isinstance(tier, str) or tier in TIERS:
        return []
    return [f"spec.tier: {shown(tier)} is not a tier; allowed: {', '.join(TIERS)}"]


def _explain(detail: ErrorDetails) -> str:
    where = _location(detail["loc"])
    match detail["type"]:
        case "missing":
            return f"{where}: is missing; allowed: {_allowed(detail)}"
        case "unexpected_keyword_argument":
            return f"{where}: is not a key of the {_owner(detail)}{_nearest(detail)}"
        case "value_error":
            return f"{where}: {_quoted(detail)}{detail['ctx']['error']}"
        case _:
            return f"{where}: {_quoted(detail)}is not allowed; allowed: {_allowed(detail)}"


def _allowed(detail: ErrorDetails) -> str:
    named = [str(part) for part in detail["loc"] if part in _ALLOWED]
    return _ALLOWED[named[-1]] if named else ", ".join(_KEYS)


def _location(loc: tuple[int | str, ...]) -> str:
    path = "spec"
    for part in loc:
        if part == "[key]":
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{shown(part).strip(_QUOTES)}"
    return path


def _is_secret(detail: ErrorDetails) -> bool:
    return bool(detail["loc"]) and detail["loc"][0] in SECRET_FIELDS


def _quoted(detail: ErrorDetails) -> str:
    return "" if _is_secret(detail) else f"{shown(detail['input'])} "


def _owner(detail: ErrorDetails) -> str:
    return "spec" if len(detail["loc"]) == 1 else "port"


def _nearest(detail: ErrorDetails) -> str:
    keys = _KEYS if len(detail["loc"]) == 1 else _PORT_KEYS
    near = difflib.get_close_matches(str(detail["loc"][-1]), keys, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{hint}; allowed: {', '.join(keys)}"
