"""Takes out of lists what the token does not allow. What stays, stays as it was, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ._json import JSONError, Number, parse, sound
from ._policy import CONTENT, PROMPT, TOOL

MAX_DEPTH = 512  # generous: tool schemas nest
MAX_EVENT = 16 << 20
MAX_LIST = 16 << 20

# Member of a result -> what its elements are, and which member names them.
IN_RESULTS = {
    "tools": (TOOL, "name"),
    "prompts": (PROMPT, "name"),
    "resources": (CONTENT, "uri"),
    "resourceTemplates": (CONTENT, "uriTemplate"),
}
_HINTS = (b"tools", b"prompts", b"resource", b"\\u")

# Kind and name of an element ("" when it has none) -> None when it is not shown, the scopes to say that it needs, or no
# scopes when it is shown as it is.
Shows = Callable[[str, str], tuple[str, ...] | None]


@dataclass(frozen=True)
class ListFilter:
    """What is filtered: the kinds of lists that an answer may hold, and by which rule."""

    kinds: frozenset[str]
    shows: Shows


_WALKER = json.JSONDecoder(parse_int=Number, parse_float=Number)
_SPACE = re.compile(r"[ \t\n\r]*")


class Unfilterable(Exception):
    """An answer cannot be read, so nobody knows what it lists."""


def filtered(raw: bytes, rule: ListFilter) -> bytes:
    """Filter a JSON-RPC answer or a batch of them. Raises Unfilterable."""
    try:
        value, text = parse(raw, MAX_DEPTH)
    except JSONError as e:
        raise Unfilterable(str(e)) from None
    edits: list[tuple[int, int, str]] = []
    at = _skip(text, 0)
    if type(value) is dict:
        _message(value, text, at, rule, edits)
    elif type(value) is list:
        for item, (start, _) in zip(value, _elements(text, at), strict=True):
            if type(item) is dict:
                _message(item, text, start, rule, edits)
    if not edits:
        return raw
    out, position = [], 0
    for start, end, replacement in edits:
        out += [text[position:start], replacement]
        position = end
    return "".join([*out, text[position:]]).encode()


def _message(value: dict[str, Any], text: str, at: int, rule: ListFilter, edits: list[tuple[int, int, str]]) -> None:
    """Look for lists in a result. The shape decides, not the id: on a resumed stream nobody knows what was asked."""
    result = value.get("result")
    if type(result) is not dict:
        return
    lists = {name: of for name, of in IN_RESULTS.items() if of[0] in rule.kinds and type(result.get(name)) is list}
    if not lists:
        return
    start = next(start for key, start, _ in _members(text, at) if key == "result")
    # The list now depends on the token, so it may be kept for this user only; not said means for everyone
    # (MCP 2026-07-28, caching).
    if "ttlMs" in result and "cacheScope" not in result:
        edits.append((start + 1, start + 1, '"cacheScope":"private",'))
    for key, begin, end in _members(text, start):
        if key == "cacheScope":
            edits.append((begin, end, '"private"'))
        elif key in lists:
            kind, member = lists[key]
            shown = [rule.shows(kind, _name(item, member)) for item in result[key]]
            if any(scopes is None or scopes for scopes in shown):
                parts = [
                    _with_schemes(text, b, scopes) if scopes else text[b:e]
                    for scopes, (b, e) in zip(shown, _elements(text, begin), strict=True)
                    if scopes is not None
                ]
                edits.append((begin, end, "[" + ",".join(parts) + "]"))


def _with_schemes(text: str, at: int, scopes: tuple[str, ...]) -> str:
    """Return a tool that says which scopes it needs. What the server says about that itself is left out."""
    schemes = f'"securitySchemes":{json.dumps([{"type": "oauth2", "scopes": scopes}])}'
    members, meta = [], [schemes]
    for key, start, end in _members(text, at):
        if key == "_meta" and text[start] == "{":
            meta += [
                f"{json.dumps(name)}:{text[b:e]}" for name, b, e in _members(text, start) if name != "securitySchemes"
            ]
        elif key not in ("securitySchemes", "_meta"):
            members.append(f"{json.dumps(key)}:{text[start:end]}")
    return "{" + ",".join([*members, schemes, '"_meta":{' + ",".join(meta) + "}"]) + "}"


def _name(item: Any, member: str) -> str:
    name = item.get(member) if type(item) is dict else None
    return name if type(name) is str and sound(name) else ""


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield the keys of the object at `at` and where their values are; parse has accepted the text."""
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _WALKER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _WALKER.raw_decode(text, start)
        yield key, start, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _elements(text: str, at: int) -> Iterator[tuple[int, int]]:
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _WALKER.raw_decode(text, at)
        yield at, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


_LINE_END = re.compile(rb"\r\n|\r|\n")


class EventFilter:
    """Filters lists in a stream of server-sent events. Complete events go on at once, others as they came."""

    def __init__(self, rule: ListFilter) -> None:
        self._rule = rule
        self._event = bytearray()  # the event so far, as it came
        self._line = 0  # where its current line begins
        self._cr = False  # the last byte was a carriage return that ended a line; a line feed may still belong to it
        self._sent = False  # that line has already gone on
        self._drop = False  # and in another form, so the line feed must not follow it

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the stream and return what can go on. Raises Unfilterable: end the stream there."""
        out = bytearray()
        if self._cr and chunk:
            self._cr = False
            if chunk[:1] == b"\n":
                chunk = chunk[1:]
                self._late_line_feed(out)
        position = 0
        for end in _LINE_END.finditer(chunk):
            self._event += chunk[position : end.end()]
            position = end.end()
            line = bytes(self._event[self._line : len(self._event) - len(end.group())])
            comment = self._line == 0 and line.startswith(b":")
            self._line = len(self._event)
            self._cr = end.group() == b"\r" and position == len(chunk)
            self._sent = not line or comment
            if self._sent:
                done, self._drop = self._take()
                out += done
        self._event += chunk[position:]
        if len(self._event) > MAX_EVENT:
            raise Unfilterable("an event is too large to filter")
        return bytes(out)

    def _late_line_feed(self, out: bytearray) -> None:
        if not self._sent:
            self._event += b"\n"
            self._line += 1
        elif not self._drop:
            out += b"\n"

    def end(self) -> bytes:
        """Return what is left when the stream ends within an event. Some clients read it, so it is filtered too."""
        return self._take()[0]

    def _take(self) -> tuple[bytes, bool]:
        """Return the event so far, filtered, and whether that changed it."""
        event = bytes(self._event)
        self._event.clear()
        self._line = 0
        if len(event) > MAX_EVENT:
            raise Unfilterable("an event is too large to filter")
        if not any(hint in event for hint in _HINTS):
            return event, False
        lines = [line for line in _LINE_END.split(event.removeprefix(b"\xef\xbb\xbf")) if line]
        data = b"\n".join(value for value in map(_data, lines) if value is not None).strip(b" \t\n\r")
        if data[:1] not in (b"{", b"["):
            return event, False
        kept = filtered(data, self._rule)
        return (event, False) if kept == data else (_rewritten(lines, kept), True)


def _data(line: bytes) -> bytes | None:
    """Return the value of a data line."""
    if not line.startswith(b"data") or line[4:5] not in (b"", b":"):
        return None
    return line[5:].removeprefix(b" ")


def _rewritten(lines: list[bytes], data: bytes) -> bytes:
    """Build the event again with other data, in the place of the first data line."""
    out, placed = bytearray(), False
    for line in lines:
        if _data(line) is None:
            out += line + b"\n"
        elif not placed:
            placed = True
            for part in data.split(b"\n"):
                out += b"data: " + part + b"\n"
    return bytes(out + b"\n")
