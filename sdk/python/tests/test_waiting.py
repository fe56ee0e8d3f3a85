"""Waiting with a limit is waiting, whatever is waited for."""

from __future__ import annotations

import anyio
import pytest

from ostiary._waiting import within


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def never(ended: list[bool]) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        ended.append(True)


@pytest.mark.anyio
async def test_what_is_there_at_once_is_returned() -> None:
    async def ready() -> int:
        return 1

    assert await within(0, ready()) == 1


@pytest.mark.anyio
async def test_what_comes_later_is_waited_for() -> None:
    async def later(steps: int) -> int:
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        return steps

    for steps in (1, 2, 5):
        assert await within(60, later(steps)) == steps


@pytest.mark.anyio
async def test_what_does_not_come_ends_in_time() -> None:
    ended: list[bool] = []
    with pytest.raises(TimeoutError):
        await within(0.01, never(ended))
    assert ended == [True]


@pytest.mark.anyio
async def test_errors_come_through() -> None:
    async def failing(later: bool) -> None:
        if later:
            await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError

    for later in (False, True):
        with pytest.raises(ZeroDivisionError):
            await within(60, failing(later))


@pytest.mark.anyio
async def test_it_is_cancelled_from_outside() -> None:
    ended: list[bool] = []
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(within, 60, never(ended))
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert ended == [True]
