"""What is open ends when what it rests on has ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from ostiary import Ostiary, OstiaryMiddleware, current_grant

from .apps import Server, call, client
from .conftest import Guards, eventually
from .issuer import RESOURCE, Issuer, serving

LIST = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "query"}, {"name": "delete"}]}}


class Streaming:
    """Answers with events until it is cancelled; a POST waits before it answers."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.waiting = threading.Event()

    def when_waiting(self, then: Callable[[], None]) -> threading.Thread:
        """Run then in a thread once a request is being answered."""

        def run() -> None:
            assert self.waiting.wait(10)
            then()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await receive()
        try:
            if scope["method"] == "GET" or scope["path"] == "/stream":
                kind = [(b"content-type", b"text/event-stream"), (b"cache-control", b"public")]
                await send({"type": "http.response.start", "status": 200, "headers": kind})
                event = f"event: message\ndata: {json.dumps(LIST)}\n\n".encode()
                await send({"type": "http.response.body", "body": event, "more_body": True})
            self.waiting.set()
            await anyio.sleep(60)
        except BaseException:
            self.cancelled.set()
            raise


@pytest.fixture
def app() -> Streaming:
    return Streaming()


@pytest.mark.parametrize(("method", "path"), [("GET", "/mcp"), ("POST", "/stream")])
def test_a_stream_ends_with_its_grant(guard: Ostiary, issuer: Issuer, app: Streaming, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    body = None if method == "GET" else call("query")
    with serving(OstiaryMiddleware(app, guard)) as url, httpx.Client(timeout=20, headers=headers) as http:
        with http.stream(method, url + path, json=body) as answer:
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store, no-transform"
            assert answer.headers["x-accel-buffering"] == "no"
            chunks = answer.iter_text()
            first = next(chunks)
            if method == "GET":  # streams replay what was lost, lists among it
                assert '"query"' in first
                assert '"delete"' not in first
            issuer.tell(ended={"grants": ["grt_other"]})
            eventually(lambda: "grt_other" in guard.feed.grants)
            assert not app.cancelled.is_set()
            issuer.tell(ended={"grants": ["grt_1"]})
            assert "".join(chunks) == ""
        assert app.cancelled.wait(10)
        assert http.request(method, url + path, json=body).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"ended": {"users": ["usr_1"]}}, 401, "invalid_token"),
        ({"stops": [{"kind": "server", "value": RESOURCE}]}, 403, "access_stopped"),
    ],
)
def test_a_call_under_way_is_answered(
    guard: Ostiary, issuer: Issuer, app: Streaming, change: dict[str, Any], status: int, error: str
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    with serving(OstiaryMiddleware(app, guard)) as url, httpx.Client(timeout=20, headers=headers) as http:
        teller = app.when_waiting(lambda: issuer.tell(**change))
        answer = http.post(url, json=call("query"))
        teller.join()
    assert answer.status_code == status
    assert answer.json()["error"] == error
    assert app.cancelled.is_set()
    assert not guard.streams._open


def test_a_gap_ends_what_rests_on_an_expired_token(guards: Guards, issuer: Issuer, app: Streaming) -> None:
    offset = 0.0
    guard = guards(now=lambda: time.time() + offset)
    guard.start()
    eventually(lambda: guard.ready)
    headers = {"Authorization": f"Bearer {issuer.token(lifetime=60)}"}
    with (
        serving(OstiaryMiddleware(app, guard)) as url,
        httpx.stream("GET", url, timeout=20, headers=headers) as answer,
    ):
        chunks = answer.iter_text()
        next(chunks)
        offset = issuer.offset = 600  # nothing was heard meanwhile
        issuer.tell()
        assert "".join(chunks) == ""


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


@pytest.mark.anyio
async def test_it_works_under_trio(guard: Ostiary, issuer: Issuer) -> None:
    server = Server()
    protected = OstiaryMiddleware(server, guard)
    async with client(protected, issuer.token()) as c:
        assert (await c.post("/mcp", json=call("query"))).status_code == 200
        assert (await c.post("/mcp", json=call("insert"))).status_code == 403
        large = call("query", arguments={"x": "y" * (300 << 10)})
        assert (await c.post("/mcp", json=large)).status_code == 200


@pytest.mark.anyio
async def test_a_call_is_ended_under_trio(guard: Ostiary, issuer: Issuer, app: Streaming) -> None:
    teller = app.when_waiting(lambda: issuer.tell(ended={"users": ["usr_1"]}))
    async with client(OstiaryMiddleware(app, guard), issuer.token()) as c:
        answer = await c.post("/mcp", json=call("query"))
    teller.join()
    assert answer.status_code == 401


@pytest.mark.anyio
async def test_the_grant_is_there_in_threads(guard: Ostiary, issuer: Issuer) -> None:
    seen: list[str] = []

    async def threaded(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await anyio.to_thread.run_sync(lambda: current_grant().user))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with client(OstiaryMiddleware(threaded, guard), issuer.token()) as c:
        await c.get("/mcp")
    assert seen == ["usr_1"]


@pytest.mark.anyio
async def test_an_app_that_fails_fails_as_it_would_alone(guard: Ostiary, issuer: Issuer) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async with client(OstiaryMiddleware(broken, guard), issuer.token()) as c:
        with pytest.raises(ZeroDivisionError):
            await c.get("/mcp")
    assert not guard.streams._open


@pytest.mark.anyio
async def test_answers_that_cannot_be_filtered_are_withheld(guard: Ostiary, issuer: Issuer) -> None:
    asked = {"jsonrpc": "2.0", "id": 9, "method": "tools/list"}
    for headers, body in (
        ([], b'{"result":{"tools":[{"name":"delete"}]},"result":{}}'),
        ([(b"content-encoding", b"gzip")], b"\x1f\x8b"),
        ([(b"content-length", b"5")], b"<html"),
    ):

        async def odd(scope: Any, receive: Any, send: Any, h: Any = headers, b: bytes = body) -> None:
            assert b"accept-encoding" not in dict(scope["headers"])
            assert "http.response.pathsend" not in scope.get("extensions", {})
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": h})
            await send({"type": "http.response.body", "body": b[:3], "more_body": True})
            await send({"type": "http.response.body", "body": b[3:]})

        async with client(OstiaryMiddleware(odd, guard), issuer.token()) as c:
            answer = await c.post("/mcp", json=asked, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 502
        assert answer.json()["id"] == 9
        assert b"delete" not in answer.content
