"""Acme's own ways to know who calls: keys, and headers of a proxy in front."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from acme.auth import hash_key
from testing.acme import HOMEGROWN, Seeded, start
from testing.process import Program
from testing.rpc import Client

FRONT = "Ostiary-Organization, Ostiary-User"


def status(program: Program, headers: dict[str, str]) -> int:
    return Client(program.url, headers).send("server/discover").status_code


def test_without_a_good_key_nobody_is_served(acme: Program, shared: Seeded) -> None:
    key = shared.keys["northwind"]
    assert status(acme, {"X-Api-Key": key}) == 200
    for bad in ({}, {"X-Api-Key": ""}, {"X-Api-Key": key + "x"}, {"X-Api-Key": key[:-1]}, {"X-Api-Key": "northwind"},
                {"Authorization": f"Bearer {key}"}, {"Ostiary-Organization": "northwind"}):  # fmt: skip
        assert status(acme, bad) == 401


def test_a_revoked_key_ends_at_once(own_acme: Program, seeded: Seeded) -> None:
    key = {"X-Api-Key": seeded.keys["northwind"]}
    assert status(own_acme, key) == 200
    with psycopg.connect(seeded.admin_url, autocommit=True) as admin:
        admin.execute("update api_keys set revoked_at = now() where org = 'northwind'")
    assert status(own_acme, key) == 401
    assert status(own_acme, {"X-Api-Key": seeded.keys["larchfield"]}) == 200


def test_keys_are_kept_as_hashes_only(shared: Seeded) -> None:
    with psycopg.connect(shared.admin_url) as admin:
        kept = admin.execute("select hash, org, label from api_keys order by org").fetchall()
    assert kept == [(hash_key(shared.keys[org]), org, "seed") for org in ("larchfield", "northwind")]


@pytest.fixture
def fronted(seeded: Seeded) -> Iterator[Program]:
    seeded.link({"northwind": "org_N", "larchfield": "org_L"})
    program = start(seeded, ACME_FRONT_HEADERS=FRONT)
    yield program
    assert program.stop() == 0, program.log()


def test_behind_a_front_its_headers_say_who_calls_and_nothing_else_does(fronted: Program, seeded: Seeded) -> None:
    northwind = Client(fronted.url, {"Ostiary-Organization": "org_N", "Ostiary-User": "usr_ann"})
    assert "(northwind)" in northwind.call("analyze_profile", account_id="acc_001")["account"]["name"]
    signal = northwind.call("route_signal", account_id="acc_001", kind="upsell", channel="sales")
    assert signal["requested_by"] == "usr_ann"
    neighbour = Client(fronted.url, {"Ostiary-Organization": "org_L", "Ostiary-User": "usr_bob"})
    assert neighbour.call("run_query", dataset="signals")["total"] == 0
    # An API key that travels along changes nothing, and opens nothing.
    both = northwind.headers | {"X-Api-Key": seeded.keys["larchfield"]}
    assert "(northwind)" in Client(fronted.url, both).call("analyze_profile", account_id="acc_001")["account"]["name"]
    for nobody in ({}, {"X-Api-Key": seeded.keys["northwind"]}, {"Ostiary-Organization": "org_N"}):
        assert status(fronted, nobody) == 401
    for unknown in ("", "northwind", "org_X"):
        assert status(fronted, {"Ostiary-User": "usr_ann", "Ostiary-Organization": unknown}) == 403
    assert status(fronted, {"Ostiary-User": "usr_ann"}) == 403


def test_a_front_is_believed_on_loopback_only(shared: Seeded) -> None:
    done = subprocess.run(
        [sys.executable, "main.py", "--host", "0.0.0.0", "--port", "0"], cwd=HOMEGROWN, capture_output=True, text=True,
        env={"ACME_DATABASE_URL": shared.url, "ACME_FRONT_HEADERS": FRONT}, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert "loopback" in done.stderr


def test_seed_links_only_organizations_that_exist(seeded: Seeded) -> None:
    with pytest.raises(SystemExit, match="no organization"):
        seeded.link({"nobody": "org_X"})
