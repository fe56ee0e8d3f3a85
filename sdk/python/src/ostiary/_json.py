"""Strict JSON (RFC 8259).

A body is decided on here and then read again by another program, perhaps in another language. Whatever two parsers
could read differently is therefore refused, not interpreted: duplicate keys (first or last wins?), lone surrogates in
keys, invalid UTF-8, byte order marks, several values in a row, NaN, nesting that only some parsers survive.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn


class JSONError(ValueError):
    """The text is not JSON that every parser reads alike. The message is for the client's developer."""


class Number(str):
    """A number as it stands in the text: nothing is rounded, and huge ones cost nothing."""

    __slots__ = ()


SYNTAX = "the body is not valid JSON"
DUPLICATE = "the body repeats a key within an object"
DEPTH = "the body is nested too deeply"
TEXT = "the body contains text that is not valid Unicode"


def sound(s: str) -> bool:
    """Report whether s has no lone surrogate, which no two languages treat alike."""
    if s.isascii():
        return True
    try:
        s.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JSONError(DUPLICATE)
    for key in members:
        if not key.isascii() and not sound(key):
            raise JSONError(TEXT)
    return members


def _constant(_: str) -> NoReturn:
    raise JSONError(SYNTAX)


# One for values that are only looked at, one for documents whose numbers are wanted.
_RAW = json.JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant)
_VALUES = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def parse(raw: bytes, max_depth: int) -> tuple[Any, str]:
    """Read exactly one JSON value nested at most max_depth levels; return it and its text. Numbers stay text."""
    return _parse(_RAW, raw, max_depth)


def parse_values(raw: bytes, max_depth: int = 64) -> Any:
    """Read exactly one JSON value, with numbers, for documents of the issuer."""
    return _parse(_VALUES, raw, max_depth)[0]


def _parse(decoder: json.JSONDecoder, raw: bytes, max_depth: int) -> tuple[Any, str]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise JSONError(TEXT) from None
    # Fewer brackets than levels cannot nest too deeply, which is every ordinary body.
    suspicious = raw.count(b"{") + raw.count(b"[") > max_depth
    try:
        value = decoder.decode(text)
    except JSONError:
        raise
    except ValueError:
        raise JSONError(SYNTAX) from None
    except RecursionError:
        raise JSONError(DEPTH) from None
    if suspicious and _too_deep(value, max_depth):
        raise JSONError(DEPTH)
    return value, text


def _too_deep(value: Any, max_depth: int) -> bool:
    level, depth = [value], 0
    while level := [item for item in level if type(item) in _CONTAINERS]:
        depth += 1
        if depth > max_depth:
            return True
        level = [below for item in level for below in (item.values() if type(item) is dict else item)]
    return False


_CONTAINERS = (dict, list)


def text_of(value: Any) -> str:
    """Return the JSON text of a parsed value, its numbers as they stood."""
    if type(value) is Number:
        return str(value)
    if type(value) is dict:
        return "{" + ",".join(f"{json.dumps(name)}:{text_of(item)}" for name, item in value.items()) + "}"
    if type(value) is list:
        return "[" + ",".join(map(text_of, value)) + "]"
    return json.dumps(value)
