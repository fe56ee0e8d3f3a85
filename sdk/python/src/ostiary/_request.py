"""What is read of an ASGI request, and what of it may reach the app."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from email.message import Message
from typing import Any
from urllib.parse import quote, unquote_plus

from ._inspect import Refusal
from ._tokens import MALFORMED, TokenError
from ._waiting import within

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_TIMEOUT = 30.0  # for a client to send its body

# What a client must not be able to say to the app: its token (MCP forbids passing it on, and no handler needs it),
# identity headers, a second HTTP method. Names with an underscore go too: WSGI cannot tell them from hyphens.
_WITHHELD = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"origin",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
    }
)
# Ways to answer that would pass by a filter.
_SHORTCUTS = ("http.response.pathsend", "http.response.zerocopysend")


class Headers:
    """The headers of a request that matter here, in one pass."""

    __slots__ = ("authorization", "host", "kept", "others")

    def __init__(self, scope: Scope) -> None:
        self.authorization: list[str] = []
        self.others: dict[bytes, list[str]] = {}
        self.host = ""
        self.kept: list[tuple[bytes, bytes]] = []
        keep, known = self.kept.append, _KNOWN
        for header in scope["headers"]:
            name = header[0].lower()
            if name in known:
                self._note(name, header[1].decode("latin-1"))
                if name in _WITHHELD:
                    continue
            elif b"_" in name or name.startswith(b"ostiary-"):
                continue
            keep((name, header[1]))

    def _note(self, name: bytes, value: str) -> None:
        if name == b"authorization":
            self.authorization.append(value)
        elif name == b"host":
            self.host = value
        else:
            self.others.setdefault(name, []).append(value)

    def all(self, name: bytes) -> list[str]:
        """Return every value of one of the headers that are read."""
        return self.others.get(name, [])


_READ = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"transfer-encoding",
        b"mcp-method",
        b"mcp-name",
        b"mcp-session-id",
        b"access-control-request-headers",
    }
)
_KNOWN = _READ | _WITHHELD | {b"host"}


def path_of(scope: Scope) -> str:
    """Return the escaped path of a request."""
    raw = scope.get("raw_path")
    if raw:
        return bytes(raw).split(b"?", 1)[0].decode("latin-1")
    return quote(scope["path"], safe="/~!$&'()*+,;=:@")


def token_in_query(query: bytes) -> bool:
    """Find an access token where none may be (RFC 6750 section 2.3, forbidden by MCP), however it is spelled."""
    if b"token" not in query.lower() and b"%" not in query:
        return False
    pairs = re.split("[&;]", query.decode("latin-1"))
    return any(unquote_plus(pair.partition("=")[0]).strip().lower() == "access_token" for pair in pairs)


def bearer(values: list[str]) -> str:
    """Take the token out of the Authorization headers, "" when none was presented. Raises TokenError."""
    if not values:
        return ""
    if len(values) > 1:
        raise TokenError(MALFORMED)  # RFC 6750 section 2: one method, once
    scheme, _, token = values[0].strip().partition(" ")
    if scheme.lower() != "bearer":
        return ""
    token = token.lstrip(" ")
    if not token or any(c in token for c in " \t,"):
        raise TokenError(MALFORMED)
    return token


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """Read a JSON body of bounded size from a client that may be slow on purpose. Raises Refusal."""
    if not _is_json(headers):
        raise Refusal("the body must be application/json, UTF-8, without content encoding", status=415)
    too_large = Refusal("the body is too large", status=413)
    for length in headers.all(b"content-length"):
        if length.isdigit() and int(length) > limit:
            raise too_large
    try:
        event = await within(BODY_TIMEOUT, receive())
        body = event.get("body", b"")
        if event["type"] == "http.request" and event.get("more_body", False):
            event, body = await within(BODY_TIMEOUT, _rest(event, receive, limit))
    except TimeoutError:
        raise Refusal("the body took too long", status=408) from None
    if event["type"] != "http.request":
        raise Refusal("the body did not arrive whole")
    if len(body) > limit:
        raise too_large
    return bytes(body)


async def _rest(event: Event, receive: Receive, limit: int) -> tuple[Event, bytes]:
    """Read a body that comes in parts; return the last event and the body. A too large one is read no further."""
    parts = [event.get("body", b"")]
    size = len(parts[0])
    while event["type"] == "http.request" and event.get("more_body", False) and size <= limit:
        event = await receive()
        parts.append(event.get("body", b""))
        size += len(parts[-1])
    return event, b"".join(parts)


def _is_json(headers: Headers) -> bool:
    """Hold the body to what the inspection reads: another charset or a content encoding would hide it."""
    types = headers.all(b"content-type")
    if len(types) != 1:
        return False
    if types[0] != "application/json":
        mime = Message()
        mime["Content-Type"] = types[0]
        media = types[0].partition(";")[0].strip().lower()
        charsets = [value for name, value in mime.get_params(failobj=[]) if name.lower() == "charset"]
        # Of two, nobody knows which one the app believes.
        if media != "application/json" or not all(isinstance(c, str) and c.lower() == "utf-8" for c in charsets):
            return False
    return all(value.lower() in ("", "identity") for value in headers.all(b"content-encoding"))


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a receive that brings the body once more, in one piece, and then what comes after it."""
    sent = False

    async def replay() -> Event:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def passed_on(scope: Scope, headers: Headers, body: bytes | None, filtering: bool) -> dict[str, Any]:
    """Return the scope the app sees: without what a client must not say, and with a body of known length."""
    kept = headers.kept
    if body is not None:
        kept = [h for h in kept if h[0] not in (b"content-length", b"transfer-encoding")]
        kept.append((b"content-length", b"%d" % len(body)))
    if filtering:  # what is compressed cannot be filtered
        kept = [h for h in kept if h[0] != b"accept-encoding"]
    inner = {**scope, "headers": kept}
    extensions = scope.get("extensions")
    if extensions and any(name in extensions for name in _SHORTCUTS):
        inner["extensions"] = {name: value for name, value in extensions.items() if name not in _SHORTCUTS}
    return inner
