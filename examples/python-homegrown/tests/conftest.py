"""A seeded database and the running server."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from acme import seed

from testing.postgres import Cluster
from testing.process import Program

HERE = Path(__file__).resolve().parent.parent
PASSWORD = "only-in-this-test"


@dataclass(frozen=True)
class Seeded:
    """A database with both organizations' data."""

    name: str
    url: str  # as acme_app
    admin_url: str
    keys: dict[str, str]


@pytest.fixture(scope="session")
def original(cluster: Cluster, create_database: Callable[..., str]) -> Seeded:
    """What the others are copies of; nobody stays connected to it."""
    name = create_database()
    seeded = Seeded(name, cluster.url(name, "acme_app", PASSWORD), cluster.url(name), {})
    with psycopg.connect(seeded.admin_url) as admin:
        seeded.keys.update(seed.seed(admin, seeded.url))
    return seeded


@pytest.fixture
def seeded(cluster: Cluster, create_database: Callable[..., str], original: Seeded) -> Seeded:
    """A copy of the test's own."""
    name = create_database(original.name)
    return Seeded(name, cluster.url(name, "acme_app", PASSWORD), cluster.url(name), original.keys)


@pytest.fixture(scope="session")
def shared(cluster: Cluster, create_database: Callable[..., str], original: Seeded) -> Seeded:
    """A copy for all tests that only read."""
    name = create_database(original.name)
    return Seeded(name, cluster.url(name, "acme_app", PASSWORD), cluster.url(name), original.keys)


@pytest.fixture(scope="session")
def acme(shared: Seeded) -> Iterator[Program]:
    """The unmodified server on data that no test changes."""
    program = start(shared)
    yield program
    assert program.stop() == 0, program.log()


@pytest.fixture
def own_acme(seeded: Seeded) -> Iterator[Program]:
    """The unmodified server on a copy of the data that the test may change."""
    program = start(seeded)
    yield program
    assert program.stop() == 0, program.log()


def start(seeded: Seeded, *arguments: str, **env: str) -> Program:
    command = [sys.executable, "main.py", "--port", "0", *arguments]
    return Program(command, cwd=HERE, env={"ACME_DATABASE_URL": seeded.url} | env)
