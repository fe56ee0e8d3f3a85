"""Waiting with a limit, without the cost of one where nothing has to be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

import anyio

T = TypeVar("T")


async def within(seconds: float, awaited: Awaitable[T]) -> T:
    """Await for so long. What is there at once costs no timer, which is most of what a small request costs otherwise.

    Raises TimeoutError.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # Trio wants to know of every step
        with anyio.fail_after(seconds):
            return await awaited
    running = awaited.__await__()
    try:
        trap = next(running)
    except StopIteration as done:
        value: T = done.value
        return value
    with anyio.fail_after(seconds):
        return await _Resumed(trap, running)


class _Resumed(Generic[T]):
    """An awaitable whose first step was already made: trap is what it asks of the event loop."""

    def __init__(self, trap: Any, running: Generator[Any, Any, T]) -> None:
        self._trap, self._running = trap, running

    def __await__(self) -> Generator[Any, Any, T]:
        trap, running = self._trap, self._running
        try:
            while True:
                try:
                    answer = yield trap
                except BaseException as e:  # noqa: PERF203 - how an event loop cancels
                    trap = running.throw(e)
                else:
                    trap = running.send(answer)
        except StopIteration as done:
            value: T = done.value
            return value
