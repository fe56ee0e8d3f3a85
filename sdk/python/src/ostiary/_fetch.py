"""Small documents from the issuer: bounded in size and time, never redirected."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

TIMEOUT = 10.0


class FetchError(Exception):
    """A document could not be had. The message carries no URL: those are never logged."""


@dataclass(frozen=True)
class Fetched:
    """What a fetch brought: nothing when the ETag still holds."""

    body: bytes
    etag: str
    not_modified: bool = False


class Fetcher:
    """Reads from the issuer. No redirect is followed: whoever can cause one would choose the keys."""

    def __init__(self, client: httpx.Client | None = None) -> None:
        self._given = client
        self._own: httpx.Client | None = None
        self._lock = threading.Lock()
        self._keepalive = 4

    @property
    def client(self) -> httpx.Client:
        """Return the client in use; one of our own is made when it is first needed."""
        if self._given is not None:
            return self._given
        with self._lock:
            if self._own is None:
                limits = httpx.Limits(max_keepalive_connections=self._keepalive)
                self._own = httpx.Client(timeout=TIMEOUT, limits=limits)
            return self._own

    def close(self) -> None:
        """Close what is open. A fetch after it still works, and leaves nothing open."""
        with self._lock:
            own, self._own, self._keepalive = self._own, None, 0
        if own is not None:
            own.close()

    def get(self, url: str, accept: str, limit: int, etag: str = "", timeout: float = TIMEOUT) -> Fetched:
        """Fetch url, at most limit bytes of it. Raises FetchError."""
        # Decompression could exceed any limit in one step, so nothing compressed is asked for or taken.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if etag:
            headers["If-None-Match"] = etag
        deadline = time.monotonic() + timeout
        try:
            with self.client.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=False) as answer:
                if answer.status_code == 304 and etag:
                    return Fetched(b"", etag, not_modified=True)
                check(answer)
                return Fetched(
                    _read(answer, limit, lambda: time.monotonic() > deadline), answer.headers.get("etag", "")
                )
        except httpx.HTTPError as e:
            raise FetchError(f"the issuer cannot be reached: {type(e).__name__}") from None
        except httpx.InvalidURL:
            raise FetchError("the issuer's document has no usable address") from None


def check(answer: httpx.Response) -> None:
    """Refuse everything but a plain 200."""
    if answer.status_code != 200:
        raise FetchError(f"answered {answer.status_code}")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError("answered with a content encoding nobody asked for")


def _read(answer: httpx.Response, limit: int, late: Callable[[], bool]) -> bytes:
    body = bytearray()
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > limit:
            raise FetchError(f"answered more than {limit} bytes")
        if late():
            raise FetchError("took too long")
    return bytes(body)
