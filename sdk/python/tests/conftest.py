from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ostiary import Ostiary

from .issuer import RESOURCE, Issuer, serving


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Address:
    """An address at which each test finds an issuer of its own."""

    def __init__(self) -> None:
        self.issuer = Issuer()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.issuer(scope, receive, send)


@pytest.fixture(scope="session")
def address() -> Iterator[tuple[Address, str]]:
    made = Address()
    with serving(made) as url:
        yield made, url


@pytest.fixture
def issuer(address: tuple[Address, str]) -> Issuer:
    address[0].issuer = made = Issuer(url=address[1])
    return made


Guards = Callable[..., Ostiary]


@pytest.fixture
def guards(issuer: Issuer) -> Iterator[Guards]:
    """Makes guards of the issuer, and closes them."""
    made: list[Ostiary] = []

    def make(**settings: Any) -> Ostiary:
        made.append(Ostiary(**{"issuer": issuer.url, "resource_id": RESOURCE, "poll_every": 0.05, **settings}))
        return made[-1]

    yield make
    for guard in made:
        guard.close()


@pytest.fixture
def guard(guards: Guards) -> Ostiary:
    """A guard that has heard its issuer."""
    made = guards()
    made.start()
    eventually(lambda: made.ready)
    return made


def eventually(holds: Callable[[], bool], within: float = 15.0) -> None:
    """Wait until something that other threads bring about holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)
