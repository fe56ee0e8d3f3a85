"""MCP over JSON-RPC, by hand: reads a message, says in which era its sender lives, and shapes the answer.

Two eras are spoken. Until 2025-11-25 a client opens with initialize. From 2026-07-28 on each request stands alone: it
says its version in params._meta and in headers, which must agree with the body.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

STATELESS = ("2026-07-28",)
HANDSHAKE = ("2025-11-25", "2025-06-18")

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022

META_VERSION = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META_SERVER = "io.modelcontextprotocol/serverInfo"

SERVER = {"name": "acme-data", "title": "Acme Data", "version": "1.0.0"}
INSTRUCTIONS = "Acme's customer data. Start with list_datasets or search_accounts."

Id = str | int | None


class Refused(Exception):
    """A message that is not carried out, with the HTTP status and JSON-RPC error that say so."""

    def __init__(self, status: int, code: int, message: str, id: Id = None, data: Any = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.id, self.data = status, code, message, id, data


@dataclass(frozen=True)
class Message:
    """A request (it has an id) or a notification (it has none)."""

    method: str
    params: dict[str, Any]
    id: Id
    is_request: bool
    stateless: bool  # of the era since 2026-07-28

    @property
    def meta(self) -> dict[str, Any]:
        meta = self.params.get("_meta")
        return meta if isinstance(meta, dict) else {}


def read(body: bytes, headers: Mapping[str, str]) -> Message | None:
    """The one message in body; None for an answer to a request of ours, of which there are none. Raises Refused."""
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        raise Refused(400, PARSE_ERROR, "The body is not JSON.") from None
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise Refused(400, INVALID_REQUEST, "The body must be one JSON-RPC 2.0 message.")
    method, params, id = value.get("method"), value.get("params", {}), value.get("id")
    if method is None and ("result" in value or "error" in value):
        return None
    if not isinstance(method, str) or not isinstance(params, dict):
        raise Refused(400, INVALID_REQUEST, "A message has a method and its params are an object.")
    if "id" in value and (isinstance(id, bool) or not isinstance(id, str | int)):
        raise Refused(400, INVALID_REQUEST, "A request's id is a text or an integer.")
    message = Message(method, params, id, "id" in value, False)
    version = headers.get("mcp-protocol-version", "")
    if META_VERSION in message.meta or version in STATELESS:
        message = Message(method, params, id, message.is_request, True)
        _check_stateless(message, headers)
    elif version and version not in HANDSHAKE:
        raise Refused(400, UNSUPPORTED_VERSION, "Unsupported protocol version", id, _versions(version))
    return message


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # whoever stands in front may have read the other one
        raise ValueError("duplicate key")
    return found


def _versions(requested: object) -> dict[str, Any]:
    return {"supported": [*STATELESS, *HANDSHAKE], "requested": requested}


def _check_stateless(message: Message, headers: Mapping[str, str]) -> None:
    """Holds headers to the body (MCP 2026-07-28, Streamable HTTP, server validation)."""

    def mismatch(what: str) -> Refused:
        return Refused(400, HEADER_MISMATCH, f"Header mismatch: {what}", message.id)

    version = message.meta.get(META_VERSION)
    if META_VERSION in message.meta and headers.get("mcp-protocol-version") != version:
        raise mismatch("MCP-Protocol-Version is missing or not the version in the body")
    if version is None:
        raise Refused(400, INVALID_PARAMS, f"params._meta has no {META_VERSION}", message.id)
    if version not in STATELESS:
        raise Refused(400, UNSUPPORTED_VERSION, "Unsupported protocol version", message.id, _versions(version))
    if not message.is_request:
        return  # the revision does not say which headers notifications carry
    if headers.get("mcp-method") != message.method:
        raise mismatch("Mcp-Method is missing or not the method in the body")
    if message.method == "tools/call" and decode_header(headers.get("mcp-name")) != message.params.get("name"):
        raise mismatch("Mcp-Name is missing or not the name in the body")
    if not isinstance(message.meta.get(META_CAPABILITIES), dict):
        raise Refused(400, INVALID_PARAMS, f"params._meta has no {META_CAPABILITIES}", message.id)


def decode_header(value: str | None) -> str | None:
    """Undoes the Base64 form of header values that are not plain ASCII; None for what is malformed."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[len("=?base64?") : -len("?=")], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def negotiate(params: Mapping[str, Any]) -> str:
    """The version to speak with a client that opened with initialize."""
    wanted = params.get("protocolVersion")
    return wanted if isinstance(wanted, str) and wanted in HANDSHAKE else HANDSHAKE[0]


def initialized(params: Mapping[str, Any]) -> dict[str, Any]:
    """The result of initialize."""
    return {
        "protocolVersion": negotiate(params),
        "capabilities": {"tools": {}},
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }


def discovered() -> dict[str, Any]:
    """The result of server/discover."""
    return {
        "supportedVersions": [*STATELESS, *HANDSHAKE],
        "capabilities": {"tools": {}},
        "instructions": INSTRUCTIONS,
    }


def result(message: Message, value: dict[str, Any], *, cacheable: bool = False) -> dict[str, Any]:
    """The JSON-RPC answer to message, with what its era adds to a result."""
    if message.stateless:
        value = {"resultType": "complete", **value, "_meta": {META_SERVER: SERVER}}
        if cacheable:
            value |= {"ttlMs": 300_000, "cacheScope": "public"}
    return {"jsonrpc": "2.0", "id": message.id, "result": value}


def error(refused: Refused) -> dict[str, Any]:
    """The JSON-RPC answer to what was refused."""
    problem: dict[str, Any] = {"code": refused.code, "message": refused.message}
    if refused.data is not None:
        problem["data"] = refused.data
    return {"jsonrpc": "2.0", "id": refused.id, "error": problem}


def tool_result(value: dict[str, Any]) -> dict[str, Any]:
    """A tool's answer, as data and as text for clients that read only that."""
    return {"content": [{"type": "text", "text": json.dumps(value)}], "structuredContent": value, "isError": False}


def tool_error(text: str) -> dict[str, Any]:
    """A mistake the model can correct."""
    return {"content": [{"type": "text", "text": text}], "isError": True}
