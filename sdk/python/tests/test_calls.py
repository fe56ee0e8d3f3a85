"""What is recorded of calls, and how it reaches the issuer."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from ostiary import Call, Credential, OstiaryMiddleware
from ostiary import _report as report_module

from .apps import Server, call, client
from .conftest import Guards, eventually
from .issuer import RESOURCE, Issuer, policy

pytestmark = pytest.mark.anyio

CALLS = f"/resources/{RESOURCE}/calls"
CREDENTIAL = Credential("rcr_1", "secret")


async def test_each_decided_call_is_recorded(guards: Guards, issuer: Issuer) -> None:
    seen: list[Call] = []
    app = OstiaryMiddleware(Server(), guards(on_call=seen.append))
    async with client(app, issuer.token(host="claude-code")) as c:
        await c.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
        arguments = {"limit": 1.50, "secret": "hush", "Limit": 2}
        await c.post("/mcp", json=call("query", arguments=arguments))
        await c.post("/mcp", json=call("merge"))
        await c.post("/mcp", json=call("unmapped"))
        await c.post("/mcp", json=[call("query"), call("insert", arguments={"limit": 3})])
    assert [(r.tool, r.allowed, r.reason, r.missing, r.status) for r in seen] == [
        ("query", True, "allowed", (), 200),
        ("merge", False, "insufficient_scope", ("data:delete", "data:write"), 403),
        ("unmapped", False, "unmapped_tool", (), 200),
        ("query", True, "allowed", (), 403),
        ("insert", False, "insufficient_scope", ("data:write",), 403),
    ]
    record = json.loads(seen[0].json())
    assert re.fullmatch(r"call_[A-Z2-7]{26}", record.pop("id"))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", record.pop("at"))
    assert record.pop("latency_us") > 0
    assert record.pop("silence") >= 0
    assert record == {
        "kind": "tool",
        "tool": "query",
        "user": "usr_1",
        "org": "org_1",
        "client": "cli_1",
        "host": "claude-code",
        "grant": "grt_1",
        "proof": "token",
        "scopes": ["data:read"],
        "allowed": True,
        "reason": "allowed",
        "revision": 1,
        "seq": 1,
        "status": 200,
        "arguments": {"limit": 1.5},
    }
    assert "1.5" in seen[0].json()
    assert len({r.id for r in seen}) == len(seen)


async def test_refused_requests_and_shadowed_calls_are_recorded(guards: Guards, issuer: Issuer) -> None:
    issuer.policy = policy(mode="shadow")
    seen: list[Call] = []
    guard = guards(on_call=seen.append)
    app = OstiaryMiddleware(Server(), guard)
    async with client(app, issuer.token()) as c:
        await c.post("/mcp", json=call("insert"))
        issuer.tell(ended={"grants": ["grt_1"]})
        eventually(lambda: bool(guard.feed.grants))
        await c.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
        await c.get("/mcp")
        await c.post("/mcp", json=call("query"))
    assert [(r.kind, r.tool, r.allowed, r.shadowed, r.reason, r.status) for r in seen] == [
        ("tool", "insert", True, True, "insufficient_scope", 200),
        ("request", "initialize", False, False, "revoked", 401),
        ("request", "GET", False, False, "revoked", 401),
        ("tool", "query", False, False, "revoked", 401),
    ]


async def test_a_call_without_an_answer_is_recorded_too(guards: Guards, issuer: Issuer) -> None:
    seen: list[Call] = []

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async with client(OstiaryMiddleware(broken, guards(on_call=seen.append)), issuer.token()) as c:
        with pytest.raises(ZeroDivisionError):
            await c.post("/mcp", json=call("query"))
    assert [(r.tool, r.status) for r in seen] == [("query", 0)]


async def test_audited_arguments_have_room_for_so_much(guards: Guards, issuer: Issuer) -> None:
    seen: list[Call] = []
    app = OstiaryMiddleware(Server(), guards(on_call=seen.append))
    async with client(app, issuer.token()) as c:
        for size in (4000, 5000):
            await c.post("/mcp", json=call("query", arguments={"limit": "x" * size}))
    assert [len(r.arguments) for r in seen] == [1, 0]


async def test_calls_are_reported_with_the_servers_credential(guards: Guards, issuer: Issuer) -> None:
    guard = guards(reporting=CREDENTIAL)
    app = OstiaryMiddleware(Server(), guard)
    async with client(app, issuer.token()) as c:
        for _ in range(3):
            await c.post("/mcp", json=call("query"))
    guard.close()  # sends what is left
    assert {authorization for authorization, _ in issuer.reports} == {
        "Basic " + base64.b64encode(b"rcr_1:secret").decode()
    }
    assert sum(len(batch["calls"]) for _, batch in issuer.reports) == 3
    assert "secret" not in repr(CREDENTIAL)


def answering(monkeypatch: pytest.MonkeyPatch, status: Callable[[bytes], int]) -> None:
    """Let the issuer answer reports with the status that a function of their body returns, 200 as usual."""
    whole = Issuer._calls

    async def answer(self: Issuer, headers: Any, receive: Any, send: Any) -> None:
        event = await receive()
        code = status(event["body"])
        if code != 200:
            await send({"type": "http.response.start", "status": code, "headers": [(b"retry-after", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def again() -> Any:
            return event

        await whole(self, headers, again, send)

    monkeypatch.setattr(Issuer, "_calls", answer)
    monkeypatch.setattr(report_module, "RETRY_MOST", 0.05)


async def test_a_batch_is_sent_again_exactly_as_it_was(
    guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[bytes] = []

    def failing_twice(body: bytes) -> int:
        bodies.append(body)
        return 503 if len(bodies) < 3 else 200

    answering(monkeypatch, failing_twice)
    app = OstiaryMiddleware(Server(), guards(reporting=CREDENTIAL))
    async with client(app, issuer.token()) as c:
        await c.post("/mcp", json=call("query"))
    eventually(lambda: len(issuer.reports) == 1)
    assert len(bodies) == 3
    assert len(set(bodies)) == 1


async def test_what_is_held_is_bounded_and_losses_are_said(
    guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "MAX_RECORDS", 5)
    monkeypatch.setattr(report_module, "RETRY_MOST", 0.05)
    issuer.answers[CALLS] = (503, {}, b"")
    guard = guards(reporting=CREDENTIAL)
    app = OstiaryMiddleware(Server(), guard)
    async with client(app, issuer.token()) as c:
        await c.post("/mcp", json=call("query"))
        eventually(lambda: issuer.count("/calls") > 0)
        for _ in range(20):
            await c.post("/mcp", json=call("query"))
    issuer.answers.clear()
    guard.close()
    kept = sum(len(batch["calls"]) for _, batch in issuer.reports)
    lost = sum(batch["dropped"] for _, batch in issuer.reports)
    assert kept + lost == 21
    assert kept <= 6


@pytest.mark.parametrize("status", [400, 413])
async def test_what_the_issuer_refuses_is_said_to_be_lost(
    guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    refused: list[bytes] = []

    def refusing(body: bytes) -> int:
        if b"insert" in body:
            refused.append(body)
            return status
        return 200

    answering(monkeypatch, refusing)
    guard = guards(reporting=CREDENTIAL)
    app = OstiaryMiddleware(Server(), guard)
    async with client(app, issuer.token()) as c:
        await c.post("/mcp", json=call("insert"))
        eventually(lambda: len(refused) == 1)
        await c.post("/mcp", json=call("query"))
        eventually(lambda: len(issuer.reports) == 1)
        assert issuer.reports[0][1]["dropped"] == 1
        await c.post("/mcp", json=call("insert"))
        eventually(lambda: len(refused) == 2)
    guard.close()
    assert [(len(batch["calls"]), batch["dropped"]) for _, batch in issuer.reports] == [(1, 1), (0, 1)]


async def test_cheap_calls_push_no_record_of_harm_out(
    guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "MAX_RECORDS", 5)
    monkeypatch.setattr(report_module, "RETRY_MOST", 0.05)
    issuer.answers[CALLS] = (429, {}, b"")
    guard = guards(reporting=CREDENTIAL)
    app = OstiaryMiddleware(Server(), guard)
    async with client(app, issuer.token(scope="data:read data:write data:delete")) as c:
        await c.post("/mcp", json=call("query"))
        eventually(lambda: issuer.count("/calls") > 0)  # one batch is under way, which nothing pushes out
        await c.post("/mcp", json=call("merge"))
        await c.post("/mcp", json=call("insert"))
        for tool in ["query"] * 10 + ["unmapped"] * 10:
            await c.post("/mcp", json=call(tool))
    issuer.answers.clear()
    guard.close()
    tools = [record["tool"] for batch in issuer.reports for record in batch[1]["calls"]]
    assert tools == ["query", "merge", "insert", "query", "query", "query"]
    assert sum(batch["dropped"] for _, batch in issuer.reports) == 17


async def test_large_batches_are_split(guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda body: 413 if len(json.loads(body)["calls"]) > 2 else 200)
    guard = guards(reporting=CREDENTIAL)
    app = OstiaryMiddleware(Server(), guard)
    async with client(app, issuer.token()) as c:
        await c.post("/mcp", json=[call("query")] * 7)
    eventually(lambda: sum(len(batch["calls"]) for _, batch in issuer.reports) == 7)
    assert all(len(batch["calls"]) <= 2 for _, batch in issuer.reports)
