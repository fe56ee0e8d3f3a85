"""Two bare MCP clients, one for each era, so that a test sees every header, status and byte."""

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"
ACCEPT = "application/json, text/event-stream"


def answer(response: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC answer, from JSON or as the last event of a stream."""
    messages = (
        events(response) if response.headers["content-type"].startswith("text/event-stream") else [response.json()]
    )
    last: dict[str, Any] = messages[-1]
    return last


def events(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line.startswith("data: ")]


@dataclass
class Client:
    """Speaks one era to an MCP server. headers are who calls: an API key, a token."""

    url: str
    headers: dict[str, str]
    era: str = STATELESS
    version: str = ""
    session: str | None = None
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    ids: "count[int]" = field(default_factory=lambda: count(1))

    def open(self) -> dict[str, Any]:
        """Says hello as the era does, and returns the server's answer."""
        if self.era == STATELESS:
            return self.ask("server/discover")
        hello = {"protocolVersion": self.era, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        response = self.send("initialize", hello)
        result: dict[str, Any] = answer(response)["result"]
        self.version, self.session = result["protocolVersion"], response.headers.get("mcp-session-id")
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of a request; an error fails the test."""
        response = self.send(method, params)
        result: dict[str, Any] = answer(response)["result"]
        return result

    def tools(self) -> list[str]:
        return sorted(tool["name"] for tool in self.ask("tools/list")["tools"])

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's result; one that says it failed fails the test."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        structured: dict[str, Any] = result["structuredContent"]
        return structured

    def fails(self, tool: str, **arguments: Any) -> str:
        """What a tool says when it cannot."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert result["isError"] is True, result
        return str(result["content"][0]["text"])

    def send(self, method: str, params: dict[str, Any] | None = None) -> httpx.Response:
        params = dict(params or {})
        headers = {}
        if self.era == STATELESS:
            params["_meta"] = meta() | params.get("_meta", {})
            headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
            if method == "tools/call":
                headers["Mcp-Name"] = params["name"]
        return self.post({"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}, headers)

    def post(self, message: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        """Sends a body as it is."""
        kept = {"Accept": ACCEPT, "Content-Type": "application/json"} | self.headers
        if self.version:
            kept["MCP-Protocol-Version"] = self.version
        if self.session:
            kept["Mcp-Session-Id"] = self.session
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.http.post(self.url, content=body, headers=kept | (headers or {}))


def meta(**more: Any) -> dict[str, Any]:
    """What each request of the stateless era says of its sender."""
    return {
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    } | more
