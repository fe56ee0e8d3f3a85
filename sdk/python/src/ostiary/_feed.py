"""What was taken back lately and what is stopped now. A feed is always whole: who has the newest one needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._document import DocumentError, number, obj, text, texts
from ._grant import Grant

REVOKED = "revoked"
STOPPED = "stopped"

UNVERIFIED = "unverified"  # the host of clients of which nothing could be checked


@dataclass(frozen=True)
class Feed:
    """A feed prepared for deciding. The empty one ends and stops nothing."""

    sequence: int = 0
    revision: int = 0
    grants: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    stops: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def from_json(cls, raw: Any) -> Feed:
        """Read the `feed` of a signed document; raises DocumentError."""
        o = obj(raw, "feed")
        ended = obj(o.get("ended"), "ended")
        return cls(
            sequence=number(o, "seq"),
            revision=number(o, "revision"),
            grants=_ids(ended, "grants"),
            users=_ids(ended, "users"),
            organizations=_ids(ended, "organizations"),
            clients=_ids(ended, "clients"),
            stops=_stops(o.get("stops")),
        )

    def refuses(self, grant: Grant, resource_id: str) -> str | None:
        """Say why nothing may be done with a token of grant: "revoked", "stopped", or None when neither holds."""
        if (
            grant.grant_id in self.grants
            or grant.user in self.users
            or grant.organization in self.organizations
            or grant.client in self.clients
        ):
            return REVOKED
        stops = self.stops
        if stops and (
            ("server", resource_id) in stops
            or ("host", grant.host or UNVERIFIED) in stops
            or ("user", grant.user) in stops
            or ("organization", grant.organization) in stops
        ):
            return STOPPED
        return None


def _ids(o: Mapping[str, Any], key: str) -> frozenset[str]:
    return frozenset(value for value in texts(o, key) if value)


def _stops(raw: Any) -> frozenset[tuple[str, str]]:
    if raw is None:
        return frozenset()
    if not isinstance(raw, list):
        raise DocumentError("stops is not a list")
    stops = ((text(o, "kind"), text(o, "value")) for o in (obj(item, "stop") for item in raw))
    # An empty value is a tool nobody can name; anywhere else it would stop whoever has no such id.
    return frozenset((kind, value) for kind, value in stops if value or kind == "tool")
