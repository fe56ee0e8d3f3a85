"""Both eras of the protocol, byte by byte where it matters."""

import json

import pytest

from acme import protocol
from testing.acme import Seeded
from testing.process import Program
from testing.rpc import HANDSHAKE, STATELESS, Client, answer, events, meta

CALL = {"name": "run_query", "arguments": {"dataset": "accounts"}}


@pytest.fixture
def stateless(acme: Program, shared: Seeded) -> Client:
    return Client(acme.url, {"X-Api-Key": shared.keys["northwind"]})


@pytest.fixture
def handshake(acme: Program, shared: Seeded) -> Client:
    client = Client(acme.url, {"X-Api-Key": shared.keys["northwind"]}, HANDSHAKE)
    client.open()
    return client


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_handshake_era_opens_a_session_and_closes_it(acme: Program, shared: Seeded, version: str) -> None:
    client = Client(acme.url, {"X-Api-Key": shared.keys["northwind"]}, version)
    assert client.open()["protocolVersion"] == version
    assert client.session
    assert len(client.tools()) == 7
    assert client.ask("ping") == {}
    assert client.call("run_query", dataset="accounts", limit=1)["total"] == 60
    headers = client.headers | {"Mcp-Session-Id": client.session}
    assert client.http.delete(client.url, headers=headers).status_code == 204
    assert client.http.delete(client.url, headers=headers).status_code == 404
    assert client.send("tools/list").status_code == 404


def test_handshake_era_needs_no_session_but_never_takes_another_ones(acme: Program, shared: Seeded) -> None:
    northwind = Client(acme.url, {"X-Api-Key": shared.keys["northwind"]}, HANDSHAKE)
    northwind.open()
    neighbour = Client(acme.url, {"X-Api-Key": shared.keys["larchfield"]}, HANDSHAKE, HANDSHAKE, northwind.session)
    assert neighbour.send("tools/list").status_code == 404
    assert neighbour.http.delete(acme.url, headers=neighbour.headers | {"Mcp-Session-Id": northwind.session or ""}
                                 ).status_code == 404  # fmt: skip
    assert len(northwind.tools()) == 7
    northwind.session = None
    assert len(northwind.tools()) == 7


def test_an_unknown_version_is_negotiated_in_one_era_and_refused_in_the_other(acme: Program, shared: Seeded) -> None:
    old = Client(acme.url, {"X-Api-Key": shared.keys["northwind"]}, "1999-01-01")
    assert old.open()["protocolVersion"] == HANDSHAKE
    stateless = Client(acme.url, old.headers)
    response = stateless.post(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta() | {
            "io.modelcontextprotocol/protocolVersion": "2199-01-01"}}},
        {"MCP-Protocol-Version": "2199-01-01", "Mcp-Method": "tools/list"},
    )  # fmt: skip
    assert response.status_code == 400
    assert response.json()["error"]["code"] == protocol.UNSUPPORTED_VERSION
    assert STATELESS in response.json()["error"]["data"]["supported"]
    old.version = "1999-01-01"
    assert old.send("ping").json()["error"]["code"] == protocol.UNSUPPORTED_VERSION


def test_stateless_era_discovers_lists_and_calls(stateless: Client) -> None:
    found = stateless.open()
    assert found["supportedVersions"][0] == STATELESS
    assert (found["resultType"], found["cacheScope"]) == ("complete", "public")
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "acme-data"
    listed = stateless.ask("tools/list")
    assert listed["ttlMs"] > 0
    assert [tool["name"] for tool in listed["tools"]][:2] == ["list_datasets", "run_query"]
    response = stateless.send("tools/call", CALL)
    assert "mcp-session-id" not in response.headers
    assert answer(response)["result"]["resultType"] == "complete"


def test_methods_of_the_other_era_are_unknown(stateless: Client, handshake: Client) -> None:
    for method in ("initialize", "ping", "resources/list"):
        response = stateless.send(method)
        assert (response.status_code, response.json()["error"]["code"]) == (404, protocol.METHOD_NOT_FOUND)
    assert handshake.send("server/discover").json()["error"]["code"] == protocol.METHOD_NOT_FOUND


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call"}, protocol.HEADER_MISMATCH),
        ({"MCP-Protocol-Version": STATELESS, "Mcp-Name": "run_query"}, protocol.HEADER_MISMATCH),
        ({"Mcp-Method": "tools/call", "Mcp-Name": "run_query"}, protocol.HEADER_MISMATCH),
        ({"MCP-Protocol-Version": HANDSHAKE, "Mcp-Method": "tools/call", "Mcp-Name": "run_query"},
         protocol.HEADER_MISMATCH),
        ({"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/list", "Mcp-Name": "run_query"},
         protocol.HEADER_MISMATCH),
        ({"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "list_datasets"},
         protocol.HEADER_MISMATCH),
        ({"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "=?base64?%%%?="},
         protocol.HEADER_MISMATCH),
        ({"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "=?base64?cnVuX3F1ZXJ5?="}, None),
    ],
)  # fmt: skip
def test_headers_are_held_to_the_body(stateless: Client, headers: dict[str, str], code: int | None) -> None:
    response = stateless.post(
        {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": CALL | {"_meta": meta()}}, headers
    )
    assert response.json()["id"] == 7
    assert response.json().get("error", {}).get("code") == code
    assert response.status_code == (400 if code else 200)


def test_a_header_sent_twice_means_nothing(stateless: Client) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CALL | {"_meta": meta()}})
    headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", STATELESS), ("Mcp-Method", "tools/call"),
               ("Mcp-Name", "run_query"), ("Mcp-Name", "list_datasets"), *stateless.headers.items()]  # fmt: skip
    response = stateless.http.post(stateless.url, content=body, headers=headers)
    assert response.json()["error"]["code"] == protocol.HEADER_MISMATCH


@pytest.mark.parametrize("missing", ["protocolVersion", "clientCapabilities"])
def test_what_each_request_must_say_is_demanded(stateless: Client, missing: str) -> None:
    said = {k: v for k, v in meta().items() if not k.endswith(missing)}
    response = stateless.post(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": said}},
        {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/list"},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (400, protocol.INVALID_PARAMS)


def test_progress_is_told_as_events_in_both_eras(stateless: Client, handshake: Client) -> None:
    for client in (stateless, handshake):
        params = {"name": "analyze_profile", "arguments": {"account_id": "acc_001"}, "_meta": {"progressToken": "p"}}
        response = client.send("tools/call", params)
        assert response.headers["content-type"] == "text/event-stream"
        told = events(response)
        assert [m.get("method") for m in told] == ["notifications/progress", "notifications/progress", None]
        assert told[-1]["result"]["structuredContent"]["account"]["account_id"] == "acc_001"


def test_a_progress_token_of_another_type_is_none(stateless: Client) -> None:
    for token in ("1e999", "[]", "{}", "1.5", "null"):
        body = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "analyze_profile", "arguments": {"account_id": "acc_001"}, "_meta": meta(progressToken="@")}}
        ).replace('"@"', token)  # fmt: skip
        headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "analyze_profile"}
        assert stateless.post(body.encode(), headers).json()["result"]["isError"] is False


def test_a_client_that_takes_only_events_gets_them(stateless: Client) -> None:
    stateless.headers |= {"Accept": "text/event-stream"}
    response = stateless.send("tools/call", CALL)
    assert response.headers["content-type"] == "text/event-stream"
    assert answer(response)["result"]["structuredContent"]["total"] == 60


def test_notifications_and_answers_are_accepted_without_one(handshake: Client, stateless: Client) -> None:
    for client, message in (
        (handshake, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
        (handshake, {"jsonrpc": "2.0", "id": 1, "result": {}}),
        (stateless, {"jsonrpc": "2.0", "method": "notifications/anything"}),
    ):
        response = client.post(message)
        assert (response.status_code, response.content) == (202, b"")


def test_a_tool_called_without_an_id_does_not_run(handshake: Client) -> None:
    params = {"name": "delete_segment", "arguments": {"segment_id": "seg_risk"}}
    assert handshake.post({"jsonrpc": "2.0", "method": "tools/call", "params": params}).status_code == 202
    assert handshake.call("run_query", dataset="segments")["total"] == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, protocol.PARSE_ERROR),
        (b"[" * 100_000, 400, protocol.PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', 400, protocol.PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', 400, protocol.PARSE_ERROR),
        (b'\xff{"jsonrpc":"2.0","id":1,"method":"ping"}', 400, protocol.PARSE_ERROR),
        ('{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"), 400, protocol.PARSE_ERROR),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 400, protocol.INVALID_REQUEST),
        (b'{"id":1,"method":"ping"}', 400, protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', 400, protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', 400, protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', 400, protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', 400, protocol.INVALID_REQUEST),
        (b'"' + b"a" * (1 << 20) + b'"', 413, protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop_tables"}}', 200,
         protocol.INVALID_PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["run_query"]}}', 200,
         protocol.INVALID_PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_query","arguments":[]}}', 200,
         protocol.INVALID_PARAMS),
    ],
)  # fmt: skip
def test_bad_bodies_get_the_exact_error(handshake: Client, body: bytes, status: int, code: int) -> None:
    response = handshake.post(body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_http_is_held_to_the_one_endpoint(handshake: Client) -> None:
    http, url, headers = handshake.http, handshake.url, handshake.headers
    assert http.get(url, headers=headers).status_code == 405
    assert http.put(url, headers=headers).status_code == 405
    assert http.post(url + "/x", headers=headers, json={}).status_code == 404
    assert http.post(url, headers=headers | {"Content-Type": "text/plain"}, content="{}").status_code == 415
    assert http.post(url, headers=headers | {"Origin": "https://evil.example"}, json={}).status_code == 403
