"""The whole way round with the real issuer: sign in, call, and see that what an administrator does bites."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from testing.ostiary import Ostiary as Issuer
from testing.ostiary import build, identifier
from testing.postgres import Cluster

from ostiary import Credential, OstiaryMiddleware

from .apps import Server, call
from .conftest import eventually
from .issuer import serving

NAME = "sdk-python"
WITHIN = 30.0  # seconds for a change to arrive; it takes far less, but a busy machine is no failure


@dataclass
class World:
    """A running issuer and a server it protects."""

    issuer: Issuer
    url: str

    def call(self, tool: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(self.url, json=call(tool), headers=headers, timeout=30)

    def recorded(self) -> list[dict[str, Any]]:
        """Return the calls the issuer has been told of."""
        lines = self.issuer.run("calls", "--tenant", "examples", "--json").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("real")
    binary = Path(os.environ.get("OSTIARY_BINARY") or build(directory / "ostiary", "./cmd/ostiary"))
    cluster = Cluster()
    try:
        issuer = Issuer(binary, directory, cluster, [NAME])
        program = issuer.start()
        try:
            app = OstiaryMiddleware(
                Server(),
                issuer=issuer.issuer,
                resource_id=issuer.resources[NAME],
                reporting=Credential(*issuer.credentials[NAME].split(":")),
            )
            with serving(app, lifespan="on") as url:
                yield World(issuer, url + "/mcp")
        finally:
            program.stop()
            program._log.close()
    finally:
        cluster.stop()


def test_a_host_finds_its_way_from_the_challenge(world: World) -> None:
    answer = httpx.post(world.url, json=call("run_query"), timeout=30)
    assert answer.status_code == 401
    metadata = httpx.get(world.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")).json()
    assert metadata["authorization_servers"] == [world.issuer.issuer]
    assert metadata["resource"] == identifier(NAME)


def test_tools_are_decided_by_the_published_policy_and_recorded(world: World) -> None:
    token = world.issuer.token(NAME, "data:read")
    assert world.call("run_query", token).json()["result"]
    missing = world.call("delete_segment", token)
    assert missing.status_code == 403
    assert 'scope="segments:delete"' in missing.headers["www-authenticate"]
    assert world.call("drop_tables", token).json()["error"]["code"] == -32602
    eventually(lambda: len(world.recorded()) == 3, WITHIN)
    assert {(r["tool"], r["reason"], r["status"]) for r in world.recorded()} == {
        ("run_query", "allowed", 200),
        ("delete_segment", "insufficient_scope", 403),
        ("drop_tables", "unknown_tool", 200),
    }


def test_a_stop_bites_and_is_lifted(world: World) -> None:
    token = world.issuer.token(NAME, "data:read")
    assert world.call("run_query", token).json()["result"]
    stopped = world.issuer.run("stop", "tool", "run_query", "--tenant", "examples", "--yes")
    eventually(lambda: world.call("run_query", token).json().get("error", {}).get("code") == -32013, WITHIN)
    assert world.call("list_datasets", token).json()["result"]
    stop = re.search(r"stp_[A-Z0-9]+", stopped)
    assert stop is not None
    world.issuer.run("lift", stop.group(), "--tenant", "examples")
    eventually(lambda: "result" in world.call("run_query", token).json(), WITHIN)


def test_what_is_published_bites(world: World) -> None:
    token = world.issuer.token(NAME, "data:read")
    file: Any = json.loads((world.issuer.directory / "tenant.yaml").read_text())
    tools = file["environments"][0]["resources"][0]["tools"]
    next(tool for tool in tools if tool["name"] == "list_datasets")["scopes"] = ["segments:delete"]
    changed = world.issuer.directory / "changed.yaml"
    changed.write_text(json.dumps(file))
    assert world.call("list_datasets", token).json()["result"]
    world.issuer.run("apply", changed, "--yes")
    eventually(lambda: world.call("list_datasets", token).status_code == 403, WITHIN)


def test_a_revoked_grant_ends(world: World) -> None:
    connection = world.issuer.connect(NAME, "data:read")
    neighbour = world.issuer.token(NAME, "data:read", user="user@larchfield.example")
    assert world.call("run_query", connection.token).json()["result"]
    connection.revoke()
    eventually(lambda: world.call("run_query", connection.token).status_code == 401, WITHIN)
    assert world.call("run_query", neighbour).json()["result"]
