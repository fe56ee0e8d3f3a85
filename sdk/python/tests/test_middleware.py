"""What a protected server answers."""

from __future__ import annotations

import json
import time
from typing import Any

import anyio
import pytest

from ostiary import Ostiary, OstiaryMiddleware, current_grant
from ostiary import _request as request_module

from .apps import Server, call, client
from .conftest import Guards, eventually
from .issuer import IDENTIFIER, RESOURCE, Issuer, policy

pytestmark = pytest.mark.anyio

METADATA = "https://mcp.acme.example/.well-known/oauth-protected-resource/mcp"


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def app(server: Server, guard: Ostiary) -> OstiaryMiddleware:
    return OstiaryMiddleware(server, guard, public=["/healthz"])


async def test_without_a_token_it_says_where_to_get_one(app: OstiaryMiddleware, server: Server) -> None:
    async with client(app) as c:
        answer = await c.post("/mcp", json=call("query"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{METADATA}", scope="data:read"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "www-authenticate" in answer.headers["access-control-expose-headers"].lower()
    assert answer.json()["error"] == "unauthorized"
    assert server.seen == []


async def test_an_allowed_call_reaches_the_app_with_its_body_and_without_its_token(
    app: OstiaryMiddleware, server: Server, issuer: Issuer
) -> None:
    async with client(app, issuer.token()) as c:
        asked = call("query", arguments={"limit": 1.50})
        answer = await c.post(
            "/mcp", json=asked, headers={"Ostiary-User": "usr_root", "Ostiary_User": "x", "Origin": "https://x"}
        )
    assert answer.status_code == 200
    assert answer.json()["result"]["content"][0]["text"] == "done"
    assert server.seen == [asked]
    assert server.users == ["usr_1"]
    names = {name for name, _ in server.scopes[0]["headers"]}
    assert not names & {b"authorization", b"ostiary-user", b"ostiary_user", b"origin"}
    assert dict(server.scopes[0]["headers"])[b"content-length"] == str(len(answer.request.content)).encode()
    assert server.scopes[0]["state"]["grant"].grant_id == "grt_1"


async def test_there_is_no_grant_outside(app: OstiaryMiddleware, issuer: Issuer) -> None:
    async with client(app, issuer.token()) as c:
        await c.post("/mcp", json=call("query"))
    with pytest.raises(LookupError):
        current_grant()


@pytest.mark.parametrize("tool", ["unmapped", "secret", "Query", "query ", "__class__"])
async def test_an_unknown_tool_is_answered_without_a_challenge(
    app: OstiaryMiddleware, server: Server, issuer: Issuer, tool: str
) -> None:
    async with client(app, issuer.token(scope="data:read data:write data:delete")) as c:
        answer = await c.post("/mcp", json=call(tool, id="a"))
    assert answer.status_code == 200
    assert "www-authenticate" not in answer.headers
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": "a",
        "error": {"code": -32602, "message": f"Unknown tool: {tool}"},
    }
    assert server.seen == []


async def test_a_missing_permission_is_asked_for(app: OstiaryMiddleware, server: Server, issuer: Issuer) -> None:
    async with client(app, issuer.token(scope="data:write")) as c:
        answer = await c.post("/mcp", json=call("merge", id=7))
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        f'Bearer error="insufficient_scope", scope="data:delete data:write", resource_metadata="{METADATA}", '
        'error_description="This call needs the permission data:delete, data:write"'
    )
    assert answer.json()["id"] == 7
    assert answer.json()["error"]["code"] == -32010
    assert answer.json()["error"]["data"] == {"error": "insufficient_scope", "scope": "data:delete data:write"}
    assert server.seen == []


async def test_chatgpt_finds_the_challenge_in_the_result(app: OstiaryMiddleware, issuer: Issuer) -> None:
    async with client(app, issuer.token(host="chatgpt", scope="")) as c:
        answer = await c.post("/mcp", json=call("query", id=1))
    assert answer.status_code == 200
    result = answer.json()["result"]
    assert result["isError"] is True
    assert 'error="insufficient_scope"' in result["_meta"]["mcp/www_authenticate"][0]
    assert METADATA in result["_meta"]["mcp/www_authenticate"][0]


async def test_tools_are_listed_as_far_as_they_may_be_called(app: OstiaryMiddleware, issuer: Issuer) -> None:
    async with client(app, issuer.token(scope="data:read data:delete")) as c:
        answer = await c.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert [tool["name"] for tool in answer.json()["result"]["tools"]] == ["query", "delete"]


async def test_shadow_mode_lets_through_and_lists_everything(server: Server, issuer: Issuer, guards: Guards) -> None:
    issuer.policy = policy(mode="shadow")
    guard = guards()
    app = OstiaryMiddleware(server, guard)
    async with client(app, issuer.token(scope="")) as c:
        assert (await c.post("/mcp", json=call("delete"))).status_code == 200
        assert (await c.post("/mcp", json=call("secret"))).json()["result"]
        answer = await c.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        assert len(answer.json()["result"]["tools"]) == 6
        issuer.tell(stops=[{"kind": "tool", "value": "delete"}])
        eventually(lambda: bool(guard.feed.stops))
        answer = await c.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        assert len(answer.json()["result"]["tools"]) == 5
        assert (await c.post("/mcp", json=call("delete"))).json()["error"]["code"] == -32013


async def test_what_is_revoked_is_401_for_every_request(app: OstiaryMiddleware, guard: Ostiary, issuer: Issuer) -> None:
    async with client(app, issuer.token()) as c:
        assert (await c.post("/mcp", json=call("query"))).status_code == 200
        issuer.tell(ended={"grants": ["grt_1"]})
        eventually(lambda: "grt_1" in guard.feed.grants)
        for answer in (
            await c.post("/mcp", json=call("query")),
            await c.post("/mcp", content=b"{", headers={"Content-Type": "application/json"}),
            await c.get("/mcp"),
            await c.delete("/mcp"),
        ):
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    async with client(app, issuer.token(grant_id="grt_2")) as c:
        assert (await c.post("/mcp", json=call("query"))).status_code == 200


@pytest.mark.parametrize(
    "stop",
    [
        {"kind": "user", "value": "usr_1"},
        {"kind": "organization", "value": "org_1"},
        {"kind": "host", "value": "unverified"},
        {"kind": "server", "value": RESOURCE},
    ],
)
async def test_what_is_stopped_is_said_without_a_challenge(
    app: OstiaryMiddleware, guard: Ostiary, issuer: Issuer, stop: dict[str, str]
) -> None:
    issuer.tell(stops=[stop])
    eventually(lambda: bool(guard.feed.stops))
    async with client(app, issuer.token()) as c:
        answer = await c.post("/mcp", json=call("query", id=3))
        assert answer.status_code == 200
        assert answer.json()["error"]["code"] == -32013
        assert answer.json()["id"] == 3
        initialize = await c.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
        assert initialize.json()["error"]["code"] == -32013
        batch = await c.post("/mcp", json=[call("query", id=1), call("query", id=2)])
        assert [a["error"]["code"] for a in batch.json()] == [-32013, -32013]
        for answer in (
            await c.get("/mcp"),
            await c.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}),
        ):
            assert answer.status_code == 403
            assert answer.json()["error"] == "access_stopped"
            assert "www-authenticate" not in answer.headers
        issuer.tell(stops=[])
        eventually(lambda: not guard.feed.stops)
        assert (await c.post("/mcp", json=call("query"))).json()["result"]


async def test_a_stopped_tool_is_stopped_alone(app: OstiaryMiddleware, guard: Ostiary, issuer: Issuer) -> None:
    issuer.tell(stops=[{"kind": "tool", "value": "query"}])
    eventually(lambda: bool(guard.feed.stops))
    async with client(app, issuer.token(scope="data:read data:write")) as c:
        assert (await c.post("/mcp", json=call("query"))).json()["error"]["code"] == -32013
        assert (await c.post("/mcp", json=call("insert"))).json()["result"]
        batch = await c.post("/mcp", json=[call("insert", id=1), call("query", id=2)])
        assert [a["error"]["code"] for a in batch.json()] == [-32011, -32013]
        answer = await c.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        assert [tool["name"] for tool in answer.json()["result"]["tools"]] == ["insert"]


async def test_a_published_change_bites(app: OstiaryMiddleware, guard: Ostiary, issuer: Issuer) -> None:
    async with client(app, issuer.token()) as c:
        assert (await c.post("/mcp", json=call("query"))).status_code == 200
        issuer.publish(tools={"query": {"scopes": ["data:write"], "match": "all"}})
        eventually(lambda: guard.view.document.revision == 2)
        assert (await c.post("/mcp", json=call("query"))).status_code == 403


async def test_silence_stops_what_does_most_harm_first(server: Server, issuer: Issuer, guards: Guards) -> None:
    offset = 0.0
    guard = guards(now=lambda: time.time() + offset)
    app = OstiaryMiddleware(server, guard)
    token = issuer.token(scope="data:read data:write data:delete", lifetime=7200)
    async with client(app, token) as c:
        assert (await c.post("/mcp", json=call("delete"))).status_code == 200
        guard.close()  # nothing is heard from here on
        for offset, allowed in ((90, ["query", "insert"]), (300, ["query"]), (900, [])):
            for tool in ("query", "insert", "delete"):
                answer = await c.post("/mcp", json=call(tool, id=5))
                assert answer.status_code == (200 if tool in allowed else 503), (offset, tool)
                if tool not in allowed:
                    assert answer.json()["error"]["code"] == -32014
                    assert answer.json()["id"] == 5
                    assert answer.headers["retry-after"]


async def test_a_batch_is_allowed_or_denied_whole(app: OstiaryMiddleware, server: Server, issuer: Issuer) -> None:
    async with client(app, issuer.token(scope="data:read")) as c:
        answer = await c.post("/mcp", json=[call("query", id=1), call("insert", id=2), call("delete", id=3)])
        assert answer.status_code == 403
        assert 'scope="data:write data:delete"' in answer.headers["www-authenticate"]
        assert answer.json()["id"] is None
        answer = await c.post("/mcp", json=[call("query", id=1), call("secret", id=2), call("insert", id=3)])
        assert answer.status_code == 200
        assert [(a["id"], a["error"]["code"]) for a in answer.json()] == [(1, -32011), (2, -32602), (3, -32011)]
        assert server.seen == []
        assert (await c.post("/mcp", json=[call("query", id=1), call("query", id=2)])).status_code == 200
    assert len(server.seen) == 1


async def test_a_tool_run_by_a_notification_is_decided_too(
    app: OstiaryMiddleware, server: Server, issuer: Issuer
) -> None:
    silent = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "secret"}}
    async with client(app, issuer.token()) as c:
        assert (await c.post("/mcp", json=silent)).status_code == 400
        assert (await c.post("/mcp", json={**silent, "params": {"name": "insert"}})).status_code == 403
    assert server.seen == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, -32700),
        (b"{", 400, -32700),
        (b"\xef\xbb\xbf{}", 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","name":"delete"}}', 400, -32700),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","arguments":{"a":1,"a":2}}}',
            400,
            -32700,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"\\ud800":1}}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping\xff"}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":' + b"[" * 200 + b"]" * 200 + b"}", 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"Method":"ping","method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","Name":"delete"}}', 400, -32602),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","PARAM\xc5\xbf":{"name":"delete"},"params":{"name":"query"}}',
            400,
            -32600,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"delete"}}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"/tools/call","params":{"name":"delete"}}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"delete"}}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["delete"]}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', 400, -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}', 400, -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}', 400, -32602),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":2.0,"id":1,"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1}', 400, -32600),
        (b"[]", 400, -32600),
        (b"[[]]", 400, -32600),
        (b'"ping"', 400, -32600),
        (b"[" + b",".join([b'{"jsonrpc":"2.0","method":"ping"}'] * 101) + b"]", 400, -32600),
    ],
)
async def test_bodies_that_two_parsers_could_read_differently_are_refused(
    app: OstiaryMiddleware, server: Server, issuer: Issuer, body: bytes, status: int, code: int
) -> None:
    async with client(app, issuer.token(scope="data:read data:write data:delete")) as c:
        answer = await c.post("/mcp", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert server.seen == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=utf-16"}, 415),
        ({"Content-Type": "application/json; charset=utf-8; charset=utf-16"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=UTF-8", "Content-Encoding": "identity"}, 200),
        ({"Content-Type": 'application/json;charset="utf-8"'}, 200),
        ({"Content-Type": "application/json", "Mcp-Method": "tools/list"}, 400),
        ({"Content-Type": "application/json", "Mcp-Method": "tools/call", "Mcp-Name": "delete"}, 400),
        ({"Content-Type": "application/json", "Mcp-Method": "tools/call", "Mcp-Name": "query"}, 200),
        ({"Content-Type": "application/json", "Mcp-Name": "=?base64?cXVlcnk=?="}, 200),
        ({"Content-Type": "application/json", "Mcp-Name": "=?base64?%?="}, 400),
    ],
)
async def test_headers_must_agree_with_the_body(
    app: OstiaryMiddleware, issuer: Issuer, headers: dict[str, str], status: int
) -> None:
    async with client(app, issuer.token()) as c:
        answer = await c.post("/mcp", content=json.dumps(call("query")).encode(), headers=headers)
    assert answer.status_code == status


async def test_large_bodies_are_refused(server: Server, guard: Ostiary, issuer: Issuer) -> None:
    app = OstiaryMiddleware(server, guard, max_body=1000)
    async with client(app, issuer.token()) as c:
        assert (await c.post("/mcp", json=call("query", x="y" * 1000))).status_code == 413

        async def endless() -> Any:
            while True:
                yield b"[" * 100

        headers = {"Content-Type": "application/json"}
        assert (await c.post("/mcp", content=endless(), headers=headers)).status_code == 413
        assert (await c.request("GET", "/mcp", content=b"{}")).status_code == 400
    assert server.seen == []


async def test_metadata_is_public_and_everything_else_well_known_is_not_there(
    app: OstiaryMiddleware, issuer: Issuer
) -> None:
    async with client(app) as c:
        answer = await c.get("/.well-known/oauth-protected-resource/mcp")
        assert answer.json() == {
            "resource": IDENTIFIER,
            "authorization_servers": [issuer.url],
            "scopes_supported": ["data:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Acme",
        }
        assert answer.headers["access-control-allow-origin"] == "*"
        for path in ("oauth-protected-resource", "oauth-authorization-server", "openid-configuration", "x"):
            answer = await c.get(f"/.well-known/{path}")
            assert (answer.status_code, answer.content) == (404, b"")
        assert (await c.post("/.well-known/oauth-protected-resource/mcp")).status_code == 405
    async with client(app, host="http://127.0.0.1") as c:
        answer = await c.get("/.well-known/oauth-protected-resource/mcp")
        assert answer.json()["resource"] == "http://127.0.0.1/mcp"
    async with client(app, host="https://evil.example") as c:
        answer = await c.post("/mcp", json=call("query"))
        assert "evil" not in answer.headers["www-authenticate"]


async def test_browsers_may_ask_before_they_have_a_token(app: OstiaryMiddleware, server: Server) -> None:
    async with client(app) as c:
        asked = {"Access-Control-Request-Headers": "authorization, Mcp-Param-Region, x-evil, mcp-param-a:b"}
        answer = await c.options("/mcp", headers={"Origin": "https://host.example", **asked})
        assert answer.status_code == 204
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert answer.headers["access-control-allow-headers"].endswith("Last-Event-ID, mcp-param-region")
        assert (await c.put("/mcp")).status_code == 405
    assert server.seen == []


async def test_public_paths_and_nothing_else_pass_without_a_token(app: OstiaryMiddleware, server: Server) -> None:
    async with client(app) as c:
        assert (await c.get("/healthz")).status_code == 200
        for path in ("/healthz/", "/healthz/x", "/HEALTHZ", "//healthz", "/"):
            assert (await c.get(path)).status_code == 401
    assert len(server.seen) == 1


async def test_a_session_is_its_owners(app: OstiaryMiddleware, server: Server, issuer: Issuer) -> None:
    server.headers = [*server.headers, (b"mcp-session-id", b"s1")]
    async with client(app, issuer.token()) as c:
        await c.post("/mcp", json=call("query"))
        assert (await c.post("/mcp", json=call("query"), headers={"Mcp-Session-Id": "s1"})).status_code == 200
    strangers: tuple[dict[str, Any], ...] = ({"sub": "usr_2"}, {"org_id": "org_2"}, {"client_id": "cli_2"})
    for stranger in strangers:
        async with client(app, issuer.token(**stranger)) as c:
            answer = await c.post("/mcp", json=call("query"), headers={"Mcp-Session-Id": "s1"})
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == -32001


async def test_websockets_are_refused(app: OstiaryMiddleware, server: Server) -> None:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await app({"type": "websocket", "path": "/healthz", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert server.scopes == []


@pytest.mark.parametrize("query", ["access_token=x", "a=b&ACCESS_token=x", "access%5Ftoken=x", "a=1;access_token=x"])
async def test_a_token_in_the_query_is_refused(app: OstiaryMiddleware, issuer: Issuer, query: str) -> None:
    async with client(app, issuer.token()) as c:
        answer = await c.post(f"/mcp?{query}", json=call("query"))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_a_body_that_does_not_come_is_not_waited_for(
    app: OstiaryMiddleware, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_module, "BODY_TIMEOUT", 0.02)
    for chunks in ([], [b'{"jsonrpc"']):

        async def slow(first: list[bytes] = chunks) -> Any:
            for chunk in first:
                yield chunk
            await anyio.sleep_forever()

        async with client(app, issuer.token()) as c:
            answer = await c.post("/mcp", content=slow(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 408
