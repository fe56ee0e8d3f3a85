"""Fixtures for the tests of all examples."""

import secrets
from collections.abc import Callable, Iterator

import pytest

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
