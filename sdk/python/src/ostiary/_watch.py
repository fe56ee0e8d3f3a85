"""The time, as far as anybody can be sure of it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Watch:
    """Tells the time: never earlier than the newest the issuer has signed plus what has passed since on a steady clock.

    A wall clock that is set back brings nothing back that has expired, and lets no silence end.
    """

    def __init__(self, now: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        self._now, self._steady = now, steady
        self._newest: tuple[float, float] | None = None  # a time the issuer signed, and the steady clock then

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        now, newest = self._now(), self._newest
        if newest is None:
            return now
        return max(now, newest[0] + self._steady() - newest[1])

    def heard(self, signed: float) -> None:
        """Note a time from a document of the issuer that was found good."""
        at, newest = self._steady(), self._newest
        if newest is None or signed > newest[0] + at - newest[1]:
            self._newest = (signed, at)
