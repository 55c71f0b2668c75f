"""Whether an answer is as the published schema says, as far as our schemas go."""

import json
from pathlib import Path
from typing import Any, Final

SCHEMAS: Final = Path(__file__).parents[2] / "docs" / "schema"
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


def mistakes(answer: object, name: str) -> list[str]:
    """Return what of an answer is not as the schema of this name says; a key that it lacks counts as well."""
    defs = json.loads((SCHEMAS / "answers.json").read_text())["$defs"]
    return _mistakes(answer, {"$ref": f"#/$defs/{name}"}, defs, name)


def _mistakes(value: Any, schema: dict[str, Any], defs: dict[str, Any], at: str) -> list[str]:
    if "$ref" in schema:
        return _mistakes(value, defs[schema["$ref"].rpartition("/")[2]], defs, at)
    if "anyOf" in schema:
        tried = [_mistakes(value, each, defs, at) for each in schema["anyOf"]]
        return min(tried, key=len)
    if "type" in schema:
        is_other = isinstance(value, bool) and schema["type"] != "boolean"
        if is_other or not isinstance(value, _KINDS[schema["type"]]):
            return [f"{at} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at} is none of {schema['enum']}"]
    found: list[str] = []
    if isinstance(value, list) and "items" in schema:
        found += [
            m for i, each in enumerate(value) for m in _mistakes(each, schema["items"], defs, f"{at}[{i}]")
        ]
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        found += [f"{at} has no {key}" for key in schema["required"] if key not in value]
        found += [f"{at}.{key} is in no schema" for key in value.keys() - known.keys()]
        for key in value.keys() & known.keys():
            found += _mistakes(value[key], known[key], defs, f"{at}.{key}")
    return found
