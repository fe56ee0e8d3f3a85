"""The published policy of one MCP server as the issuer signs it: plain values, read once and never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

READ, WRITE, DESTRUCTIVE = "read", "write", "destructive"
SHADOW = "shadow"
MATCH_ANY = "any"


class DocumentError(ValueError):
    """A document of the issuer does not have the shape it must have."""


@dataclass(frozen=True)
class Resource:
    """The MCP server a document belongs to (RFC 8707, RFC 9728)."""

    id: str
    identifier: str  # the `aud` of its tokens
    aliases: tuple[str, ...]  # other spellings clients send; never minted
    name: str


@dataclass(frozen=True)
class Scope:
    """One permission."""

    risk: str
    implies: tuple[str, ...]
    baseline: bool
    position: int


@dataclass(frozen=True)
class Tool:
    """One tool, prompt or content and the scopes a token needs for it."""

    scopes: tuple[str, ...]
    match: str
    audited: tuple[str, ...]


@dataclass(frozen=True)
class Offline:
    """How long, in seconds, calls go on without hearing from the issuer, by their risk."""

    read: int = 86400
    write: int = 3600
    destructive: int = 300


@dataclass(frozen=True)
class Document:
    """One immutable policy revision."""

    revision: int
    mode: str
    resource: Resource
    scopes: Mapping[str, Scope]
    tools: Mapping[str, Tool]
    prompts: Mapping[str, Tool] = field(default_factory=dict)
    contents: Mapping[str, Tool] = field(default_factory=dict)
    offline: Offline = Offline()

    @classmethod
    def from_json(cls, raw: Any) -> Document:
        """Read the `policy` of a signed document; raises DocumentError. What it does not know it ignores."""
        o = obj(raw, "policy")
        offline = o.get("offline")
        return cls(
            revision=number(o, "revision"),
            mode=text(o, "mode"),
            resource=_resource(obj(o.get("resource"), "resource")),
            scopes=_named(o, "scopes", _scope),
            tools=_named(o, "tools", _tool),
            prompts=_named(o, "prompts", _tool),
            contents=_named(o, "contents", _tool),
            offline=Offline() if offline is None else _offline(obj(offline, "offline")),
        )

    def baseline_scopes(self) -> tuple[str, ...]:
        """Return the scopes asked for when a client names none, in the tenant's order."""
        names = sorted(name for name, scope in self.scopes.items() if scope.baseline)
        return tuple(sorted(names, key=lambda name: self.scopes[name].position))


def _resource(o: Mapping[str, Any]) -> Resource:
    return Resource(text(o, "id"), text(o, "identifier"), texts(o, "aliases"), text(o, "name"))


def _scope(o: Mapping[str, Any]) -> Scope:
    return Scope(text(o, "risk"), texts(o, "implies"), flag(o, "baseline"), number(o, "position"))


def _tool(o: Mapping[str, Any]) -> Tool:
    return Tool(texts(o, "scopes"), text(o, "match"), texts(o, "audited"))


def _offline(o: Mapping[str, Any]) -> Offline:
    return Offline(number(o, "read"), number(o, "write"), number(o, "destructive"))


def _named(o: Mapping[str, Any], key: str, read: Callable[[Mapping[str, Any]], T]) -> dict[str, T]:
    return {name: read(obj(value, key)) for name, value in obj(o.get(key), key).items()}


# Readers of one member. Absent and null mean empty; another type is an error, never a guess.


def obj(value: Any, what: str) -> Mapping[str, Any]:
    """Return value if it is a JSON object; none at all is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentError(f"{what} is not an object")
    return value


def text(o: Mapping[str, Any], key: str) -> str:
    """Return the string o[key], "" when absent."""
    value = o.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DocumentError(f"{key} is not a string")
    return value


def texts(o: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the list of strings o[key], empty when absent."""
    value = o.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise DocumentError(f"{key} is not a list of strings")
    return tuple(value)


def number(o: Mapping[str, Any], key: str) -> int:
    """Return the whole number o[key], 0 when absent."""
    value = o.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise DocumentError(f"{key} is not a whole number")
    return value


def flag(o: Mapping[str, Any], key: str) -> bool:
    """Return the boolean o[key], False when absent."""
    value = o.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise DocumentError(f"{key} is not a boolean")
    return value
