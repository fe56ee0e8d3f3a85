"""Databases and servers of the homegrown example."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from acme import seed
from testing.postgres import Cluster
from testing.process import EXAMPLES, Program

HOMEGROWN = EXAMPLES / "python-homegrown"
PASSWORD = "only-in-this-test"


@dataclass(frozen=True)
class Seeded:
    """A database with both organizations' data."""

    name: str
    url: str  # as acme_app
    admin_url: str
    keys: dict[str, str]

    def link(self, external_ids: dict[str, str]) -> None:
        """Notes what a system in front calls each organization."""
        with psycopg.connect(self.admin_url) as admin:
            seed.link(admin, external_ids)


def make(cluster: Cluster, create_database: Callable[..., str]) -> Seeded:
    """A new database, filled."""
    made = _at(cluster, create_database(), {})
    with psycopg.connect(made.admin_url) as admin:
        made.keys.update(seed.seed(admin, made.url))
    return made


def copy(cluster: Cluster, create_database: Callable[..., str], original: Seeded) -> Seeded:
    return _at(cluster, create_database(original.name), original.keys)


def _at(cluster: Cluster, name: str, keys: dict[str, str]) -> Seeded:
    return Seeded(name, cluster.url(name, "acme_app", PASSWORD), cluster.url(name), keys)


def start(seeded: Seeded, *arguments: str, entry: str = "main.py", **env: str) -> Program:
    """Runs one of the example's entries on a free port."""
    command = [sys.executable, entry, "--port", "0", *arguments]
    return Program(command, cwd=HOMEGROWN, env={"ACME_DATABASE_URL": seeded.url} | env)
