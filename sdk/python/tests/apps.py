"""Apps to protect, and clients to call them with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from ostiary import OstiaryMiddleware, current_grant

TOOLS = ["query", "insert", "delete", "merge", "unmapped", "secret"]


class Server:
    """A homegrown MCP server in plain ASGI: answers every request with JSON and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.scopes: list[dict[str, Any]] = []
        self.users: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
        self.result: Callable[[dict[str, Any]], Any] = lambda asked: {"content": [{"type": "text", "text": "done"}]}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.scopes.append(scope)
        raw = b""
        while True:
            event = await receive()
            raw += event.get("body", b"")
            if not event.get("more_body"):
                break
        if scope["path"] != "/healthz":
            self.users.append(current_grant().user)
        asked = json.loads(raw) if raw else {}
        self.seen.append(asked)
        answer: Any = {"status": "ok"}
        if isinstance(asked, dict) and asked.get("method") == "tools/list":
            answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"tools": [{"name": n} for n in TOOLS]}}
        elif isinstance(asked, dict) and "method" in asked:
            answer = {"jsonrpc": "2.0", "id": asked.get("id"), "result": self.result(asked)}
        body = json.dumps(answer).encode()
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": body})


def call(tool: str, id: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, **params}}


def client(
    app: OstiaryMiddleware, token: str | None = None, host: str = "https://mcp.acme.example"
) -> httpx.AsyncClient:
    headers = {"Accept": "application/json, text/event-stream"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url=host, headers=headers)
