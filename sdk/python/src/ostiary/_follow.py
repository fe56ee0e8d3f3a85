"""Follows the issuer in two threads of its own: neither a blocked event loop nor a slow issuer delays the other.

Threads rather than tasks, so that it works under every ASGI server and framework, with and without lifespan.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ._document import Document
from ._feed import Feed
from ._fetch import FetchError
from ._listen import FeedReader, Timing
from ._sources import Rejected, Source

POLL_WHEN_HEARD = 30.0
HEARD_WITHIN = 60.0  # three times the issuer's interval


class Follower:
    """Keeps keys, policy and feed current until it is stopped. What it finds it hands to the callbacks."""

    def __init__(
        self,
        source: Source,
        on_policy: Callable[[Document, int], None],  # raises ValueError when the document cannot be used
        on_feed: Callable[[Feed, int], None],
        log: logging.Logger,
        poll_every: float,
        timing: Timing,
    ) -> None:
        self._source, self._on_policy, self._on_feed, self._log = source, on_policy, on_feed, log
        self._poll_every = poll_every
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._reader = FeedReader(source, self._heard, lambda step: self._try("feed", step), self._stopping, timing)
        self._etag = ""
        self._revision = -1
        self._failing: set[str] = set()
        self.ready = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="ostiary-policy", daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """End both threads, without waiting for the issuer."""
        self._stopping.set()
        self._wake.set()
        self._reader.cut()
        for thread in list(self._threads):
            thread.join(timeout=2)

    def _run(self) -> None:
        wait = 0.05
        while not self._stopping.is_set() and not self.ready.is_set():
            # Keys first, then the policy, then what has ended meanwhile; without a feed as long as silence may last.
            if self._try("keys", self._source.keys.load) and self._try("policy", self._poll):
                self._try("feed", self._reader.fetch)
                self.ready.set()
                self._threads.append(threading.Thread(target=self._reader.run, name="ostiary-feed", daemon=True))
                self._threads[-1].start()
            else:
                self._stopping.wait(wait)
                wait = min(2 * wait, 2.0)
        while not self._stopping.is_set():
            # A live feed says when there is a new policy; asking for it as well is only a net.
            heard = self._reader.heard
            live = heard is not None and time.monotonic() - heard < HEARD_WITHIN
            self._wake.wait(max(self._poll_every, POLL_WHEN_HEARD) if live else self._poll_every)
            self._wake.clear()
            if not self._stopping.is_set():
                self._try("policy", self._poll)

    def _poll(self) -> None:
        got = self._source.policy(self._etag)
        if got is None:
            return
        document, issued, etag = got
        if document.revision < self._revision:
            raise Rejected(f"the issuer serves revision {document.revision} after {self._revision}")
        try:
            self._on_policy(document, issued)
        except ValueError as e:
            raise Rejected(f"the policy cannot be used: {e}") from None
        self._revision, self._etag = document.revision, etag

    def _heard(self, feed: Feed, issued: int) -> None:
        self._on_feed(feed, issued)
        if feed.revision > self._revision:
            self._wake.set()

    def _try(self, what: str, step: Callable[[], None]) -> bool:
        """Run step; say once that something cannot be had, and once that it can be again."""
        try:
            step()
        except (FetchError, Rejected) as e:
            if not self._stopping.is_set() and what not in self._failing:
                self._failing.add(what)
                self._log.warning("%s of %s cannot be renewed: %s", what, self._source.resource_id, e)
            return False
        except Exception:  # a thread that dies takes revocation with it
            self._log.exception("%s of %s cannot be renewed", what, self._source.resource_id)
            return False
        if what in self._failing:
            self._failing.discard(what)
            self._log.info("%s of %s can be renewed again", what, self._source.resource_id)
        return True
