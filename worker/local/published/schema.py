"""`make schema`: JSON Schema and TypeScript types of the spec and the answers, of the code's own types."""

import json
import types
from pathlib import Path
from typing import Any, Final, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from worker.client import answers
from worker.local.images import ROOT
from worker.local.published.typescript import declarations
from worker.pods.spec import SPEC

Schema = dict[str, Any]
FOLDER: Final = ROOT / "docs" / "schema"
TYPES: Final = ROOT / "docs" / "examples" / "pinacle.d.ts"
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_ANSWERS: Final = (
    answers.Pod,
    answers.Preview,
    answers.Pods,
    answers.Logs,
    answers.Execution,
    answers.Stats,
    answers.Pass,
    answers.AcceptedStorage,
    answers.Renamed,
    answers.Change,
    answers.Progress,
    answers.Told,
)
_PLAIN: Final = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def generated() -> dict[Path, str]:
    """Return each file that is generated and its text."""
    spec = _without_titles(SPEC.json_schema()) | {"title": "PodSpec"}
    told = answer_schema()
    names = {**spec.pop("$defs"), "PodSpec": dict(spec)}
    return {
        FOLDER / "spec.json": _text(
            {"$schema": _DRAFT, **spec, "$defs": {n: s for n, s in names.items() if n != "PodSpec"}}
        ),
        FOLDER / "answers.json": _text(told),
        TYPES: declarations(names | told["$defs"]),
    }


def answer_schema() -> Schema:
    """Return the schema of all answers, each under `$defs`."""
    defs: Schema = {}
    for kind in _ANSWERS:
        _of(kind, defs)
    return {"$schema": _DRAFT, "title": "Answers", "$defs": defs}


def _of(kind: Any, defs: Schema) -> Schema:
    """Return the schema of a type; that of an object goes into `defs`."""
    if is_typeddict(kind):
        if kind.__name__ not in defs:
            defs[kind.__name__] = {}
            defs[kind.__name__] = _object(kind, defs)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_of(each, defs) for each in inner]}
    if origin is Literal:
        return {"type": "string", "enum": list(inner)}
    if origin is list:
        return {"type": "array", "items": _of(inner[0], defs)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(inner[1], defs)}
    return {} if kind is Any else {"type": _PLAIN[kind]}


def _object(kind: Any, defs: Schema) -> Schema:
    hints = get_type_hints(kind, include_extras=True)
    plain = {
        name: get_args(hint)[0] if get_origin(hint) is NotRequired else hint for name, hint in hints.items()
    }
    return {
        "type": "object",
        **({"description": kind.__doc__} if kind.__doc__ else {}),
        "properties": {name: _of(hint, defs) for name, hint in plain.items()},
        "required": [name for name in hints if get_origin(hints[name]) is not NotRequired],
    }


def _without_titles(schema: Any) -> Any:
    """Leave out the titles that pydantic makes of each name: they say nothing more."""
    if isinstance(schema, dict):
        kept = {k: v for k, v in schema.items() if k != "title" or not isinstance(v, str)}
        return {name: _without_titles(value) for name, value in kept.items()}
    return [_without_titles(each) for each in schema] if isinstance(schema, list) else schema


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in generated().items():
        path.write_text(text)
