"""The issuer's public keys: metadata (RFC 8414) -> jwks_uri -> keys.

Once there are keys they stay until newer ones arrive, so an outage of the issuer stops nobody. Made-up `kid`s must not
turn this against the issuer: one fetch at a time, and at most one every RETRY_AFTER seconds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK, PyJWTError

from ._fetch import Fetcher, FetchError
from ._json import JSONError, parse_values

FRESH_FOR = 300.0  # after this a lookup has the keys renewed in the background
RETRY_AFTER = 5.0
METADATA_LIMIT = 256 << 10
JWKS_LIMIT = 1 << 20
MIN_RSA_BITS = 2048

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class UnknownKey(Exception):
    """The key is not among the issuer's."""


class KeysUnavailable(Exception):
    """Nobody can tell now which keys the issuer has."""


@dataclass(frozen=True)
class Key:
    """One public key, tied to one algorithm."""

    id: str
    algorithm: str
    public: PublicKey
    thumbprint: bytes  # tells a replaced key from the one a remembered token was verified with


@dataclass(frozen=True)
class _KeySet:
    by_id: dict[str, Key]
    fetched: float


class IssuerKeys:
    """Holds the issuer's keys. Safe for threads; nothing here blocks an event loop."""

    def __init__(self, issuer: str, fetcher: Fetcher, now: Callable[[], float], log: logging.Logger) -> None:
        self._issuer, self._fetcher, self._now, self._log = issuer, fetcher, now, log
        self._set: _KeySet | None = None
        self._lock = threading.Lock()
        self._flight: Future[None] | None = None
        self._tried: float | None = None
        self._failure: Exception | None = None
        self._open = False

    def open(self) -> None:
        """Fetch keys when they are wanted, from here on."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """Fetch no more keys, and wait for a fetch that is under way."""
        with self._lock:
            self._open, flight = False, self._flight
        if flight is not None:
            wait([flight], timeout=2)

    def held(self, kid: str) -> Key | None:
        """Look among the keys in memory, and have them renewed in the background when they are old."""
        keys = self._set
        if keys is None:
            return None
        # A clock that was set back makes them old too: nobody knows how old.
        if not 0 <= self._now() - keys.fetched <= FRESH_FOR:
            self._start()
        return keys.by_id.get(kid)

    async def find(self, kid: str) -> Key:
        """Return the key kid. Raises UnknownKey, or KeysUnavailable when nobody can tell."""
        key = self.held(kid)
        if key is not None:
            return key
        flight = self._start()
        # Not in a thread: strangers with made-up kids could then take all of the app's.
        while flight is not None and not flight.done():  # noqa: ASYNC110 - it is done by a thread
            await anyio.sleep(0.01)
        return self._landed(kid, flight)

    def find_blocking(self, kid: str) -> Key:
        """Do what find does, for threads."""
        key = self.held(kid)
        if key is not None:
            return key
        return self._landed(kid, self._start())

    def _landed(self, kid: str, flight: Future[None] | None) -> Key:
        """Return the key kid once a fetch, if there was one, is over."""
        failure: BaseException | None = self._failure
        if flight is not None:
            failure = flight.exception()
        key = self.held(kid)
        if key is not None:
            return key
        if failure is not None:
            raise KeysUnavailable(str(failure))
        raise UnknownKey

    def _start(self) -> Future[None] | None:
        """Join or start a fetch; None means that it is too early for another one."""
        with self._lock:
            if self._flight is not None:
                return self._flight
            now = self._now()
            if not self._open:
                return None
            if self._tried is not None and 0 <= now - self._tried < RETRY_AFTER:
                return None
            self._tried = now
            flight: Future[None] = Future()
            self._flight = flight
        threading.Thread(target=self._fly, args=(flight,), name="ostiary-keys", daemon=True).start()
        return flight

    def _fly(self, flight: Future[None]) -> None:
        failure: Exception | None = None
        try:
            self.load()
        except Exception as e:  # whatever it was, those who wait must hear of it
            failure = e
            if self._failure is None and self._set is not None:
                self._log.warning("keys of the issuer cannot be renewed, going on with those in memory: %s", e)
        with self._lock:
            self._flight, self._failure = None, failure
        if failure is None:
            flight.set_result(None)
        else:
            flight.set_exception(failure)

    def load(self) -> None:
        """Fetch the keys now. Raises FetchError."""
        try:
            document = self._fetcher.get(self._jwks_uri(), "application/jwk-set+json, application/json", JWKS_LIMIT)
            self._set = _KeySet(parse_keys(document.body), self._now())
        except (JSONError, ValueError) as e:
            raise FetchError(f"keys of the issuer: {e}") from None

    def _jwks_uri(self) -> str:
        document = self._fetcher.get(metadata_url(self._issuer), "application/json", METADATA_LIMIT)
        meta = parse_values(document.body)
        # RFC 8414 section 3.3: identical, or the document must not be used.
        if not isinstance(meta, dict) or meta.get("issuer") != self._issuer:
            raise FetchError("the issuer's metadata names another issuer")
        uri = meta.get("jwks_uri")
        if not isinstance(uri, str):
            raise FetchError("the issuer's metadata has no jwks_uri")
        parts = urlsplit(uri)
        if not parts.netloc or parts.scheme not in ("https", urlsplit(self._issuer).scheme):
            raise FetchError("the issuer's metadata has no usable jwks_uri")
        return uri


def metadata_url(issuer: str) -> str:
    """Insert the well-known path between host and path of the issuer (RFC 8414 section 3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"


def parse_keys(raw: bytes) -> dict[str, Key]:
    """Read a JWK set. A key it does not understand does not spoil the others; none at all is a ValueError."""
    document = parse_values(raw)
    listed = document.get("keys") if isinstance(document, dict) else None
    by_id: dict[str, Key] = {}
    for item in listed if isinstance(listed, list) else ():
        key = _usable(item) if isinstance(item, dict) else None
        if key is not None:
            by_id.setdefault(key.id, key)
    if not by_id:
        raise ValueError("no usable key in the set")
    return by_id


def _usable(jwk: dict[str, Any]) -> Key | None:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not kid or "d" in jwk or "k" in jwk or jwk.get("use", "sig") not in ("", "sig"):
        return None
    algorithm = _algorithm(jwk)
    if algorithm is None or jwk.get("alg", algorithm) not in ("", algorithm):
        return None
    try:
        public = PyJWK(jwk, algorithm).key
        if not isinstance(public, PublicKey) or (
            isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS
        ):
            return None
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (PyJWTError, ValueError, TypeError, json.JSONDecodeError):
        return None
    return Key(kid, algorithm, public, hashlib.sha256(der).digest())


def _algorithm(jwk: dict[str, Any]) -> str | None:
    """Derive the one algorithm a key may be used with, so that a token cannot choose another (RFC 8725 section 3.1)."""
    match jwk.get("kty"), jwk.get("crv"):
        case "EC", "P-256":
            return "ES256"
        case "RSA", _:
            return "RS256"
        case "OKP", "Ed25519":
            return "EdDSA"
    return None
