"""OstiaryMiddleware: protects an MCP server written for any ASGI framework, with no change to its handlers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import anyio.to_thread

from . import _answers as answers
from ._answers import Answer, Challenge
from ._feed import REVOKED
from ._grant import Grant, current
from ._guard import Verdict, judge
from ._inspect import SESSION_NOT_FOUND, Body, Refusal, check_mirror, inspect
from ._keys import KeysUnavailable
from ._lists import ListFilter
from ._ostiary import Ostiary
from ._policy import CONTENT, PROMPT, TOOL
from ._record import calls_of
from ._request import (
    ASGIApp,
    Headers,
    Receive,
    Scope,
    Send,
    bearer,
    passed_on,
    path_of,
    read_body,
    replayed,
    token_in_query,
)
from ._response import Closed, Response, send_answer
from ._site import WELL_KNOWN
from ._streams import Stream
from ._tokens import ENDED, Entry, Recent, TokenError

MAX_BODY = 4 << 20
INSPECT_IN_THREAD = 256 << 10  # bodies from this size on are read beside the event loop
START_PATIENCE = 10.0  # for keys and policy, when the first request comes before them
REMEMBERED_SESSIONS = 8192


class OstiaryMiddleware:
    """Lets through what the token allows, and answers the rest as MCP clients expect.

    Every request is protected, on every path, but for those in `public` (exact paths, e.g. "/healthz"). It answers the
    metadata URLs (RFC 9728) and CORS itself, so put it outermost. Handlers find who calls with `current_grant()` or in
    `scope["state"]["grant"]`; they never see the token.
    """

    def __init__(
        self,
        app: Callable[[Any, Any, Any], Awaitable[None]],
        guard: Ostiary | None = None,
        *,
        issuer: str = "",
        resource_id: str = "",
        public: Iterable[str] = (),
        max_body: int = MAX_BODY,
        **settings: Any,
    ) -> None:
        self._app: ASGIApp = app
        self.guard = guard or Ostiary(issuer=issuer, resource_id=resource_id, **settings)
        self._public = frozenset(public)
        self._max_body = max_body
        self._sessions: Recent[str, tuple[str, str | None, str]] = Recent(REMEMBERED_SESSIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
        elif kind == "websocket":
            # MCP has no WebSocket transport, and nothing here could see into one.
            await send({"type": "websocket.close", "code": 1008})
        elif kind == "http" and scope["path"] not in self._public:
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Follow the issuer while the app lives. The app starts at once; requests wait for the policy, or get 503."""
        self.guard.start()
        try:
            await self._app(scope, receive, send)
        finally:
            await anyio.to_thread.run_sync(self.guard.close)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        method, headers, path = scope["method"], Headers(scope), path_of(scope)
        guard = self.guard
        guard.ensure_started()
        if not guard.ready and not await guard.wait_ready(START_PATIENCE):
            await send_answer(send, answers.unavailable())
            return
        answer = self._without_token(method, headers, path)
        if answer is not None:
            await send_answer(send, answer, head=method == "HEAD")
            return
        entry = await self._authenticated(scope, headers, path)
        if isinstance(entry, Answer):
            await send_answer(send, entry, head=method == "HEAD")
            return
        raw, body, problem = await self._read(method, headers, receive)
        url = guard.view.spelling_for(headers.host, path).metadata_url
        verdict = judge(guard, entry, body, problem, url)
        if verdict.answer is None and not self._admits(headers.all(b"mcp-session-id"), entry.grant):
            verdict.answer = answers.rpc_error(404, body.id if body else None, SESSION_NOT_FOUND, "Session not found")
        self._log(verdict, entry.grant)
        request = _Request(guard, method, entry.grant, body, verdict, began)
        if verdict.answer is not None:
            request.record(verdict.answer.status)
            await send_answer(send, verdict.answer, head=method == "HEAD")
            return
        rule = self._rule(method, entry.grant, body, verdict)
        inner = passed_on(scope, headers, raw, rule is not None)
        inner["state"] = {**scope.get("state", {}), "grant": entry.grant}
        again = receive if raw is None else replayed(raw, receive)
        await self._forward(inner, again, send, request, rule)

    def _without_token(self, method: str, headers: Headers, path: str) -> Answer | None:
        """Answer what needs no token: metadata, preflights, methods there are not."""
        view = self.guard.view
        if path.startswith("/.well-known/"):
            # Clients probe here for authorization servers and believe what they find: nothing but our own metadata.
            found = path.removeprefix(WELL_KNOWN)
            if found == path or not view.serves(found):
                return Answer(404, [*answers.GUARD, (b"content-length", b"0")])
            if method in ("GET", "HEAD"):
                metadata = view.spelling_for(headers.host, found).metadata
                kept = [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=60")]
                return Answer(200, [*answers.CORS, *kept, (b"content-length", b"%d" % len(metadata))], metadata)
            if method != "OPTIONS":
                return answers.method_not_allowed("GET, HEAD, OPTIONS")
        if method == "OPTIONS":
            return answers.preflight(",".join(headers.all(b"access-control-request-headers")))
        if method not in ("GET", "HEAD", "POST", "DELETE"):
            return answers.method_not_allowed(answers.ALLOWED_METHODS)
        return None

    async def _authenticated(self, scope: Scope, headers: Headers, path: str) -> Entry | Answer:
        """Return whose token a request carries, or the answer to one without a good token."""
        if token_in_query(scope.get("query_string", b"")):
            return answers.oauth_error(
                400, "invalid_request", "Access tokens are accepted in the Authorization header only"
            )
        code, why = "", ""
        try:
            token = bearer(headers.authorization)
            if token:
                return await self.guard.verify(token)
        except TokenError as e:
            code, why = "invalid_token", str(e)
            self.guard.log.info("access token refused: %s", why)
        except KeysUnavailable as e:
            self.guard.log.error("access token could not be checked: %s", e)
            return answers.unavailable()
        view = self.guard.view
        url = view.spelling_for(headers.host, path).metadata_url
        return answers.challenged(Challenge(url, view.baseline, code, why))

    async def _read(
        self, method: str, headers: Headers, receive: Receive
    ) -> tuple[bytes | None, Body | None, Refusal | None]:
        """Read what a request asks for, and what is wrong with it. Only POST has a body."""
        try:
            if method != "POST":
                if headers.all(b"transfer-encoding") or any(v != "0" for v in headers.all(b"content-length")):
                    raise Refusal(f"{method} has no body")
                return None, None, None
            raw = await read_body(headers, receive, self._max_body)
            large = len(raw) >= INSPECT_IN_THREAD
            body = await anyio.to_thread.run_sync(inspect, raw) if large else inspect(raw)
            check_mirror(headers.all(b"mcp-method"), headers.all(b"mcp-name"), body)
            return raw, body, None
        except Refusal as e:
            self.guard.log.info("request refused: %s", e.message)
            return None, None, e

    def _rule(self, method: str, grant: Grant, body: Body | None, verdict: Verdict) -> ListFilter | None:
        """Return what is filtered in the answer. Streams replay what was lost, so on GET that is every kind of list."""
        if verdict.view.shadow and not self.guard.feed.stops:
            return None
        kinds = body.lists if body else frozenset({TOOL, PROMPT, CONTENT}) if method == "GET" else frozenset()
        kinds -= {kind for kind in (PROMPT, CONTENT) if not verdict.view.policy.guards(kind)}
        if not kinds:
            return None
        return ListFilter(kinds, lambda kind, name: self.guard.shows(grant, name, kind))

    async def _forward(
        self, scope: Scope, receive: Receive, send: Send, request: _Request, rule: ListFilter | None
    ) -> None:
        guard, grant, post = self.guard, request.grant, request.method == "POST"

        def started(status: int, headers: list[tuple[bytes, bytes]]) -> None:
            for name, value in headers:
                if name == b"mcp-session-id":
                    self._note(value.decode("latin-1"), grant)
            request.record(status)

        response = Response(send, rule, post, request.id, started, guard.log)
        watched = Stream(grant)
        guard.streams.add(watched)
        watched.reason = guard.refuses(grant)  # it may have ended since it was asked; from here on it is told
        token = current.set(grant)
        try:
            with watched:
                if watched.reason is None:
                    await self._app(scope, receive, response)
        except Exception as e:
            if not response.done or not isinstance(e, OSError | RuntimeError):
                raise
            if not isinstance(e, Closed):
                guard.log.debug("the app went on after its answer was ended: %r", e)
        finally:
            current.reset(token)
            guard.streams.remove(watched)
            if watched.reason is None:
                request.record(0)  # unless it was answered: the client went away, or the app failed
        if watched.reason is not None:
            answer = self._ended(watched.reason)
            request.record(answer.status)
            await response.replace(answer)

    def _ended(self, reason: str) -> Answer:
        """Answer a request that was ended before the app had begun to."""
        if reason != REVOKED:
            return answers.access_stopped(None)
        view = self.guard.view
        return answers.challenged(Challenge(view.canonical.metadata_url, view.baseline, "invalid_token", ENDED))

    def _admits(self, sessions: list[str], grant: Grant) -> bool:
        """Report whether a token may use the session a request names, so that a session id that leaked is of no use."""
        if not sessions:
            return True
        owner = self._sessions.get(sessions[0])
        return len(sessions) == 1 and owner in (None, _owner(grant))

    def _note(self, session: str, grant: Grant) -> None:
        """Remember whose a session is. Who had it first keeps it."""
        if 0 < len(session) <= 256 and self._sessions.get(session) is None:
            self._sessions.put(session, _owner(grant))

    def _log(self, verdict: Verdict, grant: Grant) -> None:
        """Tell the operator what was denied, or would have been."""
        log = self.guard.log
        if verdict.refused is not None:
            log.info("request denied: %s (user %s, grant %s)", verdict.refused, grant.user, grant.grant_id)
        for call in verdict.calls:
            if not call.decision.allowed:
                outcome = "denied" if call.denied else "would be denied"
                log.info(
                    "%s %.128r %s: %s (missing %s, user %s, grant %s, revision %d)",
                    call.kind,
                    call.name,
                    outcome,
                    call.decision.reason,
                    " ".join(call.decision.missing) or "nothing",
                    grant.user,
                    grant.grant_id,
                    verdict.view.document.revision,
                )


def _owner(grant: Grant) -> tuple[str, str | None, str]:
    return grant.user, grant.organization, grant.client


class _Request:
    """A request that was decided, and the one time it is recorded."""

    __slots__ = ("_began", "_body", "_guard", "_recorded", "_verdict", "grant", "method")

    def __init__(
        self, guard: Ostiary, method: str, grant: Grant, body: Body | None, verdict: Verdict, began: float
    ) -> None:
        self._guard, self._body, self._verdict, self._began = guard, body, verdict, began
        self.method, self.grant = method, grant
        self._recorded = False

    @property
    def id(self) -> str | None:
        """Return the id of the only message."""
        return self._body.id if self._body else None

    def record(self, status: int) -> None:
        """Tell whoever wants to know how it was answered; the first time counts."""
        if self._recorded or not self._guard.observed:
            return
        self._recorded = True
        took, at = time.perf_counter() - self._began, self._guard.now()
        for call in calls_of(self._verdict, self._body, self.grant, self.method, at, status, took):
            self._guard.observe(call)
