"""Servers of the official SDK and of FastMCP, called by the official client in both protocol eras."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, Literal

import fastmcp
import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from ostiary import Ostiary, current_grant
from ostiary.fastmcp import OstiaryProvider
from ostiary.mcp import OstiaryTokenVerifier, protect

from .apps import call
from .conftest import eventually
from .issuer import IDENTIFIER, Issuer, policy, serving

pytestmark = pytest.mark.anyio

Mode = Literal["legacy", "2026-07-28"]


def add_tools(server: Any) -> None:
    """Add the tools that the policy maps, and one that it does not know."""

    def query() -> str:
        token = get_access_token()
        return f"{current_grant().user} {current_grant().token_id} {'' if token is None else token.client_id}"

    def blocking() -> str:
        return current_grant().user

    for name, tool in (("query", query), ("insert", query), ("secret", query), ("merge", blocking)):
        server.tool(name=name)(tool)


@contextlib.contextmanager
def wrapped(guard: Ostiary) -> Iterator[str]:
    """Serve the official SDK behind `protect`."""
    server = MCPServer("Acme")
    add_tools(server)
    with serving(protect(server.streamable_http_app(), guard), lifespan="on") as url:
        yield url + "/mcp"


@contextlib.contextmanager
def verified(guard: Ostiary) -> Iterator[str]:
    """Serve the official SDK with its own auth settings and our verifier."""
    verifier = OstiaryTokenVerifier(guard)
    server = MCPServer(
        "Acme",
        token_verifier=verifier,
        auth=AuthSettings(
            issuer_url=AnyHttpUrl(guard.issuer),
            resource_server_url=AnyHttpUrl(IDENTIFIER),
            validate_token_resource=True,
        ),
        middleware=[verifier.middleware],
    )
    add_tools(server)
    with serving(server.streamable_http_app(), lifespan="on") as url:
        yield url + "/mcp"


@contextlib.contextmanager
def provided(guard: Ostiary) -> Iterator[str]:
    """Serve FastMCP with our provider."""
    server = fastmcp.FastMCP("Acme", auth=OstiaryProvider(guard))
    add_tools(server)

    @server.custom_route("/healthz", methods=["GET"])
    async def healthz(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    with serving(server.http_app(), lifespan="on") as url:
        yield url + "/mcp"


Serve = Callable[[Ostiary], contextlib.AbstractContextManager[str]]
EVERY = pytest.mark.parametrize("serve", [wrapped, verified, provided])
INSIDE = pytest.mark.parametrize("serve", [wrapped, provided])
ERAS = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])


@contextlib.asynccontextmanager
async def connected(url: str, token: str, mode: Mode) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, cache=None) as client,
    ):
        yield client


@EVERY
@ERAS
async def test_tools_are_called_and_listed_as_far_as_the_token_allows(
    guard: Ostiary, issuer: Issuer, serve: Serve, mode: Mode
) -> None:
    with serve(guard) as url:
        async with connected(url, issuer.token(), mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["query"]
            result = await client.call_tool("query", {})
            assert result.content[0].text == "usr_1 jti_1 cli_1"  # type: ignore[union-attr]
            with pytest.raises(MCPError, match="Unknown tool: secret"):
                await client.call_tool("secret", {})
            with pytest.raises(
                Exception, match=r"."
            ):  # 403 or an error of the call, by what the server can answer with
                await client.call_tool("insert", {})
        async with connected(url, issuer.token(scope="data:write data:delete", sub="usr_2"), mode) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == {"insert", "merge"}
            assert (await client.call_tool("merge", {})).content[0].text == "usr_2"  # type: ignore[union-attr]


@EVERY
@ERAS
async def test_what_is_stopped_stops(guard: Ostiary, issuer: Issuer, serve: Serve, mode: Mode) -> None:
    with serve(guard) as url:
        async with connected(url, issuer.token(), mode) as client:
            await client.call_tool("query", {})
            issuer.tell(stops=[{"kind": "tool", "value": "query"}])
            eventually(lambda: bool(guard.feed.stops))
            with pytest.raises(MCPError, match="stopped by an administrator"):
                await client.call_tool("query", {})
            assert (await client.list_tools()).tools == []


@EVERY
async def test_bad_tokens_are_refused(guard: Ostiary, issuer: Issuer, serve: Serve) -> None:
    with serve(guard) as url, httpx.Client() as http:
        eventually(lambda: guard.ready)
        for token in (
            "",
            "x",
            issuer.token(iss="https://other.example"),
            issuer.token(aud="https://other.example/mcp"),
        ):
            headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
            answer = http.post(url, json=call("query"), headers=headers if token else {})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")
        issuer.tell(ended={"users": ["usr_1"]})
        eventually(lambda: bool(guard.feed.users))
        answer = http.post(url, json=call("query"), headers={"Authorization": f"Bearer {issuer.token()}"})
        assert answer.status_code == 401


@INSIDE
async def test_a_missing_permission_is_asked_for(guard: Ostiary, issuer: Issuer, serve: Serve) -> None:
    with serve(guard) as url, httpx.Client() as http:
        answer = http.post(url, json=call("insert"), headers={"Authorization": f"Bearer {issuer.token()}"})
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="data:write"' in answer.headers["www-authenticate"]


async def test_fastmcp_serves_metadata_and_keeps_custom_routes_public(guard: Ostiary, issuer: Issuer) -> None:
    with provided(guard) as url, httpx.Client() as http:
        assert http.get(url.replace("/mcp", "/healthz")).text == "ok"
        metadata = http.get(url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"))
        assert metadata.json()["authorization_servers"] == [issuer.url]
        assert http.get(url.replace("/mcp", "/.well-known/oauth-protected-resource/x")).status_code == 404
        for other in ("/mcp/", "/mcp/x", "/mcp//"):
            assert http.post(url.replace("/mcp", other), json=call("query")).status_code in (401, 404, 405)


async def test_fastmcp_below_another_path(guard: Ostiary, issuer: Issuer) -> None:
    issuer.policy = policy(revision=2, resource={**policy()["resource"], "identifier": "http://127.0.0.1/api/mcp"})
    issuer.tell(revision=2)
    eventually(lambda: guard.view.document.revision == 2)
    provider = OstiaryProvider(guard)
    server = fastmcp.FastMCP("Acme", auth=provider)
    add_tools(server)
    inner = server.http_app(path="/mcp")
    outer = Starlette(
        routes=[*provider.get_well_known_routes("/mcp"), Mount("/api", app=inner)], lifespan=inner.lifespan
    )
    with serving(outer, lifespan="on") as url, httpx.Client() as http:
        metadata = http.get(url + "/.well-known/oauth-protected-resource/api/mcp")
        assert metadata.json()["resource"] == "http://127.0.0.1/api/mcp"
        answer = http.post(url + "/api/mcp", json=call("query"))
        assert answer.status_code == 401
        assert "/.well-known/oauth-protected-resource/api/mcp" in answer.headers["www-authenticate"]
        async with connected(url + "/api/mcp", issuer.token(), "legacy") as client:
            assert (await client.call_tool("query", {})).content[0].text.startswith("usr_1")  # type: ignore[union-attr]


@INSIDE
async def test_the_grant_is_that_of_the_message_not_of_the_session(
    guard: Ostiary, issuer: Issuer, serve: Serve
) -> None:
    """A session outlives tokens: what a handler sees must be who asks now."""
    with serve(guard) as url:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {issuer.token()}"}) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode="legacy", cache=None) as client:
                first = await client.call_tool("query", {})
                http.headers["Authorization"] = f"Bearer {issuer.token(jti='jti_2')}"
                second = await client.call_tool("query", {})
    assert first.content[0].text == "usr_1 jti_1 cli_1"  # type: ignore[union-attr]
    assert second.content[0].text == "usr_1 jti_2 cli_1"  # type: ignore[union-attr]


async def test_nobody_passes_the_verifiers_middleware_without_its_token(guard: Ostiary) -> None:
    async def never(ctx: Any) -> None:
        raise AssertionError("it was let through")

    asked: Any = SimpleNamespace(method="tools/call", params={"name": "query"})
    with pytest.raises(MCPError):
        await OstiaryTokenVerifier(guard).middleware(asked, never)


def test_a_resource_is_named() -> None:
    with pytest.raises(ValueError, match="resource id"):
        OstiaryProvider(issuer="http://127.0.0.1:1", resource_id="")
