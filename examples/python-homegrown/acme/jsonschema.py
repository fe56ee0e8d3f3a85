"""As much JSON Schema as Acme's tools use. What tools/list promises is what is checked."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def problem(schema: Schema, value: Any, name: str = "arguments") -> str | None:
    """What is wrong with value, in words for the model that made the call; None when nothing is."""
    expected = schema.get("type")
    types = [expected] if isinstance(expected, str) else expected or []
    if types and not any(_is(value, t) for t in types):
        return f"{name} must be of type {' or '.join(types)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{name} must be one of {', '.join(schema['enum'])}"
    if isinstance(value, str):
        return _text_problem(schema, value, name)
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return f"{name} must be between {schema['minimum']} and {schema['maximum']}"
    if isinstance(value, list):
        return _list_problem(schema, value, name)
    if isinstance(value, dict):
        return _object_problem(schema, value, name)
    return None


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool) and name != "boolean":  # to Python a bool is an int
        return False
    return isinstance(value, _TYPES[name])


def _text_problem(schema: Schema, value: str, name: str) -> str | None:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 2000):
        return f"{name} is too short or too long"
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):  # Postgres has no such text
        return f"{name} has a character that is not allowed"
    return None


def _list_problem(schema: Schema, value: list[Any], name: str) -> str | None:
    if len(value) > schema.get("maxItems", 100):
        return f"{name} has too many entries"
    found = (problem(schema.get("items", {}), item, f"{name}[{i}]") for i, item in enumerate(value))
    return next(filter(None, found), None)


def _object_problem(schema: Schema, value: dict[str, Any], name: str) -> str | None:
    properties = schema.get("properties", {})
    for key in schema.get("required", []):
        if key not in value:
            return f"{name} needs {key}"
    for key, item in value.items():
        if key not in properties:
            return f"{name} has no {key!r}"
        if found := problem(properties[key], item, key):
            return found
    return None
