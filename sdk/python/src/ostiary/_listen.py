"""Reads the feed: as a stream of events, or by long polls where no stream comes through."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from ._feed import Feed
from ._fetch import FetchError, check
from ._sources import FEED_LIMIT, Rejected, Source


@dataclass(frozen=True)
class Timing:
    """How patient the reader is, in seconds."""

    first: float = 10  # for the first event, which the issuer sends at once; a proxy that buffers does not
    idle: float = 45  # between events; the issuer signs anew every 20 s
    poll: int = 25  # that the issuer may hold a request
    between: float = 3  # polls that are answered at once, by something that does not know how to wait
    least: float = 1  # before the next attempt, doubled with each failure
    most: float = 10
    again: float = 600  # until a stream is tried again after polling


class NoStream(FetchError):
    """There is no stream of events to be had: the answer is something else, or nothing arrives."""


class FeedReader:
    """Hands every new feed to take; attempt runs a step and says whether it went well."""

    def __init__(
        self,
        source: Source,
        take: Callable[[Feed, int], None],
        attempt: Callable[[Callable[[], None]], bool],
        stopping: threading.Event,
        timing: Timing,
    ) -> None:
        self._source, self._hand_over, self._attempt = source, take, attempt
        self._stopping, self._timing = stopping, timing
        self._answer: httpx.Response | None = None
        self._sequence, self._issued = -1, 0
        self._no_stream = False
        self._failures = 0
        self.heard: float | None = None  # when a good feed last came, on the steady clock

    def fetch(self) -> None:
        """Take the feed as it is now. Raises FetchError, Rejected."""
        self._take(*self._source.feed())

    def run(self) -> None:
        """Follow the feed until it is stopped."""
        polling, since = False, 0.0
        while not self._stopping.is_set():
            began, self._no_stream = time.monotonic(), False
            good = self._attempt(self._poll if polling else self._stream)
            self._failures = 0 if good else self._failures + 1
            if not good and (self._no_stream or self._failures % 3 == 0):
                # What lets no stream through may let polls through, and the other way round.
                polling, since = not polling, time.monotonic()
            elif polling and good and time.monotonic() - since > self._timing.again:
                polling = False
            self._stopping.wait(self._pause(good, polling, time.monotonic() - began))

    def _pause(self, good: bool, polling: bool, took: float) -> float:
        if self._no_stream:
            return 0
        if good and polling:
            return max(0, self._timing.between - took)
        wait = min(self._timing.least * 2.0 ** min(max(self._failures - 1, 0), 8), self._timing.most)
        return wait * random.uniform(0.5, 1.5)  # noqa: S311 - not all at once when the issuer comes back

    def cut(self) -> None:
        """End a blocked read, which only its socket can."""
        answer = self._answer
        if answer is not None:
            with contextlib.suppress(Exception):
                answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _poll(self) -> None:
        # After a failure contact comes first: an issuer whose places for those who wait are all taken still
        # answers those who do not.
        wait = self._timing.poll if self._sequence >= 0 and self._failures == 0 else 0
        self._take(*self._source.feed(wait, self._sequence))

    def _stream(self) -> None:
        """Take the feed from a stream of events until that ends. Raises FetchError when not one good event came."""
        try:
            good = self._read_stream()
        except FetchError as e:
            self._no_stream = isinstance(e, NoStream)
            raise
        if not good and not self._stopping.is_set():
            self._no_stream = True
            raise NoStream("the stream of events brought nothing")

    def _read_stream(self) -> bool:
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        timeout = httpx.Timeout(10.0, read=self._timing.idle)
        url, client = self._source.base + "/revocations", self._source.fetcher.client
        patience = threading.Timer(self._timing.first, self.cut)
        patience.daemon = True
        good = False
        try:
            with client.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=False) as answer:
                check(answer)
                if not answer.headers.get("content-type", "").lower().startswith("text/event-stream"):
                    raise NoStream("answered with no stream of events")
                self._answer = answer
                patience.start()
                for data in events(self._while_alive(answer.iter_raw()), FEED_LIMIT):
                    # A bad one is refused and said; the next may be good, and only good ones prove the stream alive.
                    if not self._stopping.is_set() and self._attempt(self._opening(data)):
                        good = True
                        patience.cancel()
        except httpx.HTTPError as e:
            if not good and self._answer is None:
                raise FetchError(f"the issuer cannot be reached: {type(e).__name__}") from None
        finally:
            self._answer = None
            patience.cancel()
        return good

    def _opening(self, data: bytes) -> Callable[[], None]:
        return lambda: self._take(*self._source.opened_feed(data))

    def _while_alive(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        opened = time.monotonic()
        for chunk in chunks:
            if self._stopping.is_set() or time.monotonic() - max(self.heard or 0, opened) > self._timing.idle:
                return
            yield chunk

    def _take(self, feed: Feed, issued: int) -> None:
        if feed.sequence < self._sequence:
            raise Rejected(f"the issuer serves feed {feed.sequence} after {self._sequence}")
        self.heard = time.monotonic()
        if feed.sequence == self._sequence and issued <= self._issued:
            return  # the same again, or from a node whose clock is a little behind
        self._sequence, self._issued = feed.sequence, issued
        self._hand_over(feed, issued)


def events(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Yield the data of server-sent events. Raises FetchError for one beyond limit bytes."""
    pending, data = bytearray(), bytearray()
    for chunk in chunks:
        pending += chunk
        # A carriage return at the end may be half of a line end.
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
