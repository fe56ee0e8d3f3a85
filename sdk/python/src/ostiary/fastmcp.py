"""For servers built with FastMCP (extra `ostiary[fastmcp]`).

    mcp = FastMCP("Acme", auth=OstiaryProvider(issuer="https://acme.auth.example.com", resource_id="res_…"))

That protects the streamable HTTP endpoint, tool by tool, with the answers of OstiaryMiddleware. Custom routes stay
public, as they are with every FastMCP provider.
"""

from __future__ import annotations

from typing import Any

from fastmcp.server.auth import AccessToken, AuthProvider
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from starlette.middleware import Middleware
from starlette.routing import Route

from ._ostiary import Ostiary
from ._request import Receive, Scope, Send
from ._site import WELL_KNOWN
from .mcp import App, Identified, checked, token_fields
from .middleware import MAX_BODY, OstiaryMiddleware

# FastMCP looks for a bearer token where ours has been taken away; it gets to see that it was checked.
_CHECKED = (b"authorization", b"Bearer checked-by-ostiary")


class OstiaryProvider(AuthProvider):
    """An auth provider of FastMCP. The settings are those of Ostiary; `max_body` is OstiaryMiddleware's."""

    def __init__(
        self,
        guard: Ostiary | None = None,
        *,
        max_body: int = MAX_BODY,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.guard = guard or Ostiary(**settings)
        self._max_body = max_body

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a token says, None when it is not good or nobody can tell."""
        grant = await checked(self.guard, token)
        return None if grant is None else AccessToken(**token_fields(grant, self.guard))

    def get_middleware(self) -> list[Middleware]:
        """Return what protects the app: our checks, then FastMCP's own view of who calls."""
        return [Middleware(_Guarded, provider=self), Middleware(AuthContextMiddleware)]

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        """Return the route of the protected resource metadata, for apps that mount this one below another path."""
        self.set_mcp_path(mcp_path)
        return [Route(WELL_KNOWN + "{rest:path}", endpoint=_Metadata(self))]

    def protects(self, path: str) -> bool:
        """Report whether a path, below where the app is mounted, is the MCP endpoint."""
        endpoint = (self._mcp_path or "/").rstrip("/")
        return path == endpoint or path.startswith(endpoint + "/")

    def middleware(self, app: App) -> OstiaryMiddleware:
        """Return app behind our checks."""
        return OstiaryMiddleware(app, self.guard, max_body=self._max_body)


class _Guarded:
    """Puts our checks before the MCP endpoint and leaves custom routes alone."""

    def __init__(self, app: App, provider: OstiaryProvider) -> None:
        self._app, self._provider = app, provider
        self._guarded = provider.middleware(Identified(self._inside, provider.guard))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
            if not self._provider.protects(path):
                await self._app(scope, receive, send)
                return
        await self._guarded(scope, receive, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], _CHECKED]}
        await self._app(scope, receive, send)


class _Metadata:
    """Answers the well-known URLs and nothing else."""

    def __init__(self, provider: OstiaryProvider) -> None:
        self._answers = provider.middleware(_nothing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request for metadata, at the root also where the app is mounted elsewhere."""
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        await self._answers({**scope, "path": path, "raw_path": None}, receive, send)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("metadata is answered without the app")
