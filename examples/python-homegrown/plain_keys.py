"""The issuer's public keys, for plain_jwt.py: held in memory, so that a token costs no request."""

import threading
import time
from collections.abc import Callable

import jwt

FRESH_FOR = 300.0  # after this a token has them fetched again
RETRY_AFTER = 5.0  # anybody can make up key ids: however many do, the issuer is asked no more often than this
TIMEOUT = 2.0


class IssuerKeys:
    """Once there are keys they stay until newer ones arrive, so an outage of the issuer stops nobody it knows."""

    def __init__(self, url: str, now: Callable[[], float] = time.monotonic) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT)
        self._now = now
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._stale_at = self._retry_at = float("-inf")
        self._failed = False

    def find(self, kid: str | None) -> jwt.PyJWK:
        """The key kid. Raises jwt.PyJWKClientError, and its PyJWKClientConnectionError when nobody can tell."""
        if kid not in self._keys or self._now() >= self._stale_at:
            self._renew()
        if key := self._keys.get(kid):
            return key
        if self._failed:
            raise jwt.PyJWKClientConnectionError("the issuer's keys cannot be fetched")
        raise jwt.PyJWKClientError("the issuer has no such key")

    def _renew(self) -> None:
        with self._lock:
            if self._now() < self._retry_at:
                return
            try:
                self._keys = {key.key_id: key for key in self._client.get_signing_keys()}
            except (jwt.PyJWTError, OSError, ValueError):
                self._failed = True
            else:
                self._failed, self._stale_at = False, self._now() + FRESH_FOR
            self._retry_at = self._now() + RETRY_AFTER
