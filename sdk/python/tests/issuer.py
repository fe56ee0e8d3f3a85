"""An issuer on loopback with real keys: what the SDK rests on, under the control of a test."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

RESOURCE = "res_acme"
IDENTIFIER = "https://mcp.acme.example/mcp"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class SigningKey:
    kid: str
    alg: str
    private: PrivateKey

    def jwk(self) -> dict[str, Any]:
        public: Any = self.private.public_key()
        algorithm: Any = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm, "EdDSA": OKPAlgorithm}[self.alg]
        return {**algorithm.to_jwk(public, as_dict=True), "kid": self.kid, "alg": self.alg, "use": "sig"}

    def sign(self, claims: dict[str, Any], typ: str, **headers: Any) -> str:
        return jwt.encode(claims, self.private, self.alg, {"kid": self.kid, "typ": typ, **headers})


def es256(kid: str) -> SigningKey:
    return SigningKey(kid, "ES256", ec.generate_private_key(ec.SECP256R1()))


def policy(**changes: Any) -> dict[str, Any]:
    return {
        "revision": 1,
        "mode": "enforce",
        "resource": {"id": RESOURCE, "identifier": IDENTIFIER, "aliases": ["http://127.0.0.1/mcp"], "name": "Acme"},
        "scopes": {
            "data:read": {"risk": "read", "baseline": True, "title": "read", "position": 1},
            "data:write": {"risk": "write", "title": "write", "position": 2},
            "data:delete": {"risk": "destructive", "title": "delete", "position": 3},
        },
        "tools": {
            "query": {"scopes": ["data:read"], "match": "all", "audited": ["limit"]},
            "insert": {"scopes": ["data:write"], "match": "all"},
            "delete": {"scopes": ["data:delete"], "match": "all"},
            "merge": {"scopes": ["data:write", "data:delete"], "match": "all"},
            "unmapped": {"scopes": [], "match": "all"},
        },
        "offline": {"read": 600, "write": 120, "destructive": 60},
        **changes,
    }


@dataclass
class Issuer:
    """Serve it with `serving`. What is assigned here is what the next request gets."""

    url: str = ""
    keys: list[SigningKey] = field(default_factory=lambda: [es256("k1")])
    policy: dict[str, Any] = field(default_factory=policy)
    feed: dict[str, Any] = field(default_factory=lambda: {"seq": 1, "revision": 1, "ended": {}})
    offset: float = 0  # of the issuer's clock
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)  # instead of the real ones
    streams: bool = True  # whether server-sent events get through
    requests: list[str] = field(default_factory=list)
    reports: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _changed: list[asyncio.Event] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None

    def now(self) -> float:
        return time.time() + self.offset

    def count(self, path: str) -> int:
        return sum(path in asked for asked in self.requests)

    def token(self, *, key: SigningKey | None = None, typ: str = "at+jwt", lifetime: int = 600, **changes: Any) -> str:
        now = int(self.now())
        claims = {
            "iss": self.url,
            "sub": "usr_1",
            "aud": self.policy["resource"]["identifier"],
            "iat": now,
            "exp": now + lifetime,
            "jti": "jti_1",
            "client_id": "cli_1",
            "scope": "data:read",
            "grant_id": "grt_1",
            "org_id": "org_1",
            **changes,
        }
        return (key or self.keys[0]).sign({k: v for k, v in claims.items() if v is not None}, typ)

    def signed_policy(self, **changes: Any) -> str:
        now = int(self.now())
        claims = {"iss": self.url, "sub": RESOURCE, "iat": now, "exp": now + 600, "policy": self.policy, **changes}
        return self.keys[0].sign(claims, changes.pop("typ", "ostiary-policy+jwt"))

    def signed_feed(self, **changes: Any) -> str:
        now = int(self.now())
        typ = changes.pop("typ", "ostiary-revocations+jwt")
        claims = {"iss": self.url, "sub": RESOURCE, "iat": now, "exp": now + 120, "feed": self.feed, **changes}
        return self.keys[0].sign(claims, typ)

    def publish(self, **changes: Any) -> None:
        """Publish a new revision and tell everyone who listens."""
        self.policy = {**self.policy, "revision": self.policy["revision"] + 1, **changes}
        self.tell(revision=self.policy["revision"])

    def tell(self, **changes: Any) -> None:
        """Change the feed and tell everyone who listens."""
        self.feed = {**self.feed, "seq": self.feed["seq"] + 1, **changes}
        if self._loop is not None:
            for event in list(self._changed):
                self._loop.call_soon_threadsafe(event.set)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self._loop = asyncio.get_running_loop()
        path, query, headers = scope["path"], scope["query_string"].decode(), dict(scope["headers"])
        self.requests.append(path + (f"?{query}" if query else ""))
        if path in self.answers:
            status, extra, body = self.answers[path]
            await _send(send, status, body, extra)
        elif path == f"/resources/{RESOURCE}/policy":
            await self._policy(headers, send)
        elif path == f"/resources/{RESOURCE}/revocations":
            await self._revocations(headers, dict(pair.split("=") for pair in query.split("&") if pair), send)
        elif path == f"/resources/{RESOURCE}/calls":
            await self._calls(headers, receive, send)
        else:
            documents = {
                "/.well-known/oauth-authorization-server": {"issuer": self.url, "jwks_uri": self.url + "/jwks"},
                "/jwks": {"keys": [k.jwk() for k in self.keys]},
            }
            await _send(send, 200 if path in documents else 404, json.dumps(documents.get(path)).encode())

    async def _policy(self, headers: dict[bytes, bytes], send: Any) -> None:
        etag = '"' + hashlib.sha256(json.dumps(self.policy).encode()).hexdigest() + '"'
        if headers.get(b"if-none-match") == etag.encode():
            await _send(send, 304, b"")
        else:
            await _send(send, 200, self.signed_policy().encode(), {"etag": etag})

    async def _calls(self, headers: dict[bytes, bytes], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        self.reports.append((headers.get(b"authorization", b"").decode(), json.loads(body)))
        await _send(send, 200, json.dumps({"accepted": len(json.loads(body)["calls"])}).encode())

    async def _revocations(self, headers: dict[bytes, bytes], query: dict[str, str], send: Any) -> None:
        changed = asyncio.Event()
        self._changed.append(changed)
        with contextlib.suppress(asyncio.CancelledError):  # the server stops
            await self._answer_feed(headers, query, send, changed)
        self._changed.remove(changed)

    async def _answer_feed(
        self, headers: dict[bytes, bytes], query: dict[str, str], send: Any, changed: asyncio.Event
    ) -> None:
        if headers.get(b"accept") == b"text/event-stream" and self.streams:
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
            )
            while True:
                changed.clear()
                event = f"id: {self.feed['seq']}\nevent: feed\ndata: {self.signed_feed()}\n\n"
                await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), 20)
        if self.feed["seq"] <= int(query.get("after", -1)):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), int(query["wait"]))
        await _send(send, 200, self.signed_feed().encode(), {"content-type": "application/jwt"})


async def _send(send: Any, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    raw = [(k.encode(), v.encode()) for k, v in {"content-length": str(len(body)), **(headers or {})}.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(app: Any, lifespan: str = "off") -> Iterator[str]:
    """Serve an ASGI app on loopback from a thread; the value is its URL."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan=lifespan, timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(timeout=10)
        listener.close()
