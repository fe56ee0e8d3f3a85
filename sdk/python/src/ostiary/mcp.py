"""For servers built with the official `mcp` SDK (extra `ostiary[mcp]`).

    app = protect(server.streamable_http_app(), issuer="https://acme.auth.example.com", resource_id="res_…")

Servers that use the SDK's own auth settings take an OstiaryTokenVerifier instead, for the tokens and for the tools:

    verifier = OstiaryTokenVerifier(issuer=…, resource_id=…)
    server = MCPServer("Acme", token_verifier=verifier, auth=AuthSettings(…), middleware=[verifier.middleware])

`protect` is to be preferred: only there can a missing permission be answered with the 403 that makes hosts ask for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.auth.middleware.auth_context import auth_context_var, get_access_token
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, PrivateAttr
from starlette.authentication import AuthCredentials

from ._answers import SILENT, STOPPED_ACCESS, STOPPED_TARGET, Problem, asking_for, scope_value, unknown
from ._feed import STOPPED
from ._grant import Grant, current
from ._inspect import INSUFFICIENT, INVALID_PARAMS, LISTS, OUT_OF_CONTACT, Refusal, targets_of
from ._keys import KeysUnavailable
from ._lists import IN_RESULTS
from ._ostiary import NotReady, Ostiary, Stopped
from ._policy import INSUFFICIENT_SCOPE
from ._policy import OUT_OF_CONTACT as SILENCE
from ._request import Receive, Scope, Send
from ._tokens import TokenError
from .middleware import START_PATIENCE, OstiaryMiddleware

App = Callable[[Any, Any, Any], Awaitable[None]]


def protect(app: App, guard: Ostiary | None = None, **settings: Any) -> OstiaryMiddleware:
    """Protect what `server.streamable_http_app()` returned. The SDK's `get_access_token()` works in handlers, too.

    The settings are those of OstiaryMiddleware. Raises ValueError for settings that cannot work.
    """
    own = {name: settings.pop(name) for name in ("public", "max_body") if name in settings}
    guard = guard or Ostiary(**settings)
    return OstiaryMiddleware(Identified(app, guard), guard, **own)


class GrantedToken(AccessToken):
    """What the SDK wants to know of a token. The token itself is not part of it: no handler needs it."""

    _grant: Grant = PrivateAttr()

    @classmethod
    def of(cls, grant: Grant, guard: Ostiary) -> GrantedToken:
        """Say it of grant."""
        token = cls(**token_fields(grant, guard))
        token._grant = grant
        return token

    @property
    def grant(self) -> Grant:
        """Return who calls."""
        return self._grant


def token_fields(grant: Grant, guard: Ostiary) -> dict[str, Any]:
    """Return the fields of AccessToken, which FastMCP's has as well."""
    claims = {
        "iss": guard.issuer,
        "sub": grant.user,
        "org_id": grant.organization,
        "client_id": grant.client,
        "host": grant.host,
        "grant_id": grant.grant_id,
        "jti": grant.token_id,
    }
    return {
        "token": "",
        "client_id": grant.client,
        "scopes": list(grant.scopes),
        "expires_at": int(grant.expires_at),
        "resource": guard.view.document.resource.identifier,
        "subject": grant.user,
        "claims": {name: value for name, value in claims.items() if value},
    }


class Identified:
    """Tells the SDK inside the middleware who calls, in its own words."""

    def __init__(self, app: App, guard: Ostiary) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        grant = scope.get("state", {}).get("grant") if scope["type"] == "http" else None
        if grant is None:
            await self._app(scope, receive, send)
            return
        user = AuthenticatedUser(GrantedToken.of(grant, self._guard))
        token = auth_context_var.set(user)
        try:
            await self._app({**scope, "user": user, "auth": AuthCredentials(user.scopes)}, receive, send)
        finally:
            auth_context_var.reset(token)


class OstiaryTokenVerifier:
    """A TokenVerifier of the official SDK: all that is checked of a token, and whether what it rests on has ended."""

    def __init__(self, guard: Ostiary | None = None, **settings: Any) -> None:
        self.guard = guard or Ostiary(**settings)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what the token says, None when it is not good or nobody can tell."""
        grant = await checked(self.guard, token)
        return None if grant is None else GrantedToken.of(grant, self.guard)

    async def middleware(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Decide about one message: the server middleware that belongs to this verifier. Raises MCPError."""
        token = get_access_token()
        if not isinstance(token, GrantedToken):
            raise MCPError(*STOPPED_ACCESS)  # it came by a way that no token travels: stdio, or another verifier
        grant = token.grant
        problem, data = self._denial(grant, ctx.method, dict(ctx.params or {}))
        if problem is not None:
            raise MCPError(*problem, data)
        reset = current.set(grant)
        try:
            result = await call_next(ctx)
        finally:
            current.reset(reset)
        return self._filtered(grant, result) if ctx.method in LISTS else result

    def _denial(self, grant: Grant, method: str, params: dict[str, Any]) -> tuple[Problem | None, Any]:
        guard = self.guard
        if guard.refuses(grant) is not None:
            return STOPPED_ACCESS, None
        try:
            targets = targets_of(method, params)
        except Refusal as e:
            return (INVALID_PARAMS, e.message), None
        for kind, name in targets:
            decision = guard.decide(grant, name, kind)
            if not guard.enforces(decision):
                continue
            if decision.reason == STOPPED:
                return STOPPED_TARGET, None
            if decision.reason == SILENCE:
                return (OUT_OF_CONTACT, SILENT), None
            if decision.reason == INSUFFICIENT_SCOPE:
                data = {"error": INSUFFICIENT_SCOPE, "scope": scope_value(decision.required)}
                return (INSUFFICIENT, asking_for(decision.required)), data
            return unknown(kind, name), None
        return None, None

    def _filtered(self, grant: Grant, result: HandlerResult) -> HandlerResult:
        """Take out of a list what the token does not allow."""
        if isinstance(result, BaseModel):
            result = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        if result is None:
            return None
        lists = {name: of for name, of in IN_RESULTS.items() if isinstance(result.get(name), list)}
        out = dict(result)
        for name, (kind, member) in lists.items():
            out[name] = [item for item in result[name] if self.guard.lists(grant, item.get(member, ""), kind)]
        if lists and ("ttlMs" in out or "cacheScope" in out):
            out["cacheScope"] = "private"
        return out


async def checked(guard: Ostiary, token: str) -> Grant | None:
    """Return the grant of a token, None when it is not good. It raises nothing: SDKs answer 500 to errors."""
    if not guard.ready and not await guard.wait_ready(START_PATIENCE):
        guard.log.error("access token could not be checked: there is no policy yet")
        return None
    try:
        return await guard.grant_of(token)
    except (TokenError, Stopped) as e:
        guard.log.info("access token refused: %s", str(e) or "access is stopped")
    except (KeysUnavailable, NotReady) as e:
        guard.log.error("access token could not be checked: %s", e)
    return None
