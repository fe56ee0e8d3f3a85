"""Access tokens (RFC 9068): verified once, then remembered by their hash as long as their key is the issuer's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ._grant import Grant
from ._jws import Malformed, header_of, open_with
from ._keys import IssuerKeys, Key, UnknownKey

K = TypeVar("K")
V = TypeVar("V")

TYPE = "at+jwt"
MAX_LENGTH = 16 << 10
REMEMBERED = 8192


class TokenError(Exception):
    """The token is not good; the message may be shown to the client (error_description)."""


MALFORMED = "The access token is not valid"
EXPIRED = "The access token has expired"
EARLY = "The access token is not valid yet"
ISSUER = "The access token comes from another issuer"
AUDIENCE = "The access token is for another resource"
ENDED = "The access token was revoked"


@dataclass(eq=False)
class Entry:
    """A token whose signature and fixed claims were found good, and the key that said so."""

    grant: Grant
    not_before: float
    audience: tuple[str, ...]
    key: Key
    granted_for: object = None  # the policy that `granted` belongs to
    granted: int = 0


class Recent(Generic[K, V]):
    """A bounded map that forgets what was not used lately, in two generations. Nothing is scanned, nothing is timed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        if len(self._young) >= self._size and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def __iter__(self) -> Iterator[V]:
        yield from list(self._young.values())
        yield from list(self._old.values())


class Verifier:
    """Turns access tokens into grants."""

    def __init__(self, keys: IssuerKeys, issuer: str, skew: float, now: Callable[[], float]) -> None:
        self._keys, self._issuer, self._skew, self._now = keys, issuer, skew, now
        self._recent: Recent[bytes, Entry] = Recent(REMEMBERED)

    async def verify(self, token: str, resource: str) -> Entry:
        """Return whose token this is. Raises TokenError when it is at fault, KeysUnavailable when nobody can tell."""
        digest, entry = self._remembered(token)
        if entry is None:
            try:
                header = header_of(token, TYPE)
                entry = self._opened(token, await self._keys.find(header.kid))
            except (Malformed, UnknownKey):
                raise TokenError(MALFORMED) from None
            self._recent.put(digest, entry)
        return self._still_good(entry, resource)

    def verify_blocking(self, token: str, resource: str) -> Entry:
        """Do what verify does, for threads."""
        digest, entry = self._remembered(token)
        if entry is None:
            try:
                header = header_of(token, TYPE)
                entry = self._opened(token, self._keys.find_blocking(header.kid))
            except (Malformed, UnknownKey):
                raise TokenError(MALFORMED) from None
            self._recent.put(digest, entry)
        return self._still_good(entry, resource)

    def _remembered(self, token: str) -> tuple[bytes, Entry | None]:
        if len(token) > MAX_LENGTH:
            raise TokenError(MALFORMED)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        entry = self._recent.get(digest)
        if entry is not None:
            # Withdrawing a key withdraws everything it signed, remembered or not.
            key = self._keys.held(entry.key.id)
            if key is not entry.key and (key is None or key.thumbprint != entry.key.thumbprint):
                entry = None
        return digest, entry

    def _opened(self, token: str, key: Key) -> Entry:
        claims = open_with(token, header_of(token, TYPE), key)
        if claims.get("iss") != self._issuer:
            raise TokenError(ISSUER)
        return _entry(claims, key)

    def _still_good(self, entry: Entry, resource: str) -> Entry:
        # Looked at on every use: time passes, and the policy may name the resource anew.
        now = self._now()
        if now >= entry.grant.expires_at + self._skew:
            raise TokenError(EXPIRED)
        if now + self._skew < entry.not_before:
            raise TokenError(EARLY)
        if resource not in entry.audience:
            raise TokenError(AUDIENCE)
        return entry


def _entry(claims: dict[str, Any], key: Key) -> Entry:
    """Read the claims of RFC 9068 section 2.2. Raises TokenError."""
    expires, issued, early = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    user, client = _text(claims, "sub"), _text(claims, "client_id")
    if not expires or not issued or not user or not client:
        raise TokenError(MALFORMED)
    scope = _text(claims, "scope", plain=False)
    grant = Grant(
        user=user,
        organization=_text(claims, "org_id") or None,
        client=client,
        host=_text(claims, "host") or None,
        grant_id=_text(claims, "grant_id") or None,
        scopes=tuple(s for s in scope.split() if plain_text(s)),
        token_id=_text(claims, "jti", plain=False),
        expires_at=expires,
    )
    # A token from the future is one from a clock that is wrong, or forged with a stolen idea of time.
    return Entry(grant, max(issued, early), _audience(claims.get("aud")), key)


def plain_text(s: str) -> bool:
    """Report whether s can travel in a header as it is: printable ASCII without surrounding spaces."""
    return s.isascii() and s.isprintable() and s == s.strip()


def _text(claims: dict[str, Any], name: str, plain: bool = True) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or (plain and not plain_text(value)):
        raise TokenError(MALFORMED)
    return value


def _time(claims: dict[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519 section 2), 0 when absent or absurd."""
    value = claims.get(name)
    if value is None:
        return 0
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TokenError(MALFORMED)
    return float(int(value)) if 0 < value < 1e11 else 0


def _audience(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise TokenError(MALFORMED)
