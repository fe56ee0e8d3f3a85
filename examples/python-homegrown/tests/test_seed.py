"""The command that makes the database, as the README says it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

from testing.acme import HOMEGROWN, PASSWORD, Seeded, start
from testing.postgres import Cluster
from testing.rpc import Client


def test_the_command_makes_a_database_that_the_server_runs_on(
    cluster: Cluster, create_database: Callable[..., str]
) -> None:
    name = create_database()
    made = Seeded(name, cluster.url(name, "acme_app", PASSWORD), cluster.url(name), {})
    env = os.environ | {"ACME_ADMIN_URL": made.admin_url, "ACME_DATABASE_URL": made.url}

    def seed(*arguments: str) -> str:
        command = [sys.executable, "-m", "acme.seed", *arguments]
        ran = subprocess.run(command, cwd=HOMEGROWN, env=env, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    keys = json.loads(seed())["api_keys"]
    assert seed("--link", "northwind=org_N") == ""
    program = start(made)
    try:
        for organization in ("northwind", "larchfield"):
            client = Client(program.url, {"X-Api-Key": keys[organization]})
            assert client.call("run_query", dataset="accounts")["total"] == 60
    finally:
        program.stop()
