"""Signed documents of the issuer, checked before anything rests on them: kind, key, issuer, resource, time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ._document import Document, DocumentError, number
from ._feed import Feed
from ._fetch import Fetcher, FetchError
from ._jws import Malformed, header_of, open_with
from ._keys import IssuerKeys, KeysUnavailable, UnknownKey

POLICY_TYPE = "ostiary-policy+jwt"
FEED_TYPE = "ostiary-revocations+jwt"
MEDIA_TYPE = "application/jwt"
POLICY_LIMIT = 8 << 20
FEED_LIMIT = 8 << 20


class Rejected(Exception):
    """A document of the issuer is not to be used; the one before stays in force."""


@dataclass(frozen=True)
class Source:
    """Where the signed documents of one resource come from."""

    issuer: str
    resource_id: str
    keys: IssuerKeys
    fetcher: Fetcher
    skew: float
    now: Callable[[], float]

    @property
    def base(self) -> str:
        """Return the URL below which the documents are."""
        return f"{self.issuer}/resources/{quote(self.resource_id, safe='')}"

    def policy(self, etag: str) -> tuple[Document, int, str] | None:
        """Fetch the policy, when it was signed, its ETag; None when etag still holds. Raises Rejected, FetchError."""
        got = self.fetcher.get(self.base + "/policy", MEDIA_TYPE, POLICY_LIMIT, etag)
        if got.not_modified:
            return None
        claims = self._open(got.body, POLICY_TYPE)
        try:
            doc = Document.from_json(claims.get("policy"))
        except DocumentError as e:
            raise Rejected(f"signed policy: {e}") from None
        if doc.resource.id != self.resource_id:
            raise Rejected("signed policy: is about another resource")
        return doc, number(claims, "iat"), got.etag

    def feed(self, wait: int = 0, after: int = 0) -> tuple[Feed, int]:
        """Fetch the feed and when it was signed; wait for one newer than after. Raises Rejected, FetchError."""
        query = f"?wait={wait}&after={after}" if wait else ""
        got = self.fetcher.get(self.base + "/revocations" + query, MEDIA_TYPE, FEED_LIMIT, timeout=wait + 10.0)
        return self.opened_feed(got.body)

    def opened_feed(self, compact: bytes) -> tuple[Feed, int]:
        """Check a signed feed. Raises Rejected."""
        claims = self._open(compact, FEED_TYPE)
        try:
            feed = Feed.from_json(claims.get("feed"))
            if feed.sequence < 0:
                raise Rejected("signed feed: has no sequence")
            return feed, number(claims, "iat")
        except DocumentError as e:
            raise Rejected(f"signed feed: {e}") from None

    def _open(self, compact: bytes, typ: str) -> dict[str, Any]:
        try:
            text = compact.decode("ascii").strip()
            header = header_of(text, typ)
            claims = open_with(text, header, self.keys.find_blocking(header.kid))
            issued, expires = number(claims, "iat"), number(claims, "exp")
        except (Malformed, UnknownKey, UnicodeDecodeError, DocumentError):
            raise Rejected(f"it is not a {typ} signed by the issuer") from None
        except KeysUnavailable as e:
            raise FetchError(str(e)) from None
        now = self.now()
        if claims.get("iss") != self.issuer:
            raise Rejected(f"the {typ} comes from another issuer")
        if claims.get("sub") != self.resource_id:
            raise Rejected(f"the {typ} is about another resource")
        if issued <= 0 or expires <= issued or now >= expires + self.skew:
            raise Rejected(f"the {typ} has expired")
        if now + self.skew < issued:
            raise Rejected(f"the {typ} is from the future")
        return claims
