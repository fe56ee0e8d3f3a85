"""Compact signatures of the issuer (RFC 7515): type, algorithm, key, signature."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.api_jws import PyJWS

from ._json import JSONError, parse_values
from ._keys import Key, UnknownKey

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_VERIFIER = PyJWS(algorithms=["ES256", "RS256", "EdDSA"])


class Malformed(Exception):
    """It is not a signed token of the expected kind."""


@dataclass(frozen=True)
class Header:
    """The part of a JWS header that decides how it is checked."""

    kid: str
    algorithm: str


def header_of(compact: str, typ: str) -> Header:
    """Read the header of a compact JWS of type typ, given without "application/". Raises Malformed."""
    if not _COMPACT.fullmatch(compact):
        raise Malformed
    header = _members(compact[: compact.index(".")])
    kid, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ")
    # Extensions we do not know change what is signed (RFC 7515 section 4.1.11).
    if "crit" in header or "b64" in header or not isinstance(kid, str) or not kid or not isinstance(algorithm, str):
        raise Malformed
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") != typ:
        raise Malformed
    return Header(kid, algorithm)


def open_with(compact: str, header: Header, key: Key) -> dict[str, Any]:
    """Verify compact with key and return its claims. The algorithm is the key's, not the token's. Raises Malformed."""
    if header.algorithm != key.algorithm:
        raise Malformed
    try:
        payload = _VERIFIER.decode_complete(compact, key.public, algorithms=[key.algorithm])["payload"]
        claims = parse_values(payload)
    except (jwt.PyJWTError, JSONError, ValueError):
        raise Malformed from None
    if not isinstance(claims, dict):
        raise Malformed
    return claims


def _members(part: str) -> dict[str, Any]:
    try:
        members = parse_values(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (JSONError, ValueError):
        raise Malformed from None
    if not isinstance(members, dict):
        raise Malformed
    return members


__all__ = ["Header", "Malformed", "UnknownKey", "header_of", "open_with"]
