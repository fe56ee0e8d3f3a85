"""The whole way round with the real issuer: sign in, call, and see that what an administrator does bites."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from testing.ostiary import Ostiary as Issuer
from testing.ostiary import build, identifier
from testing.postgres import Cluster

from ostiary import Ostiary, OstiaryMiddleware

from .apps import Server, call
from .conftest import eventually
from .issuer import serving

NAME = "sdk-python"
WITHIN = 15.0  # seconds for a change to arrive; it takes far less, but a busy machine is no failure


@dataclass
class World:
    """A running issuer, a server it protects, and the administrator's command line."""

    issuer: Issuer
    url: str
    guard: Ostiary
    environ: dict[str, str]

    def run(self, *arguments: str) -> str:
        command = [str(self.issuer.binary), *arguments]
        done = subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True)
        return done.stdout

    def call(self, tool: str, token: str) -> httpx.Response:
        return httpx.post(self.url, json=call(tool), headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("real")
    binary = Path(os.environ.get("OSTIARY_BINARY") or build(directory / "ostiary", "./cmd/ostiary"))
    cluster = Cluster()
    try:
        issuer = Issuer(binary, directory, cluster.url(), [NAME])
        program = issuer.start()
        try:
            secrets = json.loads((directory / "data" / "dev.json").read_text())
            environ = os.environ | {
                "OSTIARY_DATABASE_URL": cluster.url("ostiary", "ostiary_app", secrets["app_password"]),
                "OSTIARY_MASTER_KEY": secrets["master_key"],
                "OSTIARY_URL": program.ready["dashboard_url"],
            }
            app = OstiaryMiddleware(Server(), issuer=issuer.issuer, resource_id=issuer.resources[NAME])
            with serving(app, lifespan="on") as url:
                yield World(issuer, url + "/mcp", app.guard, environ)
        finally:
            program.stop()
            program._log.close()
    finally:
        cluster.stop()


def test_a_host_finds_its_way_from_the_challenge(world: World) -> None:
    answer = httpx.post(world.url, json=call("run_query"))
    assert answer.status_code == 401
    metadata = httpx.get(world.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")).json()
    assert metadata["authorization_servers"] == [world.issuer.issuer]
    assert metadata["resource"] == identifier(NAME)


def test_tools_are_decided_by_the_published_policy(world: World) -> None:
    token = world.issuer.token(NAME, "data:read")
    assert world.call("run_query", token).json()["result"]
    missing = world.call("delete_segment", token)
    assert missing.status_code == 403
    assert 'scope="segments:delete"' in missing.headers["www-authenticate"]
    assert world.call("drop_tables", token).json()["error"]["code"] == -32602


def test_a_stop_bites_and_is_lifted(world: World) -> None:
    token = world.issuer.token(NAME, "data:read")
    assert world.call("run_query", token).json()["result"]
    stopped = world.run("stop", "tool", "run_query", "--tenant", "examples", "--yes")
    eventually(lambda: world.call("run_query", token).json().get("error", {}).get("code") == -32013, WITHIN)
    assert world.call("list_datasets", token).json()["result"]
    stop = re.search(r"stp_[A-Z0-9]+", stopped)
    assert stop is not None
    world.run("lift", stop.group(), "--tenant", "examples")
    eventually(lambda: "result" in world.call("run_query", token).json(), WITHIN)


def test_what_is_published_bites(world: World) -> None:
    token = world.issuer.token(NAME, "data:read")
    file: Any = json.loads((world.issuer.directory / "tenant.yaml").read_text())
    tools = file["environments"][0]["resources"][0]["tools"]
    next(tool for tool in tools if tool["name"] == "list_datasets")["scopes"] = ["segments:delete"]
    changed = world.issuer.directory / "changed.yaml"
    changed.write_text(json.dumps(file))
    assert world.call("list_datasets", token).json()["result"]
    world.run("apply", str(changed), "--yes")
    eventually(lambda: world.call("list_datasets", token).status_code == 403, WITHIN)


def test_a_revoked_grant_ends(world: World) -> None:
    token = world.issuer.token(NAME, "data:read")
    neighbour = world.issuer.token(NAME, "data:read", user="user@larchfield.example")
    client = jwt.decode(token, options={"verify_signature": False})["client_id"]
    assert world.call("run_query", token).json()["result"]
    revoked = httpx.post(world.issuer.issuer + "/revoke", data={"token": token, "client_id": client})
    assert revoked.status_code == 200
    eventually(lambda: world.call("run_query", token).status_code == 401, WITHIN)
    assert world.call("run_query", neighbour).json()["result"]
