"""Open requests that must end when what their token rests on has ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import anyio
from anyio.lowlevel import current_token

from ._grant import Grant


class Stream:
    """One request that is being answered, from enter to exit. `reason` says why it was ended, None while it goes on."""

    __slots__ = ("_cancelled", "_loop", "_over", "_scope", "_task", "grant", "reason")

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.reason: str | None = None
        self._cancelled = self._over = False
        self._scope: anyio.CancelScope | None = None
        self._task: asyncio.Task[Any] | None = None
        try:
            self._loop: Any = asyncio.get_running_loop()
        except RuntimeError:  # Trio
            self._loop, self._scope = current_token().native_token, anyio.CancelScope()
        else:
            # A cancel scope would do here as well; the task itself costs a tenth of it, on every request.
            self._task = asyncio.current_task(self._loop)

    def __enter__(self) -> None:
        if self._scope is not None:
            self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._over = True
        if self._scope is not None:
            return self._scope.__exit__(kind, error, trace)
        if not self._cancelled or self._task is None:
            return None
        # Somebody else may have cancelled it as well; then it is not ours to go on. Before Python 3.11 nobody counts.
        others: int = self._task.uncancel() if hasattr(self._task, "uncancel") else 0
        return isinstance(error, asyncio.CancelledError) and not others

    def cancel(self) -> None:
        """End the request, from its own event loop."""
        if self._over or self._cancelled:
            return
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()
        elif self._task is not None:
            self._task.cancel()

    def end(self, reason: str) -> None:
        """End the request, from any thread."""
        self.reason = reason
        soon = self._loop.call_soon_threadsafe if self._scope is None else self._loop.run_sync_soon
        with contextlib.suppress(RuntimeError):  # its event loop is gone, and so is the request
            soon(self.cancel)


class Streams:
    """Knows the requests that are open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[Stream] = set()

    def add(self, stream: Stream) -> None:
        """Begin to watch over stream."""
        with self._lock:
            self._open.add(stream)

    def remove(self, stream: Stream) -> None:
        """Stop watching over stream; once is enough."""
        with self._lock:
            self._open.discard(stream)

    def end(self, refuses: Callable[[Grant], str | None]) -> None:
        """End everything that refuses has a reason for."""
        with self._lock:
            watched = list(self._open)
        for stream in watched:
            reason = refuses(stream.grant)
            if reason is not None:
                stream.end(reason)
