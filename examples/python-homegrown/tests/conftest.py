"""The unmodified server, running."""

from collections.abc import Iterator

import pytest

from testing.acme import Seeded, start
from testing.process import Program


@pytest.fixture(scope="session")
def acme(shared: Seeded) -> Iterator[Program]:
    """On data that no test changes."""
    program = start(shared)
    yield program
    assert program.stop() == 0, program.log()


@pytest.fixture
def own_acme(seeded: Seeded) -> Iterator[Program]:
    """On a copy of the data that the test may change."""
    program = start(seeded)
    yield program
    assert program.stop() == 0, program.log()
