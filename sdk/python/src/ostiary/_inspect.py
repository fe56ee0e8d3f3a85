"""What a request body asks for, as far as the decision needs it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any

from . import _json
from ._json import JSONError, Number
from ._policy import CONTENT, PROMPT, TOOL

MAX_DEPTH = 128
MAX_BATCH = 100
MAX_METHOD = 128

# JSON-RPC 2.0 section 5.1 error codes, then those of MCP, then our own (-32000 to -32019 are free for implementations).
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
SESSION_NOT_FOUND = -32001
INSUFFICIENT = -32010
BATCH_REFUSED = -32011
UPSTREAM_FAILED = -32012
STOPPED = -32013
OUT_OF_CONTACT = -32014

REQUEST, NOTIFICATION, REPLY = "request", "notification", "reply"

# What Mcp-Name repeats (MCP 2026-07-28, standard request headers).
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_TARGETS = {
    "tools/call": (TOOL, "name"),
    "prompts/get": (PROMPT, "name"),
    "resources/read": (CONTENT, "uri"),
    "resources/subscribe": (CONTENT, "uri"),
}
COMPLETE, LISTEN = "completion/complete", "subscriptions/listen"
# Method that asks for a list -> which of the policy's maps its elements are in.
LISTS = {"tools/list": TOOL, "prompts/list": PROMPT, "resources/list": CONTENT, "resources/templates/list": CONTENT}

_DECIDED = frozenset({*_TARGETS, COMPLETE, LISTEN})
_SPECIAL = frozenset({*_DECIDED, *LISTS})
_ENVELOPE = frozenset({"jsonrpc", "method", "params", "id", "result", "error"})
_METHOD = re.compile(rf"[A-Za-z0-9/_.$-]{{1,{MAX_METHOD}}}")


class Refusal(Exception):
    """A request that is not understood, or only too well."""

    def __init__(self, message: str, code: int = INVALID_REQUEST, status: int = 400, id: str | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.status, self.id = message, code, status, id


@dataclass(frozen=True)
class Message:
    """One JSON-RPC message. id is JSON text, None when absent."""

    kind: str
    method: str = ""
    id: str | None = None
    name: str = ""  # what Mcp-Name says
    targets: tuple[tuple[str, str], ...] = ()  # kind and name of what the policy decides about, of notifications too
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """An inspected request body."""

    messages: tuple[Message, ...]
    batch: bool = False

    @property
    def id(self) -> str | None:
        """Return the id of the only message, for error answers."""
        return self.messages[0].id if not self.batch and len(self.messages) == 1 else None

    @property
    def lists(self) -> frozenset[str]:
        """Return the kinds whose lists the answer may hold."""
        return frozenset(LISTS[m.method] for m in self.messages if m.method in LISTS)


def inspect(raw: bytes) -> Body:
    """Read a request body. Raises Refusal."""
    try:
        value, _ = _json.parse(raw, MAX_DEPTH)
    except JSONError as e:
        raise Refusal(str(e), PARSE_ERROR) from None
    if type(value) is dict:
        return Body((_message(value),))
    if type(value) is not list:
        raise Refusal("the body is not a JSON-RPC message")
    if not value:
        raise Refusal("the batch is empty")
    if len(value) > MAX_BATCH:
        raise Refusal(f"the batch has more than {MAX_BATCH} messages")
    if not all(type(item) is dict for item in value):
        raise Refusal("the batch contains something that is not a JSON-RPC message")
    return Body(tuple(_message(item) for item in value), batch=True)


def _message(o: dict[str, Any]) -> Message:
    for key in o:
        # Some parsers would take such a key for the known one.
        if key not in _ENVELOPE and key.casefold() in _ENVELOPE:
            raise Refusal("the message has a key in unusual case")
    version = o.get("jsonrpc")
    if type(version) is not str or version != "2.0":
        raise Refusal('the message does not say "jsonrpc": "2.0"')
    id = _id(o)
    failed = o.get("error") is not None
    if "method" not in o:
        if ("result" in o) == failed or id is None or "params" in o:
            raise Refusal("the message is neither a request nor a response")
        return Message(REPLY, id=id)
    if "result" in o or failed:
        raise Refusal("the message is a request and a response at once")
    return _request(o, id)


def _id(o: dict[str, Any]) -> str | None:
    if "id" not in o:
        return None
    id = o["id"]
    if type(id) is Number:
        return str(id)
    if type(id) is str or id is None:
        return json.dumps(id)
    raise Refusal("the id is neither a string nor a number")


def _request(o: dict[str, Any], id: str | None) -> Message:
    kind = NOTIFICATION if id is None else REQUEST
    method = o["method"]
    if type(method) is not str or not _METHOD.fullmatch(method) or _disguised(method):
        raise Refusal("the method is not an MCP method")
    params = o.get("params")
    if "params" in o and type(params) is not dict and (params is not None or method in _DECIDED):
        raise Refusal("the params are not an object")
    params = params if type(params) is dict else {}
    arguments = params.get("arguments")
    targets = targets_of(method, params)
    return Message(
        kind,
        method,
        id,
        targets[0][1] if method in NAMED else "",
        targets,
        arguments if type(arguments) is dict else {},
    )


def targets_of(method: str, params: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return kind and name of everything a message asks for that the policy decides about. Raises Refusal."""
    if method == COMPLETE:
        return _completed(params)
    if method == LISTEN:
        return _subscribed(params)
    if method not in _TARGETS:
        return ()
    kind, key = _TARGETS[method]
    name = _text(_member(params, key))
    if not name:
        raise Refusal(f"{method} needs params.{key}", INVALID_PARAMS)
    return ((kind, name),)


def _completed(params: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Read params.ref: the arguments of a prompt or of a content's URI template are as secret as they are."""
    ref = _object(params, "ref")
    if ref is None:
        return ()
    kind, name, uri = (_text(_member(ref, key)) for key in ("type", "name", "uri"))
    if kind == "ref/prompt" and name:
        return ((PROMPT, name),)
    if kind == "ref/resource" and uri:
        return ((CONTENT, uri),)
    raise Refusal(f"{COMPLETE} has a params.ref that is neither a prompt nor a resource", INVALID_PARAMS)


def _subscribed(params: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Read params.notifications.resourceSubscriptions, a list of URIs."""
    wanted = _object(params, "notifications")
    uris = None if wanted is None else _member(wanted, "resourceSubscriptions")
    if uris is None:
        return ()
    if type(uris) is not list or len(uris) > MAX_BATCH or not all(map(_text, uris)):
        raise Refusal(f"{LISTEN} has a list of subscriptions that is not a list of URIs", INVALID_PARAMS)
    return tuple((CONTENT, uri) for uri in uris)


def _object(params: dict[str, Any], key: str) -> dict[str, Any] | None:
    value = _member(params, key)
    if value is not None and type(value) is not dict:
        raise Refusal(f"params.{key} is not an object", INVALID_PARAMS)
    return value


def _member(o: dict[str, Any], wanted: str) -> Any:
    """Return the value of a key, None when absent. A key that differs from it only in case is refused."""
    folded = wanted.casefold()
    for key in o:
        if key != wanted and key.casefold() == folded:
            raise Refusal("the params have a key in unusual case", INVALID_PARAMS)
    return o.get(wanted)


def _text(value: Any) -> str:
    """Return a JSON string that every language reads alike, else ""."""
    return value if type(value) is str and _json.sound(value) else ""


def _disguised(method: str) -> bool:
    """Find a spelling of a method that is decided about which a lenient server would accept and we would not see."""
    plain = method.strip("/").lower()
    return plain != method and plain in _SPECIAL


def check_mirror(methods: list[str], names: list[str], body: Body) -> None:
    """Compare Mcp-Method and Mcp-Name, where sent, with the body (MCP 2026-07-28, server validation). Raises Refusal.

    Whoever routes or limits by them in front of us must be able to rely on them.
    """
    if not methods and not names:
        return

    def mismatch(what: str) -> Refusal:
        return Refusal("Header mismatch: " + what, HEADER_MISMATCH, id=body.id)

    if len(methods) > 1 or len(names) > 1 or body.batch:
        raise mismatch("Mcp-Method and Mcp-Name describe exactly one message")
    message = body.messages[0]
    if methods and methods[0] != message.method:
        raise mismatch("Mcp-Method does not match the body")
    if names and message.name and _decoded(names[0]) != message.name:
        raise mismatch("Mcp-Name does not match the body")


def _decoded(value: str) -> str | None:
    """Undo the Base64 sentinel encoding (MCP 2026-07-28, value encoding)."""
    if not (value.startswith("=?base64?") and value.endswith("?=")) or len(value) < 11:
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
