"""Fixtures for the tests of all examples."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from testing import acme as homegrown
from testing.acme import Seeded
from testing.postgres import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def create_database(cluster: Cluster) -> Callable[..., str]:
    """Makes an empty database, or a copy of another, and returns its name."""

    def create(template: str = "template1") -> str:
        name = f"test_{secrets.token_hex(6)}"
        with cluster.admin() as admin:
            admin.execute(f"create database {name} template {template}".encode())
        return name

    return create


@pytest.fixture(scope="session")
def original(cluster: Cluster, create_database: Callable[..., str]) -> Seeded:
    """What the others are copies of; nobody stays connected to it."""
    return homegrown.make(cluster, create_database)


@pytest.fixture
def seeded(cluster: Cluster, create_database: Callable[..., str], original: Seeded) -> Seeded:
    """A copy of the test's own."""
    return homegrown.copy(cluster, create_database, original)


@pytest.fixture(scope="session")
def shared(cluster: Cluster, create_database: Callable[..., str], original: Seeded) -> Seeded:
    """A copy for all tests that only read."""
    return homegrown.copy(cluster, create_database, original)
