"""No way from one organization to another's rows: not by key, not by filter, not by a forgotten set_config."""

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest

from acme.database import Database
from testing.acme import Seeded
from testing.process import Program
from testing.rpc import HANDSHAKE, STATELESS, Client

TABLES = ("accounts", "usage", "segments", "segment_members", "signals")


@pytest.mark.parametrize("era", [STATELESS, HANDSHAKE])
def test_each_key_sees_its_own_rows_only(acme: Program, shared: Seeded, era: str) -> None:
    for organization, neighbour in (("northwind", "larchfield"), ("larchfield", "northwind")):
        client = Client(acme.url, {"X-Api-Key": shared.keys[organization]}, era)
        client.open()
        rows = client.call("run_query", dataset="accounts", limit=200)
        assert rows["total"] == 60
        assert all(f"({organization})" in row["name"] for row in rows["rows"])
        assert f"({organization})" in client.call("analyze_profile", account_id="acc_001")["account"]["name"]
        for name in (neighbour, f"({neighbour})"):
            where = [{"column": "name", "operator": "contains", "value": name}]
            assert client.call("run_query", dataset="accounts", where=where)["total"] == 0
        assert client.call("search_accounts", text=f"({neighbour})")["total"] == 0


def test_changes_stay_in_the_organization(own_acme: Program, seeded: Seeded) -> None:
    northwind = Client(own_acme.url, {"X-Api-Key": seeded.keys["northwind"]})
    neighbour = Client(own_acme.url, {"X-Api-Key": seeded.keys["larchfield"]})
    before = neighbour.call("run_query", dataset="segments")
    members = neighbour.call("run_query", dataset="segment_members", limit=200)
    northwind.call("route_signal", account_id="acc_001", kind="support", channel="support", note="secret")
    northwind.call("update_segment", segment_id="seg_risk", name="secret", remove_account_ids=["acc_002"])
    northwind.call("delete_segment", segment_id="seg_dach")
    assert neighbour.call("run_query", dataset="segments") == before
    assert neighbour.call("run_query", dataset="segment_members", limit=200) == members
    assert neighbour.call("run_query", dataset="signals")["total"] == 0


@pytest.mark.parametrize("table", TABLES)
def test_a_query_that_does_not_say_who_asks_fails(shared: Seeded, table: str) -> None:
    with psycopg.connect(shared.url, autocommit=True) as connection:
        for set_to in (None, ""):
            if set_to is not None:
                connection.execute("select set_config('app.org', %s, false)", [set_to])
            with pytest.raises(psycopg.Error, match=r"app\.org is not set"):
                connection.execute(f"select * from {table}".encode())


def test_who_asked_before_is_forgotten_with_the_transaction(shared: Seeded) -> None:
    with psycopg.connect(shared.url, autocommit=True) as connection:
        with connection.transaction():
            connection.execute("select set_config('app.org', 'northwind', true)")
            assert connection.execute("select count(*) from accounts").fetchone() == (60,)
        with pytest.raises(psycopg.Error, match=r"app\.org is not set"):
            connection.execute("select count(*) from accounts")


def test_the_servers_role_cannot_read_keys_or_write_for_others(shared: Seeded) -> None:
    with psycopg.connect(shared.url, autocommit=True) as connection:
        for forbidden in ("select * from api_keys", "select * from organizations", "update accounts set name = ''",
                          "set role acme_owner", "alter table accounts disable row level security",
                          "insert into signals (org, account_id, kind, channel, requested_by) values "
                          "('larchfield', 'acc_001', 'upsell', 'sales', 'x')"):  # fmt: skip
            with pytest.raises(psycopg.Error), connection.transaction():
                connection.execute("select set_config('app.org', 'northwind', true)")
                connection.execute(forbidden.encode())


def test_every_table_with_rows_of_an_organization_is_secured(shared: Seeded) -> None:
    with psycopg.connect(shared.admin_url) as admin:
        tables = admin.execute(
            """select c.relname, c.relrowsecurity and c.relforcerowsecurity from pg_class c
               join pg_attribute a on a.attrelid = c.oid and a.attname = 'org'
               where c.relkind = 'r' and c.relname <> 'api_keys'"""
        ).fetchall()
    assert dict(tables) == dict.fromkeys(TABLES, True)


def test_reading_tools_cannot_write(shared: Seeded) -> None:
    async def try_to_write() -> None:
        database = Database(shared.url)
        await database.open()
        try:
            async with database.as_organization("northwind", read_only=True) as connection:
                await connection.execute("delete from segments")
        finally:
            await database.close()

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        asyncio.run(try_to_write())


def test_the_server_refuses_a_role_that_no_policy_binds(shared: Seeded) -> None:
    main = Path(__file__).resolve().parent.parent / "main.py"
    with pytest.raises(RuntimeError, match="not bound by row-level security"):
        Program([sys.executable, main, "--port", "0"], cwd=main.parent, env={"ACME_DATABASE_URL": shared.admin_url})
