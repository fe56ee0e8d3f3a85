"""Follows the issuer in two threads of its own: neither a blocked event loop nor a slow issuer delays the other.

Threads rather than tasks, so that it works under every ASGI server and framework, with and without lifespan.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx

from ._document import Document
from ._feed import Feed
from ._fetch import FetchError, check
from ._sources import FEED_LIMIT, Rejected, Source

SSE_PATIENCE = 50.0  # for the next event; the issuer signs anew every 20 s
LONG_POLL = 25
POLL_WHEN_LIVE = 30.0
RETRY_FIRST, RETRY_MOST = 1.0, 10.0
POLLS_BEFORE_SSE = 6  # long polls before the stream is tried again


class Follower:
    """Keeps keys, policy and feed current until it is stopped. What it finds it hands to the callbacks."""

    def __init__(
        self,
        source: Source,
        on_policy: Callable[[Document, int], None],  # raises ValueError when the document cannot be used
        on_feed: Callable[[Feed, int], None],
        log: logging.Logger,
        poll_every: float,
    ) -> None:
        self._source, self._on_policy, self._on_feed, self._log = source, on_policy, on_feed, log
        self._poll_every = poll_every
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._stream: httpx.Response | None = None
        self._etag = ""
        self._sequence = 0
        self._revision = -1
        self._failing: set[str] = set()
        self._heard = -math.inf  # when the feed last came, on the steady clock
        self.ready = threading.Event()
        self._threads = [threading.Thread(target=self._follow_policy, name="ostiary-policy", daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """End both threads, without waiting for the issuer."""
        self._stopping.set()
        self._wake.set()
        stream = self._stream
        if stream is not None:
            # A blocked read ends only with its socket.
            with contextlib.suppress(Exception):
                stream.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=2)

    def _follow_policy(self) -> None:
        wait = 0.05
        while not self._stopping.is_set() and not self.ready.is_set():
            # Keys first, then the policy, then what has ended meanwhile; the last is not worth waiting for for long.
            if self._try("keys", self._source.keys.load) and self._try("policy", self._poll):
                self._try("feed", lambda: self._take(*self._source.feed()))
                self.ready.set()
                self._start_feed()
            else:
                self._stopping.wait(wait)
                wait = min(2 * wait, 2.0)
        while not self._stopping.is_set():
            # A live feed says when there is a new policy; asking for it as well is only a net.
            live = time.monotonic() - self._heard < SSE_PATIENCE
            self._wake.wait(POLL_WHEN_LIVE if live else self._poll_every)
            self._wake.clear()
            if not self._stopping.is_set():
                self._try("policy", self._poll)

    def _start_feed(self) -> None:
        thread = threading.Thread(target=self._follow_feed, name="ostiary-feed", daemon=True)
        self._threads.append(thread)
        thread.start()

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

    def _follow_feed(self) -> None:
        backoff = RETRY_FIRST
        while not self._stopping.is_set():
            began = time.monotonic()
            heard = self._try("feed", self._listen) or self._poll_feed()
            backoff = RETRY_FIRST if heard and time.monotonic() - began > RETRY_FIRST else min(2 * backoff, RETRY_MOST)
            # Not all at once when a node of the issuer restarts.
            self._stopping.wait(backoff * random.uniform(0.5, 1.0))  # noqa: S311

    def _listen(self) -> None:
        """Take the feed from the event stream until that ends. Raises when not one good event came."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store"}
        timeout = httpx.Timeout(10.0, read=SSE_PATIENCE)
        url = self._source.base + "/revocations"
        heard = False
        try:
            with self._source.fetcher.client.stream(
                "GET", url, headers=headers, timeout=timeout, follow_redirects=False
            ) as answer:
                check(answer)
                if not answer.headers.get("content-type", "").lower().startswith("text/event-stream"):
                    raise FetchError("answered with no event stream")
                self._stream = answer
                for data in events(answer.iter_raw(), FEED_LIMIT):
                    if self._stopping.is_set():
                        return
                    heard |= self._try("feed", lambda data=data: self._take(*self._source.opened_feed(data)))  # type: ignore[misc]
        except httpx.HTTPError as e:
            if not heard:
                raise FetchError(f"the issuer cannot be reached: {type(e).__name__}") from None
        finally:
            self._stream = None
        if not heard:
            raise FetchError("the event stream brought nothing")

    def _poll_feed(self) -> bool:
        """Take the feed by long polls for a while, where streams do not get through."""
        for _ in range(POLLS_BEFORE_SSE):
            if self._stopping.is_set() or not self._try(
                "feed", lambda: self._take(*self._source.feed(LONG_POLL, self._sequence))
            ):
                return False
        return True

    def _take(self, feed: Feed, issued: int) -> None:
        if feed.sequence < self._sequence:
            raise Rejected(f"the issuer serves feed {feed.sequence} after {self._sequence}")
        self._sequence, self._heard = feed.sequence, time.monotonic()
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


def events(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Yield the data of server-sent events. Raises FetchError for one beyond limit bytes."""
    pending, data = bytearray(), bytearray()
    for chunk in chunks:
        pending += chunk
        # A carriage return at the end may be half of a line end; the issuer writes line feeds.
        *lines, rest = pending.replace(b"\r\n", b"\n").split(b"\n")
        pending = bytearray(rest)
        for line in lines:
            if not line and data:
                yield bytes(data)
                data.clear()
            elif line.startswith(b"data:"):
                data += line[5:].removeprefix(b" ")
        if len(pending) + len(data) > limit:
            raise FetchError(f"an event has more than {limit} bytes")
