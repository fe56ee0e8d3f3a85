"""The ASGI application: one endpoint, /mcp."""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from acme import protocol, tools
from acme.auth import Authenticate, Caller, UnknownOrganization
from acme.database import Database
from acme.protocol import Message, Refused
from acme.query import ToolError
from acme.sessions import Sessions

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MAX_BODY = 1 << 20

log = logging.getLogger("acme")


class Server:
    """Acme's MCP server. authenticate says on whose behalf a request is served."""

    def __init__(self, database_url: str, authenticate: Authenticate) -> None:
        self._database = Database(database_url)
        self._authenticate = authenticate
        self._sessions = Sessions()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Exchange(scope, receive, send))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._database.open()
        except Exception as problem:
            await send({"type": "lifespan.startup.failed", "message": str(problem)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._database.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, exchange: "Exchange") -> None:
        try:
            await self._route(exchange)
        except Refused as refused:
            await exchange.json(refused.status, protocol.error(refused))
        except Exception:
            log.exception("request failed")
            if not exchange.started:
                await exchange.json(500, protocol.error(Refused(500, protocol.INTERNAL_ERROR, "Acme Data failed.")))

    async def _route(self, exchange: "Exchange") -> None:
        if exchange.path != "/mcp":
            return await exchange.empty(404)
        if "origin" in exchange.headers:  # no web page has business here; stops DNS rebinding
            return await exchange.empty(403)
        if exchange.method not in ("POST", "DELETE"):
            return await exchange.empty(405, {"allow": "POST, DELETE"})
        try:
            caller = await self._authenticate(self._database, exchange.headers)
        except UnknownOrganization:
            return await exchange.json(403, {"error": "unknown_organization"})
        if caller is None:
            return await exchange.json(401, {"error": "unauthorized"})
        if exchange.method == "DELETE":
            closed = self._sessions.close(exchange.headers.get("mcp-session-id", ""), caller)
            return await exchange.empty(204 if closed else 404)
        message = protocol.read(await exchange.body(), exchange.headers)
        if message is None or not message.is_request:
            return await exchange.empty(202)
        if message.stateless:
            return await self._answer(exchange, message, caller)
        session = exchange.headers.get("mcp-session-id")
        if message.method == "initialize":
            exchange.answer_headers["mcp-session-id"] = self._sessions.open(caller)
        elif session is not None and not self._sessions.knows(session, caller):
            raise Refused(404, protocol.INVALID_REQUEST, "There is no such session.", message.id)
        await self._answer(exchange, message, caller)

    async def _answer(self, exchange: "Exchange", message: Message, caller: Caller) -> None:
        match message.method:
            case "initialize" if not message.stateless:
                answer = protocol.result(message, protocol.initialized(message.params))
            case "ping" if not message.stateless:
                answer = protocol.result(message, {})
            case "server/discover" if message.stateless:
                answer = protocol.result(message, protocol.discovered(), cacheable=True)
            case "tools/list":
                listed = [tool.describe() for tool in tools.TOOLS.values()]
                answer = protocol.result(message, {"tools": listed}, cacheable=True)
            case "tools/call":
                return await self._call(exchange, message, caller)
            case _:
                status = 404 if message.stateless else 200
                raise Refused(status, protocol.METHOD_NOT_FOUND, "Method not found", message.id)
        await exchange.json(200, answer)

    async def _call(self, exchange: "Exchange", message: Message, caller: Caller) -> None:
        tool = tools.TOOLS.get(str(message.params.get("name")))
        arguments = message.params.get("arguments", {})
        if tool is None or not isinstance(arguments, dict):
            what = "Unknown tool" if tool is None else "The arguments must be an object"
            raise Refused(200, protocol.INVALID_PARAMS, what, message.id)
        progress = Progress(exchange, message)
        try:
            value = await tools.call(self._database, caller, tool, arguments, progress.report)
            answer = protocol.result(message, protocol.tool_result(value))
        except ToolError as mistake:
            answer = protocol.result(message, protocol.tool_error(str(mistake)))
        except Exception:
            log.exception("tool failed")
            answer = protocol.error(Refused(200, protocol.INTERNAL_ERROR, "Acme Data failed.", message.id))
        await progress.finish(answer)


class Progress:
    """Answers as an event stream when the client asked for progress or takes nothing else, and as JSON otherwise."""

    def __init__(self, exchange: "Exchange", message: Message) -> None:
        accept = exchange.headers.get("accept", "application/json")
        takes_events = "text/event-stream" in accept
        self._exchange = exchange
        token = message.meta.get("progressToken")
        self._token = token if takes_events and isinstance(token, str | int) else None
        self._streams = takes_events and (self._token is not None or "application/json" not in accept)
        self._steps = 0

    async def report(self, text: str) -> None:
        if self._token is None:
            return
        self._steps += 1
        await self._exchange.event(
            {
                "jsonrpc": "2.0",
                "method": "notifications/progress",
                "params": {"progressToken": self._token, "progress": self._steps, "message": text},
            }
        )

    async def finish(self, answer: dict[str, Any]) -> None:
        if not self._streams:
            return await self._exchange.json(200, answer)
        await self._exchange.event(answer)
        await self._exchange.end()


class Exchange:
    """One HTTP request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {}
        self.answer_headers: dict[str, str] = {}
        self.started = False
        self._receive, self._send = receive, send
        for name, value in scope["headers"]:
            key = name.decode("latin-1")
            # A header sent twice means nothing, whichever of the two somebody in front has read.
            self.headers[key] = "" if key in self.headers else value.decode("latin-1")

    async def body(self) -> bytes:
        """The whole JSON body. Raises Refused."""
        if self.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Refused(415, protocol.INVALID_REQUEST, "The body must be application/json.")
        body = bytearray()
        while True:
            event = await self._receive()
            if event["type"] != "http.request":
                raise Refused(400, protocol.INVALID_REQUEST, "The body did not arrive whole.")
            body += event.get("body", b"")
            if len(body) > MAX_BODY:
                raise Refused(413, protocol.INVALID_REQUEST, "The body is too large.")
            if not event.get("more_body", False):
                return bytes(body)

    async def empty(self, status: int, headers: dict[str, str] | None = None) -> None:
        await self._start(status, {"content-length": "0"} | (headers or {}))
        await self._send({"type": "http.response.body", "body": b""})

    async def json(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        await self._start(status, {"content-type": "application/json", "content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body})

    async def event(self, value: dict[str, Any]) -> None:
        if not self.started:
            await self._start(200, {"content-type": "text/event-stream", "x-accel-buffering": "no"})
        data = f"event: message\ndata: {json.dumps(value)}\n\n".encode()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self.started = True
        pairs = {"cache-control": "no-store"} | headers | self.answer_headers
        encoded = [(name.encode(), value.encode()) for name, value in pairs.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})
