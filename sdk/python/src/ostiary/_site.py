"""What one policy revision leads to besides decisions: the URLs of the MCP server and its metadata (RFC 9728)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._document import SHADOW, Document
from ._policy import Policy

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True)
class Spelling:
    """One URL the MCP server is known by. All of them are registered; none is taken from a request."""

    identifier: str
    host: str
    path: str  # "" for the root
    metadata_url: str
    metadata: bytes


class View:
    """Everything derived from one policy document; built once per revision, never changed."""

    def __init__(self, doc: Document, issuer: str, preferred: str | None = None) -> None:
        self.document = doc
        self.policy = Policy(doc)
        self.shadow = doc.mode == SHADOW
        self.baseline = doc.baseline_scopes()
        identifiers = (doc.resource.identifier, *doc.resource.aliases)
        self._spellings = [_spelling(i, issuer, doc.resource.name, self.baseline) for i in identifiers]
        wanted = preferred or doc.resource.identifier
        canonical = next((s for s in self._spellings if s.identifier == wanted), None)
        if canonical is None:
            raise ValueError(f"{wanted!r} is neither the identifier nor an alias of the resource {doc.resource.id}")
        self.canonical = canonical

    def serves(self, path: str) -> bool:
        """Report whether path is the MCP endpoint, with or without a trailing slash."""
        return any(_same_path(path, s.path) for s in self._spellings)

    def spelling_for(self, host: str, path: str) -> Spelling:
        """Pick the registered spelling closest to what the client called: it compares (RFC 9728 section 3.3)."""
        best, points = self.canonical, 0
        for s in self._spellings:
            if not _same_path(path, s.path):
                continue
            p = 1 + 8 * _same_host(host, s.host) + 4 * (path == s.path or not s.path) + 2 * (s is self.canonical)
            if p > points:
                best, points = s, p
        return best


def _spelling(identifier: str, issuer: str, name: str, baseline: tuple[str, ...]) -> Spelling:
    parts = urlsplit(identifier)
    if parts.scheme not in ("http", "https") or not parts.netloc or "?" in identifier or "#" in identifier:
        raise ValueError(f"resource identifier {identifier!r} is not an absolute URL without query and fragment")
    path = "" if parts.path == "/" else parts.path
    # scopes_supported is the minimum to get going, never offline_access (MCP 2026-07-28).
    metadata: dict[str, object] = {"resource": identifier, "authorization_servers": [issuer]}
    if baseline:
        metadata["scopes_supported"] = list(baseline)
    metadata["bearer_methods_supported"] = ["header"]
    if name:
        metadata["resource_name"] = name
    return Spelling(
        identifier,
        parts.netloc.lower(),
        path,
        f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}",
        json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode(),
    )


def _same_path(a: str, b: str) -> bool:
    return a.removesuffix("/") == b.removesuffix("/")


def _same_host(request: str, registered: str) -> bool:
    request = request.lower()
    return request in (registered, registered + ":443", registered + ":80")
