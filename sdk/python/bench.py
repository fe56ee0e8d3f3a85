"""What a call costs through OstiaryMiddleware, against the same app without it.

The ASGI call alone, without sockets, in CPU time of the one thread: run it with `.venv/bin/python bench.py`. Both take
turns, the median of the rounds counts. A server adds its own cost to both, so behind one the ratio is smaller and the
difference the same.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

from ostiary import Call, Ostiary, OstiaryMiddleware
from tests.issuer import RESOURCE, Issuer, serving

ROUNDS, CALLS = 15, 2000
TOOLS = [{"name": f"tool_{i:02}", "description": "d" * 80, "inputSchema": {"type": "object"}} for i in range(40)]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer as a small MCP server does: read the body, parse it, answer with JSON."""
    asked = json.loads((await receive())["body"])
    if asked["method"] == "tools/list":
        result: Any = {"tools": TOOLS}
    else:
        result = {"content": [{"type": "text", "text": "done"}]}
    body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def request(method: str, params: dict[str, Any], token: str) -> tuple[dict[str, Any], bytes]:
    """Make a request as a host sends it."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    headers = {
        "host": "mcp.acme.example",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "gzip, deflate",
        "user-agent": "bench",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        "authorization": f"Bearer {token}",
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return scope, body


def caller(target: Any, scope: dict[str, Any], body: bytes) -> Callable[[], Awaitable[None]]:
    """Return what makes one call."""
    event = {"type": "http.request", "body": body, "more_body": False}

    async def receive() -> dict[str, Any]:
        return event

    async def send(event: dict[str, Any]) -> None:
        if event.get("status", 200) != 200:
            raise RuntimeError(event["status"])

    async def once() -> None:
        await target(dict(scope), receive, send)

    return once


async def microseconds(once: Callable[[], Awaitable[None]]) -> float:
    """Measure one round."""
    began = time.thread_time()
    for _ in range(CALLS):
        await once()
    return (time.thread_time() - began) / CALLS * 1e6


async def compare(name: str, guard: Ostiary, method: str, params: dict[str, Any], token: str) -> None:
    """Print what one kind of call costs with and without protection."""
    scope, body = request(method, params, token)
    bare, protected = caller(app, scope, body), caller(OstiaryMiddleware(app, guard), scope, body)
    rounds = [(await microseconds(bare), await microseconds(protected)) for _ in range(ROUNDS)]
    without, within = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{name:34} {without:8.1f} {within:8.1f} {within - without:8.1f} {within / without:7.1f}x")


async def growth(guard: Ostiary, token: str, calls: int) -> None:
    """Print what many calls leave in memory."""
    once = caller(OstiaryMiddleware(app, guard), *request("tools/call", {"name": "query"}, token))
    for _ in range(1000):
        await once()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(calls):
        await once()
    gc.collect()
    print(f"memory after {calls:,} more calls: {(tracemalloc.get_traced_memory()[0] - before) / 1024:+.0f} KiB")
    tracemalloc.stop()


async def measure(issuer: Issuer) -> None:
    """Run every comparison."""
    seen: list[Call | None] = [None]
    guard = Ostiary(issuer=issuer.url, resource_id=RESOURCE)
    recording = Ostiary(issuer=issuer.url, resource_id=RESOURCE, on_call=lambda call: seen.__setitem__(0, call))
    for each in (guard, recording):
        if not await each.wait_ready(10):
            raise RuntimeError("the issuer was not heard")
    token = issuer.token()
    before = len(issuer.requests)
    print(f"{'':34} {'bare µs':>8} {'with µs':>8} {'cost µs':>8} {'ratio':>8}")
    small = {"name": "query", "arguments": {"q": "x"}}
    await compare("tools/call, remembered token", guard, "tools/call", small, token)
    large = {"name": "query", "arguments": {"q": "x" * 10_000, "rows": [{"a": i} for i in range(200)]}}
    await compare("tools/call, 13 KB of arguments", guard, "tools/call", large, token)
    await compare("initialize", guard, "initialize", {"protocolVersion": "2025-11-25"}, token)
    await compare("tools/list, 40 tools, filtered", guard, "tools/list", {}, token)
    await compare("tools/call, recorded", recording, "tools/call", small, token)
    print(f"requests to the issuer meanwhile: {len(issuer.requests) - before}")
    await growth(guard, token, 50_000)
    guard.close()
    recording.close()


if __name__ == "__main__":
    made = Issuer()
    with serving(made) as made.url:
        asyncio.run(measure(made))
