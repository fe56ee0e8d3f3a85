"""Open requests that must end when what their token rests on has ended."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import anyio
from anyio.lowlevel import current_token

from ._grant import Grant


class Stream:
    """One request that is being answered. `reason` says why it was ended, None while it goes on."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.reason: str | None = None
        self.scope = anyio.CancelScope()
        self._soon = _soon()

    def end(self, reason: str) -> None:
        """End the request, from any thread."""
        self.reason = reason
        with contextlib.suppress(RuntimeError):  # its event loop is gone, and so is the request
            self._soon(self.scope.cancel)


def _soon() -> Callable[[Callable[[], object]], object]:
    """Return what has a function called in the running event loop, from any thread; asyncio or Trio."""
    loop: Any = current_token().native_token
    soon: Callable[[Callable[[], object]], object] = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    return soon


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
