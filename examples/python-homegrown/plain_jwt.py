"""Acme Data over MCP, protected with a JWT library and nothing of Ostiary's.

What a team does that wants no dependency. It checks everything a token must be checked for, and each call against the
permissions it needs; it hears neither of what is revoked nor of what an administrator stops before a token expires.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import jwt

from acme import auth, command
from acme.server import Event, Receive, Scope, Send, Server
from plain_keys import IssuerKeys

ISSUER = os.environ["OSTIARY_ISSUER"]
RESOURCE = os.environ["ACME_PUBLIC_URL"]  # as registered, the audience of its tokens: https://mcp.example.com/mcp
ORIGIN = RESOURCE.removesuffix("/mcp")
METADATA = f"{ORIGIN}/.well-known/oauth-protected-resource/mcp"
METADATA_DOCUMENT = {  # RFC 9728
    "resource": RESOURCE,
    "authorization_servers": [ISSUER],
    "scopes_supported": ["data:read"],
    "bearer_methods_supported": ["header"],
}

# Which permission opens which tool. Ostiary's policy says the same, and here nobody keeps the two equal.
PERMISSIONS = {
    "run_query": "data:read",
    "list_datasets": "data:read",
    "search_accounts": "profiles:read",
    "analyze_profile": "profiles:read",
    "route_signal": "signals:write",
    "update_segment": "signals:write",
    "delete_segment": "segments:delete",
}

claims: ContextVar[Mapping[str, Any]] = ContextVar("claims")
keys = IssuerKeys(f"{ISSUER}/.well-known/jwks.json")


def verified(token: str) -> Mapping[str, Any]:
    """The claims of a good access token (RFC 9068 §4). Raises jwt.PyJWTError."""
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    return jwt.decode(
        token, keys.find(header.get("kid")), algorithms=["ES256", "RS256", "EdDSA"], issuer=ISSUER,
        audience=RESOURCE, options={"require": ["exp", "iat", "sub", "client_id"]}, leeway=30,
    )  # fmt: skip


def needed(body: bytes) -> set[str] | None:
    """The permissions a body asks for, None when it is not to be answered. The server reads it with the same parser."""
    try:
        messages = json.loads(body)
    except ValueError:
        return set()
    permissions = set()
    for message in messages if isinstance(messages, list) else [messages]:
        if isinstance(message, dict) and message.get("method") == "tools/call":
            params = message.get("params")
            name = params.get("name") if isinstance(params, dict) else None
            if name not in PERMISSIONS:
                return None
            permissions.add(PERMISSIONS[name])
    return permissions


class Protected:
    """Lets a request through to the server when its token opens what it asks for."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._server(scope, receive, send)
        elif scope["path"].startswith("/.well-known/oauth-protected-resource"):
            await answer(send, 200, METADATA_DOCUMENT)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            await answer(send, 401, {"error": "unauthorized"}, 'Bearer scope="data:read"')
            return
        try:
            claims.set(await asyncio.to_thread(verified, token))  # it may fetch keys
        except jwt.PyJWKClientConnectionError:
            await answer(send, 503, {"error": "temporarily_unavailable"})
            return
        except jwt.PyJWTError:
            await answer(send, 401, {"error": "invalid_token"}, 'Bearer error="invalid_token", scope="data:read"')
            return
        body = await read(receive)
        permissions = needed(body)
        if permissions is None:
            await answer(send, 403, {"error": "unknown_tool"})
        elif missing := permissions - set(claims.get()["scope"].split()):
            challenge = f'Bearer error="insufficient_scope", scope="{" ".join(sorted(permissions))}"'
            await answer(send, 403, {"error": "insufficient_scope", "scope": " ".join(sorted(missing))}, challenge)
        else:
            await self._server(scope, replayed(body, receive), send)


async def read(receive: Receive) -> bytes:
    body = bytearray()
    while len(body) <= 1 << 20:  # what is larger the server refuses
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body", False):
            break
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the server the body that was read, and then whatever comes after it: the client's leaving."""
    pending: list[Event] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Event:
        return pending.pop() if pending else await receive()

    return again


async def answer(send: Send, status: int, body: Mapping[str, Any], challenge: str = "") -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if challenge:
        headers.append((b"www-authenticate", f'{challenge}, resource_metadata="{METADATA}"'.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def granted(database: auth.Database, _: auth.Headers) -> auth.Caller:
    return await auth.external(database, claims.get().get("org_id"), claims.get()["sub"])


app = Protected(Server(os.environ["ACME_DATABASE_URL"], granted))

if __name__ == "__main__":
    command.serve(app)
