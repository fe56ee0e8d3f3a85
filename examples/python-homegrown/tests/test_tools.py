"""What the tools do, and what they say when they cannot."""

from typing import Any

import pytest

from acme import jsonschema
from acme.generate import generate
from testing.acme import Seeded
from testing.process import Program
from testing.rpc import Client


@pytest.fixture
def client(acme: Program, shared: Seeded) -> Client:
    return Client(acme.url, {"X-Api-Key": shared.keys["northwind"]})


@pytest.fixture
def writer(own_acme: Program, seeded: Seeded) -> Client:
    """A client of a server whose data the test may change."""
    return Client(own_acme.url, {"X-Api-Key": seeded.keys["northwind"]})


def test_data_is_generated_and_always_the_same() -> None:
    assert generate("northwind") == generate("northwind")
    assert generate("northwind").accounts[0] != generate("larchfield").accounts[0]
    assert len({account.name for account in generate("northwind").accounts}) == 60
    assert all(segment.account_ids for segment in generate("larchfield").segments)


def test_tools_are_described(client: Client) -> None:
    for tool in client.ask("tools/list")["tools"]:
        hints = tool["annotations"]
        assert tool["title"]
        assert tool["description"]
        assert hints["destructiveHint"] == (tool["name"] == "delete_segment")
        assert hints["openWorldHint"] == (tool["name"] == "route_signal")
        assert hints["readOnlyHint"] == (tool["name"] not in ("route_signal", "update_segment", "delete_segment"))


def test_a_query_is_filtered_ordered_and_limited(client: Client) -> None:
    names = [dataset["name"] for dataset in client.call("list_datasets")["datasets"]]
    assert names == ["accounts", "usage", "segments", "segment_members", "signals"]
    weak = [{"column": "health", "operator": "<", "value": 0.45}]
    found = client.call("run_query", dataset="accounts", where=weak, order_by="-health", limit=3)
    healths = [row["health"] for row in found["rows"]]
    assert healths == sorted(healths, reverse=True)
    assert max(healths) < 0.45
    assert len(found["rows"]) == 3 < found["total"]
    text = [{"column": "name", "operator": "contains", "value": "FOODS"}]
    assert all("Foods" in row["name"] for row in client.call("run_query", dataset="accounts", where=text)["rows"])


def test_accounts_are_found_and_analysed(client: Client) -> None:
    german = client.call("search_accounts", country="de", limit=100)
    assert german["total"] == len(german["accounts"]) > 0
    assert {account["country"] for account in german["accounts"]} == {"DE"}
    assert client.call("search_accounts", text="no such thing") == {"accounts": [], "total": 0}
    profile = client.call("analyze_profile", account_id=german["accounts"][0]["account_id"])
    assert profile["account"] == german["accounts"][0]
    assert (profile["growth_per_month"] < 0) == (profile["account"]["health"] < 0.5)
    assert len(profile["queries_per_month"]) == 6


def test_signals_and_segments_change_and_say_what_happened(writer: Client) -> None:
    signal = writer.call("route_signal", account_id="acc_001", kind="upsell", channel="sales", note="call them")
    assert signal["requested_by"] == "api key"
    assert writer.call("run_query", dataset="signals")["rows"] == [signal]
    members = writer.call("run_query", dataset="segment_members", where=[
        {"column": "segment_id", "operator": "=", "value": "seg_risk"}], limit=200)["total"]  # fmt: skip
    segment = writer.call("update_segment", segment_id="seg_risk", name="Watch")
    assert segment["name"] == "Watch"
    assert len(segment["account_ids"]) == members
    everyone = [f"acc_{n:03d}" for n in range(1, 51)]
    grown = writer.call(
        "update_segment", segment_id="seg_risk", add_account_ids=everyone, remove_account_ids=["acc_001"]
    )
    assert "acc_001" not in grown["account_ids"]
    assert set(everyone[1:]) <= set(grown["account_ids"])
    gone = writer.call("delete_segment", segment_id="seg_risk")
    assert gone == {"deleted": "Watch", "accounts": len(grown["account_ids"]), "segments_left": 2}
    assert "no segment" in writer.fails("delete_segment", segment_id="seg_risk")


def test_a_failed_change_changes_nothing(writer: Client) -> None:
    before = writer.call("run_query", dataset="segment_members", limit=200)
    change = {"segment_id": "seg_dach", "name": "New", "add_account_ids": ["acc_001", "acc_002", "acc_999"]}
    assert "no account" in writer.fails("update_segment", **change)
    assert writer.call("run_query", dataset="segment_members", limit=200) == before
    assert "New" not in str(writer.call("run_query", dataset="segments"))


INJECTION = "accounts; drop table accounts"


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("run_query", {"dataset": "api_keys"}, "no dataset"),
        ("run_query", {"dataset": INJECTION}, "no dataset"),
        ("run_query", {"dataset": "accounts", "order_by": "org"}, "no column"),
        ("run_query", {"dataset": "accounts", "order_by": "name desc; drop table accounts"}, "no column"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "org", "operator": "=", "value": "larchfield"}]},
         "no column"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "1=1 or name", "operator": "=", "value": "x"}]},
         "no column"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "name", "operator": "or 1=1", "value": "x"}]},
         "one of"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "name", "operator": "=", "value": 5}]}, "text"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "seats", "operator": "=", "value": "5"}]}, "number"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "seats", "operator": "=", "value": True}]}, "type"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "seats", "operator": "contains", "value": "5"}]},
         "texts"),
        ("run_query", {"dataset": "accounts", "limit": 0}, "between"),
        ("run_query", {"dataset": "accounts", "limit": 201}, "between"),
        ("run_query", {"dataset": "accounts", "limit": True}, "type"),
        ("run_query", {"dataset": "accounts", "sql": "select 1"}, "no 'sql'"),
        ("run_query", {}, "needs dataset"),
        ("run_query", {"dataset": "accounts", "where": [{"column": "name", "operator": "=", "value": "a\0"}]},
         "not allowed"),
        ("analyze_profile", {"account_id": "acc_999"}, "search_accounts"),
        ("analyze_profile", {"account_id": "\ud800"}, "not allowed"),
        ("search_accounts", {"text": "a" * 2001}, "too long"),
        ("route_signal", {"account_id": "acc_001", "kind": "rumour", "channel": "sales"}, "one of"),
        ("update_segment", {"segment_id": "seg_risk"}, "Nothing to change"),
        ("update_segment", {"segment_id": "seg_risk", "add_account_ids": ["acc_001"] * 51}, "too many"),
    ],
)  # fmt: skip
def test_mistakes_and_attacks_are_answered_in_words(client: Client, tool: str, arguments: Any, says: str) -> None:
    assert says in client.fails(tool, **arguments)
    assert client.call("run_query", dataset="accounts")["total"] == 60


def test_quotes_in_values_are_only_text(client: Client) -> None:
    for value in ("' or '1'='1", "%", "_", "\\", '"; select 1; --'):
        where = [{"column": "name", "operator": "contains", "value": value}]
        assert client.call("run_query", dataset="accounts", where=where)["total"] == 0
        assert client.call("search_accounts", text=value)["total"] == 0


def test_huge_numbers_do_not_break_a_query(client: Client) -> None:
    where = [{"column": "seats", "operator": "<", "value": 10**30}]
    assert client.call("run_query", dataset="accounts", where=where)["total"] == 60


def test_schema_knows_a_bool_is_not_a_number() -> None:
    assert jsonschema.problem({"type": "integer"}, True)
    assert jsonschema.problem({"type": ["string", "number"]}, 1.5) is None
