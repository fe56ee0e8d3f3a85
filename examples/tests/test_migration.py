"""From header keys to OAuth without cutting anyone off: the way docs/migrate.md describes, walked once."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from acme.auth import hash_key
from testing.acme import Seeded, start
from testing.gate import Gate
from testing.ostiary import Ostiary
from testing.rpc import HANDSHAKE, STATELESS, Client, answer

from .conftest import MIGRATING, Protected, unmodified

SCRIPT = "acme_nightly_export_of_northwind"  # a key of a script that runs at night
DELETE = {"name": "delete_segment", "arguments": {"segment_id": "seg_dach"}}


@pytest.fixture
def server(seeded: Seeded) -> Iterator[str]:
    """The server as it is, with one more key."""
    with psycopg.connect(seeded.admin_url, autocommit=True) as admin:
        admin.execute("insert into api_keys (hash, org, label) values (%s, 'northwind', 'script')", [hash_key(SCRIPT)])
    program = start(seeded)
    yield program.url
    program.stop()


def legacy(**more: Any) -> dict[str, Any]:
    nightly = {"name": "nightly", "sha256": hashlib.sha256(SCRIPT.encode()).hexdigest(), "scopes": ["data:read"]}
    return {"legacy": {"header": "X-Api-Key", "keys": [nightly]} | more}


def eventually(what: Callable[[], bool]) -> None:
    """Waits for what reaches the gate, or the issuer, in the background."""
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline


def by_key(url: str, key: str, era: str = STATELESS) -> Client:
    client = Client(url, {"X-Api-Key": key}, era)
    client.open()
    return client


def test_from_header_keys_to_oauth(ostiary: Ostiary, seeded: Seeded, server: str, tmp_path: Path) -> None:
    larchfield = seeded.keys["larchfield"]
    assert by_key(server, SCRIPT).call("run_query", dataset="accounts")["total"] == 60

    # 1. The gate goes in front, in shadow mode. Every key works as before, and OAuth works beside it.
    ostiary.set_mode(MIGRATING, "shadow")
    credential = tmp_path / "credential"
    credential.write_text(ostiary.credentials[MIGRATING])
    config = unmodified(ostiary, seeded) | legacy(unknown={"scopes": ["data:read", "profiles:read"]})
    gate = Gate(ostiary, MIGRATING, server, "--credential-file", str(credential), config=config)
    try:
        for era in (STATELESS, HANDSHAKE):
            assert by_key(gate.url, SCRIPT, era).call("analyze_profile", account_id="acc_001")  # let through, recorded
            rows = by_key(gate.url, larchfield, era).call("run_query", dataset="accounts")["rows"]
            assert all("(larchfield)" in row["name"] for row in rows)
        protected = Protected(MIGRATING, gate.url, ostiary)
        host = protected.client("data:read", era=HANDSHAKE)
        assert all("(northwind)" in row["name"] for row in host.call("run_query", dataset="accounts")["rows"])

        # A token beside somebody else's key is judged by the token, and the key does not get through.
        host.headers |= {"X-Api-Key": larchfield}
        assert all("(northwind)" in row["name"] for row in host.call("run_query", dataset="accounts")["rows"])
        del host.headers["X-Api-Key"]
        # A key that nobody has is the server's to refuse.
        assert Client(gate.url, {"X-Api-Key": "guessed"}).send("tools/list").status_code == 401

        # 2. The report says who would be denied what.
        def shadowed() -> list[Any]:
            return calls(ostiary, "--decision", "shadowed", "--server", MIGRATING)

        eventually(lambda: len(shadowed()) >= 2)
        assert {(call["user"], call["tool"]) for call in shadowed()} == {("legacy:nightly", "analyze_profile")}

        # 3. Enforced: keys keep working within what they may do.
        ostiary.set_mode(MIGRATING, "enforce")
        script = by_key(gate.url, SCRIPT)
        profile = {"name": "analyze_profile", "arguments": {"account_id": "acc_001"}}
        eventually(lambda: script.send("tools/call", profile).status_code == 403)
        assert script.call("run_query", dataset="accounts")["total"] == 60
        assert by_key(gate.url, larchfield).send("tools/call", DELETE).status_code == 403
        assert host.send("tools/call", DELETE).status_code == 403

        # 4. Who still uses a key is known by name, or by a part of its hash.
        unlisted = "legacy:key-" + hash_key(larchfield).hex()[:12]
        eventually(lambda: {"legacy:nightly", unlisted} <= {use["user"] for use in calls(ostiary, "--legacy")})
        report = json.dumps(calls(ostiary, "--legacy"))
        assert SCRIPT not in report
        assert larchfield not in report

        # 5. Keys that are not listed end; the last script goes on until it has moved.
        gate.reconfigure(unmodified(ostiary, seeded) | legacy())
        assert Client(gate.url, {"X-Api-Key": larchfield}).send("tools/list").status_code == 401
        assert script.call("run_query", dataset="accounts")["total"] == 60

        # 6. Keys end. Who came by OAuth does not notice.
        gate.reconfigure(unmodified(ostiary, seeded))
        refused = script.send("tools/list")
        assert refused.status_code == 401
        assert "resource_metadata=" in refused.headers["www-authenticate"]
        assert answer(host.send("ping"))["result"] == {}
        assert host.call("run_query", dataset="accounts")["total"] == 60
    finally:
        code = gate.stop()
    assert code == 0


def calls(ostiary: Ostiary, *options: str) -> list[Any]:
    printed = ostiary.run("calls", "--tenant", "examples", "--json", "--limit", "100", *options)
    return [json.loads(line) for line in printed.splitlines()]
