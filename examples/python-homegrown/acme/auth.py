"""Who calls. Acme's own ways, older than any OAuth: an API key, or headers of a trusted proxy in front."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from acme.database import Database

__all__ = [
    "Authenticate",
    "Caller",
    "Database",
    "Headers",
    "UnknownOrganization",
    "api_key",
    "chosen",
    "external",
    "front",
    "hash_key",
]

Headers = Mapping[str, str]  # names in lower case


@dataclass(frozen=True)
class Caller:
    """On whose behalf a request is served."""

    organization: str
    user: str


Authenticate = Callable[[Database, Headers], Awaitable[Caller | None]]


def hash_key(key: str) -> bytes:
    """API keys are long and random, so a plain hash is enough to keep them by."""
    return hashlib.sha256(key.encode()).digest()


async def api_key(database: Database, headers: Headers) -> Caller | None:
    """The organization whose key is in X-Api-Key."""
    key = headers.get("x-api-key", "")
    organization = await database.organization_by_key(hash_key(key)) if key else None
    return Caller(organization, "api key") if organization else None


class UnknownOrganization(Exception):
    """A system in front vouches for somebody of whom Acme has no data. Signing in again would not help."""


async def external(database: Database, organization: str | None, user: str) -> Caller:
    """The organization that a system in front calls by this id. Raises UnknownOrganization."""
    known = await database.organization_by_external_id(organization) if organization else None
    if known is None:
        raise UnknownOrganization
    return Caller(known, user)


def front(organization_header: str, user_header: str) -> Authenticate:
    """Believes the two headers. Only for a server that nothing but the proxy in front can reach."""

    async def authenticate(database: Database, headers: Headers) -> Caller | None:
        user = headers.get(user_header.lower())
        return await external(database, headers.get(organization_header.lower()), user) if user else None

    return authenticate


def chosen(environment: Mapping[str, str]) -> Authenticate:
    """What ACME_FRONT_HEADERS says ("organization header,user header"), API keys without it."""
    names = environment.get("ACME_FRONT_HEADERS")
    if not names:
        return api_key
    organization_header, user_header = names.split(",")
    return front(organization_header.strip(), user_header.strip())
