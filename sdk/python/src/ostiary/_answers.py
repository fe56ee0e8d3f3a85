"""The answers given instead of the MCP server's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ._inspect import BATCH_REFUSED, INSUFFICIENT, INVALID_PARAMS, OUT_OF_CONTACT, REQUEST, STOPPED, Body, Refusal
from ._policy import CONTENT, INSUFFICIENT_SCOPE, PROMPT, TOOL

Headers = list[tuple[bytes, bytes]]

SHOWN_NAME = 128  # characters of a tool's name in an answer
MAX_DESCRIPTION = 300

# Browser-based hosts call MCP servers from their own origin. Nothing here depends on cookies, so any origin may.
ALLOWED_METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID"
)
EXPOSED_HEADERS = "WWW-Authenticate, Mcp-Session-Id"
CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", EXPOSED_HEADERS.encode()),
]
# Answers depend on the token and are never to be kept by anyone in between.
GUARD: Headers = [*CORS, (b"cache-control", b"no-store"), (b"vary", b"Authorization")]

_PARAM_HEADER = re.compile(r"mcp-param-[a-z0-9!#$%&'*+.^_`|~-]*")


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True)
class Challenge:
    """What WWW-Authenticate says. Clients parse it by pattern: one line, Bearer first, every value quoted."""

    metadata_url: str
    scopes: tuple[str, ...]  # everything this operation needs
    code: str = ""  # empty on the very first 401 (RFC 6750 section 3.1)
    description: str = ""

    def header(self) -> str:
        """Build the header value."""
        scope, url = scope_value(self.scopes), _printable(self.metadata_url)
        description = _printable(self.description)[:MAX_DESCRIPTION]
        if self.code:
            params = [
                ("error", self.code),
                ("scope", scope),
                ("resource_metadata", url),
                ("error_description", description),
            ]
        else:
            params = [("resource_metadata", url), ("scope", scope)]
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in params if value)


def _printable(s: str) -> str:
    """Keep s to what RFC 6750 section 3 allows in a value; the rest becomes "?"."""
    return re.sub(r"[^ !#-\[\]-~]", "?", s)


def scope_value(scopes: tuple[str, ...]) -> str:
    """Join scopes; one that is no scope-token (RFC 6749 section 3.3) is left out rather than bent into another."""
    return " ".join(s for s in scopes if s and " " not in s and _printable(s) == s)


def json_answer(status: int, value: Any, *extra: tuple[bytes, bytes]) -> Answer:
    """Answer with JSON that nobody keeps."""
    return _raw(status, json.dumps(value).encode(), *extra)


def _raw(status: int, body: bytes, *extra: tuple[bytes, bytes]) -> Answer:
    headers = [*GUARD, (b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff"), *extra]
    return Answer(status, [*headers, (b"content-length", b"%d" % len(body))], body)


def oauth_error(status: int, code: str, description: str, *extra: tuple[bytes, bytes]) -> Answer:
    """Answer with an error about the token."""
    return json_answer(status, {"error": code, "error_description": description}, *extra)


def challenged(challenge: Challenge) -> Answer:
    """Answer 401: where to get a token, and what to ask for to begin with."""
    code, description = challenge.code, challenge.description
    if not code:
        code, description = "unauthorized", "This MCP server needs an access token"
    return oauth_error(401, code, description, (b"www-authenticate", challenge.header().encode()))


def unavailable() -> Answer:
    """Answer 503 when nobody can tell whether the token is good. Not 401: the client would throw it away."""
    return oauth_error(
        503, "temporarily_unavailable", "The access token cannot be checked right now", (b"retry-after", b"5")
    )


def _rpc(id: str | None, code: int, message: str, data: Any = None) -> str:
    # The id is put in as it stands in the request: nothing about it is rounded or reformatted.
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return f'{{"jsonrpc":"2.0","id":{"null" if id is None else id},"error":{json.dumps(error)}}}'


def rpc_error(
    status: int, id: str | None, code: int, message: str, *extra: tuple[bytes, bytes], data: Any = None
) -> Answer:
    """Answer with a JSON-RPC error, under a 4xx too: SDKs that find one fail the one call, not the connection."""
    return _raw(status, _rpc(id, code, message, data).encode(), *extra)


def refused(refusal: Refusal) -> Answer:
    """Answer a request that is not understood."""
    return rpc_error(refusal.status, refusal.id, refusal.code, refusal.message)


def insufficient(body: Body, challenge: Challenge) -> Answer:
    """Ask for more permissions (MCP 2026-07-28, scope challenge handling)."""
    data = {"error": INSUFFICIENT_SCOPE, "scope": scope_value(challenge.scopes)}
    header = (b"www-authenticate", challenge.header().encode())
    return rpc_error(403, body.id, INSUFFICIENT, challenge.description, header, data=data)


def insufficient_in_result(id: str, challenge: Challenge) -> Answer:
    """Ask for more permissions the way ChatGPT reads it: a failed tool result that carries the challenge."""
    result = {
        "content": [{"type": "text", "text": challenge.description}],
        "isError": True,
        "_meta": {"mcp/www_authenticate": [challenge.header()]},
    }
    return _raw(200, f'{{"jsonrpc":"2.0","id":{id},"result":{json.dumps(result)}}}'.encode())


# What reaches people, and models that act for them.
_NAMES = {TOOL: "tool", PROMPT: "prompt", CONTENT: "resource"}
_BATCH = (BATCH_REFUSED, "The batch was not carried out")
STOPPED_TARGET = (STOPPED, "This is stopped by an administrator. Do not try again until it is allowed.")
STOPPED_ACCESS = (STOPPED, "Access is stopped by an administrator. Do not try again until it is allowed.")
SILENT = "This cannot be allowed right now, because the permissions have not been confirmed for too long"

Problem = tuple[int, str]


def unknown(kind: str, name: str) -> Problem:
    """Return the error for what no permission opens: what MCP servers say to something they do not have."""
    return INVALID_PARAMS, f"Unknown {_NAMES.get(kind, kind)}: {name[:SHOWN_NAME]}"


def asking_for(scopes: tuple[str, ...]) -> str:
    """Say which permissions a call needs."""
    return "This call needs the permission " + ", ".join(scopes)


def hopeless(body: Body, problems: dict[int, Problem]) -> Answer:
    """Answer each request of body; problems are those of its messages, by position. No challenge: it would not help."""
    answers = [_rpc(m.id, *problems.get(i, _BATCH)) for i, m in enumerate(body.messages) if m.kind == REQUEST]
    if not answers:  # nobody waits for a result, but it is not accepted either
        return rpc_error(400, None, *next(iter(problems.values())))
    return _answered(body, answers)


def access_stopped(body: Body | None) -> Answer:
    """Answer everyone a stop is about: an error of the call, never a bare 403 where a call waits (hosts ask again)."""
    answers = [_rpc(m.id, *STOPPED_ACCESS) for m in body.messages if m.kind == REQUEST] if body else []
    if not body or not answers:
        return oauth_error(403, "access_stopped", STOPPED_ACCESS[1])
    return _answered(body, answers)


def _answered(body: Body, answers: list[str]) -> Answer:
    return _raw(200, (f"[{','.join(answers)}]" if body.batch else answers[0]).encode())


def out_of_contact(body: Body) -> Answer:
    """Answer 503: the issuer has been silent for too long for a call of this risk."""
    return rpc_error(503, body.id, OUT_OF_CONTACT, SILENT, (b"retry-after", b"30"))


def method_not_allowed(allow: str) -> Answer:
    """Answer 405."""
    return Answer(405, [*GUARD, (b"allow", allow.encode()), (b"content-length", b"0")])


def preflight(requested: str) -> Answer:
    """Answer OPTIONS, which browsers send without the token: before authentication, or they never get to it."""
    # Names of Mcp-Param-* headers are the server's to choose (MCP 2026-07-28), so no fixed list can hold them.
    asked = [name.strip().lower() for name in requested.split(",")[:64]]
    params = [name for name in asked if _PARAM_HEADER.fullmatch(name)]
    return Answer(
        204,
        [
            *CORS,
            (b"access-control-allow-methods", ALLOWED_METHODS.encode()),
            (b"access-control-allow-headers", ", ".join([ALLOWED_HEADERS, *params]).encode()),
            (b"access-control-max-age", b"86400"),
            (b"vary", b"Access-Control-Request-Headers"),
        ],
    )
