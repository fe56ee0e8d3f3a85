"""The organization in the token drives the homegrown server's row-level security, before any query."""

from typing import Any

import pytest

from testing.ostiary import NEIGHBOUR, NORTHWIND, UNKNOWN
from testing.rpc import HANDSHAKE, STATELESS

from .conftest import Protected

SCOPES = ("data:read", "profiles:read")
USERS = {"northwind": NORTHWIND, "larchfield": NEIGHBOUR}


@pytest.mark.parametrize("era", [STATELESS, HANDSHAKE])
def test_each_organization_sees_its_own_rows_only(protected_homegrown: Protected, era: str) -> None:
    for organization, neighbour in (("northwind", "larchfield"), ("larchfield", "northwind")):
        client = protected_homegrown.client(*SCOPES, era=era, user=USERS[organization])
        rows = client.call("run_query", dataset="accounts", limit=200)["rows"]
        assert len(rows) == 60
        assert all(f"({organization})" in row["name"] for row in rows)
        assert f"({organization})" in client.call("analyze_profile", account_id="acc_001")["account"]["name"]
        assert client.call("search_accounts", text=neighbour)["total"] == 0


@pytest.mark.parametrize(
    "where",
    [
        [{"column": "name", "operator": "contains", "value": "(larchfield)"}],
        [{"column": "name", "operator": "!=", "value": ""}],
        [{"column": "account_id", "operator": ">=", "value": ""}],
        [{"column": "health", "operator": ">=", "value": 0}],
        [{"column": "name", "operator": "contains", "value": "' or org = 'larchfield"}],
    ],
)
def test_no_filter_reaches_the_neighbours_rows(protected_homegrown: Protected, where: list[dict[str, Any]]) -> None:
    client = protected_homegrown.client(*SCOPES)
    rows = client.call("run_query", dataset="accounts", where=where, limit=200)["rows"]
    assert not [row for row in rows if "(larchfield)" in row["name"]]
    refused = client.fails(
        "run_query", dataset="accounts", where=[{"column": "org", "operator": "=", "value": "larchfield"}]
    )
    assert "no column" in refused


def test_saying_another_organization_changes_nothing(protected_homegrown: Protected) -> None:
    client = protected_homegrown.client(*SCOPES)
    larchfield = protected_homegrown.ostiary.organizations["larchfield"]
    for name in ("Ostiary-Organization", "ostiary-organization", "Ostiary_Organization", "X-Ostiary-Organization"):
        client.headers = client.headers | {name: larchfield}
        assert "(northwind)" in client.call("analyze_profile", account_id="acc_001")["account"]["name"]


@pytest.mark.parametrize("method", ["tools/list", "tools/call"])
def test_an_organization_without_data_is_told_so(protected_homegrown: Protected, method: str) -> None:
    client = protected_homegrown.client(*SCOPES, user=UNKNOWN)
    refused = client.send(method, {"name": "run_query", "arguments": {"dataset": "accounts"}})
    assert refused.status_code == 403  # not 401: its token is good, and another would say the same
    assert "organization" in refused.text


def test_changes_stay_in_the_organization(protected_homegrown: Protected) -> None:
    scopes = ("data:read", "segments:delete")
    northwind = protected_homegrown.client(*scopes)
    neighbour = protected_homegrown.client(*scopes, user=NEIGHBOUR)
    before = neighbour.call("run_query", dataset="segments")
    assert northwind.call("delete_segment", segment_id="seg_risk")["segments_left"] == 2
    assert neighbour.call("run_query", dataset="segments") == before
